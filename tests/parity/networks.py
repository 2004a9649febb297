"""What the scripts of this folder share: PyTorch's twin of a model of ours, with its entries under our names.

torchvision has most of them under the very names, or classes that give them; timm has the rest (SE, deep stems, MobileNet V1, DeiT) with some
names of its own; what neither has is written out from its paper here.
"""
import functools
import re

import timm
import torch
import torchvision
from timm.layers import SEModule
from torch import nn
from torchvision.models.googlenet import Inception

WIDTHS = (0.25, 0.5, 0.75, 1.0, 1.25)
TIMM = {"se_resnext50_32x4d": "seresnext50_32x4d", "resnext101_32x4d": "resnext101_32x4d", "vit_tiny_p16": "deit_tiny_patch16_224",
        "vit_small_p16": "deit_small_patch16_224", "vit_small_p32": "vit_small_patch32_224"}
TIMM |= {f"resnet{d}_c": f"resnet{d}c" for d in (50, 101, 152)} | {f"resnet{d}_d": f"resnet{d}d" for d in (18, 34, 50, 101, 152)}
TIMM |= {f"se_resnet{d}": f"seresnet{d}" for d in (18, 34, 50, 101, 152)} | {f"mobilenet_v1_{w}": "mobilenetv1_100" for w in WIDTHS}
TIMM |= {f"deit_{s}_distilled_p16": f"deit_{s}_distilled_patch16_224" for s in ("tiny", "small", "base")}


class AlexNet2012(nn.Module):
    """Krizhevsky, Sutskever & Hinton 2012, section 3.5."""

    def __init__(self, num_classes):
        super().__init__()
        lrn = lambda: nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)   # PyTorch divides alpha by the size
        conv = lambda *a, **k: [nn.Conv2d(*a, **k), nn.ReLU()]
        pool = lambda: nn.MaxPool2d(3, 2)
        self.features = nn.Sequential(*conv(3, 96, 11, 4), lrn(), pool(), *conv(96, 256, 5, padding=2, groups=2), lrn(), pool(),
                                      *conv(256, 384, 3, padding=1), *conv(384, 384, 3, padding=1, groups=2),
                                      *conv(384, 256, 3, padding=1, groups=2), pool())
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(),
                                        nn.Linear(4096, num_classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class CifarResNet(nn.Module):
    """He et al. 2016, section 4.2: 6n + 2 layers, with the identity (option A) or nothing beside each pair of them."""

    class Block(nn.Module):
        def __init__(self, channels, out, shortcut):
            super().__init__()
            self.stride, self.more, self.shortcut = out // channels, out - channels, shortcut
            self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, self.stride, 1, bias=False), nn.BatchNorm2d(out)
            self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
            self.relu = nn.ReLU()

        def forward(self, x):
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            if self.shortcut:
                y = y + nn.functional.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.more))
            return self.relu(y)

    def __init__(self, layers, shortcuts, num_classes):
        super().__init__()
        stage = lambda channels, out: nn.Sequential(*(self.Block(out if i else channels, out, shortcuts) for i in range((layers - 2) // 6)))
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1, self.layer2, self.layer3 = stage(16, 16), stage(16, 32), stage(32, 64)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x):
        return self.fc(self.layer3(self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x)))))).mean((2, 3)))


class LeNet5(nn.Module):
    """LeCun et al. 1998, Fig. 2, with what mmpretrain leaves of it: plain means, tanh, every map connected, a linear layer at the end."""

    def __init__(self, num_classes):
        super().__init__()
        conv = lambda *channels: [nn.Conv2d(*channels, 5), nn.Tanh()]
        self.features = nn.Sequential(*conv(1, 6), nn.AvgPool2d(2), *conv(6, 16), nn.AvgPool2d(2), *conv(16, 120))
        self.classifier = nn.Sequential(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, num_classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def googlenet_paper(num_classes, **options):
    """torchvision's, with the 5x5 and the dropout of Szegedy et al. 2015, Table 1."""
    net = torchvision.models.googlenet(num_classes=num_classes, dropout=0.4, **options)
    for m in net.modules():
        if isinstance(m, Inception):
            small = m.branch3[1].conv
            m.branch3[1].conv = nn.Conv2d(small.in_channels, small.out_channels, 5, padding=2, bias=False)
    return net


def torchvision_class(name):
    """Members of torchvision's families that it has no function for: a function of them, or None."""
    models = torchvision.models
    if name == "swin_l":   # Liu et al. 2021, section 3.3
        return functools.partial(models.SwinTransformer, [4, 4], 192, [2, 2, 18, 2], [6, 12, 24, 48], [7, 7])
    if name == "convnext_xlarge":   # Liu et al. 2022, section 3
        rows = [(256, 512, 3), (512, 1024, 3), (1024, 2048, 27), (2048, None, 3)]
        return functools.partial(models.ConvNeXt, [models.convnext.CNBlockConfig(*r) for r in rows])
    if name == "resnext152_32x4d":
        return functools.partial(models.ResNet, models.resnet.Bottleneck, [3, 8, 36, 3], groups=32, width_per_group=4)
    if name.startswith("mobilenet_v2_"):
        return functools.partial(models.mobilenet_v2, width_mult=float(name.split("_")[2]))
    return None


def vit_name(name):
    """timm's names of a Vision Transformer in torchvision's."""
    for pattern, ours in [(r"^cls_token$", "class_token"), (r"^dist_token$", "distillation_token"), (r"^pos_embed$", "encoder.pos_embedding"),
                          (r"^patch_embed\.proj\.", "conv_proj."), (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
                          (r"\.norm1\.", ".ln_1."), (r"\.norm2\.", ".ln_2."), (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
                          (r"\.attn\.proj\.", ".self_attention.out_proj."), (r"\.mlp\.fc1\.", ".mlp.0."), (r"\.mlp\.fc2\.", ".mlp.3."),
                          (r"^norm\.", "encoder.ln."), (r"^head\.", "heads.head."), (r"^head_dist\.", "heads.head_dist.")]:
        name = re.sub(pattern, ours, name)
    return name


def channels(name):
    return 1 if name == "lenet5" else 3


def transformer(name):
    return name.startswith(("vit", "deit"))


def network(name, classes, size=224, **options):
    """(module, our name of each of its entries). `size` is the picture's, where the network has a position embedding."""
    if name.startswith("googlenet"):
        options = {"aux_logits": False, "init_weights": False} | options
    if name == "alexnet_2012":
        net = AlexNet2012(classes)
    elif name == "lenet5":
        net = LeNet5(classes)
    elif name == "googlenet_paper":
        net = googlenet_paper(classes, **options)
    elif name.endswith("_he_cifar"):
        net = CifarResNet(int(re.search(r"\d+", name)[0]), name.startswith("resnet"), classes)
    elif torchvision_class(name):
        net = torchvision_class(name)(num_classes=classes)
    elif name.startswith("mobilenet_v1"):
        net = timm.models.efficientnet._gen_mobilenet_v1(TIMM[name], float(name.split("_")[2]), num_classes=classes)
    elif name in TIMM:
        # Hu et al. divide the channels by 16; timm would round 64 / 16 up to 8.
        more = {"block_args": {"attn_layer": functools.partial(SEModule, rd_divisor=1)}} if name.startswith("se_") else {}
        more |= {"img_size": size} if transformer(name) else {}
        net = timm.create_model(TIMM[name], num_classes=classes, **more)
    else:
        if transformer(name):
            options |= {"image_size": size}
        net = torchvision.models.get_model(name.removesuffix("_v1_original"), weights=None, num_classes=classes, **options)
        if name.endswith("_v1_original"):   # He et al. 2016: the stride in the first 1x1
            for m in net.modules():
                if isinstance(m, torchvision.models.resnet.Bottleneck):
                    m.conv1.stride, m.conv2.stride = m.conv2.stride, m.conv1.stride
    rename = vit_name if transformer(name) and name in TIMM else lambda n: n
    return net, {n: rename(n) for n in net.state_dict()}
