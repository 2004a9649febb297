"""activations.safetensors: PyTorch's activations, values and gradients, over the range where they bend."""
import torch
import torch.nn.functional as F

from stored import Cases, normal

cases = Cases("activations")
x = torch.cat([4 * normal(45), torch.tensor([-30., -8, 8, 30], dtype=torch.float64)]).reshape(7, 7)
# hard_sigmoid by its formula: the gradient of F.hardsigmoid multiplies by 1.0f / 6.0f, a float32, in float64 too.
for name, f in {"relu": F.relu, "relu6": F.relu6, "silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda t: F.gelu(t, approximate="tanh"),
                "sigmoid": torch.sigmoid, "tanh": torch.tanh, "hard_sigmoid": lambda t: F.relu6(t + 3) / 6, "hard_swish": F.hardswish,
                "leaky_relu": F.leaky_relu, "leaky_relu_steep": lambda t: F.leaky_relu(t, -1.5)}.items():
    cases.add(name, f, x)
cases.save()
