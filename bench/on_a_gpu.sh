#!/usr/bin/env bash
# on_a_gpu.sh: all that needs a GPU, in one run: the tests of CUDA, the same under compute-sanitizer, the benches beside cuBLAS and PyTorch. Writes
# bench/results/DATE-CARD.md, which says of every part whether it passed; the exit code is 1 if one did not.
#
#   bench/on_a_gpu.sh BUILD [PYTHON]      BUILD: configured with -DFOVEA_CUDA=ON -DFOVEA_TESTS=ON -DFOVEA_BENCH=ON, and built
#                                         PYTHON: has PyTorch for CUDA, torchvision and timm; without it nobody is beside ours
#
# LIMIT=SECONDS (default 1200) bounds every part. What a part printed lies in BUILD/on_a_gpu/.
set -uo pipefail

(($# == 1 || $# == 2)) || { sed -n '2,9s/^# \?//p' "$0" >&2; exit 2; }
readonly root=$(cd -- "$(dirname -- "$0")/.." && pwd) build=$(cd -- "$1" && pwd) python=${2:-} limit=${LIMIT:-1200}
readonly bench=$build/bin/fovea_bench logs=$build/on_a_gpu
[[ -x $bench && -x $build/tests/test_cuda ]] || { echo "on_a_gpu.sh: expected $bench and $build/tests/test_cuda to be built" >&2; exit 1; }
card=$("$bench" gemm --device cuda --only 256x --repeats 1) || exit 1   # its message says what is missing
card=${card%%,*}
mkdir -p -- "$logs"
readonly table=$root/bench/results/$(date +%F)-$(tr -c 'a-z0-9\n' '-' <<<"${card,,}" | tr -s -).md
failed=0

# part NAME COMMAND...: runs it, with a line in the table; its output is in a log, whose last lines are shown where it fails.
part() {
  local name=$1 log started=$SECONDS code word=passed
  log=$logs/$(tr -c 'a-zA-Z0-9\n' '-' <<<"$name").log
  shift
  timeout "$limit" "$@" >"$log" 2>&1
  code=$?
  ((code == 0)) || { word="**failed** (exit code $code)" failed=1; tail -n 15 "$log" >&2; }
  printf '| %s | %s | %d |\n' "$name" "$word" $((SECONDS - started)) | tee -a "$table"
}

{
  printf '# %s\n\nWritten by `bench/on_a_gpu.sh` on %s, commit %s' "$card" "$(date +%F)" "$(git -C "$root" describe --always --dirty)"
  printf '; driver %s' "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)"
  [[ -n $python ]] && printf '; PyTorch %s' "$("$python" -c 'import torch; print(torch.__version__)')"
  printf '.\n\n## Tests\n\n| part | result | seconds |\n|---|---|---:|\n'
} >"$table"

for program in "$build"/tests/test_{cuda,tensor,autograd,nn,optim,vision}; do
  part "$(basename "$program")" "$program" --gtest_filter='*Cuda*' --gtest_brief=1
done
export FOVEA_DEVICE_REPEATS=1   # the sanitizers are slow, and see more than other bits
if sanitizer=$(command -v compute-sanitizer); then
  for tool in memcheck initcheck racecheck synccheck; do
    part "test_cuda under $tool" "$sanitizer" --tool $tool --error-exitcode 1 "$build/tests/test_cuda" --gtest_brief=1
  done
fi
unset FOVEA_DEVICE_REPEATS

printf '\n## Benches\n' >>"$table"
for group in gemm conv attention elementwise norm models; do
  for precision in float32 tf32 bf16; do
    [[ $precision == tf32 && ! $group =~ ^(gemm|models)$ ]] && continue   # products of linear layers alone
    log=$logs/bench-$group-$precision.txt
    timeout "$limit" "$bench" "$group" --device cuda --precision $precision ${python:+--peer "$python"} >"$log" 2>"$log.err" ||
      { failed=1; echo "bench $group $precision: failed" | tee -a "$log"; tail -n 5 "$log.err" >&2; }
    printf '\n`%s --precision %s`\n\n```\n%s\n```\n' "$group" $precision "$(<"$log")" >>"$table"
  done
done
echo "written: $table"
exit $failed
