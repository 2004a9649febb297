#!/usr/bin/env python3
"""PyTorch's time for the cases of `fovea_bench gemm|conv|elementwise|norm|attention --peer python3`: one JSON line a case.

    python3 bench/peers/ops_torch.py elementwise images=32 --threads 2

PyTorch at its best: channels_last images; results written into memory that is there already where the operator has such a form (aten's
*.out and *.grad_input overloads, in-place optimisers), else memory that the C library keeps mapped (the bench sets MALLOC_MMAP_MAX_=0 and
MALLOC_TRIM_THRESHOLD_). Eager, and torch.compile of the same function. Names and shapes are those of bench_memory.cpp and bench_attention.cpp;
products and convolutions are told by the bench: NAME=m,n,k,transpose_b and NAME=images,size,c,k,kernel,stride,groups. With bf16 activations
and weights are bfloat16, batch norm's parameters and what optimisers work on float32.
"""
import argparse
import json
import sys

import torch
from torch.nn import functional as F

import timing

aten = torch.ops.aten
SIZE, CHANNELS = 64, 128
IMAGES, N, ROWS, COLS, BATCH, DTYPE = 32, 0, 0, 512, 8, torch.float32   # set by main()


def numbers(*shape, **more):
    return torch.randn(*shape, dtype=DTYPE, **more)


def images(size=SIZE):
    """(N, C, H, W) in the memory order N, H, W, C."""
    return numbers(IMAGES, CHANNELS, size, size).to(memory_format=torch.channels_last)


# Each case: (f, arguments) for eager, and optionally another (f, arguments) for torch.compile: the plain form of the same thing.
def map_case(out_form, plain, x):
    y = torch.empty_like(x)
    return (lambda x: out_form(x, y)), (x,), plain, (x,)


def gradient_case(op, x, *more, **named):
    dy, dx = torch.randn_like(x), torch.empty_like(x)
    return (lambda dy, x: op.grad_input(dy, x, *more, **named, grad_input=dx)), (dy, x), (lambda dy, x: op(dy, x, *more, **named)), (dy, x)


def add_case():
    a, b = flat(), flat()
    y = torch.empty_like(a)
    return (lambda a, b: torch.add(a, b, out=y)), (a, b), (lambda a, b: a + b), (a, b)


def plain_case(f, *arguments):
    return f, arguments, f, arguments


def optimiser_case(make):
    w = torch.nn.Parameter(torch.randn(N))
    w.grad = torch.randn(N)
    optimiser = make([w])
    optimiser.step()
    return optimiser.step, (), None, ()


def batch_norm_forward():
    x, w, b, m, v = images(), *(torch.rand(CHANNELS) + 0.5 for _ in range(4))
    return plain_case(lambda x: F.batch_norm(x, m, v, w, b, training=True), x)


def batch_norm_backward():
    x, dy, w = images(), images(), torch.rand(CHANNELS) + 0.5
    m = v = torch.rand(CHANNELS)
    _, mean, inv_std = aten.native_batch_norm(x, w, w, m, v, True, 0.1, 1e-5)
    return plain_case(lambda dy, x: aten.native_batch_norm_backward(dy, x, w, m, v, mean, inv_std, True, 1e-5, [True] * 3), dy, x)


def layer_norm_forward():
    x, w, b = numbers(ROWS, COLS), numbers(COLS), numbers(COLS)
    return plain_case(lambda x: F.layer_norm(x, (COLS,), w, b), x)


def layer_norm_backward():
    x, dy, w, b = numbers(ROWS, COLS), numbers(ROWS, COLS), numbers(COLS), numbers(COLS)
    _, mean, inv_std = aten.native_layer_norm(x, (COLS,), w, b, 1e-5)
    return plain_case(lambda dy, x: aten.native_layer_norm_backward(dy, x, (COLS,), mean, inv_std, w, b, [True] * 3), dy, x)


def softmax_backward(op):
    y, dy = numbers(ROWS, COLS).softmax(1), numbers(ROWS, COLS)
    return plain_case(lambda dy, y: op(dy, y, 1, DTYPE), dy, y)


def cross_entropy_forward():
    x, labels = numbers(ROWS, COLS), torch.randint(COLS, (ROWS,))
    return plain_case(lambda x: F.cross_entropy(x, labels, reduction="none"), x)


def cross_entropy_backward():
    """The gradient alone cannot be called by itself: forward and backward, less the forward of the case above."""
    x, labels = numbers(ROWS, COLS, requires_grad=True), torch.randint(COLS, (ROWS,))

    def step():
        x.grad = None
        F.cross_entropy(x, labels).backward()
    return step, (), None, ()


def pool_backward(pool, x):
    x.requires_grad_()
    y = pool(x)
    dy = torch.randn_like(y)

    def step():
        torch.autograd.grad(y, x, dy, retain_graph=True)
    return step, (), None, ()


def ema_case():
    average, w = torch.randn(N), torch.randn(N)
    return (lambda a, w: a.lerp_(w, 0.01)), (average, w), (lambda a, w: a.lerp_(w, 0.01)), (average, w)


flat = lambda: numbers(N)
ELEMENTWISE = {
    "relu": lambda: map_case(lambda x, y: torch.clamp_min(x, 0, out=y), F.relu, flat()),
    "relu gradient": lambda: gradient_case(aten.threshold_backward, flat(), 0),
    "silu": lambda: map_case(lambda x, y: aten.silu.out(x, out=y), F.silu, flat()),
    "silu gradient": lambda: gradient_case(aten.silu_backward, flat()),
    "gelu": lambda: map_case(lambda x, y: aten.gelu.out(x, out=y), F.gelu, flat()),
    "gelu gradient": lambda: gradient_case(aten.gelu_backward, flat()),
    "gelu tanh": lambda: map_case(lambda x, y: aten.gelu.out(x, approximate="tanh", out=y), lambda x: F.gelu(x, approximate="tanh"), flat()),
    "gelu tanh gradient": lambda: gradient_case(aten.gelu_backward, flat(), approximate="tanh"),
    "sigmoid": lambda: map_case(lambda x, y: torch.sigmoid(x, out=y), torch.sigmoid, flat()),
    "sigmoid gradient": lambda: gradient_case(aten.sigmoid_backward, flat()),
    "tanh": lambda: map_case(lambda x, y: torch.tanh(x, out=y), torch.tanh, flat()),
    "tanh gradient": lambda: gradient_case(aten.tanh_backward, flat()),
    "hard_swish": lambda: map_case(lambda x, y: aten.hardswish.out(x, out=y), F.hardswish, flat()),
    "add": lambda: add_case(),
    "dropout": lambda: plain_case(lambda x: F.dropout(x, 0.2), flat()),
    "scale_channels": lambda: plain_case(lambda x, s: x * s, images(), numbers(IMAGES, CHANNELS, 1, 1)),
    "permute (B,T,H,D) -> (B,H,T,D)": lambda: map_case(lambda x, y: y.view(-1, 8, 1024, 64).copy_(x.permute(0, 2, 1, 3)),
                                                       lambda x: x.permute(0, 2, 1, 3).contiguous(), numbers(N // (1024 * 512), 1024, 8, 64)),
    "NHWC -> NCHW": lambda: map_case(lambda x, y: y.view(IMAGES, CHANNELS, SIZE, SIZE).copy_(x.permute(0, 3, 1, 2)),
                                     lambda x: x.permute(0, 3, 1, 2).contiguous(), numbers(IMAGES, SIZE, SIZE, CHANNELS)),
    "sgd step (momentum)": lambda: optimiser_case(lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)),
    "adamw step": lambda: optimiser_case(lambda p: torch.optim.AdamW(p, lr=1e-3, fused=True)),
    "ema": ema_case,
}
NORM = {
    "batch_norm": batch_norm_forward,
    "batch_norm gradient": batch_norm_backward,
    "layer_norm": layer_norm_forward,
    "layer_norm gradient": layer_norm_backward,
    "local_response_norm": lambda: plain_case(lambda x: F.local_response_norm(x, 5), images()),
    "softmax": lambda: map_case(lambda x, y: aten._softmax.out(x, 1, False, out=y), lambda x: x.softmax(1), numbers(ROWS, COLS)),
    "softmax gradient": lambda: softmax_backward(aten._softmax_backward_data),
    "log_softmax": lambda: map_case(lambda x, y: aten._log_softmax.out(x, 1, False, out=y), lambda x: x.log_softmax(1), numbers(ROWS, COLS)),
    "log_softmax gradient": lambda: softmax_backward(aten._log_softmax_backward_data),
    "cross_entropy": cross_entropy_forward,
    "cross_entropy and gradient": cross_entropy_backward,
    "max_pool2d 3x3/2": lambda: plain_case(lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True), images()),
    "max_pool2d 3x3/2 gradient": lambda: pool_backward(lambda x: F.max_pool2d(x, 3, 2, 1), images()),
    "avg_pool2d 2x2/2": lambda: plain_case(lambda x: F.avg_pool2d(x, 2), images()),
    "avg_pool2d 2x2/2 gradient": lambda: pool_backward(lambda x: F.avg_pool2d(x, 2), images()),
    "global_avg_pool": lambda: plain_case(lambda x: x.mean((2, 3)), images()),
    "global_avg_pool gradient": lambda: pool_backward(lambda x: F.adaptive_avg_pool2d(x, 1), images()),
    "bilinear resize 2x": lambda: plain_case(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), images(SIZE // 2)),
}


def attention_case(batch, heads, tokens, size, gradient):
    """As a transformer has it: q, k, v are views into one projection (B, T, 3, heads, d)."""
    qkv = numbers(batch, tokens, 3, heads, size, requires_grad=gradient)
    dy = numbers(batch, tokens, heads * size)

    def run(qkv):
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, heads * size)
    if not gradient:
        return plain_case(run, qkv)

    def step(f):
        qkv.grad = None
        f(qkv).backward(dy)
    return (lambda: step(run)), (), (lambda: step(compiled(run))), ()


_compiled = {}


def compiled(f):
    return _compiled.setdefault(f, torch.compile(f))


def window_case(batch, size, heads, shift, gradient):
    from torchvision.models.swin_transformer import ShiftedWindowAttention
    channels = heads * 32
    layer = ShiftedWindowAttention(channels, [7, 7], [shift, shift], heads).to(DTYPE)
    x = numbers(batch, size, size, channels, requires_grad=gradient)
    dy = numbers(batch, size, size, channels)
    if not gradient:
        return plain_case(lambda x: layer(x), x)

    def step(f):
        x.grad = None
        layer.zero_grad()
        f(x).backward(dy)
    run = lambda x: layer(x)
    return (lambda: step(run)), (), (lambda: step(compiled(run))), ()


def attention_cases():
    cases = {}
    for gradient in (False, True):
        more = " with gradient" if gradient else ""
        for b, h, t, d in ((BATCH, 12, 197, 64), (BATCH, 3, 197, 64), (BATCH // 4, 12, 577, 64)):
            cases[f"attention {b}x{h}x{t}x{d}{more}"] = lambda b=b, h=h, t=t, d=d, g=gradient: attention_case(b, h, t, d, g)
        for b, s, h, shift in ((BATCH, 56, 3, 0), (BATCH, 56, 3, 3), (BATCH, 14, 12, 3)):
            cases[f"window layer {b}x{s}x{s}x{h * 32} shift {shift}{more}"] = (
                lambda b=b, s=s, h=h, shift=shift, g=gradient: window_case(b, s, h, shift, g))
    return cases


def gemm_case(m, n, k, transposed):
    """Compiled it would be the same library's."""
    a, b, c = numbers(m, k), numbers(n, k).t() if transposed else numbers(k, n), numbers(m, n)
    return (lambda a, b: torch.mm(a, b, out=c)), (a, b), None, ()


def conv_cases(name, images, size, c, k, kernel, stride, groups):
    x = lambda: numbers(images, c, size, size).to(memory_format=torch.channels_last)
    w = lambda: numbers(k, c // groups, kernel, kernel).to(memory_format=torch.channels_last)
    more = dict(stride=stride, padding=kernel // 2, groups=groups)
    forward = lambda: ((lambda x, w: F.conv2d(x, w, **more)), (x(), w()), None, ())

    def gradient(of):
        inputs, weights = x(), w()
        dy = torch.randn_like(F.conv2d(inputs, weights, **more))
        return (lambda dy: aten.convolution_backward(dy, inputs, weights, None, [stride] * 2, [kernel // 2] * 2, [1, 1], False, [0, 0], groups,
                                                     [of == 0, of == 1, False])), (dy,), None, ()
    return {f"forward {name}": forward, f"input gradient {name}": lambda: gradient(0), f"weight gradient {name}": lambda: gradient(1)}


def told_cases(group, told):
    cases = {}
    for text in told:
        name, values = text.rsplit("=", 1)
        values = [int(v) for v in values.split(",")]
        cases |= {name: lambda values=values: gemm_case(*values)} if group == "gemm" else conv_cases(name, *values)
    return cases


def main():
    global IMAGES, N, ROWS, BATCH, DTYPE
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("group", choices=["gemm", "conv", "elementwise", "norm", "attention"])
    p.add_argument("cases", nargs="*", help="images=N, batch=N, or products and convolutions")
    timing.add_arguments(p)
    o = p.parse_args()
    timing.set_up(o)
    DTYPE = timing.dtype(o)
    if o.group in ("gemm", "conv"):
        cases = told_cases(o.group, o.cases)
    else:
        told = dict(text.split("=") for text in o.cases)
        IMAGES, BATCH = int(told.get("images", IMAGES)), int(told.get("batch", BATCH))
        N = IMAGES * SIZE * SIZE * CHANNELS
        ROWS = N // COLS
        cases = {"elementwise": ELEMENTWISE, "norm": NORM}.get(o.group) or attention_cases()
    for name, make in cases.items():
        needs_gradient = "with gradient" in name or name == "cross_entropy and gradient" or "pool" in name and "gradient" in name
        line = {"name": name, "torch": torch.__version__}
        try:
            f, arguments, plain, plain_arguments = make()
            with torch.set_grad_enabled(needs_gradient):
                line["eager_ms"] = timing.median_ms(o, lambda: f(*arguments))
                if plain is not None:
                    compiled_f = plain if needs_gradient else torch.compile(plain)
                    line["compiled_ms"] = timing.median_ms(o, lambda: compiled_f(*plain_arguments))
        except Exception as e:   # what PyTorch does not have for this device and type
            print(f"{name}: {e}", file=sys.stderr)
        print(json.dumps(line), flush=True)
        torch._dynamo.reset()
        _compiled.clear()


if __name__ == "__main__":
    main()
