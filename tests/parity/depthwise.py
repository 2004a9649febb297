#!/usr/bin/env python3
"""Depthwise convolution in PyTorch: outputs and gradients for tests/autograd/test_depthwise.cpp.

    python3 tests/parity/depthwise.py        rewrites tests/parity/depthwise.safetensors
"""
import torch.nn.functional as F

from stored import Cases, normal, to_nchw, to_nhwc

cases = Cases("depthwise")
for name, channels, multiplier, size, kernel, stride, padding, dilation in (
        ("3x3", 17, 1, (4, 5), 3, 1, 1, 1), ("3x3_stride2", 18, 1, (5, 4), 3, 2, 1, 1), ("5x5", 3, 1, (6, 7), 5, 1, 2, 1),
        ("5x5_stride2", 5, 1, (8, 7), 5, 2, 2, 1), ("7x7", 5, 1, (8, 7), 7, 1, 3, 1), ("dilated", 4, 1, (9, 8), 3, (1, 2), 2, (2, 3)),
        ("stride3", 3, 1, (8, 7), 3, 3, 4, 1), ("one_channel", 1, 1, (5, 5), 3, 1, 1, 1), ("multiplier", 3, 2, (5, 4), 3, 1, 1, 1)):
    cases.add(name, lambda x, w, b: to_nhwc(F.conv2d(to_nchw(x), to_nchw(w), b, stride, padding, dilation, channels)),
              normal(1, *size, channels), normal(channels * multiplier, kernel, kernel, 1), normal(channels * multiplier))
cases.save()
