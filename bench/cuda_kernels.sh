#!/usr/bin/env bash
# cuda_kernels.sh: two tables about the CUDA kernels that need no GPU, written to bench/results/.
#
#   bench/cuda_kernels.sh BUILD
#
# cuda-counters.md: which kernels serve each operation and what they ask of the machine on aligned shapes, from the traffic tests on the
# emulated device (BUILD/tests/test_cuda). cuda-registers.md: registers, stack and spills of each kernel on sm_80 and sm_90, from ptxas, if nvcc
# is there.
set -euo pipefail

(($# == 1)) || { sed -n '2,9s/^# \?//p' "$0" >&2; exit 2; }
readonly root=$(cd -- "$(dirname -- "$0")/.." && pwd) build=$1
readonly results=$root/bench/results
readonly work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# ---- counters ------------------------------------------------------------------------------------------------------------

FOVEA_COUNTERS=$work/counters "$build/tests/test_cuda" --gtest_brief=1 >"$work/log" || { cat "$work/log" >&2; exit 1; }
{
  cat <<'TEXT'
# What the CUDA kernels ask of the machine

Written by `bench/cuda_kernels.sh` from the traffic tests on the emulated device: one line for each launch, shapes that are multiples of the
tiles. Bytes of global memory are those that threads ask for; "x sectors" is how many times as much the 32-byte sectors move that serve them;
"x wavefronts" how many times the least passes through the banks of shared memory take place; async is the share of loads that
`cp.async` brings to shared memory.

| operation | kernel | blocks x threads | shared memory | loads | stores | x sectors | x wavefronts | mma | async |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
TEXT
  sort -s -t'|' -k2,2 "$work/counters" | sed -e 's/(fovea::kernels::Major)0/Major::k/g; s/(fovea::kernels::Major)1/Major::line/g' \
    -e 's/fovea::kernels:://g; s/fovea:://g; s/ >/>/g; s/  */ /g'
} >"$results/cuda-counters.md"
echo "written: $results/cuda-counters.md"

# ---- registers -----------------------------------------------------------------------------------------------------------

nvcc=$(command -v nvcc || true)
[[ -n $nvcc ]] || { echo "no nvcc: cuda-registers.md stays as it is"; exit 0; }

# ptxas' lines of one file as "arch|mangled|registers|stack|spill stores|spill loads".
readonly digest='
  /Compiling entry function/ { split($0, part, "\x27"); name = part[2]; arch = part[4] }
  /Function properties for/ { of = $NF }
  /bytes stack frame/ && of == name { stack = $1; stores = $5; loads = $9 }
  /Used [0-9]+ registers/ { match($0, /Used [0-9]+/); print arch "|" name "|" substr($0, RSTART + 5, RLENGTH - 5) "|" stack "|" stores "|" loads }'
for file in "$root"/kernels/*_cuda.cu; do
  "$nvcc" -std=c++20 -O3 --fmad=false --expt-relaxed-constexpr --Werror=all-warnings -I "$root" -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 \
    -Xptxas -v -c "$file" -o "$work/object.o" >"$work/log" 2>&1 || { grep -v '^ptxas info\|bytes stack' "$work/log" >&2; exit 1; }
  awk "$digest" "$work/log" | sed "s/^/$(basename "$file")|/" >>"$work/ptxas"
done
{
  cat <<TEXT
# Registers of the CUDA kernels

Written by \`bench/cuda_kernels.sh\` from \`ptxas -v\` of $("$nvcc" --version | grep -o 'release [0-9.]*' | sed 's/release/CUDA/'). Spills are bytes stored and loaded by a thread; stack is
local memory of a thread.

| file | kernel | registers sm_80, sm_90 | stack | spills |
|---|---|---:|---:|---:|
TEXT
  paste -d'|' "$work/ptxas" <(cut -d'|' -f3 "$work/ptxas" | c++filt) | awk -F'|' '
    {
      kernel = $8
      sub(/^void /, "", kernel)
      gsub(/fovea::kernels::/, "", kernel)
      gsub(/\(anonymous namespace\)::|_GLOBAL__N__[0-9a-z_]*::/, "", kernel)
      gsub(/fovea::/, "", kernel)
      depth = 0                                       # without its arguments: what stands before the ( outside of < >
      for (i = 1; i <= length(kernel); ++i) {
        c = substr(kernel, i, 1)
        if (c == "<") ++depth
        if (c == ">" && substr(kernel, i - 1, 1) != "-") --depth
        if (c == "(" && depth == 0) break
      }
      kernel = substr(kernel, 1, i - 1)
      gsub(/\|/, "\\|", kernel)
      key = $1 "|" kernel
      if (!(key in registers)) order[++count] = key
      registers[key] = registers[key] (key in registers && registers[key] != "" ? ", " : "") $4
      if ($5 > stack[key]) stack[key] = $5
      if ($6 + $7 > spills[key]) spills[key] = $6 + $7
    }
    END {
      for (n = 1; n <= count; ++n) {
        split(order[n], part, "|")
        printf "| %s | `%s` | %s | %d | %d |\n", part[1], substr(order[n], length(part[1]) + 2), registers[order[n]], stack[order[n]], spills[order[n]]
      }
    }' | sort -s
} >"$results/cuda-registers.md"
echo "written: $results/cuda-registers.md"
