"""Makes state_dicts.txt: names and shapes of the published networks' state dictionaries, in their order, for tests/vision/test_model_entries.cpp.

python3 tests/parity/state_dicts.py     (needs torchvision and timm)
"""
import pathlib

from networks import network

lines = []
for name in ["alexnet", "vgg11_bn", "googlenet", "resnet18", "resnet50", "resnet50_d", "se_resnet50", "mobilenet_v1_1.0", "mobilenet_v2",
             "mobilenet_v3_small", "efficientnet_b0", "vit_b_32", "swin_t", "convnext_tiny"]:
    net, ours = network(name, 1000, **({"aux_logits": True} if name == "googlenet" else {}))
    lines.append(f"model {name}")
    for entry, t in net.state_dict().items():
        lines.append(f"{ours[entry]} {' '.join(map(str, t.shape))}".rstrip())
pathlib.Path(__file__).with_name("state_dicts.txt").write_text("\n".join(lines) + "\n")
