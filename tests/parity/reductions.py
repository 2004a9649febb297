"""Sums, means, maxima and variances along axes: tests/autograd/test_reductions.cpp."""
import torch

from stored import Cases, normal

cases = Cases("reductions")
along = {
    "last": ((3, 17), (-1,)), "first": ((5, 33), (0,)), "middle": ((2, 5, 3), (1,)), "pixels": ((2, 3, 2, 5), (1, 2)),
    "apart": ((2, 3, 2, 5), (0, -2)), "batch": ((2, 3, 17), (1, 0)), "all": ((2, 3, 4), (0, 1, 2)), "single": ((3, 1, 5), (1,)),
    "around_single": ((3, 1, 5), (0, 2)),
}
for name, (shape, axes) in along.items():
    cases.add(f"sum_{name}", lambda x: x.sum(axes), normal(*shape))
    cases.add(f"mean_{name}", lambda x: x.mean(axes, keepdim=True), normal(*shape))
    cases.add(f"amax_{name}", lambda x: x.amax(axes), normal(*shape))
    if name != "single":
        cases.add(f"var_{name}", lambda x: x.var(axes), normal(*shape))
        cases.add(f"biased_var_{name}", lambda x: x.var(axes, correction=0, keepdim=True), normal(*shape))
cases.add("amax_ties", lambda x: x.amax(1), torch.round(normal(7, 9)))
cases.save()
