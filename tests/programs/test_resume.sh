# Ctrl-C finishes the step, saves and says how to resume; the resumed run ends with the bytes of one that was left alone.
. "$(dirname "$0")/expect.sh"
start "$@"
run=(--train-limit 2560 --eval-limit 100 --epochs 3 --batch 64 --stochastic-depth 0.2 --recompute true)

expect 0 "$fovea" train "${run[@]}" --out whole

interrupted=no
for wait in 0.3 0.1 0.6 1.5 3; do   # a slow build needs longer to its first step; a fast one may have ended
  rm -rf cut out
  "$fovea" train "${run[@]}" --out cut >out 2>err &
  pid=$!
  for _ in $(seq 600); do [ -s out ] && break; sleep 0.1; done   # its first line: it listens to signals by now
  sleep $wait
  kill -INT $pid
  wait $pid
  code=$?
  if [ $code = 130 ]; then interrupted=yes && break; fi
done
[ $interrupted = yes ] || fail "never interrupted: last exit code $code"
says err 'interrupted: saved in cut/last.safetensors' && says err 'train --resume cut'
[ -s cut/last.safetensors ] || fail "nothing saved"
grep -q test_top1 cut/metrics.jsonl 2>/dev/null && fail "an interrupted run has a test result"

expect 0 "$fovea" train --resume cut --threads 1
for f in last best; do cmp cut/$f.safetensors whole/$f.safetensors || fail "$f differs after resuming"; done
[ "$(wc -l <cut/metrics.jsonl)" = 4 ] || fail "expected three epochs and a test result"
expect 1 "$fovea" train --resume cut && one_line

says cut/recipe.toml '^recompute = true' && says cut/recipe.toml '^stochastic_depth = 0\.2'
expect 2 "$fovea" train --resume cut --recompute false && one_line && says err 'begun with true'

# Killed outright, at any time: what is there resumes to the same end.
"$fovea" train "${run[@]}" --out killed >out 2>err &
pid=$!
for _ in $(seq 600); do [ -s killed/last.safetensors ] && break; sleep 0.05; done
kill -KILL $pid
wait $pid 2>/dev/null
grep -q test_top1 killed/metrics.jsonl || expect 0 "$fovea" train --out killed --resume
cmp killed/last.safetensors whole/last.safetensors || fail "differs after a kill"
