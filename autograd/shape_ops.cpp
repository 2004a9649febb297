#include "autograd/shape_ops.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "autograd/axes.h"

namespace fovea {

using detail::axis_of;
using detail::Order;
using detail::permuted;

namespace {

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

/// sum += part, in the box of `sum`, or with `gather` sum += the box of part.
void add_box(const Tensor& part, Tensor& sum, const kernels::Box& box, bool gather) {
  kernels::BroadcastShape s{.rank = box.rank};
  std::copy_n(box.part, box.rank, s.extent);
  const kernels::StridedShape steps = gather ? box.copy_out() : box.copy_in();
  const std::int64_t offset = box.first();
  std::copy_n(steps.x_step, box.rank, s.a_step);
  std::copy_n(steps.y_step, box.rank, s.b_step);
  std::copy_n(steps.y_step, box.rank, s.y_step);
  on_backend("gradient sum", sum, [&]<class T>(auto be) {
    T* y = sum.data<T>() + (gather ? 0 : offset);
    kernels::broadcast(be, kernels::Arithmetic::add, part.data<T>() + (gather ? offset : 0), y, y, s, false);
  });
}

/// The gradient of input i is the box of dy: what a consumer that put it there passes back.
void pass_extracted(Grads& g, int i, const Tensor& dy, const kernels::Box& box) {
  Tensor dx = g.target(i);
  if (g.accumulate(i)) return add_box(dy, dx, box, true);
  on_bytes(dy, [&](auto be, std::size_t size) { kernels::extract(be, dy.raw(), dx.raw(), box, size); });
}
/// The gradient of input i is 0 but for the box, which is dy. Several slices of one tensor each add their own box only.
void pass_embedded(Grads& g, int i, const Tensor& dy, const kernels::Box& box) {
  Tensor dx = g.target(i);
  if (g.accumulate(i)) return add_box(dy, dx, box, false);
  on_bytes(dy, [&](auto be, std::size_t size) { kernels::embed(be, dy.raw(), dx.raw(), box, size); });
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

Tensor extracted(const Tensor& whole, const kernels::Box& box) {
  Tensor part = Tensor::empty(part_of(box), whole.dtype(), whole.device());
  on_bytes(whole, [&](auto be, std::size_t size) { kernels::extract(be, whole.raw(), part.raw(), box, size); });
  return part;
}

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
  const Tensor y = view && box.rank > 0 ? x.value().slice(box.begin[0], box.begin[0] + box.part[0]) : extracted(x.value(), box);
  return record("slice", y, {x}, [box](Tensor dy, Grads& g) { pass_embedded(g, 0, dy, box); });
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
  Tensor y = Tensor::empty(whole_of(box), x.dtype(), x.device());
  on_bytes(y, [&](auto be, std::size_t size) { kernels::embed(be, x.value().raw(), y.raw(), box, size); });
  return record("pad", y, {x}, [box](Tensor dy, Grads& g) { pass_extracted(g, 0, dy, box); });
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
  // (N, pixels, C) -> (N, C, pixels) and back: one order is its own inverse
  const Order order{0, 2, 1};
  const Tensor y = permuted(x.value().reshape({images, pixels, channels}), order).reshape({images, channels * pixels});
  return record("flatten", y, {x}, [=, before = x.shape()](Tensor dy, Grads& g) {
    g.pass(0, permuted(dy.reshape({images, channels, pixels}), order).reshape(before));
  });
}

Variable permute(const Variable& x, const std::vector<int>& order) {
  const int rank = x.rank();
  Order places{};
  std::array<bool, Shape::kMaxRank> named{};
  const auto list = [&] {
    std::string text;
    for (const int axis : order) text += (text.empty() ? "" : ", ") + std::to_string(axis);
    return text;
  };
  require(static_cast<int>(order.size()) == rank, "permute: expected ", rank, " axes for x ", x.shape(), ", got {", list(), "}");
  for (std::size_t a = 0; a < order.size(); ++a) {
    places[a] = axis_of("permute", order[a], x.shape());
    require(!std::exchange(named[static_cast<std::size_t>(places[a])], true), "permute: expected each axis of ", x.shape(), " once, got {",
            list(), "}");
  }
  return record("permute", permuted(x.value(), places), {x},
                [back = detail::inverse(places, rank)](Tensor dy, Grads& g) { g.pass(0, permuted(dy, back)); });
}

Variable transpose(const Variable& x, int first, int second) {
  std::vector<int> order(static_cast<std::size_t>(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<std::size_t>(axis_of("transpose", first, x.shape()))],
            order[static_cast<std::size_t>(axis_of("transpose", second, x.shape()))]);
  return permute(x, order);
}

Variable channel_shuffle(const Variable& x, std::int64_t groups) {
  require(x.rank() >= 1 && groups >= 1 && x.dim(-1) % groups == 0, "channel_shuffle: expected x of shape (.., C) with C a multiple of ",
          groups, " groups, got ", x.shape());
  const std::int64_t channels = x.dim(-1), each = channels / groups;
  const auto shuffled = [before = x.shape(), pixels = channels ? x.shape().elements() / channels : 0](const Tensor& t, std::int64_t rows,
                                                                                                      std::int64_t cols) {
    return permuted(t.reshape({pixels, rows, cols}), Order{0, 2, 1}).reshape(before);
  };
  return record("channel_shuffle", shuffled(x.value(), groups, each), {x},
                [=](Tensor dy, Grads& g) { g.pass(0, shuffled(dy, each, groups)); });
}

// Concatenation writes boxes that lie side by side; slices read them.

Variable concatenate(const std::vector<Variable>& xs, int axis) {
  require(!xs.empty(), "concatenate: expected at least one tensor");
  const Variable& first = xs[0];
  const int along = axis_of("concatenate", axis, first.shape());
  kernels::Box whole = box_of(first.shape());
  whole.whole[along] = 0;
  std::vector<kernels::Box> boxes;
  for (const Variable& x : xs) {
    require(x.dtype() == first.dtype() && x.device() == first.device(), "concatenate: expected ", name_of(first.dtype()), " on ",
            name_of(first.device()), " like the first, got ", name_of(x.dtype()), " on ", name_of(x.device()));
    bool alike = x.rank() == first.rank();
    for (int a = 0; alike && a < x.rank(); ++a) alike = a == along || x.dim(a) == first.dim(a);
    require(alike, "concatenate: expected shapes that differ on axis ", along, " alone, got ", first.shape(), " and ", x.shape());
    boxes.push_back(box_of(x.shape()));
    boxes.back().begin[along] = whole.whole[along];
    whole.whole[along] += x.dim(along);
  }
  Tensor y = Tensor::empty(whole_of(whole), first.dtype(), first.device());
  for (std::size_t i = 0; i < xs.size(); ++i) {
    boxes[i].whole[along] = whole.whole[along];
    on_bytes(y, [&](auto be, std::size_t size) { kernels::insert(be, xs[i].value().raw(), y.raw(), boxes[i], size); });
  }
  return record("concatenate", y, xs, [boxes](Tensor dy, Grads& g) {
    for (int i = 0; i < static_cast<int>(boxes.size()); ++i)
      if (g.needs(i)) pass_extracted(g, i, dy, boxes[static_cast<std::size_t>(i)]);
  });
}

std::vector<Variable> split(const Variable& x, const std::vector<std::int64_t>& extents, int axis) {
  const int along = axis_of("split", axis, x.shape());
  std::int64_t sum = 0;
  for (const std::int64_t extent : extents) {
    require(extent >= 0 && extent <= x.dim(along) - sum, "split: expected extents that add up to ", x.dim(along), " on axis ", along,
            " of ", x.shape(), ", got ", extent, " after ", sum);
    sum += extent;
  }
  require(sum == x.dim(along), "split: expected extents that add up to ", x.dim(along), " on axis ", along, " of ", x.shape(), ", got ",
          sum);
  std::vector<Variable> pieces;
  std::int64_t begin = 0;
  for (const std::int64_t extent : extents) {
    pieces.push_back(slice(x, {.axis = along, .begin = begin, .end = begin + extent}));
    begin += extent;
  }
  return pieces;
}

std::vector<Variable> chunk(const Variable& x, std::int64_t pieces, int axis) {
  const std::int64_t extent = x.dim(axis_of("chunk", axis, x.shape()));
  require(pieces >= 1 && extent % pieces == 0, "chunk: expected a number of pieces that divides ", extent, " on axis ", axis, " of ",
          x.shape(), ", got ", pieces);
  return split(x, std::vector<std::int64_t>(static_cast<std::size_t>(pieces), extent / pieces), axis);
}

}   // namespace fovea
