"""PyTorch's softmax, cross-entropy and binary cross-entropy, with all gradients, for tests/autograd/test_losses.cpp."""
import torch
import torch.nn.functional as F
from stored import Cases, normal

cases = Cases("losses")

cases.add("softmax", lambda x: F.softmax(x, -1), 3 * normal(2, 3, 17))
cases.add("log_softmax", lambda x: F.log_softmax(x, -1), 3 * normal(4, 33))

rows, classes = 6, 19
labels = torch.tensor([3, 0, 18, 7, 7, 12])
soft = torch.softmax(2 * normal(rows, classes), -1)
weights = normal(classes).abs()
targets = torch.rand(rows, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
positive = 3 * normal(classes).abs()
for key, tensor in [("labels", labels), ("soft", soft), ("weights", weights), ("targets", targets), ("positive", positive)]:
    cases.put(key, tensor)

for kind, target in [("hard", labels), ("soft", soft)]:
    for weighted in [False, True]:
        for smoothing in [0.0, 0.1]:
            for reduction in ["mean", "sum", "none"]:
                name = f"cross_entropy_{kind}{'_weighted' if weighted else ''}{'_smooth' if smoothing else ''}_{reduction}"
                cases.add(name, lambda x, t=target, w=weights if weighted else None, e=smoothing, r=reduction:
                          F.cross_entropy(x, t, weight=w, label_smoothing=e, reduction=r), 3 * normal(rows, classes))

for weighted in [False, True]:
    for reduction in ["mean", "sum", "none"]:
        cases.add(f"binary_cross_entropy{'_weighted' if weighted else ''}_{reduction}", lambda x, w=positive if weighted else None, r=reduction:
                  F.binary_cross_entropy_with_logits(x, targets, pos_weight=w, reduction=r), 4 * normal(rows, classes))

cases.save()
