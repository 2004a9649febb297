"""Proves the tables of vision/weights/schemes.cpp, and makes weight_names.txt, the names and shapes of other libraries' files, for
tests/vision/test_import.cpp. Each network gets random weights; its file is imported, and the logits of both sides must agree before its names
are written: theirs, ours (found by equal values), shape.

python3 tests/parity/weight_names.py     (needs torchvision, timm and safetensors, and mmpretrain with mmcv-lite; takes minutes)

A line is `their name`, `our name` ("=" where it is the same, "-" where the file's entry is left out), shape; ".bn" behind a name stands for the
five entries of a batch norm, ".wb" for a weight and its bias.
"""
import pathlib
import subprocess
import tempfile

import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file

FOVEA = pathlib.Path(__file__).parents[2] / "fovea"
TIMM = {
    "vgg11": "vgg11", "mobilenetv2_100": "mobilenet_v2", "mobilenetv2_050": "mobilenet_v2_0.5", "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_100": "mobilenet_v3_small", "efficientnet_b0": "efficientnet_b0", "vit_tiny_patch16_224": "vit_tiny_p16",
    "deit_tiny_distilled_patch16_224": "deit_tiny_distilled_p16", "swin_tiny_patch4_window7_224": "swin_t", "convnext_tiny": "convnext_tiny",
    "seresnet50": "se_resnet50", "resnet50d": "resnet50_d", "mobilenetv1_100": "mobilenet_v1_1.0"}
MMPRETRAIN = {
    "resnet50_8xb32_in1k": "resnet50", "resnetv1c50_8xb32_in1k": "resnet50_c", "resnetv1d50_8xb32_in1k": "resnet50_d",
    "seresnet50_8xb32_in1k": "se_resnet50", "resnext50-32x4d_8xb32_in1k": "resnext50_32x4d", "vgg11_8xb32_in1k": "vgg11", "vgg13bn_8xb32_in1k": "vgg13_bn",
    "vgg16_8xb32_in1k": "vgg16", "vgg19bn_8xb32_in1k": "vgg19_bn", "mobilenet-v2_8xb32_in1k": "mobilenet_v2",
    "mobilenet-v3-large_8xb128_in1k": "mobilenet_v3_large", "mobilenet-v3-small_8xb128_in1k": "mobilenet_v3_small",
    "deit-tiny_4xb256_in1k": "vit_tiny_p16", "deit-tiny-distilled_3rdparty_in1k": "deit_tiny_distilled_p16", "swin-tiny_16xb64_in1k": "swin_t",
    "convnext-tiny_32xb128_in1k": "convnext_tiny"}
BN = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


def older_swin(state):
    """The authors' files: merging at a stage's end, masks and indices stored, one classifier without pooling in its name."""
    out = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] == "layers" and parts[2] == "downsample":
            parts[1] = str(int(parts[1]) - 1)
        out[".".join(parts).replace("head.fc.", "head.")] = value
        if parts[-1] == "relative_position_bias_table":
            out[".".join(parts[:-1]) + ".relative_position_index"] = torch.zeros(49, 49, dtype=torch.int64)
    out["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    return out


def authors_convnext(state):
    """facebookresearch/ConvNeXt: stem and merging in one list, other names in a block."""
    out = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] == "stem":
            parts = ["downsample_layers", "0"] + parts[1:]
        elif parts[0] == "head":
            parts = ([] if parts[1] == "fc" else ["norm"]) + (["head"] if parts[1] == "fc" else []) + parts[2:]
        elif parts[2] == "downsample":
            parts = ["downsample_layers", parts[1]] + parts[3:]
        else:
            parts = parts[:2] + parts[3:]
        name = ".".join(parts)
        out[name.replace("conv_dw", "dwconv").replace("mlp.fc1", "pwconv1").replace("mlp.fc2", "pwconv2")] = value
    return out


def older_vit(state):
    """torchvision's published vision transformers are older than its MLP of numbered layers."""
    return {k.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v for k, v in state.items()}


def randomised(net):
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith("gamma") or "layer_scale" in name:
                p.uniform_(0.1, 0.3)
            elif p.dim() == 1:
                p.add_(0.05 * torch.randn_like(p))
            elif p.abs().max() < 1e-3 or "token" in name or "bias_table" in name or "pos_embed" in name:
                p.normal_(0, 0.05)
        for name, b in net.named_buffers():
            if name.endswith("running_mean"):
                b.normal_(0, 0.05)
            elif name.endswith("running_var"):
                b.uniform_(0.8, 1.2)
    return net.eval()


def fovea(*words):
    done = subprocess.run([FOVEA, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def fingerprint(t):
    """The same for the same numbers in another shape or order."""
    return t.numel(), tuple(t.flatten().topk(min(3, t.numel())).values.tolist()), round(t.double().sum().item(), 6)


def prove(library, label, net, state, ours, folder, wrap):
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = net(x)
    torch.save(wrap(state), folder / "in.pth")
    save_file({"x": x.permute(0, 2, 3, 1).contiguous()}, folder / "x.safetensors")
    fovea("import", folder / "in.pth", folder / "m.safetensors", "--model", ours, "--strict")
    fovea("run", ours, "--weights", folder / "m.safetensors", "--input", folder / "x.safetensors", "--output", folder / "y.safetensors")
    error = ((load_file(folder / "y.safetensors")["logits"] - expected).abs().max() / expected.abs().max()).item()
    print(f"{library:28} {label:34} {ours:26} logits differ by {error:.1e} of the largest", flush=True)
    assert error < 1e-3, "not the same network"

    known = {fingerprint(t): name for name, t in load_file(folder / "m.safetensors").items() if t.is_floating_point()}
    to_ours = {name: known.get(fingerprint(t), "-") for name, t in state.items()}
    lines, done = [f"file {library} {ours}"], set()

    def line(name, own, kind, shape):
        lines.append(" ".join([name + kind, "=" if own == name else own, *map(str, shape)]))

    for name, t in state.items():
        stem = name.rpartition(".")[0]
        if name in done:
            continue
        group = [f"{stem}.{b}" for b in BN]
        pair = [f"{stem}.weight", f"{stem}.bias"]
        if all(n in state for n in group):   # a norm whose scale was adapted is known by its mean
            line(stem, to_ours[group[2]].rpartition(".")[0], ".bn", t.shape)
            done.update(group)
        elif name == pair[0] and pair[1] in state and to_ours[name].rpartition(".")[0] == to_ours[pair[1]].rpartition(".")[0] and "in_proj" not in to_ours[name]:
            line(stem, to_ours[name].rpartition(".")[0], ".wb", t.shape)
            done.update(pair)
        else:
            line(name, to_ours[name], "", t.shape)
    return lines


lines = []
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    trainer = lambda s: {"epoch": 3, "state_dict": {"module." + k: v for k, v in s.items()}}
    for theirs, ours in TIMM.items():
        torch.manual_seed(0)
        net = randomised(timm.create_model(theirs))
        lines += prove("timm", theirs, net, net.state_dict(), ours, folder, trainer)
        if theirs.startswith("swin"):
            lines += prove("older-swin", theirs, net, older_swin(net.state_dict()), ours, folder, lambda s: {"model": s})
        if theirs.startswith("convnext"):
            lines += prove("authors", theirs, net, authors_convnext(net.state_dict()), ours, folder, lambda s: {"model": s})
    torch.manual_seed(0)
    net = randomised(torchvision.models.vit_b_32())
    lines += prove("older-torchvision", "vit_b_32", net, older_vit(net.state_dict()), "vit_b_32", folder, lambda s: s)
    from mmpretrain import get_model
    for theirs, ours in MMPRETRAIN.items():
        torch.manual_seed(0)
        net = randomised(get_model(theirs, pretrained=False))
        lines += prove("mmpretrain", theirs, net, net.state_dict(), ours, folder, lambda s: {"meta": {"epoch": 100}, "state_dict": s})
pathlib.Path(__file__).with_name("weight_names.txt").write_text("\n".join(lines) + "\n")
