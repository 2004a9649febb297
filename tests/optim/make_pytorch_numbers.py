"""Writes pytorch_numbers.h: what PyTorch's optimisers, clipping and schedules give (pip install torch timm). Run from anywhere.

LARS and LAMB, which PyTorch lacks, are a few lines from their papers; they are compared with timm's here."""
import math
import pathlib

import timm.optim
import timm.utils
import torch
from torch.nn import utils

SIZES = [(2, 3), (5,), (3, 2, 1, 2)]   # w, b, u


class Lars(torch.optim.Optimizer):
    """You et al. 2017, Algorithm 1, with the global rate outside of the velocity."""

    def __init__(self, params, lr, momentum=0.9, weight_decay=0, trust_coefficient=1e-3, eps=1e-8, nesterov=False, adapt=True):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, trust_coefficient=trust_coefficient, eps=eps,
                                      nesterov=nesterov, adapt=adapt))

    @torch.no_grad()
    def step(self):
        for o in self.param_groups:
            for w in o["params"]:
                if w.grad is None:
                    continue
                ratio = o["trust_coefficient"] * w.norm() / (w.grad.norm() + o["weight_decay"] * w.norm() + o["eps"]) if o["adapt"] else 1
                g = ratio * (w.grad + o["weight_decay"] * w)
                v = self.state[w]["v"] = o["momentum"] * self.state[w]["v"] + g if self.state[w] else g
                w -= o["lr"] * (g + o["momentum"] * v if o["nesterov"] else v)


class Lamb(torch.optim.Optimizer):
    """You et al. 2020, Algorithm 2."""

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01, adapt=True):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, adapt=adapt))

    @torch.no_grad()
    def step(self):
        for o in self.param_groups:
            for w in o["params"]:
                if w.grad is None:
                    continue
                s, (beta1, beta2) = self.state[w], o["betas"]
                s["t"] = s.get("t", 0) + 1
                s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * w.grad
                s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * w.grad ** 2
                r = s["m"] / (1 - beta1 ** s["t"]) / ((s["v"] / (1 - beta2 ** s["t"])).sqrt() + o["eps"]) + o["weight_decay"] * w
                w -= o["lr"] * (w.norm() / r.norm() if o["adapt"] else 1) * r


def steps(make, lr, count=2, gaps=True, groups=None, clip=None):
    """Ten steps on w, b and, with count 3, u. Some have no gradient in some steps; the rate halves after step 5."""
    params = [torch.nn.Parameter(torch.tensor([math.cos(i + 10 * p) for i in range(math.prod(s))], dtype=torch.float64).reshape(s))
              for p, s in enumerate(SIZES[:count])]
    optimiser = make([dict(params=[params[p]], **(groups[p] if groups else {})) for p in range(count)])
    scales = [g["lr"] / lr for g in optimiser.param_groups]
    for t in range(10):
        for group, scale in zip(optimiser.param_groups, scales):
            group["lr"] = lr * scale * (0.5 if t > 5 else 1)
        for p, param in enumerate(params):
            push = torch.tensor([math.sin(0.7 * i + 1.3 * t + p) for i in range(param.numel())], dtype=torch.float64).reshape(param.shape)
            missing = gaps and (p == 1 and t in (0, 3, 4) or p == 2 and t == 5)
            param.grad = None if missing else push + 0.3 * param.detach()
        if clip:
            clip(params)
        optimiser.step()
    return torch.cat([p.detach().flatten() for p in params]).tolist()


def optimiser(cls, **options):
    return steps(lambda params: cls(params, **options), options["lr"])


def grouped(cls, groups, **options):
    return steps(lambda params: cls(params, **options), options["lr"], count=3, groups=groups)


def agrees_with_timm(own, timms):
    a, b = (torch.tensor(steps(make, 0.1, count=3, gaps=False)) for make in (own, timms))
    assert (a - b).abs().max() < 1e-6, (a - b).abs().max()   # timm's Lars rounds through float32 tensors of ones


for nesterov in (False, True):
    agrees_with_timm(lambda p: Lars(p, lr=0.1, weight_decay=0.05, trust_coefficient=0.02, nesterov=nesterov),
                     lambda p: timm.optim.Lars(p, lr=0.1, momentum=0.9, weight_decay=0.05, trust_coeff=0.02, nesterov=nesterov, always_adapt=True))
agrees_with_timm(lambda p: Lamb(p, lr=0.1, weight_decay=0.05),
                 lambda p: timm.optim.Lamb(p, lr=0.1, weight_decay=0.05, always_adapt=True, max_grad_norm=None))

O, TF = torch.optim, timm.optim.RMSpropTF
OPTIMISERS = {
    "sgd_plain": optimiser(O.SGD, lr=0.1),
    "sgd_momentum": optimiser(O.SGD, lr=0.1, momentum=0.9),
    "sgd_dampening": optimiser(O.SGD, lr=0.1, momentum=0.8, dampening=0.3),
    "sgd_weight_decay": optimiser(O.SGD, lr=0.1, weight_decay=0.05),
    "sgd_nesterov": optimiser(O.SGD, lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=True),
    "adam": optimiser(O.Adam, lr=0.1),
    "adam_options": optimiser(O.Adam, lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.05),
    "adamw": optimiser(O.AdamW, lr=0.1, weight_decay=0.05),
    "adamw_options": optimiser(O.AdamW, lr=0.1, betas=(0.0, 0.95), eps=1e-3, weight_decay=0.3),
    "rmsprop": optimiser(O.RMSprop, lr=0.1),
    "rmsprop_options": optimiser(O.RMSprop, lr=0.01, alpha=0.9, eps=1e-3, weight_decay=0.05, momentum=0.9, centered=True),
    "rmsprop_tensorflow": optimiser(TF, lr=0.1, alpha=0.9, eps=1e-3),
    "rmsprop_tensorflow_options": optimiser(TF, lr=0.1, alpha=0.9, eps=1e-3, weight_decay=0.05, momentum=0.9, centered=True),
    "lars": optimiser(Lars, lr=0.1, weight_decay=0.05, trust_coefficient=0.02),
    "lars_nesterov": optimiser(Lars, lr=0.1, weight_decay=0.05, trust_coefficient=0.02, nesterov=True),
    "lamb": optimiser(Lamb, lr=0.1, weight_decay=0.05),
    "lamb_options": optimiser(Lamb, lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3),
}
b_apart = [{}, dict(weight_decay=0, lr=0.03), {}]   # w and u are one group, b another
GROUPS = {
    "sgd_groups": grouped(O.SGD, b_apart, lr=0.1, momentum=0.9, weight_decay=0.05),
    "adamw_groups": grouped(O.AdamW, b_apart, lr=0.1, weight_decay=0.05),
    "rmsprop_groups": grouped(O.RMSprop, b_apart, lr=0.1, weight_decay=0.05),
    "lars_groups": grouped(Lars, [{}, dict(weight_decay=0, lr=0.03, adapt=False), {}], lr=0.1, weight_decay=0.05, trust_coefficient=0.02),
    "lamb_groups": grouped(Lamb, [{}, dict(weight_decay=0, lr=0.03, adapt=False), {}], lr=0.1, weight_decay=0.05),
}
norms = []
CLIPS = {
    "clipped_norm": lambda ps: norms.append(utils.clip_grad_norm_(ps, 1.5).item()),
    "clipped_value": lambda ps: utils.clip_grad_value_(ps, 0.6),
    "clipped_adaptive": lambda ps: timm.utils.agc.adaptive_clip_grad(ps, clip_factor=1.1, eps=0.4),
}
CLIPPED = {name: steps(lambda params: O.SGD(params, lr=0.1), 0.1, count=3, clip=clip) for name, clip in CLIPS.items()}


def rates(count, lr, make):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule, result = make(optimiser), []
    for _ in range(count):
        result.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step() if len(result) < count else None
    return result


L = torch.optim.lr_scheduler
SCHEDULES = {
    "step_decay": rates(12, 0.4, lambda o: L.StepLR(o, 4, gamma=0.3)),
    "multi_step": rates(12, 0.4, lambda o: L.MultiStepLR(o, [3, 7, 7, 9], gamma=0.3)),
    "exponential": rates(12, 0.4, lambda o: L.ExponentialLR(o, 0.8)),
    "linear": rates(12, 0.4, lambda o: L.LinearLR(o, start_factor=0.25, end_factor=0.75, total_iters=7)),
    "polynomial": rates(12, 0.4, lambda o: L.PolynomialLR(o, total_iters=9, power=2.5)),
    "cosine": rates(14, 0.4, lambda o: L.CosineAnnealingLR(o, T_max=13, eta_min=0.01)),
    "cosine_restarts": rates(30, 0.4, lambda o: L.CosineAnnealingWarmRestarts(o, 4, 2, eta_min=0.01)),
    "cosine_restarts_equal": rates(12, 0.4, lambda o: L.CosineAnnealingWarmRestarts(o, 5)),
    "one_cycle": rates(20, 0.1, lambda o: L.OneCycleLR(o, max_lr=0.5, total_steps=20)),
    "one_cycle_options": rates(7, 0.1, lambda o: L.OneCycleLR(o, max_lr=0.5, total_steps=7, pct_start=0.45, div_factor=10, final_div_factor=100)),
    "one_cycle_short": rates(2, 0.1, lambda o: L.OneCycleLR(o, max_lr=0.5, total_steps=2)),
    "warmup_cosine": rates(16, 0.4, lambda o: L.SequentialLR(
        o, [L.LinearLR(o, start_factor=0.1, total_iters=5), L.CosineAnnealingLR(o, T_max=11, eta_min=0.01)], milestones=[5])),
    "sequence": rates(14, 0.4, lambda o: L.SequentialLR(
        o, [L.LinearLR(o, start_factor=0.5, total_iters=4), L.StepLR(o, 3, gamma=0.5), L.ExponentialLR(o, 0.9)], milestones=[3, 9])),
}

METRICS = [1, 0.9, 0.9, 0.91, 0.8999, 0.95, 0.89995, 0.85, 0.86, 0.87, 0.88, math.nan, 0.849, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]


def plateau(**options):
    optimiser, result = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4), []
    schedule = L.ReduceLROnPlateau(optimiser, **options)
    for metric in METRICS:
        schedule.step(metric)
        result.append(optimiser.param_groups[0]["lr"])
    return result


PLATEAUS = {
    "plateau_metrics": [m if m == m else -1 for m in METRICS],   # -1 stands for NaN
    "plateau": plateau(patience=2),
    "plateau_cooldown": plateau(patience=1, factor=0.5, threshold=0.01, cooldown=2, min_lr=0.03),
    "plateau_max": plateau(mode="max", patience=3, factor=0.2),
    "plateau_absolute": plateau(threshold_mode="abs", threshold=0.005, patience=0, factor=0.5, eps=0.01),
    "plateau_max_absolute": plateau(mode="max", threshold_mode="abs", threshold=0.005, patience=4, factor=0.5),
}

out = ["// Made by make_pytorch_numbers.py with PyTorch " + torch.__version__ + " and timm " + timm.__version__ + ".", "#pragma once", "",
       "#include <vector>", "", "namespace pytorch {"]
for name, values in {**OPTIMISERS, **GROUPS, **CLIPPED, "norms": norms, **SCHEDULES, **PLATEAUS}.items():
    out.append(f"inline const std::vector<double> {name} = {{")
    out += ["    " + ", ".join(repr(v) for v in values[i:i + 6]) + "," for i in range(0, len(values), 6)]
    out.append("};")
out.append("}  // namespace pytorch")
pathlib.Path(__file__).with_name("pytorch_numbers.h").write_text("\n".join(out) + "\n")
