#include "autograd/layer_norm.h"

#include "autograd/helpers.h"
#include "kernels/layer_norm.h"

namespace fovea {

Variable layer_norm(const Variable& x, const Variable& gamma, const Variable& beta, double eps) {
  require(x.rank() >= 1 && x.dim(-1) >= 1, "layer_norm: expected x of shape (..., C), got ", x.shape());
  require(eps > 0, "layer_norm: expected eps > 0, got ", eps);
  const kernels::RowShape s{.rows = x.shape().elements() / x.dim(-1), .cols = x.dim(-1)};
  if (gamma.defined()) detail::require_channels("layer_norm", "gamma", gamma.shape(), gamma.dtype(), s.cols, x.dtype());
  if (beta.defined()) detail::require_channels("layer_norm", "beta", beta.shape(), beta.dtype(), s.cols, x.dtype());
  const Tensor in = x.value(), weight = gamma.defined() ? gamma.value() : Tensor(), bias = beta.defined() ? beta.value() : Tensor();
  Tensor y = Tensor::empty_like(in), mean = Tensor::empty({s.rows}, acc_dtype(in.dtype()), in.device()), inv_std = Tensor::empty_like(mean);
  on_backend("layer_norm", in, [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    kernels::layer_norm_forward(be, in.data<T>(), detail::data_or_null<A>(weight), detail::data_or_null<A>(bias), eps, y.data<T>(),
                                mean.data<A>(), inv_std.data<A>(), s);
  });
  return record("layer_norm", y, {x, gamma, beta}, [x = Saved(x), weight, mean, inv_std, s](Tensor dy, Grads& g) {
    const Tensor input = x.tensor();
    Tensor dx = g.needs(0) ? g.target(0, dy) : Tensor();
    Tensor dgamma = g.needs(1) ? g.target(1) : Tensor(), dbeta = g.needs(2) ? g.target(2) : Tensor();
    on_backend("layer_norm", input, [&]<class T>(auto be) {
      using A = kernels::acc_t<T>;
      const Workspace workspace(be, kernels::layer_norm_workspace_bytes<T>(be, s));
      kernels::layer_norm_backward(be,
                                   kernels::LayerNormGradient<T>{.x = input.data<T>(),
                                                                 .dy = dy.data<T>(),
                                                                 .gamma = detail::data_or_null<A>(weight),
                                                                 .mean = mean.data<A>(),
                                                                 .inv_std = inv_std.data<A>(),
                                                                 .dx = dx.defined() ? dx.data<T>() : nullptr,
                                                                 .accumulate_dx = dx.defined() && g.accumulate(0),
                                                                 .dgamma = dgamma.defined() ? dgamma.data<A>() : nullptr,
                                                                 .dbeta = dbeta.defined() ? dbeta.data<A>() : nullptr,
                                                                 .accumulate_dgamma = dgamma.defined() && g.accumulate(1),
                                                                 .accumulate_dbeta = dbeta.defined() && g.accumulate(2)},
                                   s, workspace.data());
    });
  });
}

}   // namespace fovea
