// bench_conv.cpp: the three products of a convolution. Beside them, of float32 on a CPU im2col with OpenBLAS's sgemm, the textbook's fast way; and
// PyTorch's convolution (peers/ops_torch.py), which is oneDNN's on a CPU and cuDNN's on a GPU.
#include <cblas.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bench/report.h"
#include "kernels/conv2d.h"
#include "kernels/parallel.h"

namespace fovea::bench {
namespace {

using kernels::Conv2dShape;
using kernels::ConvProduct;

constexpr ConvProduct kProducts[] = {ConvProduct::forward, ConvProduct::input_gradient, ConvProduct::weight_gradient};
constexpr const char* kNames[] = {"forward", "input gradient", "weight gradient"};

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

/// x, w, y, and a product of two of them. Where the third is written it is not read before, so all products may be run on the same arrays.
template <class Be, class T> struct Convolution {
  const Settings& settings;
  Be be;
  Conv2dShape shape;
  Tensor x, w, y, dw;
  Memory workspace;
  std::vector<float> patches;

  Convolution(const Settings& s, Be backend, const Conv2dShape& c)
      : settings(s),
        be(backend),
        shape(c),
        x(numbers(s, c.n * c.h * c.w * c.c, 1, dtype_of<T>)),
        w(numbers(s, c.k * c.taps(), 2, dtype_of<T>)),
        y(numbers(s, c.rows() * c.k, 3, dtype_of<T>)),
        dw(Tensor::empty({c.k * c.taps()}, DType::f32, s.device)),
        workspace(s, workspace_bytes()) {}

  std::size_t workspace_bytes() const {
    std::size_t bytes = 0;
    for (const ConvProduct p : kProducts) bytes = std::max(bytes, kernels::conv2d_workspace_bytes<T>(be, shape, p));
    return bytes;
  }
  const Tensor& result(ConvProduct p) const { return p == ConvProduct::forward ? y : p == ConvProduct::input_gradient ? x : dw; }

  void ours(ConvProduct p) {
    void* ws = workspace.data();
    if (p == ConvProduct::forward)
      conv2d_forward(be, x.data<T>(), w.data<T>(), y.data<T>(), shape, kernels::Prologue<T>{}, kernels::Epilogue<T>{}, ws);
    if (p == ConvProduct::input_gradient) conv2d_input_gradient(be, y.data<T>(), w.data<T>(), x.data<T>(), shape, false, ws);
    if (p == ConvProduct::weight_gradient)
      conv2d_weight_gradient(be, x.data<T>(), y.data<T>(), dw.data<float>(), shape, kernels::Prologue<T>{}, false, ws);
  }
  void im2col_and_openblas(ConvProduct p) {
    const Conv2dShape& s = shape;
    patches.resize(static_cast<std::size_t>(s.rows() * s.taps()));
    const int m = int(s.rows()), n = int(s.k), k = int(s.taps());
    const bool matrix = s.r == 1 && s.s == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_h == 0 && s.pad_w == 0;   // needs no copy
    float* cols = matrix ? x.data<float>() : patches.data();
    if (p != ConvProduct::input_gradient && !matrix) im2col(s, x.data<float>(), cols);
    if (p == ConvProduct::forward)
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.f, cols, k, w.data<float>(), k, 0.f, y.data<float>(), n);
    if (p == ConvProduct::weight_gradient)
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, k, m, 1.f, y.data<float>(), n, cols, k, 0.f, dw.data<float>(), k);
    if (p == ConvProduct::input_gradient) {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, k, n, 1.f, y.data<float>(), n, w.data<float>(), k, 0.f, cols, k);
      if (!matrix) col2im(s, cols, x.data<float>());
    }
  }
  std::vector<Contender> contenders(ConvProduct p) {
    std::vector<Contender> all{{"fovea", [this, p] { ours(p); }}};
    if constexpr (std::is_same_v<Be, kernels::Cpu> && std::is_same_v<T, float>)
      if (shape.groups == 1) all.push_back({"im2col+openblas", [this, p] { im2col_and_openblas(p); }});
    return all;
  }

  void verify_all() {
    const std::vector<double> xs = x.to_vector<double>(), ws = w.to_vector<double>(), ys = y.to_vector<double>();
    const double rounding = settings.precision == "float32" ? 0 : 0x1p-8;
    for (const ConvProduct p : kProducts)
      for (std::size_t i = 0; i < contenders(p).size(); ++i) {
        Convolution again(settings, be, shape);
        const Contender one = again.contenders(p)[i];
        one.run();
        auto want = p == ConvProduct::forward ? ys : p == ConvProduct::input_gradient ? xs : ws;
        const kernels::Reference reference;
        if (p == ConvProduct::forward)
          conv2d_forward(reference, xs.data(), ws.data(), want.data(), shape, kernels::Prologue<double>{}, kernels::Epilogue<double>{},
                         nullptr);
        if (p == ConvProduct::input_gradient) conv2d_input_gradient(reference, ys.data(), ws.data(), want.data(), shape, false, nullptr);
        if (p == ConvProduct::weight_gradient)
          conv2d_weight_gradient(reference, xs.data(), ys.data(), want.data(), shape, kernels::Prologue<double>{}, false, nullptr);
        double largest = 0;
        for (const double v : want) largest = std::max(largest, std::abs(v));
        const auto terms = double(p == ConvProduct::forward          ? shape.taps()
                                  : p == ConvProduct::input_gradient ? shape.r * shape.s * shape.k
                                                                     : shape.rows());
        verify("convolution by " + one.name, again.result(p).template to_vector<float>(), want,
               4 * terms * terms * 0x1p-24 + rounding * largest);
      }
  }
};

struct Layer {
  std::int64_t images, size, c, k, kernel, stride = 1, groups = 1;
  Conv2dShape shape() const {
    return {.n = images,
            .h = size,
            .w = size,
            .c = c,
            .k = k,
            .r = kernel,
            .s = kernel,
            .stride_h = stride,
            .stride_w = stride,
            .pad_h = kernel / 2,
            .pad_w = kernel / 2,
            .groups = groups};
  }
  std::string name() const {
    std::string text = fmt::format("{0}x{0} {1}x{2}x{2}x{3} -> {4}", kernel, images, size, c, k);
    if (stride > 1) text += fmt::format(", stride {}", stride);
    if (groups > 1) text += groups == c ? ", depthwise" : fmt::format(", {} groups", groups);
    return text;
  }
  /// The same, with few images, pixels and channels.
  Layer small() const {
    Layer l = *this;
    l.images = 2, l.size = std::min<std::int64_t>(size, 9);
    if (groups == 1) l.c = std::min<std::int64_t>(c, 37), l.k = std::min<std::int64_t>(k, 35);
    if (groups > 1) l.groups = 4, l.c = 4 * (c / groups), l.k = 4 * (k / groups);
    return l;
  }
};

/// The layers of ResNets, of grouped and depthwise networks at batch 8 (a GPU: 64), and those of the main job at batch 128.
std::vector<Layer> layers(const Settings& s) {
  const std::int64_t n = s.device == Device::cuda ? 64 : 8;
  const auto wants = [&](const char* set) { return s.set == "all" || s.set == set; };
  std::vector<Layer> all;
  const auto add = [&](std::initializer_list<Layer> more) { all.insert(all.end(), more); };
  if (wants("resnet"))
    add({{n, 56, 64, 64, 3},
         {n, 28, 128, 128, 3},
         {n, 14, 256, 256, 3},
         {n, 7, 512, 512, 3},
         {n, 56, 64, 256, 1},
         {n, 14, 1024, 256, 1},
         {n, 28, 256, 512, 1, 2},
         {n, 56, 128, 128, 3, 2},
         {n, 224, 3, 64, 7, 2}});
  if (wants("grouped"))
    add({{n, 56, 128, 128, 3, 1, 32},
         {n, 28, 256, 256, 3, 1, 32},
         {n, 56, 256, 256, 3, 2, 32},
         {n, 14, 512, 512, 3, 1, 32},
         {n, 112, 32, 32, 3, 1, 32},
         {n, 56, 144, 144, 3, 2, 144},
         {n, 14, 672, 672, 5, 1, 672},
         {n, 56, 96, 96, 7, 1, 96}});
  if (wants("mnist"))
    add({{128, 28, 1, 16, 3, 2},
         {128, 14, 16, 16, 3},
         {128, 14, 16, 32, 3, 2},
         {128, 14, 16, 32, 1, 2},
         {128, 7, 32, 32, 3},
         {128, 7, 32, 64, 3, 2},
         {128, 7, 32, 64, 1, 2},
         {128, 4, 64, 64, 3}});
  std::erase_if(all, [&](const Layer& l) { return l.name().find(s.only) == std::string::npos; });
  return all;
}

}   // namespace

void bench_conv(const Settings& s) {
  std::vector<std::string> arguments{"conv"};
  for (const Layer& l : layers(s))
    arguments.push_back(fmt::format("{}={},{},{},{},{},{},{}", l.name(), l.images, l.size, l.c, l.k, l.kernel, l.stride, l.groups));
  const PeerTimes peer = run_peer(s, "ops_torch.py", arguments);
  const double peak = measure_peak(s);
  on_backend(s, [&]<class T>(auto be) {
    using Be = decltype(be);
    for (const Layer& l : layers(s)) Convolution<Be, T>(s, be, l.small().shape()).verify_all();
    for (std::size_t i = 0; i < std::size(kProducts); ++i) {
      const bool other = std::is_same_v<Be, kernels::Cpu> && std::is_same_v<T, float>;
      Report report(s, fmt::format("conv {}", kNames[i]),
                    {.unit = "GFLOP/s",
                     .percents = {"peak"},
                     .others = other ? std::vector<std::string>{"im2col+openblas"} : std::vector<std::string>{}});
      for (const Layer& l : layers(s)) {
        const Conv2dShape shape = (s.once ? l.small() : l).shape();
        Convolution<Be, T> c(s, be, shape);
        const std::vector<Contender> contenders = c.contenders(kProducts[i]);
        const std::vector<double> seconds = median_seconds(s, contenders);
        const double rate = 2e-9 * double(shape.multiply_adds()) / seconds[0];
        Report::Line line{.what = l.name(), .seconds = seconds[0], .rate = rate, .percents = {peak > 0 ? 1e11 * rate / peak : 0}};
        if (contenders.size() > 1) line.others[contenders[1].name] = seconds[1];
        report.line(line, peer, fmt::format("{} {}", kNames[i], l.name()));
      }
    }
  });
}

}   // namespace fovea::bench
