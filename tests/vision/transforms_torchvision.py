"""Makes the numbers of tests/vision/test_transforms.cpp: torchvision's transforms on Pillow's pictures.

python3 tests/vision/transforms_torchvision.py     (needs torch and torchvision)
"""
import numpy
import torch
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import functional as F


def pattern(h, w, c):
    i = numpy.arange(h * w * c, dtype=numpy.int64)
    return Image.fromarray(((i * 37 + i * i * 11) % 256).astype("uint8").reshape(h, w, c))


def fnv(image):
    hash = 0xCBF29CE484222325
    for v in numpy.asarray(image).reshape(-1).tolist():
        hash = (hash ^ v) * 0x100000001B3 % 2**64
    return f"0x{hash:X}"


def resized_crop(h, w, scale, ratio, first):
    """The box with the "random" numbers u_k = frac(first + k * 0.6180339887498949), k = 0, 1, ..."""
    k = -1

    def u():
        nonlocal k
        k += 1
        return (first + k * 0.6180339887498949) % 1

    uniform_, randint = torch.Tensor.uniform_, torch.randint
    torch.Tensor.uniform_ = lambda self, a, b: torch.tensor(float(a) + (float(b) - float(a)) * u(), dtype=torch.float64)
    torch.randint = lambda low, high, size: torch.tensor(int(u() * high))
    box = T.RandomResizedCrop.get_params(Image.new("RGB", (w, h)), scale, ratio)
    torch.Tensor.uniform_, torch.randint = uniform_, randint
    return box


print("// H, W, scale, ratio, first -> top, left, height, width")
for h, w, scale, ratio in [(375, 500, (0.08, 1), (3 / 4, 4 / 3)), (32, 32, (0.25, 1), (3 / 4, 4 / 3)), (500, 20, (0.9, 1), (3 / 4, 4 / 3)),
                           (11, 700, (0.5, 1), (3 / 4, 4 / 3)), (64, 48, (1, 1), (1, 1)), (64, 64, (1, 1), (1, 1))]:
    for first in (0.1, 0.37, 0.93):
        t, l, bh, bw = resized_crop(h, w, scale, ratio, first)
        print(f"{{{h}, {w}, {{{scale[0]}, {scale[1]}, {ratio[0]}, {ratio[1]}}}, {first}, {{{t}, {l}, {bh}, {bw}}}}},")
print("// H, W, resize, crop -> hash of the bytes")
for h, w, resize, size in [(60, 41, 37, 32), (41, 60, 37, 32), (33, 33, 32, 32), (50, 77, 29, 24), (23, 31, 36, 33)]:
    x = F.center_crop(F.resize(pattern(h, w, 3), resize), size)
    print(f"{{{h}, {w}, {resize}, {size}, {fnv(x)}u}},")
print("// resized crop of box (5, 3, 22, 30) to 17 x 17, mirrored: wider than high, so that every version of Pillow filters rows first")
print(fnv(F.hflip(F.resized_crop(pattern(47, 39, 3), 5, 3, 22, 30, [17, 17]))))
