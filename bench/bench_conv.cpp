// bench_conv.cpp: the three products of a convolution, beside im2col with OpenBLAS's sgemm: the textbook's fast way.
#include <cblas.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "bench/measure.h"
#include "kernels/conv2d.h"
#include "kernels/parallel.h"

namespace fovea::bench {
namespace {

using kernels::Conv2dShape;
using kernels::ConvProduct;
using kernels::Cpu;

constexpr ConvProduct kProducts[] = {ConvProduct::forward, ConvProduct::input_gradient, ConvProduct::weight_gradient};
constexpr const char* kNames[] = {"forward", "input gradient", "weight gradient"};

struct Buffers {
  std::vector<float> x, w, y;
  std::vector<char> workspace;
  explicit Buffers(const Conv2dShape& s)
      : x(random_floats(s.n * s.h * s.w * s.c, 1)), w(random_floats(s.k * s.taps(), 2)), y(random_floats(s.rows() * s.k, 3)) {
    std::size_t bytes = 0;
    for (ConvProduct p : kProducts) bytes = std::max(bytes, kernels::conv2d_workspace_bytes<float>(Cpu{}, s, p));
    workspace.resize(bytes);
  }
};

/// The result lands where the product's output belongs; the two other buffers are its inputs.
void fovea_conv(ConvProduct p, Buffers& b, const Conv2dShape& s) {
  void* ws = b.workspace.data();
  if (p == ConvProduct::forward)
    kernels::conv2d_forward(Cpu{}, b.x.data(), b.w.data(), b.y.data(), s, kernels::Prologue<float>{}, kernels::Epilogue<float>{}, ws);
  if (p == ConvProduct::input_gradient) kernels::conv2d_input_gradient(Cpu{}, b.y.data(), b.w.data(), b.x.data(), s, false, ws);
  if (p == ConvProduct::weight_gradient)
    kernels::conv2d_weight_gradient(Cpu{}, b.x.data(), b.y.data(), b.w.data(), s, kernels::Prologue<float>{}, false, ws);
}

/// patches (rows, taps) of all images, in parallel; or their sum back into x.
void im2col(const Conv2dShape& s, const float* x, float* patches) {
  kernels::parallel_for(s.n * s.p(), [&](std::int64_t line) {
    const std::int64_t image = line / s.p(), p = line % s.p();
    float* to = patches + line * s.q() * s.taps();
    for (std::int64_t q = 0; q < s.q(); ++q)
      for (std::int64_t r = 0; r < s.r; ++r)
        for (std::int64_t t = 0; t < s.s; ++t, to += s.c) {
          const std::int64_t h = p * s.stride_h - s.pad_h + r, w = q * s.stride_w - s.pad_w + t;
          if (h < 0 || h >= s.h || w < 0 || w >= s.w)
            std::fill_n(to, s.c, 0.f);
          else
            std::copy_n(x + ((image * s.h + h) * s.w + w) * s.c, s.c, to);
        }
  });
}
void col2im(const Conv2dShape& s, const float* patches, float* x) {
  kernels::parallel_for(s.n, [&](std::int64_t image) {
    std::fill_n(x + image * s.h * s.w * s.c, s.h * s.w * s.c, 0.f);
    const float* from = patches + image * s.p() * s.q() * s.taps();
    for (std::int64_t p = 0; p < s.p(); ++p)
      for (std::int64_t q = 0; q < s.q(); ++q)
        for (std::int64_t r = 0; r < s.r; ++r)
          for (std::int64_t t = 0; t < s.s; ++t, from += s.c) {
            const std::int64_t h = p * s.stride_h - s.pad_h + r, w = q * s.stride_w - s.pad_w + t;
            if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
            float* to = x + ((image * s.h + h) * s.w + w) * s.c;
            for (std::int64_t c = 0; c < s.c; ++c) to[c] += from[c];
          }
  });
}

void im2col_conv(ConvProduct p, Buffers& b, const Conv2dShape& s, std::vector<float>& patches) {
  patches.resize(static_cast<std::size_t>(s.rows() * s.taps()));
  const int m = int(s.rows()), n = int(s.k), k = int(s.taps());
  const bool matrix = s.r == 1 && s.s == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_h == 0 && s.pad_w == 0;   // needs no copy
  float* cols = matrix ? b.x.data() : patches.data();
  if (p != ConvProduct::input_gradient && !matrix) im2col(s, b.x.data(), cols);
  if (p == ConvProduct::forward)
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.f, cols, k, b.w.data(), k, 0.f, b.y.data(), n);
  if (p == ConvProduct::weight_gradient)
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, k, m, 1.f, b.y.data(), n, cols, k, 0.f, b.w.data(), k);
  if (p == ConvProduct::input_gradient) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, k, n, 1.f, b.y.data(), n, b.w.data(), k, 0.f, cols, k);
    if (!matrix) col2im(s, cols, b.x.data());
  }
}

/// Both contenders on one or two small images, against the definition.
void verify_products(Conv2dShape s) {
  s.n = 2, s.h = std::min<std::int64_t>(s.h, 9), s.w = std::min<std::int64_t>(s.w, 8), s.c = std::min<std::int64_t>(s.c, 37),
  s.k = std::min<std::int64_t>(s.k, 35);
  const Buffers inputs(s);
  const std::vector<double> x(inputs.x.begin(), inputs.x.end()), w(inputs.w.begin(), inputs.w.end()), y(inputs.y.begin(), inputs.y.end());
  for (ConvProduct p : kProducts)
    for (bool ours : {true, false}) {
      Buffers b(s);
      std::vector<float> patches;
      ours ? fovea_conv(p, b, s) : im2col_conv(p, b, s, patches);
      auto want = p == ConvProduct::forward ? y : p == ConvProduct::input_gradient ? x : w;
      const double terms = double(p == ConvProduct::forward ? s.taps() : p == ConvProduct::input_gradient ? s.r * s.s * s.k : s.rows());
      if (p == ConvProduct::forward)
        kernels::conv2d_forward(kernels::Reference{}, x.data(), w.data(), want.data(), s, kernels::Prologue<double>{},
                                kernels::Epilogue<double>{}, nullptr);
      if (p == ConvProduct::input_gradient)
        kernels::conv2d_input_gradient(kernels::Reference{}, y.data(), w.data(), want.data(), s, false, nullptr);
      if (p == ConvProduct::weight_gradient)
        kernels::conv2d_weight_gradient(kernels::Reference{}, x.data(), y.data(), want.data(), s, kernels::Prologue<double>{}, false,
                                        nullptr);
      verify(ours ? "fovea" : "im2col",
             p == ConvProduct::forward          ? b.y
             : p == ConvProduct::input_gradient ? b.x
                                                : b.w,
             want, 4 * terms * terms * 0x1p-24);
    }
}

Conv2dShape layer(std::int64_t n, std::int64_t size, std::int64_t c, std::int64_t k, std::int64_t kernel, std::int64_t stride) {
  return {.n = n,
          .h = size,
          .w = size,
          .c = c,
          .k = k,
          .r = kernel,
          .s = kernel,
          .stride_h = stride,
          .stride_w = stride,
          .pad_h = kernel / 2,
          .pad_w = kernel / 2};
}

}   // namespace

void bench_conv(const Settings& settings) {
  std::vector<Conv2dShape> shapes;
  if (settings.set != "mnist")
    shapes = {layer(8, 56, 64, 64, 3, 1),   layer(8, 28, 128, 128, 3, 1), layer(8, 14, 256, 256, 3, 1),
              layer(8, 7, 512, 512, 3, 1),  layer(8, 56, 64, 256, 1, 1),  layer(8, 14, 1024, 256, 1, 1),
              layer(8, 28, 256, 512, 1, 2), layer(8, 56, 128, 128, 3, 2), layer(8, 224, 3, 64, 7, 2)};
  if (settings.set != "resnet")
    for (const Conv2dShape& s :
         {layer(128, 28, 1, 16, 3, 2), layer(128, 14, 16, 16, 3, 1), layer(128, 14, 16, 32, 3, 2), layer(128, 14, 16, 32, 1, 2),
          layer(128, 7, 32, 32, 3, 1), layer(128, 7, 32, 64, 3, 2), layer(128, 7, 32, 64, 1, 2), layer(128, 4, 64, 64, 3, 1)})
      shapes.push_back(s);
  for (int i = 0; i < 3; ++i) {
    Table table(settings, fmt::format("conv {}", kNames[i]), {"fovea", "im2col+openblas"});
    for (const Conv2dShape& s : shapes) {
      if (i == 0) verify_products(s);
      Buffers b(s);
      std::vector<float> patches;
      const auto t = median_seconds(
          {{"fovea", [&] { fovea_conv(kProducts[i], b, s); }}, {"im2col", [&] { im2col_conv(kProducts[i], b, s, patches); }}},
          settings.repeats);
      table.row(fmt::format("{}x{} {}x{}x{}x{} -> {}{}", s.r, s.s, s.n, s.h, s.w, s.c, s.k,
                            s.stride_h > 1 ? fmt::format(", stride {}", s.stride_h) : ""),
                2. * double(s.rows() * s.taps() * s.k), {{"fovea", t[0]}, {"im2col+openblas", t[1]}});
    }
  }
}

}   // namespace fovea::bench
