#!/usr/bin/env bash
# families_cifar10.sh: one network of each family, one epoch of CIFAR-10, from nothing. A check that every family trains, not a contest:
# one recipe for all but the optimiser, no choice of rates beyond what the papers use, and the dearer networks see pictures of 16x16 pixels.
#
#   bench/families_cifar10.sh CIFAR10_FOLDER [FOVEA_PROGRAM] > table.md        CIFAR10_FOLDER/{train,test}/CLASS/*.jpg
#
# Rows that are already in $RUNS (default: runs/families) are not run again.
set -euo pipefail
root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/..
data=$1 fovea=${2:-$root/fovea} runs=${RUNS:-runs/families}
recipe=(--data "folder:$data" --epochs 1 --batch 128 --schedule one_cycle --warmup 0.25 --crop random --flip true --label-smoothing 0)
sgd=(--optimizer sgd --momentum 0.9 --nesterov true --weight-decay 0.0005)
adamw=(--optimizer adamw --weight-decay 0.05 --decay-vectors false --clip-norm 1)
rows=(   # model, pixels a side, optimiser, highest rate
  "lenet5 32 sgd 0.05"
  "mobilenet_v1_0.25 32 sgd 0.2"
  "mobilenet_v3_small 32 sgd 0.1"
  "resnet20_he_cifar 32 sgd 0.4"
  "plain20_he_cifar 32 sgd 0.1"
  "efficientnet_b0 16 sgd 0.1"
  "mobilenet_v2_0.5 32 sgd 0.1"
  "swin_t 16 adamw 0.0005"
  "vit_tiny_p16 16 adamw 0.001"
  "convnext_tiny 16 adamw 0.001"
  "deit_tiny_distilled_p16 16 adamw 0.001"
  "googlenet 16 sgd 0.05"
  "se_resnet18 16 sgd 0.1"
  "resnet18 16 sgd 0.1"
  "vgg11_bn 32 sgd 0.05"
  "alexnet 32 sgd 0.02"
  "resnext50_32x4d 16 sgd 0.1"
)
mkdir -p "$runs"
printf '| model | pixels | optimiser, highest rate | train loss | validation top-1, %% | test top-1, %% | minutes |\n|---|---|---|---|---|---|---|\n'
for row in "${rows[@]}"; do
  read -r model size optimizer lr <<<"$row"
  out=$runs/$model
  if ! tail -n 1 "$out/metrics.jsonl" 2>/dev/null | grep -q test_top1; then
    rm -rf "$out"
    declare -n flags=$optimizer
    pixels=(--image-size "$size" --resize-size "$size" --crop-padding $((size / 8)))
    "$fovea" train --model "$model" --lr "$lr" "${pixels[@]}" "${recipe[@]}" "${flags[@]}" --out "$out" --json >"$out.log" 2>&1 ||
      { tail -n 3 "$out.log" >&2; continue; }
  fi
  python3 - "$out/metrics.jsonl" "$model" "$size" "$optimizer, $lr" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
print(f"| {' | '.join(sys.argv[2:])} | {lines[0]['train_loss']:.3f} | {100 * lines[0]['val_top1']:.2f} | {100 * lines[-1]['test_top1']:.2f} "
      f"| {lines[-1]['seconds'] / 60:.1f} |", flush=True)
PY
done
