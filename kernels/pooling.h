// pooling.h: maximum and mean over windows, over adaptive bins and over whole images, channels last.
//
// Along each axis, output i sees the pixels [begin(i), end(i)) of a window, or of a bin. With kernel k, stride s, padding p and H pixels:
//   windows   P = floor((H + 2p - k) / s) + 1, window i = [i s - p, i s - p + k) cut to the image. With ceil_mode the quotient is rounded
//             up, but the last window must begin inside the image or the padding before it (else P is one less)
//   bins      P is given, bin i = [floor(i H / P), ceil((i + 1) H / P)): He et al. 2014, "Spatial Pyramid Pooling", appendix A
//
// The mean is LeCun et al. 1998's sub-sampling (section II.B) without coefficients; overlapping windows and their maximum: Krizhevsky et
// al. 2012, section 3.4. Memory-bound: forward reads x and writes y, backward reads dy (and which) and writes dx, each once.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// The windows along one axis; kernel 0 means bins.
struct PoolAxis {
  std::int64_t in, out, kernel = 0, stride = 1, pad = 0;

  FOVEA_INLINE static PoolAxis windows(std::int64_t in, std::int64_t kernel, std::int64_t stride, std::int64_t pad, bool ceil_mode) {
    std::int64_t out = (in + 2 * pad - kernel + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    if (ceil_mode && (out - 1) * stride >= in + pad) --out;
    return {in, out, kernel, stride, pad};
  }
  FOVEA_INLINE static PoolAxis bins(std::int64_t in, std::int64_t out) { return {in, out}; }

  FOVEA_INLINE std::int64_t origin(std::int64_t i) const { return kernel ? i * stride - pad : i * in / out; }   // may lie in the padding
  FOVEA_INLINE std::int64_t begin(std::int64_t i) const { return origin(i) < 0 ? 0 : origin(i); }
  FOVEA_INLINE std::int64_t end(std::int64_t i) const {
    const std::int64_t last = kernel ? origin(i) + kernel : ((i + 1) * in + out - 1) / out;
    return last < in ? last : in;
  }
  /// Pixels of window i, the padding that it covers included (but nothing beyond the padding: ceil_mode may hang over).
  FOVEA_INLINE std::int64_t padded_length(std::int64_t i) const {
    const std::int64_t last = origin(i) + kernel, limit = in + pad;
    return kernel ? (last < limit ? last : limit) - origin(i) : end(i) - begin(i);
  }
  /// No window is longer.
  FOVEA_INLINE std::int64_t longest() const {
    const std::int64_t bin = in / out + 2;
    return kernel ? kernel : bin < in ? bin : in;
  }
  /// The windows that see pixel x: first(x) .. last(x), none if first > last.
  FOVEA_INLINE std::int64_t first(std::int64_t x) const {
    if (!kernel) return x * out / in;
    return x + pad < kernel ? 0 : (x + pad - kernel) / stride + 1;
  }
  FOVEA_INLINE std::int64_t last(std::int64_t x) const {
    const std::int64_t i = kernel ? (x + pad) / stride : ((x + 1) * out + in - 1) / in - 1;
    return i < out ? i : out - 1;
  }
};

/// x (n, rows.in, columns.in, c) -> y (n, rows.out, columns.out, c). Windows: 2 pad <= kernel, so that each has a pixel of the image.
struct Pool2dShape {
  std::int64_t n, c;
  PoolAxis rows, columns;
  FOVEA_INLINE std::int64_t inputs() const { return n * rows.in * columns.in * c; }
  FOVEA_INLINE std::int64_t outputs() const { return n * rows.out * columns.out * c; }
  FOVEA_INLINE std::int64_t places() const { return rows.longest() * columns.longest(); }   // of a window
};

/// y = the window's largest value; padding holds -inf. which[n,p,q,c] = its place, (row - origin) * columns.longest() + (column - origin);
/// the first of equals, and a NaN wins. Place is std::uint8_t where places() <= 256, else std::int64_t.
template <class T, class Place> void max_pool2d_forward(Reference, const T* x, T* y, Place* which, const Pool2dShape& s);
template <class T, class Place> void max_pool2d_forward(Cpu, const T* x, T* y, Place* which, const Pool2dShape& s);
template <class T, class Place> void max_pool2d_forward(Cuda, const T* x, T* y, Place* which, const Pool2dShape& s);
/// dx[i] = sum of dy over the windows whose maximum i is, gathered per input pixel in order of (p, q): no atomics, no order left to chance.
template <class T, class Place>
void max_pool2d_backward(Reference, const T* dy, const Place* which, T* dx, const Pool2dShape& s, bool accumulate);
template <class T, class Place>
void max_pool2d_backward(Cpu, const T* dy, const Place* which, T* dx, const Pool2dShape& s, bool accumulate);
template <class T, class Place>
void max_pool2d_backward(Cuda, const T* dy, const Place* which, T* dx, const Pool2dShape& s, bool accumulate);

/// What the mean of a window divides by: its pixels, with the padding among them (zeros) or without; or a number of the user's.
struct AverageDivisor {
  bool count_include_pad = false;
  double override_with = 0;   // unless 0
  FOVEA_INLINE double of(const Pool2dShape& s, std::int64_t p, std::int64_t q) const {
    if (override_with != 0) return override_with;
    if (count_include_pad) return double(s.rows.padded_length(p) * s.columns.padded_length(q));
    return double((s.rows.end(p) - s.rows.begin(p)) * (s.columns.end(q) - s.columns.begin(q)));
  }
};
/// y = sum over the window / divisor
template <class T> void avg_pool2d_forward(Reference, const T* x, T* y, const Pool2dShape& s, AverageDivisor d);
template <class T> void avg_pool2d_forward(Cpu, const T* x, T* y, const Pool2dShape& s, AverageDivisor d);
template <class T> void avg_pool2d_forward(Cuda, const T* x, T* y, const Pool2dShape& s, AverageDivisor d);
/// dx[i] = sum of dy / divisor over the windows that see i, in order of (p, q)
template <class T> void avg_pool2d_backward(Reference, const T* dy, T* dx, const Pool2dShape& s, AverageDivisor d, bool accumulate);
template <class T> void avg_pool2d_backward(Cpu, const T* dy, T* dx, const Pool2dShape& s, AverageDivisor d, bool accumulate);
template <class T> void avg_pool2d_backward(Cuda, const T* dy, T* dx, const Pool2dShape& s, AverageDivisor d, bool accumulate);

/// x (images, pixels, c) -> y (images, c): the mean over pixels. Lin et al. 2013, "Network in Network", section 3.2.
struct GlobalPoolShape {
  std::int64_t images, pixels, c;
};
template <class T> void global_avg_pool_forward(Reference, const T* x, T* y, GlobalPoolShape s);
template <class T> void global_avg_pool_forward(Cpu, const T* x, T* y, GlobalPoolShape s);
template <class T> void global_avg_pool_forward(Cuda, const T* x, T* y, GlobalPoolShape s);
/// dx = dy / pixels, spread.
template <class T> void global_avg_pool_backward(Reference, const T* dy, T* dx, GlobalPoolShape s, bool accumulate);
template <class T> void global_avg_pool_backward(Cpu, const T* dy, T* dx, GlobalPoolShape s, bool accumulate);
template <class T> void global_avg_pool_backward(Cuda, const T* dy, T* dx, GlobalPoolShape s, bool accumulate);

}   // namespace fovea::kernels
