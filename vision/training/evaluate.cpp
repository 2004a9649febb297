// evaluate.cpp: large batches, nothing recorded: costs a third of a training pass.
#include "vision/training/evaluate.h"

#include <algorithm>
#include <cmath>

#include "autograd/loss.h"
#include "autograd/softmax.h"
#include "vision/data/loader.h"

namespace fovea::vision {

Evaluation evaluate(nn::Module& network, const Pictures& pictures, const Normalize& normalize, const EvaluateOptions& o) {
  constexpr std::int64_t kBatch = 250;   // the activations of a small network on small pictures stay in the cache
  require(pictures.size() > 0, "evaluate: expected at least one picture, got none");
  // About as many pixels for large pictures.
  const PictureShape first = pictures.shape(0);
  const std::int64_t pixels = o.input.height ? o.input.height * o.input.width : first.height * first.width;
  const std::int64_t batch_size = std::clamp<std::int64_t>(kBatch * 64 * 64 / pixels, 1, kBatch);
  const NoGrad no_grad;
  const bool was_training = network.training();
  network.eval();
  Evaluation e;
  double loss_sum = 0;
  std::int64_t correct = 0;
  for (const Batch& batch :
       in_order(pictures, normalize, {.batch = batch_size, .workers = o.workers, .device = o.device, .input = o.input})) {
    const Variable logits = network(Variable(batch.images));
    loss_sum += cross_entropy(logits, batch.labels).item() * static_cast<double>(batch.labels.elements());
    const std::int64_t* label = batch.labels.data<std::int64_t>();
    const Tensor probabilities = softmax(logits).value();
    const float* row = probabilities.data<float>();
    for (const std::int64_t p : argmax_rows(logits.value())) {
      e.predictions.push_back(p);
      e.probabilities.push_back(row[p]);
      row += probabilities.dim(1);
      correct += p == *label++;
    }
  }
  network.train(was_training);
  e.loss = loss_sum / static_cast<double>(pictures.size());
  e.top1 = static_cast<double>(correct) / static_cast<double>(pictures.size());
  return e;
}

std::vector<std::int64_t> argmax_rows(const Tensor& logits) {
  require(logits.rank() == 2, "argmax_rows: expected logits (rows, classes), got ", logits.shape());
  const float* x = logits.data<float>();
  std::vector<std::int64_t> out;
  for (std::int64_t r = 0; r < logits.dim(0); ++r, x += logits.dim(1)) {
    std::int64_t best = 0;
    for (std::int64_t c = 0; c < logits.dim(1); ++c) {
      if (std::isnan(x[c])) throw Error(detail::join("the network's output for picture ", r, ", class ", c, " is not a number"));
      if (x[c] > x[best]) best = c;
    }
    out.push_back(best);
  }
  return out;
}

}   // namespace fovea::vision
