// strided_copy.h: y[i0, i1, ...] = x[i0, i1, ...], where each side steps through memory in its own way. A permutation of axes, a slice, a
// tensor put into a larger one and a repetition (a step of 0 in x) are this one loop nest. It moves bytes and computes nothing, so Reference has
// no version of its own, and dtypes differ by their size alone. Each element is read once and written once. The gradient is the copy the
// other way: x and y change places, and extract becomes embed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/backend.h"
#include "kernels/loop_nest.h"

namespace fovea::kernels {

/// Axes from the outermost to the innermost of y; steps from one element to the next along an axis, in elements.
struct StridedShape {
  int rank = 0;
  std::int64_t extent[kMaxAxes] = {}, x_step[kMaxAxes] = {}, y_step[kMaxAxes] = {};
  bool empty() const;
  LoopNest<2> nest() const;   // steps of x, of y
};

/// f(a value of the unsigned type of 1, 2, 4 or 8 bytes)
template <class F> void with_unsigned(std::size_t bytes, const F& f) {
  switch (bytes) {
    case 1: return f(std::uint8_t{});
    case 2: return f(std::uint16_t{});
    case 4: return f(std::uint32_t{});
    default: return f(std::uint64_t{});
  }
}

/// Elements of 1, 2, 4 or 8 bytes; y does not alias x, and no two elements of y are one. Nothing is read when an extent is 0.
void strided_copy(Cpu be, const void* x, void* y, StridedShape s, std::size_t element_bytes);
void strided_copy(Cuda be, const void* x, void* y, StridedShape s, std::size_t element_bytes);

/// A box of a dense row-major tensor: along axis a the elements begin[a], begin[a] + step[a], ..., part[a] of them.
struct Box {
  int rank = 0;
  std::int64_t whole[kMaxAxes] = {}, begin[kMaxAxes] = {}, step[kMaxAxes] = {}, part[kMaxAxes] = {};

  /// The box as a copy: of whole, from the first of its elements on, to part; or the other way.
  StridedShape copy_out() const;
  StridedShape copy_in() const;
  std::int64_t first() const;   // the offset of that element
};

/// part (box.part) = what lies in the box of whole (box.whole).
void extract(Cpu be, const void* whole, void* part, Box box, std::size_t element_bytes);
void extract(Cuda be, const void* whole, void* part, Box box, std::size_t element_bytes);
/// The box of whole = part; the rest of whole stays as it is.
void insert(Cpu be, const void* part, void* whole, Box box, std::size_t element_bytes);
void insert(Cuda be, const void* part, void* whole, Box box, std::size_t element_bytes);
/// whole = 0, but for the box, which is part: the gradient of extract, and padding with zeros.
void embed(Cpu be, const void* part, void* whole, Box box, std::size_t element_bytes);
void embed(Cuda be, const void* part, void* whole, Box box, std::size_t element_bytes);

}   // namespace fovea::kernels
