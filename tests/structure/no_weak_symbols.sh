#!/usr/bin/env bash
# no_weak_symbols.sh OBJECT...: fails if an object file compiled for AVX2 or AVX-512 defines a weak or unique symbol. The linker
# keeps one copy of those for the whole program, and on a CPU without AVX-512 it might be the AVX-512 one. DW.ref.* are
# pointers of the exception tables, no code.
set -u
[ $# -gt 0 ] || { echo "no object files given"; exit 2; }
found=0
for object in "$@"; do
  symbols=$(nm --demangle "$object") || exit 2
  [ -n "$symbols" ] || { echo "$object: no symbols at all"; found=1; }
  weak=$(grep -E '^[0-9a-f]+ [WVu] ' <<<"$symbols" | grep -v ' DW\.ref\.')
  [ -z "$weak" ] || { echo "$object:"; echo "$weak"; found=1; }
done
exit $found
