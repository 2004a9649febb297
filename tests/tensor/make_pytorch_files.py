"""Writes new.pth and legacy.pth: what torch.save makes of a checkpoint with the things that real ones have (pip install torch numpy)."""
import argparse
import collections
import pathlib

import numpy
import torch

a = torch.arange(12.0).reshape(3, 4) / 4  # exact in every dtype
checkpoint = {
    "state_dict": collections.OrderedDict(
        w=a, transposed=a.t(), strided=a[1:, ::2], half=a.half(), bf16=a.bfloat16(), number=torch.tensor(5), empty=torch.zeros(0, 3),
        flags=torch.tensor([True, False]), parameter=torch.nn.Parameter(a), short=torch.tensor([-3, 7], dtype=torch.int16)),
    "args": argparse.Namespace(lr=0.1),
    "meta": {"epoch": 3, "loss": numpy.float64(2.5)},
    "optimizer": {"state": {0: {"exp_avg": torch.ones(2, dtype=torch.float64)}}},
}
here = pathlib.Path(__file__).parent
torch.save(checkpoint, here / "new.pth")
torch.save(checkpoint, here / "legacy.pth", _use_new_zipfile_serialization=False)
