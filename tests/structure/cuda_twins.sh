#!/usr/bin/env bash
# cuda_twins.sh NM without_cuda.cpp libfovea_cuda.a: every Cpu kernel has a Cuda twin, but for those named here.
#   fill_normal, fill_uniform   random numbers that are not masks are drawn on the host
#   convert from and to double  double lives on the host
#   the others                  templates of headers over any backend
set -u
missing=$(comm -23 <(grep -o '_ZN5fovea[A-Za-z0-9_]*' "$2" | sort -u) <("$1" --defined-only "$3" 2>/dev/null | grep -o '_ZN5fovea[A-Za-z0-9_]*' | sort -u) |
  c++filt | grep -vE 'fill_(normal|uniform)|convert<.*double|reduce_workspace_bytes<[a-z0-9:]*, fovea::kernels::Cuda>|sum_(rows|cols)<fovea::kernels::Cuda')
[[ -z $missing ]] || { printf 'Cpu kernels without a Cuda twin:\n%s\n' "$missing"; exit 1; }
