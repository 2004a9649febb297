#include "autograd/arithmetic.h"

#include "autograd/axes.h"
#include "autograd/helpers.h"

namespace fovea {

using detail::AxisPlan;
using kernels::Arithmetic;

namespace {

Shape broadcast_shape(const char* op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  detail::Steps extents{};
  for (int i = 1; i <= rank; ++i) {   // i-th from the back
    const std::int64_t u = i <= a.rank() ? a.dim(-i) : 1, v = i <= b.rank() ? b.dim(-i) : 1;
    require(u == v || u == 1 || v == 1, op, ": expected shapes that broadcast, got ", a, " and ", b, ": ", u, " and ", v, " on axis ", -i);
    extents[static_cast<std::size_t>(rank - i)] = u == 1 ? v : u;
  }
  return Shape(std::span(extents.data(), static_cast<std::size_t>(rank)));
}

/// y = a op b, both repeated to y's shape, or += with accumulate; one dtype. y may be an operand of its shape.
void compute(const char* name, Arithmetic op, const Tensor& a, const Tensor& b, Tensor& y, bool accumulate = false) {
  kernels::BroadcastShape s{.rank = y.rank()};
  std::copy(y.shape().dims().begin(), y.shape().dims().end(), s.extent);
  std::ranges::copy(detail::repeated_steps(a.shape(), y.shape()), s.a_step);
  std::ranges::copy(detail::repeated_steps(b.shape(), y.shape()), s.b_step);
  std::ranges::copy(detail::dense_steps(y.shape()), s.y_step);
  on_backend(name, y, [&]<class T>(auto be) { kernels::broadcast(be, op, a.data<T>(), b.data<T>(), y.data<T>(), s, accumulate); });
}

/// The two operands in the dtype they are computed in, and the shape of the result.
struct Operands {
  Tensor a, b;
  Shape shape;

  Operands(const char* op, const Variable& u, const Variable& v) : shape(broadcast_shape(op, u.shape(), v.shape())) {
    require(u.device() == v.device(), op, ": expected two of a device, got ", name_of(u.device()), " and ", name_of(v.device()));
    const bool narrow_u = u.dtype() == DType::bf16 && v.dtype() == DType::f32,
               narrow_v = u.dtype() == DType::f32 && v.dtype() == DType::bf16;
    require(u.dtype() == v.dtype() || narrow_u || narrow_v, op, ": expected two of a dtype, got ", name_of(u.dtype()), " and ",
            name_of(v.dtype()));
    a = narrow_v ? detail::parameter_as(op, u, v.value()) : u.value();
    b = narrow_u ? detail::parameter_as(op, v, u.value()) : v.value();
  }
};

/// What a backward function has to know of an operand.
struct Operand {
  Shape shape;
  DType dtype;   // of its gradient
  explicit Operand(const Variable& x) : shape(x.shape()), dtype(x.dtype()) {}
  bool repeated(const Shape& y) const { return shape.elements() != y.elements(); }
  /// The sum over its repetitions in y.
  AxisPlan repetitions(const Shape& y) const {
    std::array<bool, Shape::kMaxRank> repeats{};
    for (int a = 0, lacking = y.rank() - shape.rank(); a < y.rank(); ++a)
      repeats[static_cast<std::size_t>(a)] = a < lacking || (shape.dim(a - lacking) == 1 && y.dim(a) != 1);
    return AxisPlan(y, repeats);
  }
};

/// The gradient of operand i is factor * sum over its repetitions of dy, or of dy * z (z shaped like dy).
void pass_sum(Grads& g, int i, const Operand& x, const Tensor& dy, const Tensor& z, double factor) {
  g.pass(i, detail::sum_over(x.repetitions(dy.shape()), dy, z, factor, x.shape).to(x.dtype));
}

/// The gradient of operand i is dy op z; `last`: nobody needs dy afterwards, so its memory may become the gradient's.
void pass_product(Grads& g, int i, const Operand& x, Arithmetic op, const Tensor& dy, const Tensor& z, bool last) {
  if (!x.repeated(dy.shape()) && x.dtype == dy.dtype()) {
    Tensor dx = last ? g.target(i, dy) : g.target(i);
    Tensor flat = dx.reshape(dy.shape());   // x may lack leading axes of 1
    return compute("gradient", op, dy, z, flat, g.accumulate(i));
  }
  if (op == Arithmetic::mul && x.repeated(dy.shape()) && z.shape() == dy.shape()) return pass_sum(g, i, x, dy, z, 1);
  Tensor product = Tensor::empty_like(dy);
  compute("gradient", op, dy, z, product);
  if (x.repeated(dy.shape())) return pass_sum(g, i, x, product, Tensor(), 1);
  g.pass(i, product.reshape(x.shape).to(x.dtype));
}

/// An operand as it was computed with: kept by reference, or its rounded copy.
Saved keep(const Variable& x, const Tensor& as) { return x.dtype() == as.dtype() ? Saved(x) : Saved(as); }

/// a + b and a - b.
Variable sum_or_difference(const char* op, Arithmetic which, const Variable& a, const Variable& b) {
  const Operands in(op, a, b);
  Tensor y = Tensor::empty(in.shape, in.a.dtype(), in.a.device());
  compute(op, which, in.a, in.b, y);
  return record(op, y, {a, b}, [=, of_a = Operand(a), of_b = Operand(b)](Tensor dy, Grads& g) {
    for (const int i : {0, 1}) {
      if (!g.needs(i)) continue;
      const Operand& x = i == 0 ? of_a : of_b;
      const double sign = i == 1 && which == Arithmetic::sub ? -1 : 1;
      if (x.repeated(dy.shape())) {
        pass_sum(g, i, x, dy, Tensor(), sign);
      } else if (sign == 1) {
        g.pass(i, dy.reshape(x.shape).to(x.dtype));
      } else {
        const Tensor in_dtype = dy.to(x.dtype);
        Tensor dx = g.target(i);
        on_backend(op, dx, [&]<class T>(auto be) {
          kernels::affine(be, in_dtype.data<T>(), kernels::acc_t<T>(-1), kernels::acc_t<T>(0), dx.data<T>(), dx.elements(),
                          g.accumulate(i));
        });
      }
    }
  });
}

}   // namespace

Variable add(const Variable& a, const Variable& b) { return sum_or_difference("add", Arithmetic::add, a, b); }
Variable sub(const Variable& a, const Variable& b) { return sum_or_difference("sub", Arithmetic::sub, a, b); }

Variable mul(const Variable& a, const Variable& b) {
  const Operands in("mul", a, b);
  Tensor y = Tensor::empty(in.shape, in.a.dtype(), in.a.device());
  compute("mul", Arithmetic::mul, in.a, in.b, y);
  return record("mul", y, {a, b},
                [of_a = Operand(a), of_b = Operand(b), saved_a = b.requires_grad() ? keep(a, in.a) : Saved(),
                 saved_b = a.requires_grad() ? keep(b, in.b) : Saved()](Tensor dy, Grads& g) {
                  if (g.needs(1)) pass_product(g, 1, of_b, Arithmetic::mul, dy, saved_a.tensor(), !g.needs(0));
                  if (g.needs(0)) pass_product(g, 0, of_a, Arithmetic::mul, dy, saved_b.tensor(), true);
                });
}

Variable div(const Variable& a, const Variable& b) {
  const Operands in("div", a, b);
  Tensor y = Tensor::empty(in.shape, in.a.dtype(), in.a.device());
  compute("div", Arithmetic::div, in.a, in.b, y);
  return record("div", y, {a, b},
                [of_a = Operand(a), of_b = Operand(b), saved_b = keep(b, in.b), y = b.requires_grad() ? y : Tensor()](Tensor dy, Grads& g) {
                  const Tensor divisor = saved_b.tensor();
                  if (g.needs(1)) {   // b is the same for all of its repetitions, so they are summed first and divided once
                    Tensor db = detail::sum_over(of_b.repetitions(dy.shape()), dy, y, -1, of_b.shape);
                    compute("div", Arithmetic::div, db, divisor.to(db.dtype()), db);
                    g.pass(1, db.to(of_b.dtype));
                  }
                  if (g.needs(0)) pass_product(g, 0, of_a, Arithmetic::div, dy, divisor, true);
                });
}

Variable affine(const Variable& x, double factor, double shift) {
  Tensor y = Tensor::empty_like(x.value());
  on_backend("affine", y, [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    kernels::affine(be, x.value().data<T>(), static_cast<A>(factor), static_cast<A>(shift), y.data<T>(), y.elements(), false);
  });
  return record("affine", y, {x}, [factor](Tensor dy, Grads& g) {
    if (factor == 1) return g.pass(0, dy);
    Tensor dx = g.target(0, dy);
    on_backend("affine", dy, [&]<class T>(auto be) {
      using A = kernels::acc_t<T>;
      kernels::affine(be, dy.data<T>(), static_cast<A>(factor), A(0), dx.data<T>(), dx.elements(), g.accumulate(0));
    });
  });
}

Variable operator/(double c, const Variable& x) { return div(Variable(Tensor::full({}, c, x.dtype(), x.device())), x); }

Variable expand(const Variable& x, const Shape& shape) {
  const int lacking = shape.rank() - x.rank();
  require(lacking >= 0, "expand: expected a shape of at least ", x.rank(), " axes for x ", x.shape(), ", got ", shape);
  for (int a = 0; a < shape.rank(); ++a) {
    const std::int64_t has = a < lacking ? 1 : x.dim(a - lacking);
    require(shape.dim(a) >= 0 && (has == shape.dim(a) || has == 1), "expand: expected a shape that x ", x.shape(), " repeats to, got ",
            shape);
  }
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  detail::repeat(x.value(), y, false);
  return record("expand", y, {x}, [of_x = Operand(x)](Tensor dy, Grads& g) {
    of_x.repeated(dy.shape()) ? pass_sum(g, 0, of_x, dy, Tensor(), 1) : g.pass(0, dy.reshape(of_x.shape));
  });
}

}   // namespace fovea
