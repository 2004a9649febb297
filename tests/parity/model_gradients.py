"""Makes model_gradients.safetensors: in training mode, of every parameter's gradient its norm and its product with a fixed direction, for
tests/vision/test_model_gradients.cpp.

python3 tests/parity/model_gradients.py     (needs torchvision and timm; float64)
"""
import torch
from timm.layers import DropPath
from torchvision.ops import StochasticDepth

from model_formula import fill, numbers, picture
from networks import network
from stored import Cases

# Of each family one, and of the residual ones one with each option. Four pictures, so that the last batch norm has a variance.
CASES = """alexnet@64 alexnet_2012@67 vgg11_bn@32 googlenet@64 resnet18@64 resnet50@64 resnet50_v1_original@64 resnet50_d@65 resnext50_32x4d@64
se_resnet50@64 mobilenet_v1_0.5@64 mobilenet_v2@64 mobilenet_v3_small@64 efficientnet_b0@64 vit_tiny_p16@64 deit_tiny_distilled_p16@64 swin_t@64
convnext_tiny@64""".split()

torch.set_num_threads(2)
cases = Cases("model_gradients")
for case in CASES:
    name, size = case.split("@")
    net, ours = network(name, 10, size=int(size), **({"aux_logits": True} if name == "googlenet" else {}))
    net.double().train()
    for m in net.modules():   # what is random
        if isinstance(m, (torch.nn.Dropout, StochasticDepth)):
            m.p = 0.0
        assert not (isinstance(m, DropPath) and m.drop_prob)
    if "distilled" in name:
        net.set_distilled_training(True)
    with torch.no_grad():
        fill(net, ours)
    y = net(picture(int(size), 4))
    if name == "googlenet":   # logits, and the auxiliary ones from front to back
        y = (y.logits, y.aux_logits1, y.aux_logits2)
    outputs = y if isinstance(y, tuple) else (y,)
    sum((t * numbers(f"direction{i}", t.shape)).sum() for i, t in enumerate(outputs)).backward()
    rows = {ours[n]: (p.grad.norm(), (p.grad * numbers("gradient." + ours[n], p.shape)).sum()) for n, p in net.named_parameters()}
    print(case, outputs[0][0, :3].tolist(), max(r[0] for r in rows.values()).item(), flush=True)
    cases.put(case, torch.tensor([rows[n] for n in sorted(rows)], dtype=torch.float64))   # (parameters by name, 2)
    cases.put(case + ".logits", outputs[0])
cases.save()
