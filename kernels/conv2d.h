// conv2d.h: 2-d convolution (cross-correlation, as in every framework): forward, input gradient, weight gradient. LeCun et al. 1989,
// "Backpropagation Applied to Handwritten Zip Code Recognition"; sizes: Dumoulin & Visin 2016, "A guide to convolution arithmetic for
// deep learning" (arXiv:1603.07285), Relationship 6. Each of the three products costs rows() * k * taps() multiply-adds.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/fusion.h"

namespace fovea::kernels {

/// x (n, h, w, c), w (k, r, s, c/groups), y (n, p, q, k); everything contiguous. groups divides c and k.
struct Conv2dShape {
  std::int64_t n, h, w, c;
  std::int64_t k, r, s;
  std::int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  std::int64_t groups = 1;
  FOVEA_INLINE std::int64_t p() const { return (h + 2 * pad_h - dilation_h * (r - 1) - 1) / stride_h + 1; }
  FOVEA_INLINE std::int64_t q() const { return (w + 2 * pad_w - dilation_w * (s - 1) - 1) / stride_w + 1; }
  FOVEA_INLINE std::int64_t rows() const { return n * p() * q(); }          // pixels of y
  FOVEA_INLINE std::int64_t taps() const { return r * s * (c / groups); }   // multiply-adds per output
  FOVEA_INLINE std::int64_t multiply_adds() const { return rows() * k * taps(); }
};

enum class ConvProduct { forward, input_gradient, weight_gradient };
template <class T> std::size_t conv2d_workspace_bytes(Reference, const Conv2dShape& s, ConvProduct product);
template <class T> std::size_t conv2d_workspace_bytes(Cpu, const Conv2dShape& s, ConvProduct product);
template <class T> std::size_t conv2d_workspace_bytes(Cuda, const Conv2dShape& s, ConvProduct product);

/// y[n,p,q,k] = epilogue(sum_{r,s,c} prologue(x)[n, p*stride - pad + r*dilation, q*.., c] * w[k,r,s,c]); outside x is 0.
template <class T>
void conv2d_forward(Reference, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e,
                    void* workspace);
template <class T>
void conv2d_forward(Cpu, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e, void* workspace);
template <class T>
void conv2d_forward(Cuda, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e, void* workspace);

/// dx[n,h,w,c] = sum_k sum_{p,q,r,s} dy[n,p,q,k] w[k,r,s,c] over the outputs p, q that saw h, w through r, s (h = p*stride - pad +
/// r*dilation, w likewise): the gradient with respect to prologue(x).
template <class T>
void conv2d_input_gradient(Reference, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace);
template <class T> void conv2d_input_gradient(Cpu, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace);
template <class T> void conv2d_input_gradient(Cuda, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace);

/// dw[k,r,s,c] = sum_{n,p,q} dy[n,p,q,k] * prologue(x)[n, p*stride - pad + r*dilation, .., c].
template <class T>
void conv2d_weight_gradient(Reference, const T* x, const T* dy, acc_t<T>* dw, const Conv2dShape& s, const Prologue<T>& p, bool accumulate,
                            void* workspace);
template <class T>
void conv2d_weight_gradient(Cpu, const T* x, const T* dy, acc_t<T>* dw, const Conv2dShape& s, const Prologue<T>& p, bool accumulate,
                            void* workspace);
template <class T>
void conv2d_weight_gradient(Cuda, const T* x, const T* dy, acc_t<T>* dw, const Conv2dShape& s, const Prologue<T>& p, bool accumulate,
                            void* workspace);

}   // namespace fovea::kernels
