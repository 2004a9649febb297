#include "autograd/dropout.h"

#include "kernels/dropout.h"
#include "tensor/graph.h"
#include "tensor/on_backend.h"

namespace fovea {

namespace {

/// Forward and backward are one linear map. Rows of one element: elements.
void drop(const char* op, const Tensor& x, Tensor y, std::int64_t rows, double p, RandomKey key, bool accumulate) {
  const kernels::PhiloxKey philox{.seed = key.seed, .stream = key.stream, .advance = random_advance()};
  const std::int64_t n = x.elements();
  on_backend(op, x, [&]<class T>(auto be) {
    if (rows == n)
      kernels::dropout(be, x.data<T>(), y.data<T>(), n, p, philox, accumulate);
    else
      kernels::drop_rows(be, x.data<T>(), y.data<T>(), {.rows = rows, .cols = n / rows}, p, philox, accumulate);
  });
}

Variable dropped(const char* op, const Variable& x, std::int64_t rows, double p, RandomKey key) {
  require(p >= 0 && p <= 1, op, ": expected a probability p in [0, 1], got ", p);
  Tensor y = Tensor::empty_like(x.value());
  drop(op, x.value(), y, rows, p, key, false);
  return record(op, y, {x}, [=](Tensor dy, Grads& g) {
    Tensor dx = g.target(0, dy);   // may be dy's memory: element by element
    drop(op, dy, dx, rows, p, key, g.accumulate(0));
  });
}

}   // namespace

Variable dropout(const Variable& x, double p, RandomKey key) { return dropped("dropout", x, x.shape().elements(), p, key); }

Variable stochastic_depth(const Variable& x, double p, DropMode mode, RandomKey key) {
  require(x.rank() >= 1, "stochastic_depth: expected x of shape (N, ...), got ", x.shape());
  const std::int64_t n = x.shape().elements();
  return dropped("stochastic_depth", x, mode == DropMode::batch ? 1 : n == 0 ? n : x.dim(0), p, key);
}

}   // namespace fovea
