// loop_nest.h: a walk over several arrays at once, each with its own step along every axis: what strided_copy and broadcast share.
//
// The walk is cut by its shape into blocks of the two innermost loops (i, then j around it) and tasks of about kNestGrain elements.
#pragma once

#include "kernels/backend.h"
#include "kernels/parallel.h"

namespace fovea::kernels {

constexpr int kMaxAxes = 6;                  // of a tensor
constexpr std::int64_t kNestGrain = 16384;   // elements of a task

template <int Arrays> struct LoopNest {
  struct Axis {
    std::int64_t extent;
    std::int64_t step[Arrays];   // from one element to the next, in elements; 0 repeats
  };
  Axis axis[kMaxAxes + 2];   // from the outermost to the innermost; two more for the blocks of a plane
  int count = 0;

  FOVEA_INLINE void push(const Axis& next) { axis[count++] = next; }
  /// The next axis inwards. An extent of 1 is dropped, and an axis that every array steps through as if it were one with its neighbour
  /// becomes one with it: so what is left is short, and its innermost loop long.
  FOVEA_INLINE void join(const Axis& next) {
    if (next.extent == 1) return;
    bool one = count > 0;
    for (int k = 0; k < Arrays; ++k) one = one && axis[count - 1].step[k] == next.extent * next.step[k];
    if (!one) return push(next);
    const std::int64_t extent = axis[count - 1].extent;
    axis[count - 1] = next;
    axis[count - 1].extent *= extent;
  }
  FOVEA_INLINE Axis take(int i) {
    const Axis taken = axis[i];
    for (--count; i < count; ++i) axis[i] = axis[i + 1];
    return taken;
  }
  /// Takes the innermost axis out; steps of 1 when there is none.
  FOVEA_INLINE Axis take_innermost() {
    if (count > 0) return take(count - 1);
    Axis unit{1, {}};
    for (int k = 0; k < Arrays; ++k) unit.step[k] = 1;
    return unit;
  }
};

/// A position in a loop nest: the index along each axis and the offset into each array.
template <int Arrays> struct Odometer {
  const LoopNest<Arrays>& nest;
  std::int64_t index[kMaxAxes + 2];
  std::int64_t offset[Arrays];

  FOVEA_INLINE Odometer(const LoopNest<Arrays>& n, std::int64_t item) : nest(n), index{}, offset{} {
    for (int a = nest.count - 1; a >= 0; --a) {
      index[a] = item % nest.axis[a].extent;
      item /= nest.axis[a].extent;
      for (int k = 0; k < Arrays; ++k) offset[k] += index[a] * nest.axis[a].step[k];
    }
  }
  FOVEA_INLINE void next() {
    for (int a = nest.count - 1; a >= 0; --a) {
      for (int k = 0; k < Arrays; ++k) offset[k] += nest.axis[a].step[k];
      if (++index[a] < nest.axis[a].extent) return;
      for (int k = 0; k < Arrays; ++k) offset[k] -= nest.axis[a].extent * nest.axis[a].step[k];
      index[a] = 0;
    }
  }
};

/// f(offset, rows, cols) on the pool for every block of the plane of the axes i (rows at most block_i) and j (cols at most block_j) and
/// every position of the nest around it; offset[k] is where the block begins in array k. `nest` no longer has i and j.
template <int Arrays, class F>
FOVEA_INLINE void for_blocks(LoopNest<Arrays> nest, const typename LoopNest<Arrays>::Axis& i, const typename LoopNest<Arrays>::Axis& j,
                             std::int64_t block_i, std::int64_t block_j, const F& f) {
  const int at_j = nest.count, at_i = nest.count + 1;
  nest.push(j);
  nest.push(i);
  nest.axis[at_j].extent = (j.extent + block_j - 1) / block_j;
  nest.axis[at_i].extent = (i.extent + block_i - 1) / block_i;
  for (int k = 0; k < Arrays; ++k) nest.axis[at_j].step[k] *= block_j, nest.axis[at_i].step[k] *= block_i;
  std::int64_t items = 1;
  for (int a = 0; a < nest.count; ++a) items *= nest.axis[a].extent;
  const std::int64_t elements = block_i * block_j, per_task = elements < kNestGrain ? kNestGrain / elements : 1;
  parallel_for((items + per_task - 1) / per_task, [&](std::int64_t task) {
    const std::int64_t first = task * per_task, last = first + per_task < items ? first + per_task : items;
    Odometer<Arrays> at(nest, first);
    for (std::int64_t item = first; item < last; ++item, at.next()) {
      const std::int64_t left_i = i.extent - at.index[at_i] * block_i, left_j = j.extent - at.index[at_j] * block_j;
      f(at.offset, left_i < block_i ? left_i : block_i, left_j < block_j ? left_j : block_j);
    }
  });
}

}   // namespace fovea::kernels
