#include "nn/batch_norm.h"

#include "autograd/recompute.h"
#include "tensor/graph.h"

namespace fovea::nn {
namespace {

const BatchNorm2dOptions& checked(const BatchNorm2dOptions& o) {
  require(o.channels >= 1, "BatchNorm2d: expected at least one channel, got ", o.channels);
  require(o.eps > 0, "BatchNorm2d: expected eps > 0, got ", o.eps);
  if (o.momentum) require(*o.momentum >= 0 && *o.momentum <= 1, "BatchNorm2d: expected momentum in [0, 1], got ", *o.momentum);
  return o;
}

}   // namespace

BatchNorm2d::BatchNorm2d(const Options& o)
    : o_(checked(o)),
      weight_(add_parameter("weight", Tensor::full({o.channels}, 1))),
      bias_(add_parameter("bias", Tensor::zeros({o.channels}))),
      running_mean_(add_buffer("running_mean", Tensor::zeros({o.channels}))),
      running_var_(add_buffer("running_var", Tensor::full({o.channels}, 1))),
      num_batches_tracked_(add_buffer("num_batches_tracked", Tensor::zeros({}, DType::i64))) {}

BatchNormConfig BatchNorm2d::config() const {
  require(o_.momentum || !training() || !CudaGraph::recording(),
          "expected a momentum while a graph is recorded: an average of all batches weighs each of them otherwise");
  return {.gamma = weight_,
          .beta = bias_,
          .running_mean = running_mean_,
          .running_var = running_var_,
          .momentum = o_.momentum ? *o_.momentum : 1 / static_cast<double>(num_batches_tracked() + 1),
          .eps = o_.eps,
          .training = training()};
}

std::int64_t BatchNorm2d::num_batches_tracked() const {
  const Tensor& n = num_batches_tracked_;
  return n.device() == Device::meta ? 0 : *n.data<std::int64_t>();
}

void BatchNorm2d::count_batch() {
  if (replaying() || num_batches_tracked_.device() == Device::meta) return;
  CudaGraph::each_launch([n = num_batches_tracked_]() mutable { ++*n.data<std::int64_t>(); });
}

void BatchNorm2d::check_input(const Shape& x) const {
  require(x.rank() == 4, "expected x of shape (N, H, W, ", o_.channels, "), got ", x);
  require(x.dim(3) == o_.channels, "expected x with ", o_.channels, " channels, got ", x);
  require(!training() || x.dim(0) * x.dim(1) * x.dim(2) > 1, "expected more than one value per channel in training, got ", x);
}

Variable BatchNorm2d::forward(const Variable& x) {
  check_input(x.shape());
  Variable y = batch_norm(x, config());
  if (training()) count_batch();
  return y;
}

std::string BatchNorm2d::describe() const {
  std::string s = detail::join("BatchNorm2d(", o_.channels);
  if (o_.eps != BatchNorm2dOptions{}.eps) s += detail::join(", eps ", o_.eps);
  if (!o_.momentum)
    s += ", average of all batches";
  else if (o_.momentum != BatchNorm2dOptions{}.momentum)
    s += detail::join(", momentum ", *o_.momentum);
  return s + ")";
}

}   // namespace fovea::nn
