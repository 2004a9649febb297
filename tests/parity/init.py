"""init.safetensors: moments of PyTorch's initialisers: mean, variance, kurtosis, smallest and largest of a million numbers."""
import torch
from torch.nn import init

from stored import Cases

torch.manual_seed(0)
cases = Cases("init")


def moments(name, fill):
    w = torch.empty(1000, 1000, dtype=torch.float64)
    fill(w)
    m, v = w.mean(), w.var(unbiased=False)
    cases.put(name, torch.stack([m, v, ((w - m) ** 4).mean() / v ** 2, w.min(), w.max()]))


moments("xavier_normal", lambda w: init.xavier_normal_(w, gain=1.5))
moments("xavier_uniform", lambda w: init.xavier_uniform_(w, gain=1.5))
moments("he_normal_in", lambda w: init.kaiming_normal_(w, mode="fan_in"))
moments("he_normal_out", lambda w: init.kaiming_normal_(w, mode="fan_out"))
moments("he_uniform_in", lambda w: init.kaiming_uniform_(w, mode="fan_in"))
moments("he_uniform_leaky", lambda w: init.kaiming_uniform_(w, a=0.2, nonlinearity="leaky_relu"))
moments("truncated_narrow", lambda w: init.trunc_normal_(w, 0.5, 2, -1, 1.5))
moments("truncated_usual", lambda w: init.trunc_normal_(w, 0, 0.02, -2, 2))
moments("truncated_right", lambda w: init.trunc_normal_(w, 0, 1, 1, 3))
cases.save()
