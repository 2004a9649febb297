// evaluate.cpp: large batches, nothing recorded: costs a third of a training pass.
#include "vision/training/evaluate.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "autograd/loss.h"
#include "autograd/softmax.h"
#include "kernels/argmax.h"
#include "tensor/on_backend.h"
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
  // What a batch gives is read when the next one has been queued, so that a GPU is never without work.
  struct Unread {
    Tensor labels, loss, predicted, probabilities;
  };
  std::optional<Unread> unread;
  const auto read = [&] {
    if (!unread) return;
    loss_sum += unread->loss.item() * static_cast<double>(unread->labels.elements());
    const std::int64_t* label = unread->labels.data<std::int64_t>();
    const std::vector<float> probabilities = unread->probabilities.to_vector<float>();
    std::size_t row = 0;
    for (const std::int64_t p : read_classes(unread->predicted)) {
      e.predictions.push_back(p);
      e.probabilities.push_back(probabilities[row + static_cast<std::size_t>(p)]);
      row += static_cast<std::size_t>(unread->probabilities.dim(1));
      correct += p == *label++;
    }
  };
  for (const Batch& batch :
       in_order(pictures, normalize, {.batch = batch_size, .workers = o.workers, .device = o.device, .dtype = o.dtype, .input = o.input})) {
    const Variable logits = network(Variable(batch.images));
    Unread now{.labels = batch.labels,
               .loss = cross_entropy(logits, batch.labels).value(),
               .predicted = predicted_classes(logits.value()),
               .probabilities = softmax(logits).value()};
    read();
    unread = std::move(now);
  }
  read();
  network.train(was_training);
  e.loss = loss_sum / static_cast<double>(pictures.size());
  e.top1 = static_cast<double>(correct) / static_cast<double>(pictures.size());
  return e;
}

Tensor predicted_classes(const Tensor& logits) {
  require(logits.rank() == 2 && logits.dim(1) > 0, "predicted_classes: expected logits (rows, classes), got ", logits.shape());
  Tensor which = Tensor::empty({logits.dim(0)}, DType::i64, logits.device());
  on_backend("predicted_classes", logits, [&]<class T>(auto be) {
    kernels::argmax_rows(be, logits.data<T>(), which.data<std::int64_t>(), {.rows = logits.dim(0), .cols = logits.dim(1)});
  });
  return which;
}

std::vector<std::int64_t> read_classes(const Tensor& predicted) {
  std::vector<std::int64_t> classes = predicted.to_vector<std::int64_t>();
  for (std::size_t r = 0; r < classes.size(); ++r)
    if (classes[r] < 0) throw Error(detail::join("the network's output for picture ", r, " is not a number"));
  return classes;
}

}   // namespace fovea::vision
