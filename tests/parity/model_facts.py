"""Makes model_facts.txt: what PyTorch's networks are made of, counted, for tests/vision/test_model_facts.cpp.

python3 tests/parity/model_facts.py     (needs torchvision and timm)

A line is "COUNT LAYER VALUES": epsilon and momentum of norms, the probability of dropouts, and of convolutions kernel, stride, padding, groups.
"""
import collections
import pathlib

import torch
from torch import nn

from model_logits_cases import CASES
from networks import network


def fact(m):
    if isinstance(m, nn.BatchNorm2d):
        return f"BatchNorm2d eps {m.eps:g} momentum {m.momentum:g}"
    if isinstance(m, nn.LayerNorm):
        return f"LayerNorm eps {m.eps:g}"
    if isinstance(m, nn.Dropout) and m.p > 0:
        return f"Dropout {m.p:g}"
    if isinstance(m, nn.Conv2d):
        return f"Conv2d kernel {m.kernel_size[0]} stride {m.stride[0]} padding {m.padding[0]} groups {m.groups}"
    if isinstance(m, nn.GELU):
        return f"GELU {m.approximate}"
    return None


lines = []
for case in CASES:
    name = case.split("@")[0]
    with torch.device("meta"):
        net, _ = network(name, 10, **({"init_weights": False} if name == "googlenet" else {}))
    counts = collections.Counter(filter(None, map(fact, net.modules())))
    lines += [f"model {name}", *(f"{n} {what}" for what, n in sorted(counts.items()))]
pathlib.Path(__file__).with_name("model_facts.txt").write_text("\n".join(lines) + "\n")
