# `fovea predict` on pictures made from the test set.
. "$(dirname "$0")/expect.sh"
start "$@"
expect 0 "$fovea" train --train-limit 3840 --eval-limit 200 --epochs 2 --batch 64 --out run

# Test pictures as PGM: 784 bytes each behind a header of 16. The first four are 7, 2, 1, 0.
zcat "$source/data/mnist/t10k-images-idx3-ubyte.gz" | head -c $((16 + 4 * 784)) | tail -c +17 >pixels
digits=(7 2 1 0)
for i in 0 1 2 3; do { printf 'P5\n28 28\n255\n'; tail -c +$((784 * i + 1)) pixels | head -c 784; } >"digit $i.pgm"; done

expect 0 "$fovea" predict --checkpoint run/best.safetensors "digit 0.pgm" "digit 1.pgm" "digit 2.pgm" "digit 3.pgm"
[ "$(grep -c '%' out)" = 12 ] || fail "expected three classes a picture"
says out '^digit 2.pgm$' && says out '█'

right=0
for i in 0 1 2 3; do
  expect 0 "$fovea" predict --checkpoint run/last.safetensors "digit $i.pgm" --json
  says out "^\{\"image\":\"digit $i.pgm\",\"class\":" && says out '"probabilities":\{.*"9":'
  grep -q "\"class\":\"${digits[i]}" out && right=$((right + 1))
done
[ $right -ge 3 ] || fail "recognised $right of 4"

# The negative of a picture is recognised as such and read as the picture is.
{ printf 'P5\n28 28\n255\n'; tail -c +1 pixels | head -c 784 | od -An -v -tu1 -w1 | while read -r p; do printf "\\x$(printf %x $((255 - p)))"; done; } >negative.pgm
expect 0 "$fovea" predict --checkpoint run/best.safetensors "digit 0.pgm" --json && sed 's/.*"probability"/"probability"/; s/"inverted":[a-z]*,//' out >plain
expect 0 "$fovea" predict --checkpoint run/best.safetensors negative.pgm --json && says out '"inverted":true'
sed 's/.*"probability"/"probability"/; s/"inverted":[a-z]*,//' out | cmp - plain || fail "the negative is read otherwise"
