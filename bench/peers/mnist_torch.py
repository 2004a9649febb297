#!/usr/bin/env python3
"""The main job of `fovea train` in PyTorch: same network, batches, augmentation and recipe, for the comparison in bench/README.md.

    python3 bench/peers/mnist_torch.py --threads 2            # eager
    python3 bench/peers/mnist_torch.py --threads 2 --compile  # torch.compile

PyTorch at its best on a CPU: channels_last, all images in memory, the batch's shifts as one gather, no DataLoader, the foreach
optimiser. Prints one JSON line: seconds of training (validation and compilation not counted), images/s, accuracy, peak resident MiB.
"""
import argparse
import gzip
import json
import pathlib
import resource
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F

MEAN, STD = 0.1307, 0.3081  # of the training images' pixels / 255


def read_idx(path):
    """The array of a gzip-compressed IDX file of bytes: magic 0x000008<rank>, big-endian extents, data."""
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    extents = numpy.frombuffer(raw, ">u4", rank, 4)
    return torch.from_numpy(numpy.frombuffer(raw, numpy.uint8, offset=4 + 4 * rank).reshape(extents.tolist()).copy())


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + skip)


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, 2, 1, bias=False)  # 28x28 -> 14x14
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = BasicBlock(16, 16, 1)
        self.layer2 = BasicBlock(16, 32, 2)  # -> 7x7
        self.layer3 = BasicBlock(32, 64, 2)  # -> 4x4
        self.fc = nn.Linear(64, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")  # He et al. 2015, Eq. (14)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def normalise(images):
    """(B, 28, 28) bytes -> (B, 1, 28, 28) float32, channels last (one channel: the same memory)."""
    x = images.float().div_(255).sub_(MEAN).div_(STD)
    return x.unsqueeze(1).contiguous(memory_format=torch.channels_last)


def shifted(padded, index, pixels):
    """Crops of 28x28 out of (N, 28 + 2 pixels, 28 + 2 pixels) at a random place for each image."""
    corner = torch.randint(0, 2 * pixels + 1, (2, len(index), 1))
    rows, cols = corner + torch.arange(28)
    return padded[index[:, None, None], rows[:, :, None], cols[:, None, :]]


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        right = sum((model(normalise(images[i : i + 1000])).argmax(1) == labels[i : i + 1000]).sum().item() for i in range(0, len(labels), 1000))
    return right / len(labels)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data-dir", type=pathlib.Path, default=root / "data" / "mnist")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--compile", action="store_true")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--epochs", type=int, default=12)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--lr", type=float, default=0.2)
    p.add_argument("--momentum", type=float, default=0.9)
    p.add_argument("--weight-decay", type=float, default=5e-4)
    p.add_argument("--label-smoothing", type=float, default=0.1)
    p.add_argument("--warmup", type=float, default=0.25)
    p.add_argument("--crop-padding", type=int, default=2)
    o = p.parse_args()

    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    images, labels = read_idx(o.data_dir / "train-images-idx3-ubyte.gz"), read_idx(o.data_dir / "train-labels-idx1-ubyte.gz").long()
    padded = F.pad(images[:55000], [o.crop_padding] * 4)
    train_labels = labels[:55000]
    model = ResNet8().to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), o.lr, o.momentum, weight_decay=o.weight_decay, nesterov=True, foreach=True)
    steps = len(padded) // o.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, o.lr, total_steps=o.epochs * steps + 1, pct_start=o.warmup, cycle_momentum=False)
    run = torch.compile(model) if o.compile else model
    if o.compile:  # compile before the clock starts; the forward pass changes running statistics only, so put those back
        state = {k: v.clone() for k, v in model.state_dict().items()}
        F.cross_entropy(run(normalise(padded[: o.batch, : 28, : 28])), train_labels[: o.batch], label_smoothing=o.label_smoothing).backward()
        model.load_state_dict(state)
        optimiser.zero_grad(set_to_none=True)

    seconds = 0.0
    for epoch in range(o.epochs):
        model.train()
        begin = time.perf_counter()
        order = torch.randperm(len(padded))
        total = 0.0
        for i in range(steps):
            index = order[i * o.batch : (i + 1) * o.batch]
            x = normalise(shifted(padded, index, o.crop_padding))
            loss = F.cross_entropy(run(x), train_labels[index], label_smoothing=o.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        seconds += time.perf_counter() - begin
        val = accuracy(model, images[55000:], labels[55000:])
        print(f"epoch {epoch + 1}: loss {total / steps:.4f}, validation {val:.4f}, {seconds:.1f} s", flush=True)

    test_images, test_labels = read_idx(o.data_dir / "t10k-images-idx3-ubyte.gz"), read_idx(o.data_dir / "t10k-labels-idx1-ubyte.gz").long()
    print(json.dumps({
        "torch": torch.__version__, "mode": "compile" if o.compile else "eager", "threads": o.threads, "seed": o.seed,
        "seconds": round(seconds, 2), "images_per_s": round(o.epochs * steps * o.batch / seconds),
        "test_top1": accuracy(model, test_images, test_labels),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }))


if __name__ == "__main__":
    main()
