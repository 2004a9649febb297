"""Writes published.safetensors with the format's own library (pip install safetensors torch): one tensor of each dtype."""
import pathlib

import torch
from safetensors.torch import save_file

save_file(
    {
        "f32": torch.tensor([[1.5, -2.0, 3.25], [0.0, 1e-30, 1e30]]),
        "f64": torch.tensor([3.141592653589793], dtype=torch.float64),
        "bf16": torch.tensor([1.0, -0.5, 3.0], dtype=torch.bfloat16),
        "f16": torch.tensor([1.0, -2.5, 65504.0, 6e-8, float("inf")], dtype=torch.float16),
        "i64": torch.tensor(-(2**40)),
        "i32": torch.tensor([[7], [-8]], dtype=torch.int32),
        "u8": torch.tensor([0, 128, 255], dtype=torch.uint8),
        "none": torch.zeros(0, 4),
    },
    pathlib.Path(__file__).with_name("published.safetensors"),
    metadata={"format": "pt", "name": "größe"},
)
