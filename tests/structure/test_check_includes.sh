#!/usr/bin/env bash
# test_check_includes.sh: does check_includes.sh see what it should? A made-up tree with one violation of each kind.
set -u
here=$(dirname -- "$(readlink -f -- "$0")")
tree=$(mktemp -d) && trap 'rm -rf -- "$tree"' EXIT
mkdir -p "$tree"/{kernels/cpu,tensor,nn,optim,examples,tests/nn}

file() { printf '%s\n' "${@:2}" >"$tree/$1"; }
file kernels/gemm.h '#include <cstdint>'
file kernels/cpu/simd.h '#include <immintrin.h>'
file kernels/gemm_cpu.cpp '#include "kernels/cpu/simd.h"'
file tensor/tensor.h '#include <vector>' '#include "kernels/gemm.h"'
file nn/linear.cpp '#include <fmt/core.h>' '#include "tensor/tensor.h"'
file fovea.h '#include "tensor/tensor.h"'
file examples/mnist.cpp '#include "fovea.h"' '#include <stb/stb_image.h>'
file tests/nn/numbers.h ''
file tests/nn/test_linear.cpp '#include "fovea.h"' '#include "numbers.h"' '#include "kernels/cpu/simd.h"'

failures=0
# expect CODE WHAT
expect() {
  local code=0
  bash "$here/check_includes.sh" "$tree" >"$tree/output" || code=1
  [[ $code == "$1" && $(wc -l <"$tree/output") == "$1" ]] && return
  echo "$2: expected $1 violation(s), got:"; cat "$tree/output"; failures=$((failures + 1))
}
# reject WHAT FILE LINE: with this file there is one violation
reject() { file "$2" "$3"; expect 1 "$1"; rm "$tree/$2"; }

expect 0 "a tree without violations"
reject "tensor includes nn" tensor/bad.h '#include "nn/linear.h"'
reject "optim includes nn" optim/bad.cpp '#  include "nn/linear.cpp"'
reject "kernels includes tensor" kernels/bad.cu '#include "tensor/tensor.h"'
reject "a third-party library in a public header" tensor/bad.h '#include <fmt/core.h>'
reject "a C header in a public header" tensor/bad.h '#include <zlib.h>'
reject "the umbrella header in a library" nn/bad.cpp '#include "fovea.h"'
reject "vector code outside *_cpu.cpp" kernels/bad.cpp '#include "kernels/cpu/simd.h"'
reject "vector code in a program" examples/bad.cpp '#include "kernels/cpu/simd.h"'
reject "a relative path" nn/bad.cpp '#include "linear.h"'
reject "a file that is not there" nn/bad.cpp '#include "nn/missing.h"'
((failures == 0))
