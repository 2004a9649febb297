"""Makes model_logits.safetensors: logits of the published networks with weights and image from a formula, for tests/vision/test_model_logits.cpp.

python3 tests/parity/model_logits.py [MODEL@SIZE ...]     (needs torchvision and timm; float64, 10 minutes; names: print only, store nothing)
"""
import sys

import torch

from model_formula import fill, picture, scale_statistics
from model_logits_cases import CASES
from networks import channels, network
from stored import Cases

torch.set_num_threads(2)
cases = Cases("model_logits")
for case in sys.argv[1:] or CASES:
    name, size = case.split("@")
    net, ours = network(name, 10, size=int(size))
    net.eval().double()
    with torch.no_grad():
        fill(net, ours)
        y, exponents = scale_statistics(net, picture(int(size), 1, channels(name)))
    print(case, y[0, :4].tolist(), flush=True)
    cases.put(case, y)
    if len(exponents):
        cases.put(case + ".exponents", exponents)
if not sys.argv[1:]:
    cases.save()
