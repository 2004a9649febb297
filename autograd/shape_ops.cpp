#include "autograd/shape_ops.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/strided_copy.h"

namespace fovea {

namespace {

static_assert(Shape::kMaxRank == kernels::kMaxAxes);

/// The box that is all of a tensor.
kernels::Box box_of(const Shape& shape) {
  kernels::Box box{.rank = shape.rank()};
  std::copy(shape.dims().begin(), shape.dims().end(), box.whole);
  std::copy(shape.dims().begin(), shape.dims().end(), box.part);
  std::fill_n(box.step, box.rank, 1);
  return box;
}
Shape whole_of(const kernels::Box& box) { return Shape(std::span(box.whole, static_cast<std::size_t>(box.rank))); }
Shape part_of(const kernels::Box& box) { return Shape(std::span(box.part, static_cast<std::size_t>(box.rank))); }

Tensor extract(const Tensor& whole, const kernels::Box& box) {
  Tensor part = Tensor::empty(part_of(box), whole.dtype(), whole.device());
  kernels::extract(whole.raw(), part.raw(), box, size_of(whole.dtype()));
  return part;
}
Tensor embed(const Tensor& part, const kernels::Box& box) {
  Tensor whole = Tensor::empty(whole_of(box), part.dtype(), part.device());
  kernels::embed(part.raw(), whole.raw(), box, size_of(part.dtype()));
  return whole;
}

/// 0 .. rank-1 for an axis that may count from the back.
int axis_of(const char* op, int axis, const Shape& shape) {
  require(-shape.rank() <= axis && axis < shape.rank(), op, ": expected an axis in ", -shape.rank(), "..", shape.rank() - 1, " of ", shape,
          ", got ", axis);
  return axis < 0 ? axis + shape.rank() : axis;
}

}   // namespace

Variable reshape(const Variable& x, Shape shape) {
  const Tensor y = x.value().reshape(shape);
  return record("reshape", y, {x}, [before = x.shape()](Tensor dy, Grads& g) { g.pass(0, dy.reshape(before)); });
}

Variable convert(const Variable& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return record("convert", x.value().to(dtype), {x}, [before = x.dtype()](Tensor dy, Grads& g) { g.pass(0, dy.to(before)); });
}

// Slicing reads a box of x, padding writes one of y; each is the other's gradient.

namespace {

Variable slice_axes(const Variable& x, std::initializer_list<AxisSlice> slices) {
  const Shape& shape = x.shape();
  kernels::Box box = box_of(shape);
  std::array<bool, Shape::kMaxRank> named{};
  for (const AxisSlice& s : slices) {
    const int axis = axis_of("slice", s.axis, shape);
    const std::int64_t extent = shape.dim(axis);
    require(!std::exchange(named[static_cast<std::size_t>(axis)], true), "slice: expected each axis once, got axis ", axis, " twice");
    const std::int64_t end_given = s.end == AxisSlice::kToTheEnd ? extent : s.end;
    const std::int64_t begin = s.begin < 0 ? s.begin + extent : s.begin, end = end_given < 0 ? end_given + extent : end_given;
    require(0 <= begin && begin <= end && end <= extent, "slice: expected 0 <= begin <= end <= ", extent, " on axis ", axis, " of ", shape,
            ", got begin ", s.begin, " and end ", end_given);
    require(s.step >= 1, "slice: expected a step of at least 1, got ", s.step);
    box.begin[axis] = begin;
    box.step[axis] = s.step;
    box.part[axis] = end == begin ? 0 : (end - begin - 1) / s.step + 1;
  }
  const bool view =
      std::equal(box.part + std::min(1, box.rank), box.part + box.rank, box.whole + std::min(1, box.rank)) && box.step[0] == 1;
  const Tensor y = view && box.rank > 0 ? x.value().slice(box.begin[0], box.begin[0] + box.part[0]) : extract(x.value(), box);
  return record("slice", y, {x}, [box](Tensor dy, Grads& g) { g.pass(0, embed(dy, box)); });
}

Variable pad_axes(const Variable& x, std::initializer_list<AxisPadding> paddings) {
  const Shape& shape = x.shape();
  kernels::Box box = box_of(shape);
  std::array<bool, Shape::kMaxRank> named{};
  for (const AxisPadding& p : paddings) {
    const int axis = axis_of("pad", p.axis, shape);
    require(!std::exchange(named[static_cast<std::size_t>(axis)], true), "pad: expected each axis once, got axis ", axis, " twice");
    require(p.before >= 0 && p.after >= 0, "pad: expected at least 0 zeros on either side, got ", p.before, " and ", p.after);
    require(p.before < std::int64_t{1} << 47 && p.after < std::int64_t{1} << 47, "pad: expected fewer than 2^47 zeros, got ", p.before,
            " and ", p.after);
    box.begin[axis] = p.before;
    box.whole[axis] += p.before + p.after;
  }
  return record("pad", embed(x.value(), box), {x}, [box](Tensor dy, Grads& g) { g.pass(0, extract(dy, box)); });
}

}   // namespace

Variable slice(const Variable& x, const AxisSlice& s) { return slice_axes(x, {s}); }
Variable slice(const Variable& x, const AxisSlice& s, const AxisSlice& t) { return slice_axes(x, {s, t}); }
Variable pad(const Variable& x, const AxisPadding& p) { return pad_axes(x, {p}); }
Variable pad(const Variable& x, const AxisPadding& p, const AxisPadding& q) { return pad_axes(x, {p, q}); }

Variable flatten(const Variable& x) {
  if (x.rank() == 2) return x;
  require(x.rank() == 4, "flatten: expected x of shape (N, H, W, C), got ", x.shape());
  const std::int64_t images = x.dim(0), pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  if (pixels == 1 || channels == 1) return reshape(x, {images, pixels * channels});
  const auto transposed = [](const Tensor& from, const Shape& to, std::int64_t n, std::int64_t rows, std::int64_t cols) {
    Tensor y = Tensor::empty(to, from.dtype(), from.device());
    const kernels::StridedShape s{.rank = 3, .extent = {n, cols, rows}, .x_step = {rows * cols, 1, cols}, .y_step = {rows * cols, rows, 1}};
    kernels::strided_copy(from.raw(), y.raw(), s, size_of(from.dtype()));
    return y;
  };
  return record("flatten", transposed(x.value(), {images, channels * pixels}, images, pixels, channels), {x},
                [=, before = x.shape()](Tensor dy, Grads& g) { g.pass(0, transposed(dy, before, images, channels, pixels)); });
}

}   // namespace fovea
