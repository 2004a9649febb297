"""Writes what a PyTorch network makes of an input, layer by layer, for `fovea compare NAME --weights F --activations A`.

python3 tests/parity/dump_activations.py MODEL WEIGHTS ACTIVATIONS [--load FILE] [--input FILE] [--size S] [--classes N] [--train]

WEIGHTS (.pth) and ACTIVATIONS (.safetensors) are written. Without --load the weights are random, without --input (a torch.save'd tensor
(N, 3, H, W)) the picture is. MODEL is a name of Fovea's; for any other network of yours call dump(net, x) below. Needs torchvision, timm, safetensors.
"""
import argparse

import torch


def dump(net, x):
    """{"x": input, "logits": output, "layer1.0.conv1": its output, ...}: as they were when the layer had run (later ones may work in place)."""
    found, runs = {"x": x.clone()}, {}

    def hook(name):
        def record(module, inputs, output):
            y = output[0] if isinstance(output, (tuple, list)) else output
            if isinstance(y, torch.Tensor) and y.is_floating_point():
                runs[name] = runs.get(name, 0) + 1
                found[name + (f"#{runs[name]}" if runs[name] > 1 else "")] = y.detach().clone().contiguous()
        return record

    handles = [m.register_forward_hook(hook(name or "logits")) for name, m in net.named_modules()]
    with torch.no_grad():
        net(x)
    for handle in handles:
        handle.remove()
    return found


if __name__ == "__main__":
    from safetensors.torch import save_file

    from networks import TIMM, network, transformer, vit_name

    p = argparse.ArgumentParser()
    for name in ("model", "weights", "activations"):
        p.add_argument(name)
    p.add_argument("--load"), p.add_argument("--input"), p.add_argument("--train", action="store_true")
    p.add_argument("--size", type=int, default=224), p.add_argument("--classes", type=int, default=1000)
    o = p.parse_args()
    torch.manual_seed(0)
    net, ours = network(o.model, o.classes)
    if o.load:
        net.load_state_dict(torch.load(o.load, weights_only=True))
    torch.save({ours[n]: t for n, t in net.state_dict().items()}, o.weights)
    outputs = dump(net.train(o.train), torch.load(o.input) if o.input else torch.randn(1, 3, o.size, o.size))
    if transformer(o.model) and o.model in TIMM:
        outputs = {vit_name(n + ".").removesuffix("."): t for n, t in outputs.items()}
    save_file(outputs, o.activations)
