#!/usr/bin/env bash
# Weights from elsewhere: import, inspect, export, use without importing, fine-tuning, published ones by name, and what is refused.
. "$(dirname "$0")/expect.sh"
start "$@"
export FOVEA_CACHE=$PWD/cache TORCH_HOME=$PWD/torch

# A network of two classes, trained for seconds on a dark and a light folder.
picture() { printf 'P6\n12 12\n255\n' && head -c 432 /dev/zero | tr '\0' "\\$(printf %o $1)"; }
for split in train test; do
  mkdir -p p/$split/dark p/$split/light
  for i in {1..20}; do
    picture $((i + 10)) >p/$split/dark/$i.ppm
    picture $((250 - i)) >p/$split/light/$i.ppm
  done
done
expect 0 "$fovea" train --data folder:p --model resnet20_he_cifar --epochs 1 --batch 8 --out a
expect 0 "$fovea" export a/best.safetensors net.pth && says out 'of resnet20_he_cifar with 2 classes'
expect 0 "$fovea" export a/best.safetensors net.safetensors

# What export wrote is complete, and the same in both forms.
expect 0 "$fovea" inspect net.pth --json && cp out pth.json
expect 0 "$fovea" inspect net.safetensors --json && cp out st.json
tensors() { grep -o '"tensors":\[.*\]' $1; }
[ "$(tensors pth.json)" = "$(tensors st.json)" ] || fail 'the two exports differ'
expect 0 "$fovea" inspect net.pth && says out '^fc.weight +\(2, 64\) +float32' && says out 'PyTorch \(zip\)' && says out 'tensors, .* elements'
expect 0 "$fovea" inspect a/best.safetensors && says out 'model: resnet20_he_cifar'

# Import brings it back: the same predictions as the checkpoint it came from, and without an import as well.
printf 'dark\nlight\n' >names
statistics() { "$fovea" inspect a/best.safetensors --json | grep -o "\"$1\":\"\[[^]]*\]" | grep -o '\[.*\]' | tr -d '[]'; }
expect 0 "$fovea" import net.pth b.safetensors --model resnet20_he_cifar --image-size 12 --resize 12 --class-names names --strict \
  --mean "$(statistics mean)" --std "$(statistics std)"
says out '0 missing, 0 unexpected, 0 of wrong shape'
expect 0 "$fovea" predict --checkpoint a/best.safetensors p/test/dark/3.ppm --json && cp out first
expect 0 "$fovea" predict --checkpoint b.safetensors p/test/dark/3.ppm --json && cmp -s out first || fail 'the imported network predicts something else'
expect 0 "$fovea" predict --weights net.pth --model resnet20_he_cifar p/test/dark/3.ppm && says out '%'
expect 0 "$fovea" eval --checkpoint b.safetensors --data folder:p && says out 'folder:p test: accuracy'

# Training begins with them; other classes get a new classifier.
mkdir -p q/train && cp -r p/train/dark q/train/a && cp -r p/train/dark q/train/b && cp -r p/train/light q/train/c
expect 0 "$fovea" train --data folder:q --model resnet20_he_cifar --weights net.pth --epochs 1 --batch 8 --out c
says out 'the file is for 2 classes, the network for 3: its classifier is new'
refuses() { expect 1 "$fovea" "${@:2}" && one_line && says err "$1"; }
usage() { expect 2 "$fovea" "${@:2}" && one_line && says err "$1"; }
expect 1 "$fovea" import net.pth d.safetensors --model resnet20_he_cifar --classes 3 --strict && says err 'does not fit resnet20_he_cifar exactly'
refuses 'not weights of mobilenet_v2' import net.pth d.safetensors --model mobilenet_v2
refuses 'name it with --model' import net.pth d.safetensors
refuses 'no such file, and no published weights of that name \(did you mean resnet50' import resnet5O d.safetensors
refuses 'did you mean resnet20_he_cifar' import net.pth d.safetensors --model resnet20_he_cifer
# Half of a network's weights predict nothing; a checkpoint knows its own classes and size.
refuses "not all of resnet32_he_cifar's weights: .* are missing" predict --weights net.pth --model resnet32_he_cifar p/test/dark/3.ppm
refuses 'another number of classes than 5: 2' import a/best.safetensors d.safetensors --classes 5
mkdir net && refuses 'net: no such file' predict --weights net p/test/dark/3.ppm && rmdir net
usage 'either --checkpoint FILE or --weights' predict p/test/dark/3.ppm
usage '--mean: expected a number for each of 3 channels, got 2' import net.pth d.safetensors --model resnet20_he_cifar --mean 1,2
usage 'expected a name that ends with' export a/best.safetensors net.onnx
for file in "$source"/tests/tensor/damaged/{zip_bomb.pth,offsets_overlap.safetensors,pickle_billion_laughs.pth}; do
  refuses "$(basename "$file")" inspect "$file"
  refuses "$(basename "$file")" import "$file" d.safetensors --model resnet18
done

# Published weights: from PyTorch's cache, if their hash is right; else one line says which file to put where.
mkdir -p torch/hub/checkpoints bin && cp net.pth torch/hub/checkpoints/resnet50-11ad3fa6.pth
refuses 'resnet50-11ad3fa6.pth: damaged: its SHA-256 begins with' predict --weights resnet50 p/test/dark/3.ppm
for tool in curl wget; do printf '#!/bin/sh\nexit 6\n' >bin/$tool && chmod +x bin/$tool; done
PATH=$PWD/bin:$PATH expect 1 "$fovea" predict --weights resnet18 p/test/dark/3.ppm
says err 'resnet18: the weights could not be fetched; download https://download.pytorch.org/models/resnet18-f37072fd.pth yourself and put it into'
[ ! -e d.safetensors ] || fail 'a refused import wrote a file'
