// helpers.h: what the files of this folder share. Not for users.
#pragma once

#include "autograd/node.h"
#include "kernels/fusion.h"
#include "tensor/on_backend.h"

namespace fovea::detail {

/// The data of a tensor that may be absent: null then.
template <class T> const T* data_or_null(const Tensor& t) { return t.defined() ? t.data<T>() : nullptr; }

/// A parameter in the dtype that a kernel computes in: itself, or a rounded copy made once for each version of it. Parameters stay
/// float32 when activations are bfloat16 (and are float64 with float64 activations).
inline Tensor parameter_as(const char* op, const Variable& w, const Tensor& x) {
  require(w.device() == x.device(), op, ": expected parameters on ", name_of(x.device()), " like x, got them on ", name_of(w.device()));
  if (w.dtype() == x.dtype()) return w.value();
  require(w.dtype() == acc_dtype(x.dtype()), op, ": expected ", name_of(acc_dtype(x.dtype())), " parameters for ", name_of(x.dtype()),
          " activations, got ", name_of(w.dtype()));
  return w.derived(name_of(x.dtype()), [&](const Tensor& value) { return value.to(x.dtype()); });
}

/// A parameter, statistic or bias that kernels want in acc_t<T>.
inline void require_channels(const char* op, const char* what, const Shape& shape, DType dtype, std::int64_t channels, DType activations) {
  require(shape == Shape{channels} && dtype == acc_dtype(activations), op, ": expected ", what, " of shape ", Shape{channels}, " and ",
          name_of(acc_dtype(activations)), ", got ", shape, " and ", name_of(dtype));
}

/// What a convolution reads: a tensor, and what to do to it while packing. The output of a fused convolution without a residual is
/// read as its raw form plus a prologue; anything else by value.
struct ConvInput {
  Tensor data;
  Saved keep;   // for the weight gradient

  explicit ConvInput(const Variable& x) : keep(x) { data = prologue_source(keep) ? keep.activated()->raw : x.value(); }
  explicit ConvInput(const Saved& saved) : keep(saved) { data = prologue_source(keep) ? keep.activated()->raw : keep.tensor(); }

  template <class T> kernels::Prologue<T> prologue() const {
    if (!prologue_source(keep)) return {};
    const Activated& a = *keep.activated();
    return {.scale = a.scale.data<kernels::acc_t<T>>(), .shift = a.shift.data<kernels::acc_t<T>>(), .activation = a.activation};
  }

 private:
  static bool prologue_source(const Saved& s) { return s.activated() && !s.activated()->residual.defined(); }
};

}   // namespace fovea::detail
