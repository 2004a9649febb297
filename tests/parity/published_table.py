"""Holds the table of published weight files (vision/weights/published_table.cpp) against the tables of the libraries that published them:
torchvision (address, resizing, crop, filter, top-1), timm (the same without top-1, which its package does not have) and mmpretrain
(address, top-1, the test pipeline of its configuration). Downloads nothing.

  python3 tests/parity/published_table.py      # needs torchvision, timm, mmpretrain (its .mim folder), pyyaml
"""
import importlib.util
import math
import pathlib
import re
import sys

import timm.models._registry as timm_registry
import torchvision
import yaml
from torchvision.models import get_model_weights, list_models

SOURCE = pathlib.Path(__file__).parents[2] / "vision/weights/published_table.cpp"
IMAGENET = (0.485, 0.456, 0.406)


def our_rows():
    """(model, name, address) -> (resize, crop, filter, top-1)"""
    text = SOURCE.read_text()
    prefixes = dict(re.findall(r'\*?(k\w+) = "(https://[^"]+)"', text))
    rows = re.findall(r'^ *\{"([^"]+)", "([^"]+)", (k\w+), "([^"]+)", (\d+), (\d+), (\w+), ([\d.]+)', text, re.MULTILINE)
    return {
        (model, name, prefixes[source] + file): (int(resize), int(crop), mode, float(top1))
        for model, name, source, file, resize, crop, mode, top1 in rows
    }


def torchvision_rows():
    rows = {}
    for model in list_models(module=torchvision.models):
        for weights in get_model_weights(model):
            t, top1 = weights.transforms(), weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
            rows[model, weights.name, weights.url] = (t.resize_size[0], t.crop_size[0], t.interpolation.value, top1)
    return rows


def timm_rows():
    """By address; the repository has moved, and the old address leads to the new one."""
    rows = {}
    for cfg in timm_registry._model_pretrained_cfgs.values():
        if cfg.url and tuple(cfg.mean) == IMAGENET:
            size = cfg.input_size[-1]
            address = cfg.url.replace("github.com/huggingface/", "github.com/rwightman/")
            rows[address] = (math.floor(size / cfg.crop_pct), size, cfg.interpolation)
    return rows


def mmpretrain_rows():
    mim = pathlib.Path(importlib.util.find_spec("mmpretrain").origin).parent / ".mim"
    rows = {}
    for metafile in mim.glob("configs/*/metafile.yml"):
        for entry in yaml.safe_load(metafile.read_text()).get("Models", []):
            config = mim / entry.get("Config", "")
            if not entry.get("Weights") or not config.is_file():
                continue
            bases = re.findall(r"'(\.\./_base_/datasets/[^']+)'", config.read_text())
            if len(bases) != 1:
                continue
            pipeline = re.search(r"test_pipeline = (\[.*?\n\])", (config.parent / bases[0]).read_text(), re.DOTALL)
            resize = pipeline and re.search(r"ResizeEdge',\s*scale=(\d+)", pipeline[1])
            crop = pipeline and re.search(r"CenterCrop', crop_size=(\d+)", pipeline[1])
            results = entry.get("Results") or [{}]
            metrics = results[0].get("Metrics") or {}
            if resize and crop:
                mode = re.search(r"interpolation='(\w+)'", pipeline[1])
                rows[entry["Weights"]] = (int(resize[1]), int(crop[1]), mode[1] if mode else "bilinear", metrics.get("Top 1 Accuracy"))
    return rows


def main():
    ours, from_torchvision, by_address = our_rows(), torchvision_rows(), {**timm_rows(), **mmpretrain_rows()}
    wrong = 0
    for key, row in ours.items():
        theirs = from_torchvision.get(key) or by_address.get(key[2])
        if theirs != row[: len(theirs or row)]:
            wrong += 1
            print(f"{' '.join(key)}: expected {theirs or 'a row of one of the libraries'}, got {row}")
    print(f"{len(ours)} files, {wrong} unlike the libraries' tables")
    return wrong > 0 or not ours


if __name__ == "__main__":
    sys.exit(main())
