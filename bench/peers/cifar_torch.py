#!/usr/bin/env python3
"""CIFAR-10 with the 20-layer residual network of He et al. 2016, section 4.2, in PyTorch: network (option A shortcuts), pictures, split sizes,
augmentation and recipe of examples/recipes/cifar10.toml, for curves beside Fovea's over several seeds.

    python3 bench/peers/cifar_torch.py PATH --threads 2 --seed 0    # PATH/train/<class>/*.jpg and PATH/test/<class>/*.jpg

PyTorch at its best on a CPU: channels_last, all pictures in memory (decoded by Pillow), crops and flips as one gather, the foreach optimiser.
Prints a JSON line for each epoch (train loss, validation and test accuracy) and one with the time of training. The validation part, a
tenth of each class, is PyTorch's own draw; Fovea's is another one of the same size.
"""
import argparse
import json
import pathlib
import resource
import time

import numpy
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F


def read_folder(path):
    """(N, 32, 32, 3) bytes and (N) labels: classes are the sorted folder names."""
    pictures, labels = [], []
    for label, folder in enumerate(sorted(p for p in path.iterdir() if p.is_dir())):
        for file in sorted(folder.iterdir()):
            pictures.append(numpy.asarray(Image.open(file).convert("RGB")))
            labels.append(label)
    return torch.from_numpy(numpy.stack(pictures)), torch.tensor(labels)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x):
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        if self.more:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.more))  # option A: new channels are zero
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class CifarResNet(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        width = [16] * (n + 1) + [32] * n + [64] * n
        self.blocks = nn.Sequential(*[Block(a, b, 1 if a == b else 2) for a, b in zip(width, width[1:])])
        self.fc = nn.Linear(64, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")  # He et al. 2015, Eq. (14)

    def forward(self, x):
        return self.fc(self.blocks(F.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("path", type=pathlib.Path)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--n", type=int, default=3, help="6n + 2 layers")
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--stop-after", type=int, default=0, help="stop after so many epochs of the schedule")
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--lr", type=float, default=0.4)
    p.add_argument("--momentum", type=float, default=0.9)
    p.add_argument("--weight-decay", type=float, default=5e-4)
    p.add_argument("--label-smoothing", type=float, default=0.0)
    p.add_argument("--warmup", type=float, default=0.25)
    p.add_argument("--crop-padding", type=int, default=4)
    p.add_argument("--val-fraction", type=float, default=0.1)
    o = p.parse_args()
    torch.set_num_threads(o.threads)

    images, labels = read_folder(o.path / "train")
    split = torch.Generator().manual_seed(0)  # the same for every seed
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for c in range(10):
        members = (labels == c).nonzero()[:, 0]
        chosen[members[torch.randperm(len(members), generator=split)[: round(len(members) * o.val_fraction)]]] = True
    val_images, val_labels = images[chosen], labels[chosen]
    images, labels = images[~chosen], labels[~chosen]
    test_images, test_labels = read_folder(o.path / "test")
    counts = torch.stack([torch.bincount(images[..., c].flatten(), minlength=256) for c in range(3)]).double()
    levels = torch.arange(256).double() / 255
    mean = counts @ levels / counts.sum(1)
    std = (counts @ levels**2 / counts.sum(1) - mean**2).sqrt().float()
    mean = mean.float()

    def normalise(x):
        """(B, 32, 32, 3) bytes -> (B, 3, 32, 32) float32 whose memory is channels last."""
        return x.float().div_(255).sub_(mean).div_(std).permute(0, 3, 1, 2)

    def accuracy(model, x, y):
        model.eval()
        with torch.no_grad():
            return sum((model(normalise(x[i : i + 500])).argmax(1) == y[i : i + 500]).sum().item() for i in range(0, len(y), 500)) / len(y)

    torch.manual_seed(o.seed)
    model = CifarResNet(o.n).to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), o.lr, o.momentum, weight_decay=o.weight_decay, nesterov=True, foreach=True)
    steps = len(labels) // o.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, o.lr, total_steps=o.epochs * steps + 1, pct_start=o.warmup, cycle_momentum=False)
    padded = F.pad(images, [0, 0] + [o.crop_padding] * 4)  # black, as RandomCrop pads pictures
    side = torch.arange(32)
    seconds = 0.0
    for epoch in range(o.stop_after or o.epochs):
        model.train()
        begin = time.perf_counter()
        order = torch.randperm(len(labels))
        total, right = 0.0, 0
        for i in range(steps):
            index = order[i * o.batch : (i + 1) * o.batch]
            rows, cols = torch.randint(0, 2 * o.crop_padding + 1, (2, o.batch, 1)) + side
            flip = torch.rand(o.batch, 1) < 0.5
            cols = torch.where(flip, cols.flip(1), cols)
            x = normalise(padded[index[:, None, None], rows[:, :, None], cols[:, None, :]])
            logits = model(x)
            loss = F.cross_entropy(logits, labels[index], label_smoothing=o.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
            right += (logits.argmax(1) == labels[index]).sum().item()
        seconds += time.perf_counter() - begin
        print(json.dumps({
            "epoch": epoch + 1, "train_loss": round(total / steps, 5), "train_top1": round(right / (steps * o.batch), 5),
            "val_top1": accuracy(model, val_images, val_labels), "test_top1": accuracy(model, test_images, test_labels),
            "seconds": round(seconds, 2),
        }), flush=True)
    print(json.dumps({
        "torch": torch.__version__, "threads": o.threads, "seed": o.seed, "seconds": round(seconds, 2),
        "images_per_s": round((o.stop_after or o.epochs) * steps * o.batch / seconds), "parameters": sum(p.numel() for p in model.parameters()),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }))


if __name__ == "__main__":
    main()
