# Pictures in folders, end to end: train, eval and predict on a few made-up pictures, in memory and from disk; what is wrong with folders.
. "$(dirname "$0")/expect.sh"
start "$@"

# picture FILE LEVEL SIZE: a PPM of one grey level.
picture() { { printf 'P6\n%d %d\n255\n' "$3" "$3"; head -c $(($3 * $3 * 3)) /dev/zero | tr '\0' "\\$(printf %o "$2")"; } >"$1"; }
# pictures FOLDER N SIZE: class dark, class light.
pictures() {
  mkdir -p "$1/dark" "$1/light"
  for i in $(seq "$2"); do
    picture "$1/dark/$i.ppm" $((20 + i)) $(($3 + i % ${4:-1}))
    picture "$1/light/$i.ppm" $((200 + i)) $(($3 + i % ${4:-1}))
  done
}
tiny=(--epochs 8 --batch 8 --lr 0.05 --crop-padding 1)

# One size: in memory; a validation part is split off, the test part is there.
pictures "p q/train" 20 12
pictures "p q/test" 5 12
expect 0 "$fovea" train --data "folder:p q" "${tiny[@]}" --flip true --threads 1 --out a
says out '^data p q: 36 training, 4 validation and 10 test pictures of 12 x 12 pixels, 2 classes, kept in memory$'
says out '^test accuracy  100.00 % \(0 of 10 wrong\)' && says out "eval --checkpoint a/best.safetensors --data 'folder:p q'"
expect 0 "$fovea" train --recipe a/recipe.toml --threads 2 --workers 3 --out b --json
says out '"test_top1":1.0'
for f in last best; do cmp a/$f.safetensors b/$f.safetensors || fail "$f differs with the number of threads and workers"; done
mv "p q" moved   # where pictures lie decides nothing
expect 0 "$fovea" train --recipe a/recipe.toml --data folder:moved --out c
cmp a/last.safetensors c/last.safetensors || fail "another place, other weights"
expect 0 "$fovea" train --data folder:moved "${tiny[@]}"
says out 'run folder runs/moved-resnet8_mnist-1$'

expect 0 "$fovea" eval --checkpoint a/best.safetensors --data folder:moved --json
[ "$(wc -l <out)" = 1 ] || fail "expected one line of JSON"
says out '"split":"test","images":10,"top1":1.0'
expect 0 "$fovea" eval --checkpoint a/best.safetensors --data folder:moved --split validation && says out 'validation: accuracy 100.00 % on 4 pictures'
expect 0 "$fovea" eval --checkpoint a/best.safetensors --data folder:moved --split train --limit 7 && says out 'on 7 pictures'
picture large.ppm 230 50
expect 0 "$fovea" predict --checkpoint a/best.safetensors moved/test/dark/1.ppm large.ppm "$source/tests/vision/pictures/cmyk.jpg" --json
head -1 out | grep -q '"class":"dark"' && sed -n 2p out | grep -q '"class":"light"' || fail "predict takes dark for light"

# Several sizes: from disk, resized; val/ there, test/ not.
pictures sizes/train 12 20 3
pictures sizes/val 3 30 2
resized=(--data folder:sizes --image-size 16 --epochs 4 --batch 8 --lr 0.05)
expect 0 "$fovea" train "${resized[@]}" --threads 1 --out d
says out '24 training and 6 validation pictures of several sizes, 2 classes, read from disk as needed'
says out 'no test pictures' && says out '^validation accuracy  [0-9.]+ %' && tail -1 d/metrics.jsonl | grep -q '"val_top1":.*"best_epoch"' || fail "no end"
expect 0 "$fovea" train "${resized[@]}" --threads 3 --workers 2 --out e
cmp d/last.safetensors e/last.safetensors || fail "workers change the result"
expect 1 "$fovea" train --resume e && one_line && says err 'nothing is left to resume'
expect 0 "$fovea" eval --checkpoint d/best.safetensors --data folder:sizes && says out 'folder:sizes validation: accuracy'
expect 0 "$fovea" predict --checkpoint d/best.safetensors sizes/val/dark/1.ppm

# Interrupted and resumed, from disk with augmentation.
"$fovea" train "${resized[@]}" --epochs 60 --flip true --out f >out 2>err &
pid=$!
for _ in $(seq 600); do [ -s f/last.safetensors ] && break; sleep 0.05; done
kill -INT $pid
wait $pid
[ $? = 130 ] && { expect 0 "$fovea" train --resume f; }
expect 0 "$fovea" train "${resized[@]}" --epochs 60 --flip true --out g
cmp f/last.safetensors g/last.safetensors || fail "differs after resuming"

# What is wrong: one line, exit code 1 for the world, 2 for the command line.
refuses() { local pattern=$1; shift; expect 1 "$fovea" "$@" && one_line && says err "$pattern"; }
usage() { local pattern=$1; shift; expect 2 "$fovea" "$@" && one_line && says err "$pattern"; }
rm -rf runs
usage '--data folder: expected a path' train --data folder
usage '--data: expected folder:PATH' train --data folder:
usage '--data: expected one of mnist\|folder:PATH, got .pictures' train --data pictures
usage '--resize-size: expected image_size to be set' train --data folder:sizes --resize-size 40
usage '--resize-size: expected at least image_size \(32\), got 31' train --data folder:sizes --image-size 32 --resize-size 31
usage '--crop: expected one of auto\|random\|resized\|center' train --crop middle
usage '--normalize mnist' train --data folder:sizes --normalize mnist
usage '--normalize imagenet: .* MNIST has one channel' train --normalize imagenet
usage '--data: expected one of mnist\|folder:PATH' eval --checkpoint a/best.safetensors --data sizes
refuses 'nowhere: no such folder' train --data folder:nowhere
refuses 'a: expected a folder train in it' train --data folder:a
pictures other/test 2 12 && mv other/test/dark other/test/black
refuses 'expected the 2 classes of folder:other, got a network for 2 others' eval --checkpoint a/best.safetensors --data folder:other
refuses 'expected train pictures, got none' eval --checkpoint a/best.safetensors --data folder:other --split train
refuses 'expected pictures of shape \(12, 12, 3\), got \(31, 31, 3\)' eval --checkpoint a/best.safetensors --data folder:sizes
: >sizes/train/dark/0.jpg
refuses 'sizes/train/dark/0.jpg: expected a picture, got an empty file' train --data folder:sizes
echo "no picture" >sizes/train/dark/0.jpg
refuses 'sizes/train/dark/0.jpg: not a picture that can be read' train --data folder:sizes
cp "$source/tests/vision/pictures/truncated.jpg" sizes/train/dark/0.jpg
refuses 'sizes/train/dark/0.jpg: damaged picture: Premature end of JPEG file' train "${resized[@]}" --out h
rm -rf runs h
expect 0 "$fovea" train "${resized[@]}" --epochs 1 --damaged skip --out i
says err 'left out: sizes/train/dark/0.jpg: damaged picture' && says out '24 training and 6 validation'
rm -r sizes/val/light
refuses 'sizes/val: expected the 2 classes of sizes/train, got no folder light' train --data folder:sizes
mkdir sizes/val/light
refuses 'sizes/val/light: expected pictures of this class, got none' train --data folder:sizes
[ -e runs ] && fail "bad data left a run folder"
true
