# `models` and `summary`: tables for people, JSON for programs, exact numbers, clear refusals, within a moment.
. "$(dirname "$0")/expect.sh"
start "$@"

usage() {   # usage PATTERN ARGUMENTS...
  local pattern=$1
  shift
  expect 2 "$fovea" "$@" && one_line && says err "$pattern"
}

expect 0 "$fovea" models
says out '^resnet50 +25,557,032 +4,089,184,256 +224 +76\.13[a-z] +2016  He et al\. 2016, arXiv:1512\.03385$'
says out '^googlenet +6,624,904 +1,498,376,192 '   # without auxiliary heads
says out '^lenet5 +61,706 +416,520 +32 +99\.05'
says out '^plain20_he_cifar .* - +2016'            # nobody published its accuracy
[ "$(awk 'length > 120' out | wc -l)" = 0 ] || fail "lines of more than 120 columns"
count=$(grep -oE '^[0-9]+ models' out | cut -d' ' -f1)
expect 0 "$fovea" models MobileNet && says out '^mobilenet_v2 ' && says out '^10 models'
! grep -q resnet out || fail "the filter let others pass"
expect 0 "$fovea" models --json
[ "$(grep -c '"macs":' out)" = "$count" ] || fail "as many objects as lines"
says out '"name": "vit_l_16"' && says out '"params": 304326632' && says out '"macs": 61554712576' && says out '"top1": 79.662'
if command -v python3 >/dev/null; then
  python3 - <<'PY' || fail "not the JSON that was promised"
import json
models = json.load(open("out"))
for m in models:
    assert {"name", "params", "macs", "size", "top1", "paper", "year"} <= m.keys(), m
    assert m["params"] > 0 and m["macs"] > 0 and 1998 <= m["year"] <= 2022, m
assert next(m for m in models if m["name"] == "swin_t")["macs"] == 4490566656
PY
fi
usage "no model with 'resnt50'.*did you mean resnet50" models resnt50

expect 0 "$fovea" summary resnet18
says out '^resnet18 +\(1, 1000\) +11,689,512 +1,814,073,344 +100\.0 %'
says out '^layer1\.0\.conv1 +\(1, 56, 56, 64\) +36,864 +115,605,504 +6\.4 % +833 KiB$'
says out '^layer1\.0\.bn1 +fused +128 '
says out '^layer4 +\(1, 7, 7, 512\) '
for model in vit_l_16 efficientnet_b7 swin_b googlenet; do
  expect 0 "$fovea" summary $model --train
  [ "$(awk 'length > 120' out | wc -l)" = 0 ] || fail "$model: lines of more than 120 columns"
done
expect 0 "$fovea" summary vit_b_16 --depth 1 --batch 4
says out '^encoder .* 69,[0-9,]+ '
! grep -q 'encoder\.layers' out || fail "--depth 1 did not fold"
expect 0 "$fovea" summary resnet20_he_cifar --size 32 --classes 10 --train --batch 128
says out '^adamw +1\.1[0-9] MiB +1\.1[0-9] MiB +2\.[0-9]+ MiB'
says out '^sgd '
kept() { awk '$1 == "'"$1"'" { print $(NF-1), $NF }' out; }
expect 0 "$fovea" summary resnet50 --batch 8 && before=$(kept resnet50)
expect 0 "$fovea" summary resnet50 --batch 8 --recompute
[ "$(kept resnet50)" != "$before" ] || fail "--recompute changed nothing"

usage 'unknown model .resnet19. .did you mean resnet18' summary resnet19
usage 'vgg11 does not take images of size 16; the smallest size from there on is 32' summary vgg11 --size 16
usage 'lenet5 does not take images of size 300; one that it takes is 28' summary lenet5 --size 300
usage 'vit_b_16 does not take images of size 100; the smallest size from there on is 112' summary vit_b_16 --size 100
usage 'resnet18 cannot be trained with batch 1.*more than one value per channel' summary resnet18 --size 32 --train
usage 'vgg11: expected no recompute' summary vgg11 --recompute
usage '--size' summary resnet18 --size 0
usage '--batch' summary resnet18 --batch -1
usage 'model' summary
usage 'resnet8_mnist: expected no dropout' train --dropout 0.1
[ -e runs ] && fail "a refused command line left a run folder"
exit 0
