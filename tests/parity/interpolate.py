#!/usr/bin/env python3
"""Bilinear, bicubic and nearest resize in PyTorch: outputs and gradients for tests/autograd/test_interpolate.cpp.

    python3 tests/parity/interpolate.py        rewrites tests/parity/interpolate.safetensors
"""
import torch.nn.functional as F

from stored import Cases, normal, to_nchw, to_nhwc

cases = Cases("interpolate")
for name, size, output in (("up", (1, 4, 3, 3), (7, 6)), ("down", (1, 7, 9, 2), (3, 4)), ("same", (1, 3, 4, 2), (3, 4)),
                           ("twice", (1, 3, 5, 2), (6, 10)), ("to_one", (1, 5, 4, 2), (1, 1)), ("from_one", (1, 1, 1, 3), (3, 2)),
                           ("mixed", (1, 8, 2, 2), (3, 5))):
    x = normal(*size)
    cases.add("nearest_" + name, lambda v: to_nhwc(F.interpolate(to_nchw(v), output, mode="nearest")), x)
    for mode in ("bilinear", "bicubic"):
        for corners in (False, True):
            cases.add(f"{mode}{'_corners' if corners else ''}_{name}",
                      lambda v: to_nhwc(F.interpolate(to_nchw(v), output, mode=mode, align_corners=corners)), x)
for name, size, factor in (("twice", (1, 3, 4, 2), 2.0), ("uneven", (1, 5, 7, 2), 1.7), ("down", (1, 7, 6, 3), 0.6)):
    x = normal(*size)
    for mode in ("nearest", "bilinear", "bicubic"):
        cases.add(f"{mode}_scale_{name}", lambda v: to_nhwc(F.interpolate(to_nchw(v), scale_factor=factor, mode=mode)), x)
cases.save()
