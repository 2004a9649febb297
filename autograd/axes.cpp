#include "autograd/axes.h"

namespace fovea::detail {

namespace {
std::size_t at(int i) { return static_cast<std::size_t>(i); }
}   // namespace

Tensor permuted(const Tensor& x, const Order& order) {
  const Steps steps = dense_steps(x.shape());
  const int rank = x.rank();
  kernels::StridedShape s{.rank = rank};
  bool moves = false;
  for (int a = 0, last = -1; a < rank; ++a) {
    const int from = order[at(a)];
    s.extent[a] = x.dim(from);
    s.x_step[a] = steps[at(from)];
    if (x.dim(from) == 1) continue;
    moves = moves || from < last;
    last = from;
  }
  const Shape shape(std::span(s.extent, at(rank)));
  if (!moves) return x.reshape(shape);
  const Steps dense = dense_steps(shape);
  std::copy_n(dense.begin(), rank, s.y_step);
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  on_bytes(x, [&](auto be, std::size_t size) { kernels::strided_copy(be, x.raw(), y.raw(), s, size); });
  return y;
}

Order inverse(const Order& order, int rank) {
  Order back{};
  for (int a = 0; a < rank; ++a) back[at(order[at(a)])] = a;
  return back;
}

void repeat(const Tensor& x, Tensor& y, bool accumulate) {
  const Steps from = repeated_steps(x.shape(), y.shape()), to = dense_steps(y.shape());
  const int rank = y.rank();
  if (!accumulate) {
    kernels::StridedShape s{.rank = rank};
    std::copy(y.shape().dims().begin(), y.shape().dims().end(), s.extent);
    std::copy_n(from.begin(), rank, s.x_step);
    std::copy_n(to.begin(), rank, s.y_step);
    on_bytes(x, [&](auto be, std::size_t size) { kernels::strided_copy(be, x.raw(), y.raw(), s, size); });
    return;
  }
  kernels::BroadcastShape s{.rank = rank};
  std::copy(y.shape().dims().begin(), y.shape().dims().end(), s.extent);
  std::copy_n(to.begin(), rank, s.a_step);
  std::copy_n(from.begin(), rank, s.b_step);
  std::copy_n(to.begin(), rank, s.y_step);
  on_backend("gradient sum", y,
             [&]<class T>(auto be) { kernels::broadcast(be, kernels::Arithmetic::add, y.data<T>(), x.data<T>(), y.data<T>(), s, false); });
}

AxisPlan::AxisPlan(const Shape& x, const std::array<bool, Shape::kMaxRank>& reduced) : rank(x.rank()) {
  int first = rank, last = -1, place = 0;   // of the reduced axes that have an extent other than 1
  for (int a = 0; a < rank; ++a)
    if (reduced[at(a)] && x.dim(a) != 1) first = std::min(first, a), last = a;
  for (int a = first; a <= last; ++a) together = together && (reduced[at(a)] || x.dim(a) == 1);
  for (const bool gone : {false, true})
    for (int a = 0; a < rank; ++a)
      if (reduced[at(a)] == gone) order[at(place++)] = a;
  for (int a = 0; a < rank; ++a) {
    if (reduced[at(a)])
      shape.axis *= x.dim(a);
    else
      (together && a > last ? shape.inner : shape.outer) *= x.dim(a);
  }
}

Tensor sum_over(const AxisPlan& plan, const Tensor& x, const Tensor& z, double factor, const Shape& shape) {
  Tensor y = Tensor::empty(shape, acc_dtype(x.dtype()), x.device());
  const Tensor in = plan.arrange(x), other = z.defined() ? plan.arrange(z) : Tensor();
  on_backend("sum", in, [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    const Workspace workspace(be, kernels::reduce_workspace_bytes<T>(be, plan.shape));
    if (z.defined())
      kernels::dot_axis(be, in.data<T>(), other.data<T>(), static_cast<A>(factor), y.data<A>(), plan.shape, false, workspace.data());
    else
      kernels::sum_axis(be, in.data<T>(), static_cast<A>(factor), y.data<A>(), plan.shape, false, workspace.data());
  });
  return y;
}

}   // namespace fovea::detail
