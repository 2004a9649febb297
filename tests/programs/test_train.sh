# `fovea train` and `fovea eval` on a part of MNIST: the run folder, the summary, JSON, and the same bytes for any number of threads.
. "$(dirname "$0")/expect.sh"
start "$@"

expect 0 "$fovea" --version && says out '^fovea [0-9]+\.[0-9]+'
expect 0 "$fovea" --help && says out 'train' && says out 'predict'
expect 0 "$fovea" train --help && says out '--label-smoothing .*0\.1'

expect 0 "$fovea" train "${small[@]}" --threads 1 --out "with space"
head -1 out | grep -Eq '^device cpu \((baseline|avx2|avx512)\), 1 thread, model resnet8_mnist with [0-9,]+ parameters' || fail "first line"
says out 'test accuracy +[0-9.]+ %' && says out 'most confused' && says out "eval --checkpoint 'with space'/best.safetensors"
for f in recipe.toml metrics.jsonl last.safetensors best.safetensors wrong.png; do [ -s "with space/$f" ] || fail "no $f"; done
[ "$(head -c 4 "with space/wrong.png" | tail -c 3)" = PNG ] || fail "wrong.png is no PNG"
[ "$(wc -l <"with space/metrics.jsonl")" = 3 ] || fail "expected two epochs and a test result"
for key in epoch train_loss val_loss val_top1 lr images_per_s seconds; do
  [ "$(grep -c "\"$key\":" "with space/metrics.jsonl")" -ge 2 ] || fail "metrics lack $key"
done
tail -1 "with space/metrics.jsonl" | grep -Eq '"test_top1":(0\.[0-9]+|1\.0)' || fail "no test_top1"

# The default folder; the recipe that was written; JSON on standard output and nothing else there.
expect 0 "$fovea" train --recipe "with space/recipe.toml" --threads 2 --json
[ "$(wc -l <out)" = 1 ] || fail "expected one line of JSON"
says out '^\{"run":"runs/mnist-resnet8_mnist-1","test_top1":'
for f in last best; do cmp "with space/$f.safetensors" "runs/mnist-resnet8_mnist-1/$f.safetensors" || fail "1 and 2 threads differ"; done
expect 0 "$fovea" train "${small[@]}" --threads 3 --seed 1
cmp -s runs/mnist-resnet8_mnist-{1,2}/last.safetensors && fail "another seed, the same weights"

# eval agrees with the training's own test
top1=$(tail -1 runs/mnist-resnet8_mnist-1/metrics.jsonl | sed 's/.*"test_top1":\([0-9.]*\).*/\1/')
expect 0 "$fovea" eval --checkpoint runs/mnist-resnet8_mnist-1/best.safetensors --data mnist --limit 200 --json
says out "\"images\":200,\"top1\":$top1,"
expect 0 "$fovea" eval --checkpoint runs/mnist-resnet8_mnist-1/last.safetensors --data mnist --split validation --limit 200
says out 'mnist validation: accuracy [0-9.]+ % on 200 pictures'

# a run is not overwritten
before=$(cksum <"with space/best.safetensors")
expect 1 "$fovea" train "${small[@]}" --out "with space"
one_line && says err 'holds a run already' && says err '--resume'
[ "$before" = "$(cksum <"with space/best.safetensors")" ] || fail "best.safetensors changed"
