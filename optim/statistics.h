// statistics.h: running statistics of batch norms, estimated anew for weights that never saw a training batch (SWA, EMA).
//
//   const Swapped averaged(swa);
//   Statistics statistics({{bn.running_mean, momentum}, {bn.running_var, momentum}, ...});
//   network.train();
//   for (batch : some of the training data) { statistics.begin_batch();  const NoGrad none;  network(batch);  statistics.end_batch(); }
//   statistics.finish();
//
// Izmailov et al. 2018 (arXiv:1803.05407), section 3.2; PyTorch's update_bn. The result is the equal average over the batches. A norm
// does r = (1 - momentum) r + momentum * batch; from r = 0 that leaves momentum * batch, so nothing need know what a norm is. (A norm
// that itself averages over all batches needs none of this.)
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace fovea::optim {

/// A running statistic: shares its memory with the network's buffer; float32 or float64.
struct Statistic {
  Tensor running;
  double momentum = 0.1;   // weight of the newest batch, above 0
};

class Statistics {
 public:
  explicit Statistics(std::vector<Statistic> statistics);
  void begin_batch();
  void end_batch();
  /// Writes the averages into the buffers. Throws ShapeError when there was no batch; then the buffers are as the last batch left them.
  void finish();

 private:
  std::vector<Statistic> statistics_;
  std::vector<std::vector<double>> sums_;
  std::int64_t batches_ = 0;
};

}   // namespace fovea::optim
