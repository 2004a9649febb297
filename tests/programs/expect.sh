# expect.sh: what the scripts share. Usage: . expect.sh; start "$@"  -> $fovea, $source, and an empty current folder.
start() {
  fovea=$1 source=$3
  rm -rf "$2" && mkdir -p "$2" && cd "$2" || exit 1
  unset FOVEA_DATA FOVEA_THREADS FOVEA_ISA
}
# A training run of seconds.
small=(--train-limit 640 --eval-limit 200 --epochs 2 --batch 64)

fail() {
  echo "FAILED: $*"
  for f in out err; do [ -s $f ] && { echo "--- $f"; head -20 $f; }; done
  exit 1
}
# expect CODE COMMAND...: runs it, output in ./out and ./err, and checks its exit code.
expect() {
  local code=$1
  shift
  "$@" >out 2>err
  local got=$?
  [ $got = "$code" ] || fail "exit code $got instead of $code: $*"
}
# says FILE PATTERN: an extended regular expression occurs in it.
says() { grep -Eq -- "$2" "$1" || fail "$1 does not say: $2"; }
# one_line: standard error is a single line.
one_line() { [ "$(wc -l <err)" = 1 ] || fail "expected one line on standard error"; }
