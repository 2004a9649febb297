# Every case of the benches runs, on the CPU and on a GPU, real or emulated, in each precision; what cannot be timed is refused. Times are not looked at.
#   test_bench.sh FOVEA_BENCH WORK SOURCE [FOVEA_BENCH_EMULATED]
. "$(dirname "$0")/expect.sh"
start "$@"
emulated=${4:-}
bench=$fovea

# GROUP CASES: how many lines say that a case ran.
groups() {
  local where=$1 precision=$2 program=$3 group cases
  while read -r cases group; do
    expect 0 "$program" $group --once --device "$where" --precision "$precision"
    [ "$(grep -c ' ran$' out)" = "$cases" ] || fail "$group on $where in $precision: expected $cases cases"
  done <<'TEXT'
5 gemm --only linear
27 conv --set resnet
24 conv --set grouped
21 elementwise
18 norm
12 attention
2 models lenet5 --batch 2
TEXT
}
for precision in float32 bf16; do groups cpu $precision "$bench"; done
expect 0 "$bench" models vit_b_16 --batch 1 --image-size 32 --once && says out '^models: vit_b_16, batch 1, training ran$'

expect 0 "$bench" elementwise --only ema --repeats 1 && says out '^ema .*%.*%$'
expect 0 "$bench" norm --only 'softmax gradient' --repeats 1 --json && says out '"percent_of_floor":[0-9]' && says out '"GB/s":[0-9]'
expect 0 "$bench" models lenet5 --repeats 1 --only inference --json && says out '"images/s":[0-9]' && says out '"percent_of_peak":[0-9]'

expect 2 "$bench" gemm --precision tf32 && says err 'tf32'
expect 2 "$bench" gemm --device tpu
expect 2 "$bench" models --batch 0
expect 1 "$bench" models resnet51 && one_line && says err "resnet50"
expect 1 "$bench" models lenet5 --image-size 64 && one_line && says err 'LeNet-5: expected pictures of 28x28 to 32x32'
expect 1 "$bench" elementwise --only ema --peer false && says err '^fovea_bench: --peer: expected a Python'

gpu=$emulated   # or a real one
if "$bench" gemm --device cuda --once >out 2>err; then gpu=$bench; else one_line && says err 'device cuda: (this program was built without|no) CUDA'; fi
[ -n "$gpu" ] || exit 0
for precision in float32 tf32 bf16; do groups cuda $precision "$gpu"; done
[ -n "$emulated" ] || exit 0
expect 1 "$emulated" norm --device cuda && one_line && says err 'speed means nothing: expected --once'
exit 0
