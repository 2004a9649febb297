# The programs on a GPU, real or emulated: they say which first; what they train is what the CPU trains but for roundings, resumes with the same
# bits, and is evaluated and used there.   test_device.sh FOVEA WORK SOURCE [FOVEA_WITHOUT_CUDA], where FOVEA has the emulated one if there is a fourth
. "$(dirname "$0")/expect.sh"
start "$@"
without=${4:-}
device='^device cuda \('
[ -n "$without" ] && device+='emulated .*speed means nothing'
if [ -z "$without" ] && ! nvidia-smi -L 2>/dev/null | grep -q 'GPU 0'; then
  expect 1 "$fovea" train --device cuda --out none && one_line && says err '^fovea: device cuda: no CUDA device: '
  [ -e none ] && fail "a run folder without a run"
  echo "SKIPPED: no GPU"
  exit 77
fi
run=(--model lenet5 --train-limit 4 --batch 4 --eval-limit 2 --epochs 2 --lr 0.05)
loss() { grep -o '"train_loss":[0-9.]*' "$1/metrics.jsonl" | cut -d: -f2; }

expect 0 "$fovea" train "${run[@]}" --out cpu
for precision in float32 bf16; do
  expect 0 "$fovea" train "${run[@]}" --device cuda --precision $precision --out $precision
  head -1 out | grep -Eq "$device" || fail "the first line does not name the device"
  paste <(loss cpu) <(loss $precision) | awk -v limit=$([ $precision = bf16 ] && echo 0.02 || echo 0.0001) \
    '{ d = $1 - $2; if (d < -limit || d > limit) exit 1 } END { exit NR != 2 }' || fail "$precision: other losses than on the CPU: $(loss cpu) and $(loss $precision)"
done

# Linear layers by cuBLAS; the emulated one's sums have our order, but the bias is added behind them.
cublas=yes
"$fovea" train "${run[@]}" --device cuda --gemm cublas --out cublas >out 2>err || { cublas=; says err 'built without it'; }
if [ $cublas ]; then
  paste <(loss cpu) <(loss cublas) | awk '{ d = $1 - $2; if (d < -0.0001 || d > 0.0001) exit 1 } END { exit NR != 2 }' ||
    fail "cublas: other losses than on the CPU: $(loss cpu) and $(loss cublas)"
fi

# A step that is recorded and replayed.
expect 0 "$fovea" train "${run[@]}" --device cuda --graph true --out graph
cmp graph/last.safetensors float32/last.safetensors || fail "a replayed step has other bits"
if [ $cublas ]; then
  expect 0 "$fovea" train "${run[@]}" --device cuda --gemm cublas --graph true --out "cublas graph"
  cmp "cublas graph/last.safetensors" cublas/last.safetensors || fail "a replayed step with cuBLAS has other bits"
fi

# Killed after its first epoch.
"$fovea" train "${run[@]}" --device cuda --out killed >out 2>err &
pid=$!
for _ in $(seq 600); do [ -s killed/last.safetensors ] && break; sleep 0.05; done
kill -KILL $pid
wait $pid 2>/dev/null
expect 0 "$fovea" train --resume killed
cmp killed/last.safetensors float32/last.safetensors || fail "differs after a kill"

for where in cpu "cuda --precision bf16" "cuda --precision tf32" cuda; do
  expect 0 "$fovea" eval --checkpoint float32/best.safetensors --limit 2 --device $where --json
  says out '"top1":' && grep -o '"loss":[0-9.]*' out >"loss $where"
done
cmp -s "loss cpu" "loss cuda --precision bf16" && fail "bf16 evaluates with float32's bits"
cmp -s "loss cuda" "loss cuda --precision tf32" && fail "tf32 evaluates with float32's bits"
paste -d: "loss cpu" "loss cuda" | awk -F: '{ d = $2 - $4; exit d < -1e-4 || d > 1e-4 }' || fail "another loss than on the CPU"
head -1 err | grep -Eq "$device" || fail "eval --json does not name the device"

expect 0 "$fovea" export float32/best.safetensors weights.safetensors
zcat "$source/data/mnist/t10k-images-idx3-ubyte.gz" | { head -c 16 >/dev/null; printf 'P5\n28 28\n255\n'; head -c 784; } >digit.pgm
expect 0 "$fovea" predict --checkpoint float32/best.safetensors --device cuda digit.pgm && says out "$device" && says out '%'

# A program without it.
[ -n "$without" ] || exit 0
expect 1 "$without" train "${run[@]}" --device cuda --out none && one_line && says err '^fovea: device cuda: .*built without CUDA'
[ -e none ] && fail "a run folder without a run"
expect 2 "$without" train --gemm cublas && one_line && says err 'gemm: expected device cuda'
expect 2 "$without" train --device reference --precision bf16 && one_line && says err 'precision'
for command in train "eval --checkpoint float32/best.safetensors"; do
  expect 2 "$without" $command --precision tf32 && one_line && says err 'precision: expected device cuda'
done
exit 0
