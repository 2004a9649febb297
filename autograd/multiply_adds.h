// multiply_adds.h: the work of a forward pass, counted by the ops that do it.
//
// The count that papers give as "FLOPs" or "multiply-adds": those of convolutions, of fully connected layers (the projections of an attention
// among them) and of both products of an attention, over all windows, padded ones too. Not counted: biases, norms, activations, pooling,
// softmax, sums, scaling by squeeze-and-excitation: work that grows with the activations alone.
#pragma once

#include <cstdint>

namespace fovea {

/// What the ops of this thread have done since this was made, forwards (a recomputed segment counts again), on any device.
///   const MultiplyAdds work;   net(x);   work.count();
class MultiplyAdds {
 public:
  MultiplyAdds();
  std::int64_t count() const;

 private:
  std::int64_t before_;
};

namespace detail {
void count_multiply_adds(std::int64_t n);
}   // namespace detail

}   // namespace fovea
