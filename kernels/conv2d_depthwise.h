// conv2d_depthwise.h: convolution with one filter a channel (groups = channels in = channels out). conv2d.h is the contract, and its
// public functions come here by themselves; Reference has no need of it.
//
//   y [n,p,q,c] = sum_{r,s}  x[n,h,w,c] w[c,r,s]         with  h = p stride - pad + r dilation,  w likewise from q, s
//   dx[n,h,w,c] = sum_{p,q,r,s: (p,r) -> h, (q,s) -> w}  dy[n,p,q,c] w[c,r,s]
//   dw[c,r,s]   = sum_{n,p,q}  dy[n,p,q,c] x[n,h,w,c]
//
// On the CPU also groups of G = 4 or 8 channels with as many filters: the same with one more sum, over the G channels of the group (of dx: its G
// filters), behind those over r and s; w (c, r, s, G).
//
// Sifre 2014, "Rigid-Motion Scattering for Image Classification" (thesis), section 6.2; Howard et al. 2017, "MobileNets", Eq. (3). r s
// multiply-adds an output, Eq. (4): few for the 8 B a pixel that must move, so the speed of memory is what can be reached.
#pragma once

#include "kernels/conv2d.h"

namespace fovea::kernels {

/// Whether the depthwise kernels serve this shape: groups of one channel, or of 4 or 8, and as many filters. A rule over the shape, the same for
/// every instruction set. A channel multiplier, filters of more than 31 rows and reaches beyond their line buffers go the way of grouped convolution.
bool in_lanes(const Conv2dShape& s);

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
