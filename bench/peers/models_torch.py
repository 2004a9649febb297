#!/usr/bin/env python3
"""PyTorch's side of `fovea_bench models --peer python3`: the network of that name, inference and training (forward, backward, SGD with momentum).

    python3 bench/peers/models_torch.py resnet50 --batch 16 --threads 2

PyTorch at its best: channels_last, the fused optimiser, torch.compile with weights frozen for inference (so that batch norms are folded into
convolutions and weights laid out beforehand); on a GPU compiled steps are recorded as graphs. bf16 means weights of bfloat16 in inference and autocast
in training. Networks are torchvision's and timm's, made by tests/parity/networks.py. Prints a JSON line for each of the two.
"""
import argparse
import contextlib
import json
import pathlib
import sys

import torch
from torch.nn import functional as F

import timing

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "parity"))
from networks import channels, network  # noqa: E402


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--classes", type=int, default=1000)
    p.add_argument("--only", choices=["training", "inference"])
    p.add_argument("--eager-only", action="store_true")
    timing.add_arguments(p)
    o = p.parse_args()
    timing.set_up(o)
    with torch.device("cpu"):
        net = network(o.model, o.classes, o.size)[0]
    net = net.to(o.device, memory_format=torch.channels_last)
    x = torch.randn(o.batch, channels(o.model), o.size, o.size).to(memory_format=torch.channels_last)
    y = torch.zeros(o.batch, dtype=torch.int64)
    mode = "reduce-overhead" if o.device == "cuda" else None

    def report(name, run, compiled):
        if o.only not in (None, name):
            return
        line = {"name": name, "torch": torch.__version__, "eager_ms": timing.median_ms(o, run)}
        if not o.eager_only:
            try:
                line["compiled_ms"] = timing.median_ms(o, compiled)
            except Exception as e:  # what the compiler cannot do is no reason to lose the rest
                print(f"torch.compile, {name}: {e}", file=sys.stderr)
        print(json.dumps(line), flush=True)
        torch._dynamo.reset()

    # Training first: the frozen weights of inference would not learn.
    net.train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4, fused=True)
    autocast = (lambda: torch.autocast(o.device, torch.bfloat16)) if o.precision == "bf16" else contextlib.nullcontext

    def step(f):
        optimiser.zero_grad(set_to_none=True)
        with autocast():
            logits = f(x)
            loss = F.cross_entropy(getattr(logits, "logits", logits), y)
        loss.backward()
        optimiser.step()
    compiled = torch.compile(net, mode=mode)
    report("training", lambda: step(net), lambda: step(compiled))

    net.eval().to(timing.dtype(o))
    x = x.to(timing.dtype(o))
    torch._inductor.config.freezing = True
    frozen = torch.compile(net, mode=mode)
    with torch.no_grad():   # freezing does not take part in inference_mode
        report("inference", lambda: net(x), lambda: frozen(x))


if __name__ == "__main__":
    main()
