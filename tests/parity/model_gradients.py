"""Makes model_gradients.safetensors: in training mode, of every parameter's gradient its norm and its product with a fixed direction, for
tests/vision/test_model_gradients.cpp.

python3 tests/parity/model_gradients.py     (needs torchvision and timm)

In float64, once with the weights of model_formula.py and, where activations have kinks, once with weights that keep away from them. Beside each
stands how far PyTorch's own float32 is from that.
"""
import torch
from timm.layers import DropPath
from torchvision.ops import StochasticDepth

from model_formula import fill, numbers, picture
from networks import channels, network
from stored import Cases

# Of each family one, and of the residual ones one with each option. Four pictures, so that the last batch norm has a variance.
CASES = """lenet5@32 alexnet@64 alexnet_2012@67 vgg11_bn@32 googlenet@64 resnet18@64 resnet50@64 resnet50_v1_original@64 resnet50_d@65
resnext50_32x4d@64 se_resnet50@64 resnet20_he_cifar@32 mobilenet_v1_0.5@64 mobilenet_v2@64 mobilenet_v3_small@64 efficientnet_b0@64
vit_tiny_p16@64 deit_tiny_distilled_p16@64 swin_t@64 convnext_tiny@64""".split()
KINKS = (torch.nn.ReLU, torch.nn.ReLU6, torch.nn.Hardswish, torch.nn.Hardsigmoid, torch.nn.MaxPool2d)


def gradients(case, dtype, away):
    """Logits, and (norm, product) of every parameter's gradient, by name: None where there is no kink to be away from."""
    name, size = case.split("@")
    net, ours = network(name, 10, size=int(size), **({"aux_logits": True} if name == "googlenet" else {}))
    if away and not any(isinstance(m, KINKS) for m in net.modules()):
        return None
    net.to(dtype).train()
    for m in net.modules():   # what is random
        if isinstance(m, (torch.nn.Dropout, StochasticDepth)):
            m.p = 0.0
        assert not (isinstance(m, DropPath) and m.drop_prob)
    if "distilled" in name:
        net.set_distilled_training(True)
    with torch.no_grad():
        fill(net, ours, away)
    y = net(picture(int(size), 4, channels(name)).to(dtype))
    if name == "googlenet":   # logits, and the auxiliary ones from front to back
        y = (y.logits, y.aux_logits1, y.aux_logits2)
    outputs = y if isinstance(y, tuple) else (y,)
    sum((t * numbers(f"direction{i}", t.shape).to(dtype)).sum() for i, t in enumerate(outputs)).backward()
    grads = {ours[n]: p.grad.double() for n, p in net.named_parameters()}
    rows = [(grads[n].norm(), (grads[n] * numbers("gradient." + n, grads[n].shape)).sum()) for n in sorted(grads)]
    return outputs[0].detach().double(), torch.tensor(rows, dtype=torch.float64)   # (parameters by name, 2)


torch.set_num_threads(2)
cases = Cases("model_gradients")
for case in CASES:
    for away in (False, True):
        exact = gradients(case, torch.float64, away)
        if exact is None:
            continue
        logits, rows = exact
        scale = rows[:, :1].clamp(min=1e-4 * rows[:, 0].max())
        own = ((gradients(case, torch.float32, away)[1] - rows).abs() / scale).max()
        key = case + (".away" if away else "")
        print(f"{key:34} PyTorch's own float32 differs by {own.item():.1e}", flush=True)
        cases.put(key, rows)
        cases.put(key + ".logits", logits)
        cases.put(key + ".float32", own)
cases.save()
