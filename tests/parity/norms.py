"""PyTorch's batch norm, layer norm and local response norm, with all gradients, for tests/autograd/test_norms.cpp."""
import torch
import torch.nn.functional as F
from stored import Cases, normal, to_nchw, to_nhwc

cases = Cases("norms")

cases.add("layer_norm", lambda x, w, b: F.layer_norm(x, (17,), w, b), normal(2, 3, 17), normal(17), normal(17))
cases.add("layer_norm_plain", lambda x: F.layer_norm(x, (33,), eps=1e-6), 2 + 3 * normal(5, 33))
cases.add("layer_norm_no_bias", lambda x, w: F.layer_norm(x, (5,), w, eps=1e-3), normal(7, 5), normal(5))

for name, channels, options in [("paper", 19, dict(size=5, alpha=5e-4, beta=0.75, k=2.0)), ("strong", 17, dict(size=5, alpha=1.0, beta=0.75, k=1.0)),
                                ("even", 7, dict(size=4, alpha=0.7, beta=0.5, k=0.5)), ("wider_than_x", 3, dict(size=9, alpha=2.0, beta=1.2, k=1.0))]:
    cases.add(f"local_response_norm_{name}", lambda x, o=options: to_nhwc(F.local_response_norm(to_nchw(x), **o)), 2 * normal(2, 2, 3, channels))


def batch_norm(training):
    return lambda x, w, b: to_nhwc(F.batch_norm(to_nchw(x), mean.clone(), var.clone(), w, b, training, 0.1, 1e-5))


mean, var = normal(5), normal(5).abs() + 0.5
cases.put("running_mean", mean)
cases.put("running_var", var)
cases.add("batch_norm_training", batch_norm(True), 1 + 2 * normal(3, 2, 4, 5), normal(5), normal(5))
cases.add("batch_norm_frozen", batch_norm(False), 1 + 2 * normal(3, 2, 4, 5), normal(5), normal(5))

# Running statistics after three batches of different sizes, with a momentum and as the average of all batches.
for name, momentum in [("momentum", 0.3), ("average", None)]:
    bn = torch.nn.BatchNorm2d(3, momentum=momentum, dtype=torch.float64)
    for i, size in enumerate([(2, 3, 2, 3), (1, 4, 3, 3), (3, 1, 2, 3)]):
        x = i + (1 + i) * normal(*size)
        cases.put(f"running_{name}.x{i}", x)
        bn(to_nchw(x))
    cases.put(f"running_{name}.mean", bn.running_mean)
    cases.put(f"running_{name}.var", bn.running_var)

cases.save()
