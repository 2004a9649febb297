// conv2d_reference.cpp: the definition of convolution and of its two gradients, as the seven loops of the textbook.
//
//   y [n,p,q,k] = sum_{r,s,c}  x[n,h,w,c] w[k,r,s,c]      with  h = p stride_h - pad_h + r dilation_h,  w likewise from q, s
//   dx[n,h,w,c] = sum_{p,q,r,s,k: (p,r) -> h, (q,s) -> w}  dy[n,p,q,k] w[k,r,s,c]
//   dw[k,r,s,c] = sum_{n,p,q}  dy[n,p,q,k] x[n,h,w,c]
//
// Each output costs `taps` multiply-adds. With groups, channel k sees the c/groups input channels of its own group only.
#include "kernels/conv2d.h"

namespace fovea::kernels {
namespace {

/// x'[image, row, col, ch] = act(scale x + shift); 0 outside the image.
template <class T>
double input(const T* x, const Conv2dShape& s, const Prologue<T>& pro, std::int64_t image, std::int64_t row, std::int64_t col,
             std::int64_t ch) {
  if (row < 0 || row >= s.h || col < 0 || col >= s.w) return 0;
  const double value = x[((image * s.h + row) * s.w + col) * s.c + ch];
  return pro.empty() ? value : activate(pro.activation, pro.scale[ch] * value + pro.shift[ch]);
}

}   // namespace

template <class T> std::size_t conv2d_workspace_bytes(Reference, const Conv2dShape&, ConvProduct) { return 0; }

template <class T>
void conv2d_forward(Reference, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& pro, const Epilogue<T>& e, void*) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;   // channels of one group
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t p = 0; p < s.p(); ++p)
      for (std::int64_t q = 0; q < s.q(); ++q)
        for (std::int64_t k = 0; k < s.k; ++k) {
          double sum = 0;
          for (std::int64_t r = 0; r < s.r; ++r)
            for (std::int64_t t = 0; t < s.s; ++t)
              for (std::int64_t c = 0; c < cg; ++c)
                sum += input(x, s, pro, n, p * s.stride_h - s.pad_h + r * s.dilation_h, q * s.stride_w - s.pad_w + t * s.dilation_w,
                             k / kg * cg + c) *
                       w[((k * s.r + r) * s.s + t) * cg + c];
          const std::int64_t at = ((n * s.p() + p) * s.q() + q) * s.k + k;
          if (e.accumulate) {
            y[at] = T(y[at] + sum);
            continue;
          }
          if (e.scale) sum *= e.scale[k];
          if (e.shift) sum += e.shift[k];
          if (e.residual) sum += e.residual[at];
          y[at] = T(activate(e.activation, sum));
        }
  if (!e.partials) return;
  for (std::int64_t tile = 0; tile < stat_tiles(s.rows()); ++tile) {   // mean and M2 of kStatRows pixels, channel by channel
    const std::int64_t first = tile * kStatRows, last = s.rows() < first + kStatRows ? s.rows() : first + kStatRows;
    for (std::int64_t k = 0; k < s.k; ++k) {
      double sum = 0, m2 = 0;
      for (std::int64_t i = first; i < last; ++i) sum += y[i * s.k + k];
      const double mean = sum / double(last - first);
      for (std::int64_t i = first; i < last; ++i) m2 += (y[i * s.k + k] - mean) * (y[i * s.k + k] - mean);
      e.partials[(2 * tile) * s.k + k] = static_cast<acc_t<T>>(mean);
      e.partials[(2 * tile + 1) * s.k + k] = static_cast<acc_t<T>>(m2);
    }
  }
}

template <class T> void conv2d_input_gradient(Reference, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void*) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t row = 0; row < s.h; ++row)
      for (std::int64_t col = 0; col < s.w; ++col)
        for (std::int64_t ch = 0; ch < s.c; ++ch) {
          double sum = 0;
          for (std::int64_t r = 0; r < s.r; ++r)
            for (std::int64_t t = 0; t < s.s; ++t) {
              const std::int64_t up = row + s.pad_h - r * s.dilation_h, left = col + s.pad_w - t * s.dilation_w;   // = p stride, q stride
              if (up < 0 || left < 0 || up % s.stride_h || left % s.stride_w) continue;
              const std::int64_t p = up / s.stride_h, q = left / s.stride_w;
              if (p >= s.p() || q >= s.q()) continue;
              for (std::int64_t k = ch / cg * kg; k < (ch / cg + 1) * kg; ++k)
                sum += double(dy[((n * s.p() + p) * s.q() + q) * s.k + k]) * double(w[((k * s.r + r) * s.s + t) * cg + ch % cg]);
            }
          T& at = dx[((n * s.h + row) * s.w + col) * s.c + ch];
          at = T(accumulate ? at + sum : sum);
        }
}

template <class T>
void conv2d_weight_gradient(Reference, const T* x, const T* dy, acc_t<T>* dw, const Conv2dShape& s, const Prologue<T>& pro, bool accumulate,
                            void*) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;
  for (std::int64_t k = 0; k < s.k; ++k)
    for (std::int64_t r = 0; r < s.r; ++r)
      for (std::int64_t t = 0; t < s.s; ++t)
        for (std::int64_t c = 0; c < cg; ++c) {
          double sum = 0;
          for (std::int64_t n = 0; n < s.n; ++n)
            for (std::int64_t p = 0; p < s.p(); ++p)
              for (std::int64_t q = 0; q < s.q(); ++q)
                sum += dy[((n * s.p() + p) * s.q() + q) * s.k + k] * input(x, s, pro, n, p * s.stride_h - s.pad_h + r * s.dilation_h,
                                                                           q * s.stride_w - s.pad_w + t * s.dilation_w, k / kg * cg + c);
          acc_t<T>& at = dw[((k * s.r + r) * s.s + t) * cg + c];
          at = static_cast<acc_t<T>>(accumulate ? at + sum : sum);
        }
}

#define FOVEA_CONV2D_REFERENCE(T)                                                                                                     \
  template std::size_t conv2d_workspace_bytes<T>(Reference, const Conv2dShape&, ConvProduct);                                         \
  template void conv2d_forward(Reference, const T*, const T*, T*, const Conv2dShape&, const Prologue<T>&, const Epilogue<T>&, void*); \
  template void conv2d_input_gradient(Reference, const T*, const T*, T*, const Conv2dShape&, bool, void*);                            \
  template void conv2d_weight_gradient(Reference, const T*, const T*, acc_t<T>*, const Conv2dShape&, const Prologue<T>&, bool, void*);
FOVEA_CONV2D_REFERENCE(float)
FOVEA_CONV2D_REFERENCE(double)

}   // namespace fovea::kernels
