# `fovea run` and `fovea compare` on files made here: what one writes, the other reads.
. "$(dirname "$0")/expect.sh"
start "$@"

# safetensors FILE NAME=DTYPE:SHAPE:BYTES... writes a file; BYTES is a file with the numbers. One tensor a call is enough here, or two.
safetensors() {
  local out=$1 header="" at=0 entry name dtype shape bytes size
  shift
  for entry; do
    name=${entry%%=*}; IFS=: read -r dtype shape bytes <<<"${entry#*=}"
    size=$(wc -c <"$bytes")
    header+="${header:+,}\"$name\":{\"dtype\":\"$dtype\",\"shape\":[$shape],\"data_offsets\":[$at,$((at + size))]}"
    at=$((at + size))
  done
  header="{$header}"
  while ((${#header} % 8)); do header+=" "; done
  { printf "\\x$(printf %02x $((${#header} & 255)))\\x$(printf %02x $((${#header} >> 8)))\0\0\0\0\0\0%s" "$header"
    for entry; do cat "${entry##*:}"; done; } >"$out"
}

# A network's weights: those of a short training run. (The optimiser's entries are not the network's, and are passed over.)
expect 0 "$fovea" train --train-limit 640 --eval-limit 100 --epochs 1 --batch 64 --model resnet8_mnist --out run
weights=run/best.safetensors

# Two pictures of 28 x 28 from the test set, as floats of 0 and 1: a byte above 127 is 1.
zcat "$source/data/mnist/t10k-images-idx3-ubyte.gz" | tail -c +17 | head -c 1568 | od -An -v -tu1 -w1 |
  while read -r p; do ((p > 127)) && printf '\0\0\x80\x3f' || printf '\0\0\0\0'; done >pixels
printf '\7\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0' >labels
safetensors x.safetensors "x=F32:2,28,28,1:pixels" "y=I64:2:labels"
safetensors x_nchw.safetensors "x=F32:2,1,28,28:pixels"

# One channel: both layouts are the same numbers, and so are the logits.
expect 0 "$fovea" run resnet8_mnist --weights $weights --input x.safetensors --output y.safetensors && says out 'logits \(2, 10\)'
expect 0 "$fovea" run resnet8_mnist --weights $weights --input x_nchw.safetensors --output z.safetensors --layout nchw
cmp <(tail -c 80 y.safetensors) <(tail -c 80 z.safetensors) || fail "the layout of the input changes the logits"

# Layers by pattern, in either layout; gradients in PyTorch's names; training mode has other logits.
expect 0 "$fovea" run resnet8_mnist --weights $weights --input x.safetensors --output y.safetensors --dump 'layer1.*' fc --grad
for entry in '"layer1.0.conv1":\{"dtype":"F32","shape":\[2,14,14,16\]' '"fc":\{"dtype":"F32","shape":\[2,10\]' '"loss":' \
  '"grad.layer1.0.conv1.weight":\{"dtype":"F32","shape":\[16,16,3,3\]' '"grad.fc.bias":'; do says y.safetensors "$entry"; done
! grep -aq '"layer2.0.conv1"' y.safetensors || fail "a layer that nobody asked for is in the output"
expect 0 "$fovea" run resnet8_mnist --weights $weights --input x_nchw.safetensors --output nchw.safetensors --layout nchw --dump layer1
says nchw.safetensors '"layer1":\{"dtype":"F32","shape":\[2,16,14,14\]'
expect 0 "$fovea" run resnet8_mnist --weights $weights --input x.safetensors --output t.safetensors --train
cmp -s <(tail -c 80 t.safetensors) <(tail -c 80 z.safetensors) && fail "--train changes nothing"

# What `run` dumps is what `compare` reads: the same network is equal to itself. (`run` leaves out x, so it is put in front.)
expect 0 "$fovea" run resnet8_mnist --weights $weights --input x.safetensors --output y.safetensors --dump layer1.0.bn1
tail -c $((2 * 14 * 14 * 16 * 4 + 80)) y.safetensors >tail
dd if=tail of=bn1 bs=4 count=$((2 * 14 * 14 * 16)) status=none && tail -c 80 tail >logits
safetensors same.safetensors "x=F32:2,28,28,1:pixels" "layer1.0.bn1=F32:2,14,14,16:bn1" "logits=F32:2,10:logits"
expect 0 "$fovea" compare resnet8_mnist --weights $weights --activations same.safetensors --layout nhwc
says out 'all 2 layers are equal' && says out 'layer1.0.bn1 +\(2, 14, 14, 16\) '

# A layer of the training pass in its place is found, and explained.
expect 0 "$fovea" run resnet8_mnist --weights $weights --input x.safetensors --output y.safetensors --dump bn1 --train
tail -c $((2 * 14 * 14 * 16 * 4 + 80)) y.safetensors | head -c $((2 * 14 * 14 * 16 * 4)) >bn1
safetensors other.safetensors "x=F32:2,28,28,1:pixels" "bn1=F32:2,14,14,16:bn1" "logits=F32:2,10:logits"
expect 1 "$fovea" compare resnet8_mnist --weights $weights --activations other.safetensors --layout nhwc
says out '^bn1 .*<- the first that differs' && says out "fits with the batch's statistics: training, not evaluation"

# What people get wrong.
expect 2 "$fovea" run resnet8_mnist --weights $weights --input x.safetensors --output y.safetensors --dump layer9 && one_line && says err 'no such layer'
expect 1 "$fovea" run resnet8_mnst --weights $weights --input x.safetensors --output y.safetensors && one_line && says err 'did you mean resnet8_mnist'
expect 1 "$fovea" run resnet20_he_cifar --weights $weights --input x.safetensors --output y.safetensors && one_line && says err 'not weights of resnet20_he_cifar'
expect 1 "$fovea" run resnet8_mnist --weights $weights --classes 7 --input x.safetensors --output y.safetensors && one_line && says err 'another number of classes than 7'
expect 1 "$fovea" run resnet8_mnist --weights $weights --input $weights --output y.safetensors && one_line && says err 'expected a tensor "x"'
safetensors flat.safetensors "x=F32:1568:pixels"
expect 1 "$fovea" run resnet8_mnist --weights $weights --input flat.safetensors --output y.safetensors && one_line && says err 'expected x to be of rank 4'
safetensors labels.safetensors "x=F32:2,28,28,1:pixels" "y=I64:1,2:labels"
expect 1 "$fovea" run resnet8_mnist --weights $weights --input labels.safetensors --output y.safetensors && one_line && says err 'expected y to be 2 labels'
{ printf '\0\0\xc0\x7f'; tail -c +5 pixels; } >nan
safetensors nan.safetensors "x=F32:2,28,28,1:nan"
expect 1 "$fovea" run resnet8_mnist --weights $weights --input nan.safetensors --output y.safetensors && one_line && says err 'element 0 of x is not a finite number'
expect 1 "$fovea" compare resnet8_mnist --weights $weights --activations x.safetensors --layout nhwc && one_line && says err 'name of a layer'
expect 2 "$fovea" compare resnet8_mnist --weights $weights --activations same.safetensors --tolerance none && one_line && says err 'between 0 and 1'
exit 0
