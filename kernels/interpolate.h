// interpolate.h: resizing feature maps: nearest, bilinear and bicubic, with PyTorch's conventions; no antialiasing.
//
// Along one axis, output i is a weighted sum of the pixels around its source coordinate u:
//   u = (i + 1/2) scale - 1/2,  scale = in / out       pixels are areas, borders meet        (align_corners: u = i (in - 1) / (out - 1),
//                                                                                             pixels are points, corners meet)
//   nearest    x[floor(i scale)]
//   bilinear   (1 - t) x[k] + t x[k + 1],  k = floor(max(u, 0)), t the rest
//   bicubic    sum_{j=-1..2} W(t - j) x[k + j],  k = floor(u), t the rest: Keys 1981, "Cubic Convolution Interpolation for Digital Image
//              Processing", whose free constant A2 is -1/2 in his Eq. (15) and a = -3/4 here and in PyTorch
// Pixels outside the image are those at its border. Both axes: the product of the weights.
//
// y is linear in x, so the gradient is the transpose: each dy goes back to the pixels that made its y, by the same weights. x is read
// once and y written once; 1, 4 or 16 pixels make an output.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

enum class Interpolation { nearest, bilinear, bicubic };

struct InterpolationTaps {
  int count = 0;
  std::int64_t pixel[4];
  double weight[4];
};

struct InterpolationAxis {
  std::int64_t in, out;   // >= 1
  Interpolation mode;
  bool align_corners;
  double scale;   // source pixels from one output to the next

  FOVEA_INLINE static InterpolationAxis resize(std::int64_t in, std::int64_t out, Interpolation mode, bool align_corners) {
    const double scale = !align_corners ? double(in) / double(out) : out > 1 ? double(in - 1) / double(out - 1) : 0;
    return {in, out, mode, align_corners, scale};
  }

  FOVEA_INLINE InterpolationTaps taps(std::int64_t i) const {
    InterpolationTaps t;
    const auto add = [&](std::int64_t k, double weight) __attribute__((always_inline)) {
      if (weight == 0) return;   // bilinear at a pixel: its neighbour has no part
      t.pixel[t.count] = k < 0 ? 0 : k < in ? k : in - 1;
      t.weight[t.count++] = weight;
    };
    if (mode == Interpolation::nearest) {
      add(static_cast<std::int64_t>(double(i) * scale), 1);
      return t;
    }
    double u = align_corners ? double(i) * scale : (double(i) + 0.5) * scale - 0.5;
    if (mode == Interpolation::bilinear && u < 0) u = 0;
    const std::int64_t k = static_cast<std::int64_t>(u + 1) - 1;   // floor: u > -1
    const double s = u - double(k);
    if (mode == Interpolation::bilinear) {
      add(k, 1 - s);
      add(k + 1, s);
    } else {
      for (int j = -1; j <= 2; ++j) add(k + j, keys(s - j));
    }
    return t;
  }

  /// Keys' kernel: 1 at 0, 0 at the other whole numbers.
  FOVEA_INLINE static double keys(double x) {
    constexpr double a = -0.75;
    if (x < 0) x = -x;
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
  }
};

/// x (n, rows.in, columns.in, c) -> y (n, rows.out, columns.out, c)
struct InterpolationShape {
  std::int64_t n, c;
  InterpolationAxis rows, columns;
};

std::size_t interpolate_workspace_bytes(Reference, const InterpolationShape& s);
std::size_t interpolate_workspace_bytes(Cpu, const InterpolationShape& s);
std::size_t interpolate_workspace_bytes(Cuda, const InterpolationShape& s);

template <class T> void interpolate_forward(Reference, const T* x, T* y, const InterpolationShape& s, void* workspace);
template <class T> void interpolate_forward(Cpu, const T* x, T* y, const InterpolationShape& s, void* workspace);
template <class T> void interpolate_forward(Cuda, const T* x, T* y, const InterpolationShape& s, void* workspace);
/// dx[i] = sum of weight * dy over the outputs that saw i, gathered in order.
template <class T> void interpolate_backward(Reference, const T* dy, T* dx, const InterpolationShape& s, bool accumulate, void* workspace);
template <class T> void interpolate_backward(Cpu, const T* dy, T* dx, const InterpolationShape& s, bool accumulate, void* workspace);
template <class T> void interpolate_backward(Cuda, const T* dy, T* dx, const InterpolationShape& s, bool accumulate, void* workspace);

}   // namespace fovea::kernels
