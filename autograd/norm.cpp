#include "autograd/norm.h"

#include <memory>

#include "autograd/helpers.h"
#include "autograd/multiply_adds.h"
#include "autograd/recompute.h"
#include "kernels/batch_norm.h"

namespace fovea {

namespace {

using kernels::acc_t;
using kernels::ChannelShape;

/// What a norm does to each channel, and the statistics it came from: x^ = (x - mean) * inv_std, y = scale * x + shift.
struct Affine {
  Tensor mean, inv_std, scale, shift;   // (C), acc_dtype
  bool batch_statistics;
};

void check(const char* op, const BatchNormConfig& norm, std::int64_t channels, std::int64_t rows, DType activations) {
  detail::require_channels(op, "gamma", norm.gamma.shape(), norm.gamma.dtype(), channels, activations);
  detail::require_channels(op, "beta", norm.beta.shape(), norm.beta.dtype(), channels, activations);
  detail::require_channels(op, "running_mean", norm.running_mean.shape(), norm.running_mean.dtype(), channels, activations);
  detail::require_channels(op, "running_var", norm.running_var.shape(), norm.running_var.dtype(), channels, activations);
  require(norm.eps > 0, op, ": expected eps > 0, got ", norm.eps);
  require(norm.momentum >= 0 && norm.momentum <= 1, op, ": expected momentum in [0, 1], got ", norm.momentum);
  require(!norm.training || rows > 1, op, ": expected more than one value per channel in training, got ", rows);
}

/// Room for a norm's affine map. In evaluation the running mean is copied: a later training step must not change what this pass used.
Affine empty_affine(const BatchNormConfig& norm) {
  const Tensor& mean = norm.running_mean;
  return {.mean = norm.training ? Tensor::empty_like(mean) : mean.clone(),
          .inv_std = Tensor::empty_like(mean),
          .scale = Tensor::empty_like(mean),
          .shift = Tensor::empty_like(mean),
          .batch_statistics = norm.training};
}

/// The rest of f from its mean and a variance. In training the running statistics move, too, but only once where the pass runs again.
template <class A, class Backend>
void finish(Backend be, const BatchNormConfig& norm, const Tensor& variance, std::int64_t rows, Affine& f) {
  const bool update = norm.training && !replaying();
  Tensor running_mean = norm.running_mean, running_var = norm.running_var;   // shares the buffers
  kernels::batch_norm_affine(be,
                             kernels::BatchNormAffine<A>{.gamma = norm.gamma.value().data<A>(),
                                                         .beta = norm.beta.value().data<A>(),
                                                         .mean = f.mean.data<A>(),
                                                         .variance = variance.data<A>(),
                                                         .eps = norm.eps,
                                                         .inv_std = f.inv_std.data<A>(),
                                                         .scale = f.scale.data<A>(),
                                                         .shift = f.shift.data<A>(),
                                                         .running_mean = update ? running_mean.data<A>() : nullptr,
                                                         .running_var = update ? running_var.data<A>() : nullptr,
                                                         .momentum = norm.momentum},
                             {.rows = rows, .channels = f.mean.elements()});
}

/// The part of both backward functions that the norm does: from dy to the gradient of its input (dx, written if defined),
/// gamma and beta (inputs `first` and `first + 1`) and the residual (dresidual, written if defined).
template <class T, class Backend>
void norm_backward(Backend be, const Tensor& x, const Tensor& residual, const Tensor& dy, const Affine& f, Activation activation, Grads& g,
                   int first, Tensor dx, bool accumulate_dx, Tensor dresidual, bool accumulate_dresidual) {
  using A = acc_t<T>;
  const ChannelShape s{.rows = x.elements() / x.dim(-1), .channels = x.dim(-1)};
  Tensor dgamma = g.needs(first) ? g.target(first) : Tensor(), dbeta = g.needs(first + 1) ? g.target(first + 1) : Tensor();
  const Workspace workspace(be, kernels::batch_norm_workspace_bytes<T>(be, s));
  kernels::batch_norm_backward(be,
                               kernels::BatchNormGradient<T>{.x = x.data<T>(),
                                                             .residual = detail::data_or_null<T>(residual),
                                                             .dy = dy.data<T>(),
                                                             .mean = f.mean.data<A>(),
                                                             .inv_std = f.inv_std.data<A>(),
                                                             .scale = f.scale.data<A>(),
                                                             .shift = f.shift.data<A>(),
                                                             .activation = activation,
                                                             .batch_statistics = f.batch_statistics,
                                                             .dx = dx.defined() ? dx.data<T>() : nullptr,
                                                             .accumulate_dx = accumulate_dx,
                                                             .dresidual = dresidual.defined() ? dresidual.data<T>() : nullptr,
                                                             .accumulate_dresidual = accumulate_dresidual,
                                                             .dgamma = dgamma.defined() ? dgamma.data<A>() : nullptr,
                                                             .dbeta = dbeta.defined() ? dbeta.data<A>() : nullptr,
                                                             .accumulate_dgamma = dgamma.defined() && g.accumulate(first),
                                                             .accumulate_dbeta = dbeta.defined() && g.accumulate(first + 1)},
                               s, workspace.data());
}

}   // namespace

Variable batch_norm(const Variable& x, const BatchNormConfig& norm) {
  require(x.rank() >= 2, "batch_norm: expected x of shape (..., C), got ", x.shape());
  const Tensor in = x.value();
  const ChannelShape s{.rows = in.elements() / std::max<std::int64_t>(in.dim(-1), 1), .channels = in.dim(-1)};
  check("batch_norm", norm, s.channels, s.rows, in.dtype());
  Tensor y = Tensor::empty_like(in);
  Affine f = empty_affine(norm);
  on_backend("batch_norm", in, [&]<class T>(auto be) {
    using A = acc_t<T>;
    Tensor variance = norm.running_var;
    if (norm.training) {
      variance = Tensor::empty_like(f.mean);
      const Workspace workspace(be, kernels::batch_norm_workspace_bytes<T>(be, s));
      kernels::batch_norm_statistics(be, in.data<T>(), f.mean.data<A>(), variance.data<A>(), s, workspace.data());
    }
    finish<A>(be, norm, variance, s.rows, f);
    kernels::scale_shift<T>(be, in.data<T>(), nullptr, f.scale.data<A>(), f.shift.data<A>(), Activation::none, y.data<T>(), s);
  });
  return record("batch_norm", y, {x, norm.gamma, norm.beta}, [x = Saved(x), f](Tensor dy, Grads& g) {
    const Tensor input = x.tensor();
    Tensor dx = g.needs(0) ? g.target(0, dy) : Tensor();
    on_backend("batch_norm", input, [&]<class T>(auto be) {
      norm_backward<T>(be, input, Tensor(), dy, f, Activation::none, g, 1, dx, dx.defined() && g.accumulate(0), Tensor(), false);
    });
  });
}

Variable conv_norm_act(const Variable& x, const Variable& w, const Conv2dConfig& conv, const BatchNormConfig& norm,
                       const ConvNormActOptions& o) {
  constexpr const char* kOp = "conv_norm_act";
  const kernels::Conv2dShape s = conv2d_shape(kOp, x.shape(), w.shape(), conv);
  const ChannelShape channels{.rows = s.rows(), .channels = s.k};
  check(kOp, norm, s.k, s.rows(), x.dtype());
  const Shape shape{s.n, s.p(), s.q(), s.k};
  const Variable residual = o.residual ? *o.residual : Variable();
  if (o.residual)
    require(residual.shape() == shape && residual.dtype() == x.dtype(), kOp, ": expected a residual of shape ", shape, " and ",
            name_of(x.dtype()), ", got ", residual.shape(), " and ", name_of(residual.dtype()));
  const detail::ConvInput in(x);
  const Tensor weight = detail::parameter_as(kOp, w, in.data);
  const std::vector<Variable> inputs{x, w, norm.gamma, norm.beta, residual};
  bool wanted = false;
  for (const Variable& input : inputs) wanted = wanted || input.requires_grad();
  const bool keep = wanted && grad_enabled();

  const auto convolve = [&]<class T>(auto be, Tensor& out, const kernels::Epilogue<T>& epilogue) {
    const Workspace workspace(be, kernels::conv2d_workspace_bytes<T>(be, s, kernels::ConvProduct::forward));
    kernels::conv2d_forward(be, in.data.data<T>(), weight.data<T>(), out.data<T>(), s, in.prologue<T>(), epilogue, workspace.data());
  };

  const MemoryTag tag("activations");
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  detail::count_multiply_adds(s.multiply_adds());
  Affine f = empty_affine(norm);
  if (!norm.training && !keep) {   // inference: everything in the epilogue
    on_backend(kOp, in.data, [&]<class T>(auto be) {
      finish<acc_t<T>>(be, norm, norm.running_var, channels.rows, f);
      convolve.template operator()<T>(be, y,
                                      {.scale = f.scale.data<acc_t<T>>(),
                                       .shift = f.shift.data<acc_t<T>>(),
                                       .residual = o.residual ? residual.value().data<T>() : nullptr,
                                       .activation = o.activation});
    });
    return Variable(y);
  }

  on_backend(kOp, in.data, [&]<class T>(auto be) {
    using A = acc_t<T>;
    if (!norm.training) {
      convolve.template operator()<T>(be, y, {});
      finish<A>(be, norm, norm.running_var, channels.rows, f);
      return;
    }
    const Workspace partials(be, static_cast<std::size_t>(kernels::stat_tiles(channels.rows) * 2 * s.k) * sizeof(A));
    convolve.template operator()<T>(be, y, {.partials = static_cast<A*>(partials.data())});
    Tensor variance = Tensor::empty_like(f.mean);
    const Workspace merge(be, kernels::batch_norm_merge_workspace_bytes(be, channels));
    kernels::batch_norm_merge<A>(be, static_cast<const A*>(partials.data()), f.mean.data<A>(), variance.data<A>(), channels, merge.data());
    finish<A>(be, norm, variance, channels.rows, f);
  });

  auto activated = std::make_shared<Activated>();
  activated->raw = y;
  activated->scale = f.scale;
  activated->shift = f.shift;
  activated->activation = o.activation;
  if (o.residual) {
    const Saved skip(residual);
    const int depth = 1 + (skip.activated() ? skip.activated()->depth : 0);
    activated->residual = depth <= Activated::kMaxDepth ? skip : Saved(residual.value());
    activated->depth = depth <= Activated::kMaxDepth ? depth : 1;
  }
  if (!keep) return Variable(activated->materialise());

  return record(kOp, activated, inputs,
                [x = in.keep, weight, s, f, raw = y, skip = activated->residual, activation = o.activation](Tensor dy, Grads& g) {
                  on_backend(kOp, raw, [&]<class T>(auto be) {
                    using A = acc_t<T>;
                    // The shortcut gets dy behind the activation: in dy's own memory if nobody else holds it. Then the convolution's gradient needs
                    // memory of its own, else it takes dy's.
                    Tensor dresidual = g.needs(4) ? g.target(4, dy) : Tensor();
                    const bool wanted_dz = g.needs(0) || g.needs(1);
                    Tensor dz = !wanted_dz ? Tensor() : dy.unique() ? dy : Tensor::empty_like(raw);
                    const bool mask_needs_residual = skip.defined() && activation != Activation::none;
                    norm_backward<T>(be, raw, mask_needs_residual ? skip.tensor() : Tensor(), dy, f, activation, g, 2, dz, false, dresidual,
                                     dresidual.defined() && g.accumulate(4));
                    dy = Tensor();
                    if (g.needs(1)) {
                      const detail::ConvInput source(x);
                      Tensor dw = g.target(1);
                      const Workspace workspace(be, kernels::conv2d_workspace_bytes<T>(be, s, kernels::ConvProduct::weight_gradient));
                      kernels::conv2d_weight_gradient(be, source.data.data<T>(), dz.data<T>(), dw.data<A>(), s, source.prologue<T>(),
                                                      g.accumulate(1), workspace.data());
                    }
                    if (g.needs(0)) {
                      Tensor dx = g.target(0);
                      const Workspace workspace(be, kernels::conv2d_workspace_bytes<T>(be, s, kernels::ConvProduct::input_gradient));
                      kernels::conv2d_input_gradient(be, dz.data<T>(), weight.data<T>(), dx.data<T>(), s, g.accumulate(0),
                                                     workspace.data());
                    }
                  });
                });
}

}   // namespace fovea
