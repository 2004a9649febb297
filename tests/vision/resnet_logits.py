"""Makes the numbers of tests/vision/test_models.cpp: torchvision's resnet18 with weights from a formula, on an image from a formula.

python3 tests/vision/resnet_logits.py     (needs torch and torchvision; float64)
"""
import numpy as np
import torch
import torchvision


def formula(shape, entry):
    """Element i, in PyTorch's order, of the entry with this number in the state dictionary: in [-0.5, 0.5)."""
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    return (((i * i * 31 + i * 7 + entry * 101 + (i // 13) * entry) % 1009) / 1009 - 0.5).reshape(shape)


net = torchvision.models.resnet18(num_classes=10).double()
state = {}
for entry, (name, t) in enumerate(net.state_dict().items()):
    u = formula(t.shape, entry)
    if name.endswith("num_batches_tracked"):
        state[name] = torch.tensor(entry)
        continue
    if t.dim() >= 2:
        u = u * np.sqrt(24 / (u.size / u.shape[0]))   # variance 2 / fan_in
    elif name.endswith("running_var") or (t.dim() == 1 and name.endswith("weight")):
        u = 1 + 0.4 * u
    else:
        u = 0.4 * u
    state[name] = torch.from_numpy(u)
net.load_state_dict(state)
x = torch.from_numpy(formula((2, 3, 40, 48), 200)) * 4
for mode in ("eval", "train"):
    getattr(net, mode)()
    with torch.no_grad():
        y = net(x)
    print(mode, "\n".join("{" + ", ".join(f"{v:.10g}" for v in row) + "}," for row in y.tolist()))
print("bn1.running_mean[0..2] after training", net.bn1.running_mean[:3].tolist())
