#!/usr/bin/env python3
"""Ten training steps of a small residual network in PyTorch: the numbers in resnet_steps.inc (tests/vision/test_parity.cpp).

    python3 tests/parity/resnet_steps.py        rewrites tests/parity/resnet_steps.inc

Weights and pictures are small multiples of powers of two made from a hash of (tensor, index), exact in float32 and the same
in C++, so no data lie in the repository. The network is resnet8_mnist under torchvision's names; pictures of 13x13 make
every stage odd or tiny (7, 4, 2).
"""
import pathlib

import torch
import torch.nn as nn
import torch.nn.functional as F

STEPS, BATCH, SIZE, CLASSES = 10, 6, 13, 10
LR, MOMENTUM, WEIGHT_DECAY, SMOOTHING = 0.01, 0.9, 5e-3, 0.1


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout)
        self.downsample = None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(BasicBlock(16, 16, 1))
        self.layer2 = nn.Sequential(BasicBlock(16, 32, 2))
        self.layer3 = nn.Sequential(BasicBlock(32, 64, 2))
        self.fc = nn.Linear(64, CLASSES)

    def forward(self, x):
        y = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(y.mean(dim=(2, 3)))


def numbers(tensor, count):
    """Multiples of 2^-16 in [-1/2, 1/2): MurmurHash3's 32-bit finaliser of (tensor, index)."""
    mask = 0xFFFFFFFF
    out = []
    for i in range(count):
        h = (i + 1 + 0x9E3779B9 * (tensor + 1)) & mask
        h = ((h ^ (h >> 16)) * 0x85EBCA6B) & mask
        h = ((h ^ (h >> 13)) * 0xC2B2AE35) & mask
        h ^= h >> 16
        out.append((h >> 16) / 65536 - 0.5)
    return torch.tensor(out, dtype=torch.float64)


def weight_scale(fan_in):
    """The power of two s with s^2 / 12 (the variance of s * numbers) at or just below 2 / fan_in."""
    s = 8.0
    while s * s * fan_in > 24:
        s /= 2
    return s


def initialise(net):
    with torch.no_grad():
        for k, (name, p) in enumerate(net.named_parameters()):
            u = numbers(k, p.numel()).reshape(p.shape)   # in PyTorch's order: (out, in, height, width)
            if p.dim() > 1:
                p.copy_(weight_scale(p[0].numel()) * u)
            elif name.endswith("bias"):
                p.copy_(u / 2)
            else:   # a norm's
                p.copy_(1 + u / 2)


def batch(k, dtype):
    pictures = 4 * numbers(1000 + k, BATCH * SIZE * SIZE).reshape(BATCH, 1, SIZE, SIZE)
    labels = torch.tensor([(7 * i + 3 * k) % CLASSES for i in range(BATCH)])
    return pictures.to(dtype), labels


def train(dtype):
    net = ResNet8().to(dtype)
    initialise(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True)
    losses = []
    for step in range(STEPS):   # two batches in turn
        x, labels = batch(step % 2, dtype)
        loss = F.cross_entropy(net(x), labels, label_smoothing=SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()   # the running statistics
    x, labels = batch(0, dtype)
    with torch.no_grad():
        losses.append(F.cross_entropy(net(x), labels, label_smoothing=SMOOTHING).item())
    return losses


def main():
    torch.set_num_threads(1)
    lines = [f"// Written by resnet_steps.py with PyTorch {torch.__version__}: the loss of each of {STEPS} steps, then that of batch 0",
             "// in evaluation mode."]
    for name, dtype in (("kLossesFloat64", torch.float64), ("kLossesFloat32", torch.float32)):
        lines.append(f"constexpr double {name}[] = {{")
        lines += [f"    {loss!r}," for loss in train(dtype)]
        lines.append("};")
    pathlib.Path(__file__).with_suffix(".inc").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
