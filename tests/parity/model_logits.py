"""Makes model_logits.safetensors: logits of the published networks with weights and image from a formula, for tests/vision/test_model_logits.cpp.

python3 tests/parity/model_logits.py [MODEL@SIZE ...]     (needs torchvision and timm; float64; names: print only, store nothing)
"""
import math
import sys

import numpy as np
import torch

from networks import network
from stored import Cases

CASES = """alexnet@64 alexnet_2012@67 vgg11@32 vgg16_bn@32 googlenet@64 resnet18@64 resnet34@64 resnet50@64 resnext50_32x4d@64
wide_resnet50_2@64 resnet18_d@65 resnet50_c@64 resnet50_d@65 se_resnet18@64 se_resnet50@64 se_resnext50_32x4d@64 mobilenet_v1_1.0@64
mobilenet_v2@64 mobilenet_v3_small@64 mobilenet_v3_large@64 efficientnet_b0@64 efficientnet_b1@64 efficientnet_b3@64 efficientnet_b6@64
vit_b_32@224 vit_tiny_p16@224 vit_small_p16@224 deit_tiny_distilled_p16@224 swin_t@96 swin_s@64 convnext_tiny@64 convnext_small@64""".split()


# B6 stands for the norms of B5 to B7: with this formula PyTorch in float32 is 2.5e-3 away from itself in float64 for B5, 2e-5 for B6.


def numbers(name, shape):
    """Multiples of 2^-16 in [-1/2, 1/2): MurmurHash3's finaliser of (FNV-1a of the name, index in PyTorch's order)."""
    seed = 0x811C9DC5
    for c in name.encode():
        seed = (seed ^ c) * 0x01000193 & 0xFFFFFFFF
    h = np.arange(1, math.prod(shape) + 1, dtype=np.uint32) + np.uint32(seed)
    for shift, factor in [(16, 0x85EBCA6B), (13, 0xC2B2AE35)]:
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
    h ^= h >> np.uint32(16)
    return torch.from_numpy((h >> np.uint32(16)) / 65536 - 0.5).reshape(shape)


def fill(net, ours):
    """Matrices and filters have variance 2 / fan_in; scales and variances lie in [0.8, 1.2), biases and means in [-0.2, 0.2)."""
    for name, t in net.state_dict().items():
        if not t.is_floating_point():
            continue
        name = ours[name]
        u = numbers(name, t.shape)
        if t.dim() in (2, 4):
            u *= math.sqrt(24 / (t.numel() // t.shape[0]))
        elif name.endswith("running_var") or (t.dim() == 1 and name.endswith("weight")):
            u = 1 + 0.4 * u
        elif t.dim() == 1:
            u *= 0.4
        t.copy_(u)


cases = Cases("model_logits")
for case in sys.argv[1:] or CASES:
    name, size = case.split("@")
    net, ours = network(name, 10)
    net.eval().double()
    with torch.no_grad():
        fill(net, ours)
        y = net(4 * numbers("x", (1, 3, int(size), int(size))))
    print(case, y[0, :4].tolist())
    cases.put(case, y)
if not sys.argv[1:]:
    cases.save()
