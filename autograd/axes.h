// axes.h: what the ops that work by axis share. Not for users.
#pragma once

#include <algorithm>
#include <array>

#include "kernels/broadcast.h"
#include "kernels/reduce.h"
#include "kernels/strided_copy.h"
#include "tensor/on_backend.h"

namespace fovea::detail {

static_assert(Shape::kMaxRank == kernels::kMaxAxes);

/// 0 .. rank-1 for an axis that may count from the back.
inline int axis_of(const char* op, int axis, const Shape& shape) {
  require(-shape.rank() <= axis && axis < shape.rank(), op, ": expected an axis in ", -shape.rank(), "..", shape.rank() - 1, " of ", shape,
          ", got ", axis);
  return axis < 0 ? axis + shape.rank() : axis;
}

/// For each axis of a shape, how far apart neighbours of a dense tensor lie, in elements.
using Steps = std::array<std::int64_t, Shape::kMaxRank>;
inline Steps dense_steps(const Shape& shape) {
  Steps steps{};
  std::int64_t step = 1;
  for (int a = shape.rank() - 1; a >= 0; step *= shape.dim(a--)) steps[static_cast<std::size_t>(a)] = step;
  return steps;
}
/// The same for a tensor that is repeated to shape y: 0 along the axes that it lacks or has once.
inline Steps repeated_steps(const Shape& shape, const Shape& y) {
  const Steps dense = dense_steps(shape);
  Steps steps{};
  for (int a = 0, lacking = y.rank() - shape.rank(); a < shape.rank(); ++a)
    if (shape.dim(a) != 1) steps[static_cast<std::size_t>(a + lacking)] = dense[static_cast<std::size_t>(a)];
  return steps;
}

/// y[.., i, ..] = x[.., i, ..] with axis a of y the axis order[a] of x; a view where only axes of extent 1 move.
using Order = std::array<int, Shape::kMaxRank>;
Tensor permuted(const Tensor& x, const Order& order);
Order inverse(const Order& order, int rank);

/// x repeated to `shape`, written to (or with `accumulate` added to) y.
void repeat(const Tensor& x, Tensor& y, bool accumulate);

/// How kernels that reduce one axis serve any set of axes: neighbours count as one; others are brought together by a permuted copy.
struct AxisPlan {
  kernels::AxisShape shape{1, 1, 1};
  bool together = true;   // no copy
  Order order{};          // the copy's axes: those that stay, then those that go
  int rank = 0;

  AxisPlan(const Shape& x, const std::array<bool, Shape::kMaxRank>& reduced);
  Tensor arrange(const Tensor& x) const { return together ? x : permuted(x, order); }
  /// Undoes arrange.
  Tensor restore(const Tensor& x) const { return together ? x : permuted(x, inverse(order, rank)); }
};

/// factor * sum over the axes of `plan` of x, or of x * z; of acc_dtype, shaped `shape`.
Tensor sum_over(const AxisPlan& plan, const Tensor& x, const Tensor& z, double factor, const Shape& shape);

}   // namespace fovea::detail
