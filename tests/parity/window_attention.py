"""window_attention.safetensors: torchvision's shifted_window_attention, with every gradient; and what planted mistakes give instead, so
that the test shows that the stored numbers would notice."""
import unittest.mock

import torch
import torch.nn.functional as F
from torchvision.models import swin_transformer as swin

from stored import Cases, normal

cases = Cases("window_attention")


def layer(window, shift, heads):
    """The whole layer: x, qkv.weight, qkv.bias, relative_position_bias_table, proj.weight, proj.bias"""
    index = swin.ShiftedWindowAttention(heads, list(window), list(shift), heads).relative_position_index

    def f(x, qkv_w, qkv_b, table, proj_w, proj_b):
        bias = swin._get_relative_position_bias(table, index, list(window))
        return swin.shifted_window_attention(x, qkv_w, proj_w, bias, list(window), heads, list(shift), qkv_bias=qkv_b, proj_bias=proj_b)
    return f


def add(h, w, window, shift, heads, dim):
    c, table = heads * dim, (2 * window[0] - 1) * (2 * window[1] - 1)
    cases.add(f"image{h}x{w}_window{window[0]}x{window[1]}_shift{shift[0]}x{shift[1]}_heads{heads}", layer(window, shift, heads),
              normal(1, h, w, c), normal(3 * c, c), normal(3 * c), normal(table, heads), normal(c, c), normal(c))


for size, window, shift in ((7, 4, 0), (7, 4, 2), (7, 7, 3), (10, 4, 2), (10, 7, 0), (10, 7, 3), (13, 4, 2), (13, 7, 3), (14, 4, 0), (14, 7, 3)):
    add(size, size, (window, window), (shift, shift), 1, 2)
add(10, 5, (4, 7), (2, 3), 2, 3)   # oblong, one window across: no shift along that axis
add(9, 11, (3, 4), (1, 2), 2, 3)   # padded along both axes
add(6, 6, (3, 3), (0, 1), 3, 2)    # shifted along one axis
add(2, 3, (4, 4), (2, 2), 2, 3)    # the image is smaller than the window

# Planted mistakes: outputs that a wrong implementation would give for these numbers.
name, heads = "image9x11_window3x4_shift1x2_heads2", 2
wrong = layer((3, 4), (1, 2), heads)
x = [cases.tensors[f"{name}.x{i}"] for i in range(6)]


def mistake(what, y):
    assert (y - cases.tensors[f"{name}.y"]).norm() > 1e-3 * y.norm(), what
    cases.put("mistake." + what, y)


masked_fill = torch.Tensor.masked_fill
for what, value in {"no_mask": 0., "mask_of_3": -3.}.items():
    with unittest.mock.patch.object(torch.Tensor, "masked_fill", lambda t, m, v: masked_fill(t, m, value if v == -100. else v)):
        mistake(what, wrong(*x))
project = F.linear


def zero_padding(t, w, b):   # q, k and v of padding as zeros instead of the bias
    y = project(t, w, b)
    return y * (t.abs().sum(-1, keepdim=True) > 0) if len(w) == 3 * t.shape[-1] else y


with unittest.mock.patch.object(swin.F, "linear", zero_padding):
    mistake("padding_of_zeros", wrong(*x))

module = swin.ShiftedWindowAttention(6, [4, 3], [0, 0], 2)
cases.put("relative_position_index", module.relative_position_index)
assert list(module.state_dict()) == ["relative_position_bias_table", "relative_position_index", "qkv.weight", "qkv.bias", "proj.weight",
                                     "proj.bias"]
cases.save()
