# What people get wrong: one clear line on standard error, exit code 2 for the command line and recipes, 1 for the rest.
. "$(dirname "$0")/expect.sh"
start "$@"

usage() {   # usage PATTERN ARGUMENTS...
  local pattern=$1
  shift
  expect 2 "$fovea" "$@" && one_line && says err "$pattern"
}
refuses() {
  local pattern=$1
  shift
  expect 1 "$fovea" "$@" && one_line && says err "$pattern"
}

usage 'unknown flag --epoch \(did you mean epochs|unknown flag --epoch \(did you mean --epochs' train --epoch 3
usage 'unknown command trian \(did you mean train' trian
usage 'unexpected argument .now.' train now
usage '--epochs: expected a whole number in 1\.\.10000, got .-3.' train --epochs -3
usage '--epochs: .*got .1e9.' train --epochs 1e9
usage '--batch: .*got .0.' train --batch 0
usage '--lr: .*got .nan.' train --lr nan
usage '--lr: .*got .-0.1.' train --lr=-0.1
usage '--threads: .*got .0.' train --threads 0
usage '--threads: .*got .100000.' train --threads 100000
usage '--seed: .*got .x.' train --seed x
usage '--device: expected one of cpu\|cuda\|reference' train --device gpu
usage '--model: .*did you mean resnet8_mnist' train --model resnet8_mnits
usage '--data: expected one of mnist\|folder:PATH, got .cifar.' train --data cifar
usage '--resume: expected the run.s folder' train --resume
usage 'checkpoint' eval --data mnist
usage '--threads' eval --checkpoint x --threads -1
usage 'images' predict --checkpoint x
expect 2 "$fovea" train --epochs && one_line
[ -e runs ] && fail "a refused command line left a run folder"

printf 'lr = 0.1\n\nepoch = 3\n' >r.toml
usage "r.toml:3: unknown key .epoch. .did you mean epochs" train --recipe r.toml
printf 'lr = -1\n' >r.toml
usage 'r.toml:1: lr: expected a number in 1e-06\.\.100, got .-1' train --recipe r.toml
printf 'lr = \n' >r.toml
usage 'r.toml:1: ' train --recipe r.toml
refuses 'none.toml' train --recipe none.toml

# Data: missing, cut, mislabelled.
refuses 'nowhere: no such folder' train --data-dir nowhere
mkdir data && cp "$source"/data/mnist/*.gz data/
head -c 100000 "$source/data/mnist/train-images-idx3-ubyte.gz" >data/train-images-idx3-ubyte.gz
refuses 'data/train-images-idx3-ubyte.gz' train --data-dir data
cp "$source/data/mnist/train-labels-idx1-ubyte.gz" data/train-images-idx3-ubyte.gz
refuses 'data/train-images-idx3-ubyte.gz' train --data-dir data
cp "$source"/data/mnist/*.gz data/ && rm data/t10k-labels-idx1-ubyte.gz
refuses 't10k-labels-idx1-ubyte' train --data-dir data
cp "$source"/data/mnist/*.gz data/ && zcat data/t10k-labels-idx1-ubyte.gz >labels && rm data/t10k-labels-idx1-ubyte.gz
{ head -c 8 labels; printf '\012'; tail -c +10 labels; } | gzip >data/t10k-labels-idx1-ubyte.gz   # the first label is 10
refuses 'data/t10k-labels-idx1-ubyte.gz.*10' train --data-dir data
[ -e runs ] && fail "bad data left a run folder"
refuses 'batch: expected at most' train --train-limit 10

# Folders and full disks.
echo x >file
refuses 'file' train "${small[@]}" --out file
refuses 'file/below' train "${small[@]}" --out file/below
[ -c /dev/full ] && { "$fovea" --help >/dev/full 2>err; }
if [ -c /dev/full ]; then
  "$fovea" train "${small[@]}" --epochs 1 --json --out full 2>err >/dev/full
  [ $? = 1 ] && says err 'standard output' || fail "a full standard output"
fi

# Checkpoints: missing, cut, of something else.
best=full/best.safetensors
[ -s $best ] || expect 0 "$fovea" train "${small[@]}" --epochs 1 --out full
refuses 'none.safetensors' eval --checkpoint none.safetensors --data mnist
head -c 5000 $best >cut.safetensors
refuses 'cut.safetensors' eval --checkpoint cut.safetensors --data mnist
refuses 'r.toml' predict --checkpoint r.toml file
refuses 'file' predict --checkpoint $best file
refuses 'none.png' predict --checkpoint $best none.png
sed 's/"resnet8_mnist"/"resnet8_mnits"/' $best >other.safetensors
refuses 'other.safetensors: unknown model .*did you mean resnet8_mnist' eval --checkpoint other.safetensors --data mnist
refuses 'nothing is left to resume' train --resume full
usage '--lr 0.3: the run in full was begun with 0.2' train --resume full --lr 0.3
refuses 'no run to continue' train --resume nowhere
