#include "autograd/local_response_norm.h"

#include "autograd/activated.h"
#include "tensor/on_backend.h"

namespace fovea {

void check_local_response(const char* op, const LocalResponse& o) {
  require(o.size >= 1 && o.size <= kernels::kMaxLocalResponse, op, ": expected a size in 1..", kernels::kMaxLocalResponse, ", got ",
          o.size);
  require(o.alpha >= 0 && o.k > 0, op, ": expected alpha >= 0 and k > 0, got alpha ", o.alpha, ", k ", o.k);
}

Variable local_response_norm(const Variable& x, const LocalResponse& o) {
  constexpr const char* kOp = "local_response_norm";
  require(x.rank() >= 1 && x.dim(-1) >= 1, kOp, ": expected x of shape (..., C), got ", x.shape());
  check_local_response(kOp, o);
  const kernels::RowShape s{.rows = x.shape().elements() / x.dim(-1), .cols = x.dim(-1)};
  const Tensor in = x.value();
  Tensor y = Tensor::empty_like(in);
  on_backend(kOp, in, [&]<class T>(auto be) { kernels::local_response_norm_forward(be, in.data<T>(), o, y.data<T>(), s); });
  return record(kOp, y, {x}, [x = Saved(x), o, s](Tensor dy, Grads& g) {
    const Tensor input = x.tensor();
    Tensor dx = g.target(0);   // not dy's memory: a channel's gradient needs its neighbours' dy
    on_backend(kOp, input, [&]<class T>(auto be) {
      kernels::local_response_norm_backward<T>(be, input.data<T>(), dy.data<T>(), o, dx.data<T>(), s, g.accumulate(0));
    });
  });
}

}   // namespace fovea
