"""Makes the JPEG files of this folder and beside each the PNG of what Pillow decodes, convert("RGB"): the truth for test_image_file.cpp.

python3 tests/vision/pictures/make.py     (needs Pillow with libjpeg-turbo, as its wheels have)
"""
import io
import pathlib

import numpy
from PIL import Image

here = pathlib.Path(__file__).parent
rng = numpy.random.default_rng(7)
H, W = 19, 26
rows, cols = numpy.mgrid[0:H, 0:W]
smooth = numpy.stack([rows * 13, cols * 9, (rows + cols) * 5], 2)
colour = Image.fromarray(((smooth + rng.integers(0, 60, (H, W, 3))) % 256).astype("uint8"))


def save(name, image, **options):
    image.save(here / (name + ".jpg"), quality=80, **options)
    Image.open(here / (name + ".jpg")).convert("RGB").save(here / (name + ".png"), optimize=True)


save("colour444", colour, subsampling="4:4:4")
save("colour422", colour, subsampling="4:2:2")
save("colour420", colour, subsampling="4:2:0")
save("progressive", colour, progressive=True)
save("grey", colour.convert("L"))
save("cmyk", colour.convert("CMYK").transpose(Image.FLIP_LEFT_RIGHT))

# A CMYK file again, marked as YCCK: Adobe's transform flag is 2, so that Y, Cb and Cr become C, M and Y first.
data = bytearray((here / "cmyk.jpg").read_bytes())
adobe = data.find(b"Adobe\0")
assert data[adobe + 11] in (0, 2)
data[adobe + 11] = 2 - data[adobe + 11]
(here / "ycck.jpg").write_bytes(data)
Image.open(io.BytesIO(data)).convert("RGB").save(here / "ycck.png", optimize=True)

whole = (here / "colour420.jpg").read_bytes()
(here / "truncated.jpg").write_bytes(whole[: len(whole) * 4 // 5])
