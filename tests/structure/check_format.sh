#!/usr/bin/env bash
# check_format.sh ROOT [--fix]: C++ and CUDA files that clang-format would write differently; with --fix it does.
set -u
cd -- "$1" || exit 2
mapfile -d '' files < <(find fovea.h kernels tensor autograd nn optim vision examples tests bench \
  -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' \) -print0 2>/dev/null)
if [[ ${2:-} == --fix ]]; then
  clang-format -i "${files[@]}"
  exit
fi
differ=()
for file in "${files[@]}"; do
  clang-format "$file" | cmp -s - "$file" || differ+=("$file")
done
((${#differ[@]})) || { echo "${#files[@]} files are formatted"; exit 0; }
printf 'not formatted: %s\n' "${differ[@]}"
echo "${#differ[@]} of ${#files[@]} files differ; tests/structure/check_format.sh . --fix formats them"
exit 1
