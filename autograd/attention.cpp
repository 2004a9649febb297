#include "autograd/attention.h"

#include <cmath>

#include "autograd/helpers.h"
#include "autograd/multiply_adds.h"
#include "kernels/attention.h"

namespace fovea {
namespace {

using kernels::AttentionShape;

/// Checks what q (B, T, ...) and k (B, S, ...) with `channels` have in common with the options and the bias.
AttentionShape attention_shape(const Shape& q, const Shape& k, std::int64_t channels, DType dtype, const Tensor& bias,
                               const AttentionOptions& o) {
  require(o.heads >= 1 && channels >= 1 && channels % o.heads == 0, "attention: expected channels that are a multiple of ", o.heads,
          " heads, got ", channels);
  require(k.dim(1) >= 1, "attention: expected at least one token, got ", k);
  AttentionShape s{
      .batch = q.dim(0), .heads = o.heads, .queries = q.dim(1), .keys = k.dim(1), .dim = channels / o.heads, .q = {}, .kv = {}, .scale = 0};
  s.scale = o.scale.value_or(1 / std::sqrt(static_cast<double>(s.dim)));
  s.q = {s.queries * q.dim(2), q.dim(2), s.dim};
  s.kv = {s.keys * k.dim(2), k.dim(2), s.dim};
  if (!bias.defined()) return s;
  require(bias.dtype() == acc_dtype(dtype), "attention: expected a ", name_of(acc_dtype(dtype)), " bias for ", name_of(dtype), ", got ",
          name_of(bias.dtype()));
  const int rank = bias.rank();
  require((rank == 3 || rank == 4) && bias.dim(rank - 3) == s.heads && bias.dim(rank - 2) == s.queries && bias.dim(rank - 1) == s.keys,
          "attention: expected a bias of shape ", Shape{s.heads, s.queries, s.keys}, " or with a number of them in front, got ",
          bias.shape());
  s.bias_groups = rank == 4 ? bias.dim(0) : 1;
  require(s.bias_groups >= 1 && s.batch % s.bias_groups == 0, "attention: expected a number of biases that divides the batch of ", s.batch,
          ", got ", bias.shape());
  return s;
}

/// Tensors and where in them q, k and v begin: three tensors, or three pieces of one.
struct Operands {
  Tensor q, k, v, bias;   // bias may be undefined
  std::int64_t k_begins = 0, v_begins = 0;
  AttentionShape s;
};

Operands fused(const Tensor& qkv, const Tensor& bias, const AttentionOptions& o) {
  require(qkv.rank() == 3 && qkv.dim(2) % 3 == 0, "attention: expected qkv of shape (B, T, 3 C), got ", qkv.shape());
  const std::int64_t channels = qkv.dim(2) / 3;
  return {.q = qkv,
          .k = qkv,
          .v = qkv,
          .bias = bias,
          .k_begins = channels,
          .v_begins = 2 * channels,
          .s = attention_shape(qkv.shape(), qkv.shape(), channels, qkv.dtype(), bias, o)};
}

Operands separate(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias, const AttentionOptions& o) {
  require(q.rank() == 3, "attention: expected q of shape (B, T, C), got ", q.shape());
  require(k.rank() == 3 && k.dim(0) == q.dim(0) && k.dim(2) == q.dim(2), "attention: expected k of shape (", q.dim(0), ", S, ", q.dim(2),
          ") for q ", q.shape(), ", got ", k.shape());
  require(v.shape() == k.shape(), "attention: expected k and v of one shape, got ", k.shape(), " and ", v.shape());
  require(k.dtype() == q.dtype() && v.dtype() == q.dtype(), "attention: expected q, k and v of one dtype, got ", name_of(q.dtype()), ", ",
          name_of(k.dtype()), " and ", name_of(v.dtype()));
  return {.q = q, .k = k, .v = v, .bias = bias, .s = attention_shape(q.shape(), k.shape(), q.dim(2), q.dtype(), bias, o)};
}

/// The output, and one number a row for the backward pass.
struct Result {
  Tensor y, lse;
};
Result forward(const Operands& a) {
  Result r{Tensor::empty({a.s.batch, a.s.queries, a.s.heads * a.s.dim}, a.q.dtype(), a.q.device()),
           Tensor::empty({a.s.batch, a.s.heads, a.s.queries}, acc_dtype(a.q.dtype()), a.q.device())};
  detail::count_multiply_adds(a.s.multiply_adds());
  on_backend("attention", a.q, [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    const Workspace workspace(be, kernels::attention_workspace_bytes<T>(be, a.s));
    kernels::attention_forward(be, a.q.data<T>(), a.k.data<T>() + a.k_begins, a.v.data<T>() + a.v_begins, detail::data_or_null<A>(a.bias),
                               r.y.data<T>(), r.lse.data<A>(), a.s, workspace.data());
  });
  return r;
}

template <class T, class Backend>
void backward(Backend be, const Operands& a, const Tensor& lse, const Tensor& dy, const kernels::AttentionGradients<T>& to) {
  using A = kernels::acc_t<T>;
  const Workspace workspace(be, kernels::attention_workspace_bytes<T>(be, a.s));
  kernels::attention_backward(be, a.q.data<T>(), a.k.data<T>() + a.k_begins, a.v.data<T>() + a.v_begins, detail::data_or_null<A>(a.bias),
                              lse.data<A>(), dy.data<T>(), to, a.s, workspace.data());
}

Tensor value_or_none(const Variable& v) { return v.defined() ? v.value() : Tensor(); }

}   // namespace

Variable attention(const Variable& qkv, const Variable& bias, const AttentionOptions& o) {
  const Operands a = fused(qkv.value(), value_or_none(bias), o);
  const Result r = forward(a);
  return record("attention", r.y, {qkv, bias}, [a, lse = r.lse](Tensor dy, Grads& g) {
    on_backend("attention", dy, [&]<class T>(auto be) {
      kernels::AttentionGradients<T> to;
      if (g.needs(0)) {
        to.dq = g.target(0).data<T>(), to.dk = to.dq + a.k_begins, to.dv = to.dq + a.v_begins;
        to.accumulate_q = to.accumulate_k = to.accumulate_v = g.accumulate(0);
      }
      if (g.needs(1)) to.dbias = g.target(1).data<kernels::acc_t<T>>(), to.accumulate_bias = g.accumulate(1);
      backward(be, a, lse, dy, to);
    });
  });
}

Variable attention(const Variable& q, const Variable& k, const Variable& v, const Variable& bias, const AttentionOptions& o) {
  const Operands a = separate(q.value(), k.value(), v.value(), value_or_none(bias), o);
  const Result r = forward(a);
  return record("attention", r.y, {q, k, v, bias}, [a, lse = r.lse](Tensor dy, Grads& g) {
    on_backend("attention", dy, [&]<class T>(auto be) {
      kernels::AttentionGradients<T> to;   // q, k and v may be one Variable: then targets are one memory, and later ones accumulate
      if (g.needs(0)) to.dq = g.target(0).data<T>(), to.accumulate_q = g.accumulate(0);
      if (g.needs(1)) to.dk = g.target(1).data<T>(), to.accumulate_k = g.accumulate(1);
      if (g.needs(2)) to.dv = g.target(2).data<T>(), to.accumulate_v = g.accumulate(2);
      if (g.needs(3)) to.dbias = g.target(3).data<kernels::acc_t<T>>(), to.accumulate_bias = g.accumulate(3);
      backward(be, a, lse, dy, to);
    });
  });
}

namespace {
Tensor weights(const Operands& a) {
  Tensor p = Tensor::empty({a.s.batch, a.s.heads, a.s.queries, a.s.keys}, a.q.dtype(), a.q.device());
  on_backend("attention_weights", a.q, [&]<class T>(auto be) {
    const Workspace workspace(be, kernels::attention_workspace_bytes<T>(be, a.s));
    kernels::attention_weights(be, a.q.data<T>(), a.k.data<T>() + a.k_begins, detail::data_or_null<kernels::acc_t<T>>(a.bias), p.data<T>(),
                               a.s, workspace.data());
  });
  return p;
}
}   // namespace

Tensor attention_weights(const Tensor& qkv, const Tensor& bias, const AttentionOptions& o) { return weights(fused(qkv, bias, o)); }
Tensor attention_weights(const Tensor& q, const Tensor& k, const Tensor& bias, const AttentionOptions& o) {
  return weights(separate(q, k, k, bias, o));
}

}   // namespace fovea
