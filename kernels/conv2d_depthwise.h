// conv2d_depthwise.h: convolution with one filter a channel (groups = channels in = channels out). conv2d.h is the contract, and its
// public functions come here by themselves; Reference has no need of it.
//
//   y[n,p,q,c] = sum_{r,s} x[n, p stride - pad + r dilation, .., c] w[c,r,s]
//
// Sifre 2014, "Rigid-Motion Scattering for Image Classification" (thesis), section 6.2; Howard et al. 2017, "MobileNets", Eq. (3).
#pragma once

#include "kernels/conv2d.h"

namespace fovea::kernels {

/// Whether the depthwise kernels serve this shape: a rule over the shape, the same for every instruction set. A channel multiplier,
/// filters of more than 31 rows and reaches beyond their line buffers go the way of grouped convolution.
bool is_depthwise(const Conv2dShape& s);

std::size_t depthwise_workspace_bytes(const Conv2dShape& s, ConvProduct product);
template <class T>
void depthwise_forward(const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e, void* workspace);
template <class T> void depthwise_input_gradient(const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace);
template <class T>
void depthwise_weight_gradient(const T* x, const T* dy, float* dw, const Conv2dShape& s, const Prologue<T>& p, bool accumulate,
                               void* workspace);

/// On the device: filters of 3x3, 5x5 and 7x7, any stride, padding and dilation.
bool is_depthwise(Cuda, const Conv2dShape& s);

std::size_t depthwise_workspace_bytes(Cuda, const Conv2dShape& s, ConvProduct product);
template <class T>
void depthwise_forward(Cuda, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e);
template <class T> void depthwise_input_gradient(Cuda, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate);
template <class T>
void depthwise_weight_gradient(Cuda, const T* x, const T* dy, float* dw, const Conv2dShape& s, const Prologue<T>& p, bool accumulate,
                               float* workspace);

}   // namespace fovea::kernels
