// arena.h: all parameters of an optimiser in one flat array, all their gradients in another.
//
// A step is then one pass over long arrays, with one kernel call for a whole network instead of one for each of its
// hundreds of small tensors; a norm over all gradients is one reduction.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/variable.h"

namespace fovea::optim {

class Arena {
 public:
  /// Each parameter starts at a multiple of this many elements: whole cache lines. What lies between is 0.
  static constexpr std::int64_t kAlignment = 16;
  /// Elements [begin, end) of the flat arrays.
  struct Range {
    std::int64_t begin, end;
  };

  /// Moves values and future gradients of the parameters into the arena (Variable::move_to). Throws ShapeError unless all are
  /// leaves that require gradients, float32 or float64, of one dtype and device, and each is there once.
  explicit Arena(std::vector<Variable> parameters);

  std::vector<Variable>& parameters() { return parameters_; }
  const std::vector<Variable>& parameters() const { return parameters_; }
  Tensor& values() { return values_; }
  Tensor& gradients() { return gradients_; }
  const Tensor& gradients() const { return gradients_; }

  /// Where parameters first..last-1 lie, with the gaps between them.
  Range range(std::size_t first, std::size_t last) const;
  /// Parameter i's part of an array laid out like the arena: a view of the parameter's shape.
  Tensor part(const Tensor& flat, std::size_t i) const;
  /// Zeros laid out like the arena, for an optimiser's state.
  Tensor zeros() const { return Tensor::zeros_like(values_); }
  /// Copies gradients that lie elsewhere into the arena (a parameter that was frozen and thawed has lost its slot). Throws
  /// ShapeError when a parameter's value has moved to another optimiser's arena.
  void gather();

 private:
  std::vector<Variable> parameters_;
  std::vector<std::int64_t> offsets_;
  Tensor values_, gradients_;   // (sum of the parameters' elements, each rounded up to kAlignment)
};

}   // namespace fovea::optim
