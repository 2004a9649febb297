// arena.h: all parameters of an optimiser in one flat array, all their gradients in another.
//
// A step is then one pass over long arrays, with one kernel call for a whole network instead of one for each of its
// hundreds of small tensors; a norm over all gradients is one reduction. Parameters of one group (parameters.h) are neighbours.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/runs.h"
#include "optim/parameters.h"
#include "tensor/on_backend.h"

namespace fovea::optim {

class Arena {
 public:
  /// Each parameter starts at a multiple of this many elements: whole cache lines. What lies between is 0.
  static constexpr std::int64_t kAlignment = 16;
  using Range = kernels::Run;   // elements [begin, end) of the flat arrays

  /// Moves values and future gradients of the parameters into the arena (Variable::move_to). Throws ShapeError unless all are
  /// leaves that require gradients, float32 or float64, of one dtype and device, and each is there once.
  explicit Arena(const Parameters& parameters);

  /// As they lie in the arena.
  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// Numbers in parameters(), in the order in which they were given.
  const std::vector<std::size_t>& order_given() const { return order_given_; }
  Tensor& values() { return values_; }
  Tensor& gradients() { return gradients_; }
  const Tensor& gradients() const { return gradients_; }

  /// Where parameters first..last-1 lie, with the gaps between them.
  Range range(std::size_t first, std::size_t last) const;
  /// The same without the gaps: one range for each.
  std::vector<Range> ranges(std::size_t first, std::size_t last) const;
  /// Where the gradients lie that there are: neighbours are one range.
  std::vector<Range> gradient_ranges() const;
  /// Parameter i's part of an array laid out like the arena: a view of the parameter's shape.
  Tensor part(const Tensor& flat, std::size_t i) const;
  /// Zeros laid out like the arena, for an optimiser's state.
  Tensor zeros() const { return Tensor::zeros_like(values_); }
  /// Copies gradients that lie elsewhere into the arena (a parameter that was frozen and thawed has lost its slot). Throws
  /// ShapeError when a parameter's value has moved to another optimiser's arena.
  void gather();

 private:
  std::vector<Parameter> parameters_;
  std::vector<std::size_t> order_given_;
  std::vector<std::int64_t> offsets_;
  Tensor values_, gradients_;   // (sum of the parameters' elements, each rounded up to kAlignment)
};

/// on_backend for arrays laid out like an arena, which are never bfloat16: Reference x {float32, float64}, Cpu and Cuda x {float32}.
template <class F> void on_arena(const char* op, const Tensor& flat, F&& f) {
  on_backend(op, flat, [&]<class T>(auto be) {
    if constexpr (!std::is_same_v<T, bfloat16>) f.template operator()<T>(be);
  });
}

}   // namespace fovea::optim
