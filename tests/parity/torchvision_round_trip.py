"""Weights to and fro: each of torchvision's networks of up to 150 M parameters, with random weights, is saved by torch.save, imported, run,
exported to .pth and .safetensors, and loaded by torchvision with strict=True. Logits and every entry are compared.

python3 tests/parity/torchvision_round_trip.py [NAME...]     (needs torchvision and safetensors; about half a minute a network)
"""
import pathlib
import subprocess
import sys
import tempfile

import torch
import torchvision
from safetensors.torch import load_file, save_file

FOVEA = pathlib.Path(__file__).parents[2] / "fovea"
NAMES = ("alexnet vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn googlenet resnet18 resnet34 resnet50 resnet101 resnet152 "
         "wide_resnet50_2 wide_resnet101_2 resnext50_32x4d resnext101_32x8d resnext101_64x4d mobilenet_v2 mobilenet_v3_small mobilenet_v3_large "
         "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7 vit_b_16 "
         "vit_b_32 swin_t swin_s swin_b convnext_tiny convnext_small convnext_base").split()
TOLERANCE = 1e-4   # of the largest logit


def fovea(*words):
    done = subprocess.run([FOVEA, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def randomised(net):
    """Nothing stays at the values of every fresh network, so that no entry can be mistaken for another; activations keep their size."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "layer_scale" in name:
                p.uniform_(0.1, 0.3)
            elif p.dim() == 1:
                p.add_(0.05 * torch.randn_like(p))
            elif p.abs().max() < 1e-3 or "token" in name or "bias_table" in name:
                p.normal_(0, 0.05)
        for name, b in net.named_buffers():
            if name.endswith("running_mean"):
                b.normal_(0, 0.05)
            elif name.endswith("running_var"):
                b.uniform_(0.8, 1.2)
            elif name.endswith("num_batches_tracked"):
                b.fill_(7)
    return net.eval()


def round_trip(name, folder):
    torch.manual_seed(0)
    options = {"init_weights": False} if name == "googlenet" else {}   # its own initialisation takes minutes; auxiliary heads stay
    net = randomised(torchvision.models.get_model(name, **options))
    x = torch.randn(1, 3, 224, 224)
    save_file({"x": x.permute(0, 2, 3, 1).contiguous()}, folder / "x.safetensors")
    torch.save(net.state_dict(), folder / "in.pth")
    fovea("import", folder / "in.pth", folder / "model.safetensors", "--model", name, "--strict")
    fovea("run", name, "--weights", folder / "model.safetensors", "--input", folder / "x.safetensors", "--output", folder / "y.safetensors")
    with torch.no_grad():
        expected = net(x)
    difference = ((load_file(folder / "y.safetensors")["logits"] - expected).abs().max() / expected.abs().max()).item()
    for out in folder / "out.pth", folder / "out.safetensors":
        fovea("export", folder / "model.safetensors", out)
        state = torch.load(out, weights_only=True) if out.suffix == ".pth" else load_file(out)
        for key, value in net.state_dict().items():
            assert torch.equal(state[key], value), f"{name}: {key} has changed"
        torchvision.models.get_model(name, **options).load_state_dict(state, strict=True)
    print(f"{name:20} logits differ by {difference:.1e} of the largest; both exports load strictly, every entry bit for bit", flush=True)
    return difference < TOLERANCE


with tempfile.TemporaryDirectory() as folder:
    good = [round_trip(name, pathlib.Path(folder)) for name in sys.argv[1:] or NAMES]
print(f"{sum(good)} of {len(good)} networks within {TOLERANCE}")
sys.exit(not all(good))
