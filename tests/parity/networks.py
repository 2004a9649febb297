"""What model_logits.py and state_dicts.py share: PyTorch's twin of a model of ours, with its entries under our names.

torchvision has most of them under the very names; timm has the rest (SE, deep stems, MobileNet V1, DeiT) with some names of its own.
"""
import functools
import re

import timm
import torch
import torchvision
from timm.layers import SEModule
from torch import nn

WIDTHS = (0.25, 0.5, 0.75, 1.0)
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


def vit_name(name):
    """timm's names of a Vision Transformer in torchvision's."""
    for pattern, ours in [(r"^cls_token$", "class_token"), (r"^dist_token$", "distillation_token"), (r"^pos_embed$", "encoder.pos_embedding"),
                          (r"^patch_embed\.proj\.", "conv_proj."), (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
                          (r"\.norm1\.", ".ln_1."), (r"\.norm2\.", ".ln_2."), (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
                          (r"\.attn\.proj\.", ".self_attention.out_proj."), (r"\.mlp\.fc1\.", ".mlp.0."), (r"\.mlp\.fc2\.", ".mlp.3."),
                          (r"^norm\.", "encoder.ln."), (r"^head\.", "heads.head."), (r"^head_dist\.", "heads.head_dist.")]:
        name = re.sub(pattern, ours, name)
    return name


def transformer(name):
    return name.startswith(("vit", "deit"))


def network(name, classes, size=224, **options):
    """(module, our name of each of its entries). `size` is the picture's, where the network has a position embedding."""
    if name == "alexnet_2012":
        net = AlexNet2012(classes)
    elif name.startswith("mobilenet_v1"):
        net = timm.models.efficientnet._gen_mobilenet_v1(TIMM[name], float(name.split("_")[2]), num_classes=classes)
    elif name in TIMM:
        # Hu et al. divide the channels by 16; timm would round 64 / 16 up to 8.
        more = {"block_args": {"attn_layer": functools.partial(SEModule, rd_divisor=1)}} if name.startswith("se_") else {}
        more |= {"img_size": size} if transformer(name) else {}
        net = timm.create_model(TIMM[name], num_classes=classes, **more)
    else:
        if name == "googlenet":
            options = {"aux_logits": False, "init_weights": False} | options
        if transformer(name):
            options |= {"image_size": size}
        net = torchvision.models.get_model(name.removesuffix("_v1_original"), weights=None, num_classes=classes, **options)
        if name.endswith("_v1_original"):   # He et al. 2016: the stride in the first 1x1
            for m in net.modules():
                if isinstance(m, torchvision.models.resnet.Bottleneck):
                    m.conv1.stride, m.conv2.stride = m.conv2.stride, m.conv1.stride
    rename = vit_name if transformer(name) and name in TIMM else lambda n: n
    return net, {n: rename(n) for n in net.state_dict()}
