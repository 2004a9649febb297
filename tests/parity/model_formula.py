"""What the model_*.py scripts share: weights, images and directions from one integer formula; the same numbers as vision/analysis/fixed_numbers.h.

Weights that nobody trained let activations of deep networks grow or vanish by many orders of magnitude, and then logits say little: EfficientNet-B5
turned a change of 1 % of the picture into 43 % of the logits, and PyTorch in float32 was 3e-3 away from itself in float64. So the running variance of
each batch norm is its input's, rounded to a power of two, times the formula: the exponents are stored with the logits.

Gradients jump where an activation has a kink, at 0 for ReLU. A pre-activation that is nearer to it than the rounding error e of float32 lets its
gradient through in one program and not in the other. That happens to a share e of them all, which is sqrt(e) of the gradient's norm, however many
images there are: 1e-2 in PyTorch's own float32 beside its float64. fill(away=True) keeps them away from 0, 3, -3 and 6,
where the kinks are.
"""
import math

import numpy as np
import torch


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


def fill(net, ours, away=False):
    """Matrices and filters have variance 2 / fan_in; scales and variances lie in [0.8, 1.2), biases and means in [-0.2, 0.2). Away from kinks the
    channels of a batch norm in training have mean -1.5 or 1.5, in turn, and deviation 0.4: three and more of them to the next kink. Networks
    without norms get such biases, and matrices a quarter as large.
    """
    norms = {ours[n + ".weight"].rpartition(".")[0] for n, m in net.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    normed = any(t.dim() == 1 and name.endswith("weight") for name, t in net.state_dict().items())
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
        if away and (name.rpartition(".")[0] in norms or not normed):
            if name.endswith("bias"):
                u += 3 * (torch.arange(len(u)) % 2) - 1.5
            elif name.endswith("weight"):
                u *= 0.4 if normed else 0.25
        t.copy_(u)


def scale_statistics(net, x):
    """Runs net(x); just before each batch norm runs, its variances are multiplied by 4^e and its means by 2^e: the exponents, in order of the
    names that our files have."""
    exponents = {}

    def scale(name):
        def hook(bn, inputs):
            exponents[name] = round(math.log2(inputs[0].var(unbiased=False).item()) / 2)
            bn.running_var *= 4.0 ** exponents[name]
            bn.running_mean *= 2.0 ** exponents[name]
        return hook

    norms = [(name, m) for name, m in net.named_modules() if isinstance(m, torch.nn.BatchNorm2d)]
    handles = [m.register_forward_pre_hook(scale(name)) for name, m in norms]
    y = net(x)
    for handle in handles:
        handle.remove()
    return y, torch.tensor([exponents[name] for name, _ in sorted(norms, key=lambda n: n[0])], dtype=torch.int64)


def picture(size, batch=1, channels=3):
    return 4 * numbers("x", (batch, channels, size, size))
