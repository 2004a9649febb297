// pooling.h: max pooling and global average pooling, channels last.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// x (n, h, w, c) -> y (n, p, q, c); padding holds -inf, so 2 * pad <= kernel. kernel_h * kernel_w <= 255.
struct Pool2dShape {
  std::int64_t n, h, w, c;
  std::int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h = 0, pad_w = 0;
  FOVEA_INLINE std::int64_t p() const { return (h + 2 * pad_h - kernel_h) / stride_h + 1; }
  FOVEA_INLINE std::int64_t q() const { return (w + 2 * pad_w - kernel_w) / stride_w + 1; }
};

/// y = the window's largest value; which[n,p,q,c] = its place in the window, r * kernel_w + s; the first of equals, and a NaN wins.
template <class T> void max_pool2d_forward(Reference, const T* x, T* y, std::uint8_t* which, const Pool2dShape& s);
template <class T> void max_pool2d_forward(Cpu, const T* x, T* y, std::uint8_t* which, const Pool2dShape& s);
/// dx[i] = sum of dy over the windows whose maximum i is, gathered per input pixel in order of (p, q): no atomics, no order left to chance.
template <class T>
void max_pool2d_backward(Reference, const T* dy, const std::uint8_t* which, T* dx, const Pool2dShape& s, bool accumulate);
template <class T> void max_pool2d_backward(Cpu, const T* dy, const std::uint8_t* which, T* dx, const Pool2dShape& s, bool accumulate);

/// x (images, pixels, c) -> y (images, c): the mean over pixels. Lin et al. 2013, "Network in Network", section 3.2.
struct GlobalPoolShape {
  std::int64_t images, pixels, c;
};
template <class T> void global_avg_pool_forward(Reference, const T* x, T* y, GlobalPoolShape s);
template <class T> void global_avg_pool_forward(Cpu, const T* x, T* y, GlobalPoolShape s);
/// dx = dy / pixels, spread.
template <class T> void global_avg_pool_backward(Reference, const T* dy, T* dx, GlobalPoolShape s, bool accumulate);
template <class T> void global_avg_pool_backward(Cpu, const T* dy, T* dx, GlobalPoolShape s, bool accumulate);

}   // namespace fovea::kernels
