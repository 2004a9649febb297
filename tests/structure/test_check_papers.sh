#!/usr/bin/env bash
# test_check_papers.sh: does check_papers.sh see what it should, and repair what it can? A made-up page with one fault of each kind.
set -u
here=$(dirname -- "$(readlink -f -- "$0")")
tree=$(mktemp -d) && trap 'rm -rf -- "$tree"' EXIT
mkdir -p "$tree"/{docs,kernels,optim,vision/models}

file() { printf '%s\n' "${@:2}" >"$tree/$1"; }
file kernels/softmax.h '// softmax' 'y = exp(x) / z;' 'void softmax_forward(Reference, const T* x);'
file vision/models/vgg.cpp 'std::vector<ModelEntry> vgg_models() {'
file optim/adam.h '/// Algorithm 1' 'class Adam : public Optimizer {'
page() {   # page LINE...: a page without a fault, and these lines
  file docs/papers.md '# Papers' '- [A & B 1990](#a--b-1990-softmax-x)' '### A & B 1990, Softmax (x)' \
    '- [kernels/softmax.h:2](../kernels/softmax.h#L2) `y = exp(x) / z`, said at [optim/adam.h:1](../optim/adam.h#L1) `Algorithm 1`' \
    '- [vision/models/vgg.cpp:1](../vision/models/vgg.cpp#L1) `vgg_models(`' "$@"
}

failures=0
# expect CODE WHAT [--fix]: that exit code, and one complaint for a 1
expect() {
  local code=0
  bash "$here/check_papers.sh" "$tree" ${3:-} >"$tree/output" || code=$?
  [[ $code == "$1" && ( -n ${3:-} || $(wc -l <"$tree/output") == "$1" ) ]] && return
  echo "$2: expected exit code $1, got $code and:"; cat "$tree/output"; failures=$((failures + 1))
}
reject() { page "$2"; expect 1 "$1"; }

page; expect 0 "a page without faults"
reject "words on another line" '[kernels/softmax.h:1](../kernels/softmax.h#L1) `y = exp(x) / z`'
reject "words that are gone" '[kernels/softmax.h:2](../kernels/softmax.h#L2) `y = exp(x) / Z`'
reject "words that are there twice" '[kernels/softmax.h:1](../kernels/softmax.h#L1) `softmax`'
reject "a file that is not there" '[kernels/gelu.h:1](../kernels/gelu.h#L1) `gelu`'
reject "a comment that is not said to be one" '[optim/adam.h:1](../optim/adam.h#L1) `Algorithm 1`'
reject "a label of another line" '[kernels/softmax.h:1](../kernels/softmax.h#L2) `y = exp(x) / z`'
reject "a link without words" '[kernels/softmax.h:2](../kernels/softmax.h#L2)'
reject "an anchor without a heading" '[C 1991](#c-1991)'
for f in 'kernels/relu.h void relu_forward(Reference, const T* x);' 'vision/models/vit.cpp std::vector<ModelEntry> vit_models() {' \
         'optim/sgd.h class SGD : public Optimizer {'; do
  file "${f%% *}" "${f#* }"; page; expect 1 "a file of which the page says nothing: ${f%% *}"; rm "$tree/${f%% *}"
done

file kernels/relu.h 'void relu_forward(Reference, const T* x);'
file kernels/relu_reference.cpp 'y = max(x, 0);'
page '- [kernels/relu_reference.cpp:1](../kernels/relu_reference.cpp#L1) `y = max(x, 0)`'; expect 0 "a kernel by its definition"
rm "$tree"/kernels/relu*

# A line that moved: red, repaired, green; and the page is the same but for the number.
file kernels/softmax.h '// softmax' '' '' 'y = exp(x) / z;' 'void softmax_forward(Reference, const T* x);'
page; expect 1 "a line that moved"
expect 0 "the repair" --fix
expect 0 "the page, repaired"
cp "$tree/docs/papers.md" "$tree/repaired"; page
diff <(sed 's/softmax\.h\(:\|#L\)4/softmax.h\12/g' "$tree/repaired") "$tree/docs/papers.md" || { echo "the repair changed more than a line number"; failures=$((failures + 1)); }
# What cannot be repaired stays red, and stays as it was.
file kernels/softmax.h '// softmax' 'y = exp(x) / z;' 'void softmax_forward(Reference, const T* x);'
reject "words that are gone, with --fix" '[optim/adam.h:9](../optim/adam.h#L9) `Algorithm 9`'
expect 1 "the repair of what is gone" --fix
grep -qF '[optim/adam.h:9](../optim/adam.h#L9) `Algorithm 9`' "$tree/docs/papers.md" || { echo "the repair lost a line"; failures=$((failures + 1)); }
((failures == 0))
