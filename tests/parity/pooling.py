#!/usr/bin/env python3
"""Pooling in PyTorch: outputs and gradients for tests/autograd/test_pooling.cpp.

    python3 tests/parity/pooling.py        rewrites tests/parity/pooling.safetensors
"""
import torch.nn.functional as F

from stored import Cases, normal, to_nchw, to_nhwc


def images(f):
    return lambda x: to_nhwc(f(to_nchw(x)))


cases = Cases("pooling")
for name, size, kernel, stride, padding, ceil in (("plain", (2, 5, 4, 2), 2, 2, 0, False), ("overlapping", (1, 5, 6, 3), 3, 2, 1, False),
                                                  ("ceil", (1, 6, 4, 2), 3, 2, 1, True), ("ceil_dropped", (1, 5, 5, 2), 2, 3, 1, True),
                                                  ("ceil_overhang", (1, 6, 7, 2), (3, 4), (2, 3), (0, 2), True),
                                                  ("uneven", (1, 4, 8, 2), (2, 5), (1, 3), (1, 2), False)):
    x = normal(*size)
    cases.add("max_" + name, images(lambda v: F.max_pool2d(v, kernel, stride, padding, ceil_mode=ceil)), x)
    cases.add("avg_" + name, images(lambda v: F.avg_pool2d(v, kernel, stride, padding, ceil, True)), x)
    cases.add("avg_unpadded_" + name, images(lambda v: F.avg_pool2d(v, kernel, stride, padding, ceil, False)), x)
    cases.add("avg_divisor_" + name, images(lambda v: F.avg_pool2d(v, kernel, stride, padding, ceil, True, 5)), x)
for name, size, output in (("divides", (1, 6, 8, 3), (3, 4)), ("uneven", (1, 7, 10, 2), (3, 4)), ("more", (1, 3, 4, 3), (5, 4)),
                           ("one", (2, 5, 4, 3), (1, 1)), ("wide", (1, 17, 18, 1), (1, 1))):
    x = normal(*size)
    cases.add("adaptive_avg_" + name, images(lambda v: F.adaptive_avg_pool2d(v, output)), x)
    cases.add("adaptive_max_" + name, images(lambda v: F.adaptive_max_pool2d(v, output)), x)
cases.add("global_avg", lambda x: x.mean(dim=(1, 2)), normal(2, 3, 5, 4))
cases.save()
