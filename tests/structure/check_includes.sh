#!/usr/bin/env bash
# check_includes.sh ROOT: prints every #include that goes against the design; succeeds when there is none.
#
#   examples -> vision -> nn, optim -> autograd -> tensor -> kernels      and fovea.h, which includes what users want
#
# 1. A folder includes itself and what the arrows reach.
# 2. A public header (every .h of these folders but examples) includes the standard library and Fovea, nothing else. The headers of .cu
#    files, kernels/cuda*.h and kernels/emulator/, are not public.
# 3. Within these folders kernels/cpu/ (vector code, one namespace per instruction set) is for kernels/**/*_cpu.cpp alone; but
#    isa.h, which only tells and sets the instruction set, is for everybody.
# tests/ and bench/ may include anything, also files beside them.
set -u
cd -- "$1" || exit 2

declare -A reach=(
  [kernels]="kernels"
  [tensor]="tensor kernels"
  [autograd]="autograd tensor kernels"
  [nn]="nn autograd tensor kernels"
  [optim]="optim autograd tensor kernels"
  [vision]="vision nn optim autograd tensor kernels"
  [examples]="examples vision nn optim autograd tensor kernels"
)

violations=0
complain() { printf '%s:%s: %s\n' "$1" "$2" "$3"; violations=$((violations + 1)); }

while IFS=: read -r file line text; do
  file=${file#./}
  folder=${file%%/*}
  [[ $text =~ ^[[:space:]]*\#[[:space:]]*include[[:space:]]*([\"\<])([^\"\>]+)[\"\>] ]] || continue
  kind=${BASH_REMATCH[1]} name=${BASH_REMATCH[2]}
  if [[ $kind == '"' ]]; then
    target=${name%%/*}
    if [[ -n ${reach[$folder]:-} && $name != fovea.h && " ${reach[$folder]} " != *" $target "* ]]; then
      complain "$file" "$line" "$folder may include ${reach[$folder]// /, }, not \"$name\""
    elif [[ $name == fovea.h && $folder != examples && $folder != tests && $folder != bench ]]; then
      complain "$file" "$line" "fovea.h is for programs; include what is used"
    elif [[ ! -e $name && ( -n ${reach[$folder]:-} || ! -e ${file%/*}/$name ) ]]; then
      complain "$file" "$line" "\"$name\" is not a path from the root"
    elif [[ -n ${reach[$folder]:-} && $name == kernels/cpu/* && $name != kernels/cpu/isa.h &&
            $file != kernels/cpu/* && $file != kernels/*_cpu.cpp ]]; then
      complain "$file" "$line" "\"$name\" is for kernels/*_cpu.cpp"
    fi
  elif [[ ( $file == *.h && -n ${reach[$folder]:-} && $folder != examples && $file != kernels/cpu/* && $file != kernels/cuda*.h && $file != kernels/emulator/*.h || $file == fovea.h ) && $name == *[./]* ]]; then
    complain "$file" "$line" "a public header includes the standard library and Fovea only, not <$name>"
  fi
done < <(find . \( -name build -o -name runs -o -name .git -o -path ./tests/consumer \) -prune -o \
  -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' \) -exec grep -HnE '^[[:space:]]*#[[:space:]]*include' {} +)

((violations == 0))
