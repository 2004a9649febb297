"""Writes pytorch_numbers.h: what PyTorch's SGD and schedules give (pip install torch). Run from anywhere."""
import math
import pathlib

import torch

SGD = {
    "plain": dict(lr=0.1),
    "momentum": dict(lr=0.1, momentum=0.9),
    "dampening": dict(lr=0.1, momentum=0.8, dampening=0.3),
    "weight_decay": dict(lr=0.1, weight_decay=0.05),
    "nesterov": dict(lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=True),
}


def sgd(options):
    """Ten steps on w (2, 3) and b (5). b has no gradient in steps 0, 3 and 4; the rate halves after step 5."""
    sizes = [(2, 3), (5,)]
    params = [torch.nn.Parameter(torch.tensor([math.cos(i + 10 * p) for i in range(math.prod(s))], dtype=torch.float64).reshape(s))
              for p, s in enumerate(sizes)]
    optimiser = torch.optim.SGD(params, **options)
    for t in range(10):
        optimiser.param_groups[0]["lr"] = options["lr"] * (0.5 if t > 5 else 1)
        for p, param in enumerate(params):
            push = torch.tensor([math.sin(0.7 * i + 1.3 * t + p) for i in range(param.numel())], dtype=torch.float64).reshape(param.shape)
            param.grad = None if p == 1 and t in (0, 3, 4) else push + 0.3 * param.detach()
        optimiser.step()
    return torch.cat([p.detach().flatten() for p in params]).tolist()


def rates(steps, lr, make):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule, result = make(optimiser), []
    for _ in range(steps):
        result.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step() if len(result) < steps else None
    return result


L = torch.optim.lr_scheduler
SCHEDULES = {
    "cosine": rates(14, 0.4, lambda o: L.CosineAnnealingLR(o, T_max=13, eta_min=0.01)),
    "one_cycle": rates(20, 0.1, lambda o: L.OneCycleLR(o, max_lr=0.5, total_steps=20)),
    "one_cycle_options": rates(7, 0.1, lambda o: L.OneCycleLR(o, max_lr=0.5, total_steps=7, pct_start=0.45, div_factor=10, final_div_factor=100)),
    "one_cycle_short": rates(2, 0.1, lambda o: L.OneCycleLR(o, max_lr=0.5, total_steps=2)),
    "warmup_cosine": rates(16, 0.4, lambda o: L.SequentialLR(
        o, [L.LinearLR(o, start_factor=0.1, total_iters=5), L.CosineAnnealingLR(o, T_max=11, eta_min=0.01)], milestones=[5])),
}

out = ["// Made by make_pytorch_numbers.py with PyTorch " + torch.__version__ + ".", "#pragma once", "", "#include <vector>", "",
       "namespace pytorch {"]
for name, values in [("sgd_" + n, sgd(o)) for n, o in SGD.items()] + list(SCHEDULES.items()):
    out.append(f"inline const std::vector<double> {name} = {{")
    out += ["    " + ", ".join(repr(v) for v in values[i:i + 6]) + "," for i in range(0, len(values), 6)]
    out.append("};")
out.append("}  // namespace pytorch")
pathlib.Path(__file__).with_name("pytorch_numbers.h").write_text("\n".join(out) + "\n")
