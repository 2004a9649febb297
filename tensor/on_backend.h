// on_backend.h: the one place where a tensor's device and dtype become a tag and a type.
#pragma once

#include "kernels/backend.h"
#include "tensor/cuda.h"
#include "tensor/tensor.h"

namespace fovea {

/// on_backend("softmax", x, [&]<class T>(auto be) { softmax_forward(be, x.data<T>(), ...); });
/// Reference x {float32, float64}, Cpu and Cuda x {float32, bfloat16}; anything else throws ShapeError naming the op. On meta f is not called.
template <class F> void on_backend(const char* op, const Tensor& x, F&& f) {
  if (x.device() == Device::meta) return;
  if (x.device() == Device::reference) {
    if (x.dtype() == DType::f32) return f.template operator()<float>(kernels::Reference{});
    if (x.dtype() == DType::f64) return f.template operator()<double>(kernels::Reference{});
  } else if (x.device() == Device::cpu) {
    if (x.dtype() == DType::f32) return f.template operator()<float>(kernels::Cpu{});
    if (x.dtype() == DType::bf16) return f.template operator()<bfloat16>(kernels::Cpu{});
  } else {
    if (x.dtype() == DType::f32) return f.template operator()<float>(cuda());
    if (x.dtype() == DType::bf16) return f.template operator()<bfloat16>(cuda());
  }
  throw ShapeError(detail::join(op, ": ", name_of(x.dtype()), " is not supported on device ", name_of(x.device()),
                                x.device() == Device::reference ? " (float32, float64)" : " (float32, bfloat16)"));
}

/// For kernels that move bytes, whatever they mean: f(tag, bytes of an element) with Cpu for the host's memory, or Cuda. On meta f is not called.
template <class F> void on_bytes(const Tensor& x, F&& f) {
  if (on_host(x.device())) return f(kernels::Cpu{}, size_of(x.dtype()));
  if (x.device() == Device::cuda) f(cuda(), size_of(x.dtype()));
}

}   // namespace fovea
