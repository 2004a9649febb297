// scale_channels.h: each channel of each image times a number of its own: what squeeze-and-excitation does to its input, Hu et al.
// 2018, "Squeeze-and-Excitation Networks", Eq. (4). Forward moves 8 B an element in float32 (x in, y out); backward 12 (x and dy in,
// dx out), for both gradients in one pass.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

struct ImageShape {
  std::int64_t images, pixels, channels;   // x (N, H W, C), contiguous
};

/// y[n,p,c] = x[n,p,c] s[n,c]. y may be x.
template <class T> void scale_channels_forward(Reference, const T* x, const T* s, T* y, ImageShape shape);
template <class T> void scale_channels_forward(Cpu, const T* x, const T* s, T* y, ImageShape shape);
template <class T> void scale_channels_forward(Cuda, const T* x, const T* s, T* y, ImageShape shape);

template <class T> struct ScaleChannelsGradient {
  const T *x, *s, *dy;
  T* dx = nullptr;   // = dy s; may be dy. Null: nobody wants it
  bool accumulate_dx = false;
  T* ds = nullptr;   // (N, C) = sum_p dy x. Cpu: sums of a tile in float, tiles joined in order in double
  bool accumulate_ds = false;
};
template <class T> std::size_t scale_channels_workspace_bytes(Reference, ImageShape shape);
template <class T> std::size_t scale_channels_workspace_bytes(Cpu, ImageShape shape);
template <class T> std::size_t scale_channels_workspace_bytes(Cuda, ImageShape shape);
template <class T> void scale_channels_backward(Reference, const ScaleChannelsGradient<T>& a, ImageShape shape, void* workspace);
template <class T> void scale_channels_backward(Cpu, const ScaleChannelsGradient<T>& a, ImageShape shape, void* workspace);
template <class T> void scale_channels_backward(Cuda, const ScaleChannelsGradient<T>& a, ImageShape shape, void* workspace);

}   // namespace fovea::kernels
