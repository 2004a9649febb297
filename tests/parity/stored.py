"""What the scripts of this folder share: PyTorch's outputs and gradients of an op, stored for tests/op_testing.h to compare with.

    cases = Cases("activations")
    cases.add("silu", torch.nn.functional.silu, normal(3, 7))
    cases.save()                          # activations.safetensors, beside this file

An op gets its tensors in Fovea's layout (images N,H,W,C; filters K,R,S,C; tokens B,T,C) and returns its output in it: to_nchw() and to_nhwc()
do the rest, so that gradients come out in Fovea's layout by themselves. Everything is float64. Keep shapes small and odd.
"""
import json
import pathlib
import struct

import torch

torch.set_num_threads(1)
_generator = torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=_generator)


def to_nchw(x):
    """(N, H, W, C) -> (N, C, H, W); filters (K, R, S, C) -> (K, C, R, S)."""
    return x.permute(0, 3, 1, 2)


def to_nhwc(x):
    return x.permute(0, 2, 3, 1)


class Cases:
    def __init__(self, topic):
        self.path, self.tensors = pathlib.Path(__file__).with_name(topic + ".safetensors"), {}

    def put(self, key, tensor):
        """Any tensor (float64 or int64) under any key."""
        assert key not in self.tensors, key
        self.tensors[key] = tensor.detach().contiguous().clone()

    def add(self, name, f, *inputs, constant=()):
        """y = f(*inputs), and the gradient of every input but those whose numbers are in `constant`, for a random dL/dy."""
        leaves = [x.detach().clone().requires_grad_(i not in constant) for i, x in enumerate(inputs)]
        y = f(*leaves)
        dy = normal(*y.shape)
        y.backward(dy)
        for i, x in enumerate(leaves):
            self.put(f"{name}.x{i}", x)
            if x.grad is not None:
                self.put(f"{name}.dx{i}", x.grad)
        self.put(f"{name}.y", y)
        self.put(f"{name}.dy", dy)

    def save(self):
        header, data = {"__metadata__": {"made_by": self.path.stem + ".py", "torch": torch.__version__}}, b""
        for key, t in self.tensors.items():
            raw = t.numpy().tobytes()
            header[key] = {"dtype": {torch.float64: "F64", torch.int64: "I64"}[t.dtype], "shape": list(t.shape),
                           "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        self.path.write_bytes(struct.pack("<Q", len(text)) + text + data)
        print(f"{self.path.name}: {len(self.tensors)} tensors, {len(data)} bytes")
