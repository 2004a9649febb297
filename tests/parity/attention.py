"""attention.safetensors: torch.nn.functional.scaled_dot_product_attention and torch.nn.MultiheadAttention, linear layers on tokens, and what
planted mistakes would give."""
import torch
import torch.nn.functional as F

from stored import Cases, normal

cases = Cases("attention")


def split(x, heads):
    """(B, T, C) -> (B, heads, T, d)"""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def join(x):
    return x.transpose(1, 2).flatten(2)


def separate(heads, scale=None):
    def f(q, k, v, bias=None):
        if bias is not None and bias.dim() == 4:   # batch b takes bias b % G
            bias = bias.repeat(q.shape[0] // bias.shape[0], 1, 1, 1)
        return join(F.scaled_dot_product_attention(split(q, heads), split(k, heads), split(v, heads), attn_mask=bias, scale=scale))
    return f


def fused(heads):
    return lambda qkv, *bias: separate(heads)(*qkv.chunk(3, dim=2), *bias)


cases.add("fused", fused(3), normal(2, 5, 3 * 3 * 4))
cases.add("fused_bias", fused(2), normal(2, 7, 3 * 2 * 3), normal(2, 7, 7))
cases.add("separate", separate(1), normal(2, 3, 8), normal(2, 6, 8), normal(2, 6, 8))
cases.add("grouped_bias", separate(2, scale=0.7), normal(4, 3, 6), normal(4, 5, 6), normal(4, 5, 6), normal(2, 2, 3, 5))
cases.add("one_token", fused(1), normal(1, 1, 3))
cases.add("linear_tokens", F.linear, normal(2, 3, 5), normal(4, 5), normal(4))
cases.add("linear_vector", F.linear, normal(5), normal(4, 5), normal(4))


def multihead(heads):
    def f(x, w, b, out_w, out_b):
        y, _ = F.multi_head_attention_forward(*[x.transpose(0, 1)] * 3, x.shape[2], heads, w, b, None, None, False, 0., out_w, out_b,
                                              need_weights=False)
        return y.transpose(0, 1)
    return f


cases.add("multihead", multihead(3), normal(2, 5, 12), normal(36, 12), normal(36), normal(12, 12), normal(12))
layer = torch.nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
layer.load_state_dict({name: cases.tensors[f"multihead.x{i + 1}"] for i, name in enumerate(layer.state_dict())})
x = cases.tensors["multihead.x0"]
y, p = layer(x, x, x, average_attn_weights=False)
assert torch.allclose(y, cases.tensors["multihead.y"], atol=1e-12)
cases.put("multihead.weights", p)
assert list(layer.state_dict()) == ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]
cases.save()
