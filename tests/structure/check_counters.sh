#!/usr/bin/env bash
# check_counters.sh ROOT: kernels without a line in bench/results/cuda-counters.md, which says what each of them asks of the machine.
set -u
cd -- "$1" || exit 2
table=bench/results/cuda-counters.md
[[ -r $table ]] || { echo "$table: not there"; exit 2; }
# What stands before the arguments: __global__ void __launch_bounds__(...) NAME(, on one line or on two.
mapfile -t kernels < <(cat kernels/*.cu kernels/cuda*.h | sed 's,//.*,,' | tr '\n' ' ' | grep -oE '__global__ +void +(__launch_bounds__\(([^()]|\([^()]*\))*\) *)?[a-z0-9_]+\(' |
  sed -E 's/.*[ )]([a-z0-9_]+)\($/\1/' | sort -u)
((${#kernels[@]})) || { echo "no kernels found"; exit 2; }
missing=0
for kernel in "${kernels[@]}"; do
  grep -qE "\| \`${kernel}[\`<]" "$table" || { echo "$table: no line about $kernel"; missing=$((missing + 1)); }
done
((missing == 0)) && echo "${#kernels[@]} kernels, a line about each" && exit 0
echo "$missing of ${#kernels[@]} kernels are missing: give launches_of() in tests/cuda a case that runs them, then bench/cuda_kernels.sh"
exit 1
