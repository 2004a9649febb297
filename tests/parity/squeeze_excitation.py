"""squeeze_excitation.safetensors: torchvision's layer with three pairs of activations; x, fc1 and fc2 with their gradients."""
import torch
from torch import nn
from torch.func import functional_call
from torchvision.ops import SqueezeExcitation

from stored import Cases, normal, to_nchw, to_nhwc

cases = Cases("squeeze_excitation")
for name, channels, squeeze, act, scale_act in (("senet", 17, 3, nn.ReLU, nn.Sigmoid), ("efficientnet", 6, 2, nn.SiLU, nn.Sigmoid),
                                                ("mobilenet_v3", 9, 4, nn.ReLU, nn.Hardsigmoid)):
    layer = SqueezeExcitation(channels, squeeze, act, scale_act).double()
    if scale_act is nn.Hardsigmoid:   # by its formula: its gradient multiplies by 1.0f / 6.0f, a float32, in float64 too
        del layer.scale_activation
        layer.scale_activation = lambda t: nn.functional.relu6(t + 3) / 6

    def run(x, w1, b1, w2, b2):
        parameters = {"fc1.weight": to_nchw(w1), "fc1.bias": b1, "fc2.weight": to_nchw(w2), "fc2.bias": b2}
        return to_nhwc(functional_call(layer, parameters, to_nchw(x)))

    assert [n for n, _ in layer.named_parameters()] == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    cases.add(name, run, normal(2, 3, 4, channels), normal(squeeze, 1, 1, channels), normal(squeeze), normal(channels, 1, 1, squeeze),
              normal(channels))
cases.save()
