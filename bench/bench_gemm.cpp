// bench_gemm.cpp: C = A B for squares and for fully connected layers (y = x W^T). Beside it, of float32 on a CPU OpenBLAS and Eigen, on a GPU
// cuBLAS; and PyTorch's mm (peers/ops_torch.py).
#include <cblas.h>
#include <dlfcn.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "bench/report.h"
#include "kernels/cpu/isa.h"
#include "kernels/gemm.h"

namespace fovea::bench {
namespace {

using kernels::GemmShape;
using EigenGemm = void (*)(const float*, const float*, float*, long, long, long, int, int);

EigenGemm load_eigen() {
  const std::string path = fmt::format("{}/bench_eigen_{}.so", FOVEA_BENCH_DIR, kernels::isa_name(kernels::isa()));
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  return reinterpret_cast<EigenGemm>(dlsym(library, "eigen_gemm"));
}

void openblas_gemm(const float* a, const float* b, float* c, const GemmShape& s) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, s.transpose_b ? CblasTrans : CblasNoTrans, int(s.m), int(s.n), int(s.k), 1.f, a, int(s.k), b,
              int(s.transpose_b ? s.k : s.n), 0.f, c, int(s.n));
}

struct Case {
  std::string name;
  GemmShape shape;
};

std::vector<Case> cases(const Settings& s) {
  const std::int64_t rows = s.device == Device::cuda ? 8 : 1;   // a GPU takes larger batches
  std::vector<Case> all;
  for (std::int64_t n : {256, 512, 1024, 2048}) all.push_back({fmt::format("{0}x{0}x{0}", n), {.m = n, .n = n, .k = n}});
  if (s.device == Device::cuda)
    for (std::int64_t n : {4096, 8192}) all.push_back({fmt::format("{0}x{0}x{0}", n), {.m = n, .n = n, .k = n}});
  const auto linear = [&](const char* whose, std::int64_t m, std::int64_t k, std::int64_t n) {
    all.push_back({fmt::format("linear {}x{} -> {} ({})", m, k, n, whose), {.m = m, .n = n, .k = k, .transpose_b = true}});
  };
  linear("the main job's", 128, 64, 10);
  linear("ResNet-50's", 128 * rows, 2048, 1000);
  linear("AlexNet's fc6", 128 * rows, 9216, 4096);
  linear("the same", 16, 9216, 4096);
  linear("a ViT's MLP", 1568 * rows, 384, 1536);
  std::erase_if(all, [&](const Case& c) { return c.name.find(s.only) == std::string::npos; });
  return all;
}

/// One case, or a small one of its layout: every contender beside the definition.
template <class Be, class T> struct Product {
  const Settings& settings;
  Be be;
  GemmShape shape;
  EigenGemm eigen;
  Tensor a, b, c;
  Memory workspace;

  Product(const Settings& s, Be backend, const GemmShape& g, EigenGemm e)
      : settings(s),
        be(backend),
        shape(g),
        eigen(e),
        a(numbers(s, g.m * g.k, 1, dtype_of<T>)),
        b(numbers(s, g.k * g.n, 2, dtype_of<T>)),
        c(Tensor::empty({g.m * g.n}, dtype_of<T>, s.device)),
        workspace(s, kernels::gemm_workspace_bytes<T>(be, g)) {}

  std::vector<Contender> contenders() {
    const auto ours = [this](Be with) {
      kernels::gemm(with, a.data<T>(), b.data<T>(), c.data<T>(), shape, kernels::Epilogue<T>{}, workspace.data());
    };
    std::vector<Contender> all{{"fovea", [ours, this] { ours(be); }}};
    if constexpr (std::is_same_v<Be, kernels::Cuda>) {
      Be other = be;
      other.cublas = true;
      if (cuda_device().facts().cublas) all.push_back({"cublas", [ours, other] { ours(other); }});
    } else if constexpr (std::is_same_v<T, float>) {
      all.push_back({"openblas", [this] { openblas_gemm(a.data<float>(), b.data<float>(), c.data<float>(), shape); }});
      all.push_back({"eigen", [this] {
                       eigen(a.data<float>(), b.data<float>(), c.data<float>(), shape.m, shape.n, shape.k, shape.transpose_b,
                             settings.threads);
                     }});
    }
    return all;
  }

  void verify_all() {
    const std::vector<double> x = a.to_vector<double>(), w = b.to_vector<double>();
    std::vector<double> want(static_cast<std::size_t>(shape.m * shape.n));
    kernels::gemm(kernels::Reference{}, x.data(), w.data(), want.data(), shape, kernels::Epilogue<double>{}, nullptr);
    double largest = 0;
    for (const double v : want) largest = std::max(largest, std::abs(v));
    const double rounding = settings.precision == "float32" ? 0 : 0x1p-8;
    for (const Contender& one : contenders()) {
      c.fill(0);
      one.run();
      verify("gemm by " + one.name, c.to_vector<float>(), want, 4. * double(shape.k * shape.k) * 0x1p-24 + rounding * largest);
    }
  }
};

}   // namespace

void bench_gemm(const Settings& s) {
  const bool cpu = s.device == Device::cpu;
  const EigenGemm eigen = cpu ? load_eigen() : nullptr;
  std::vector<std::string> arguments{"gemm"};
  for (const auto& [name, g] : cases(s)) arguments.push_back(fmt::format("{}={},{},{},{}", name, g.m, g.n, g.k, int{g.transpose_b}));
  const PeerTimes peer = run_peer(s, "ops_torch.py", arguments);
  const double peak = measure_peak(s);
  Report report(s, "gemm",
                {.unit = "GFLOP/s",
                 .percents = {"peak"},
                 .others = !cpu                      ? std::vector<std::string>{"cublas"}
                           : s.dtype() == DType::f32 ? std::vector<std::string>{"openblas", "eigen"}
                                                     : std::vector<std::string>{}});
  on_backend(s, [&]<class T>(auto be) {
    for (const Case& c : cases(s)) {
      GemmShape small = c.shape;
      small.m = std::min<std::int64_t>(small.m, 101), small.n = std::min<std::int64_t>(small.n, 41),
      small.k = std::min<std::int64_t>(small.k, 600);
      Product<decltype(be), T>(s, be, small, eigen).verify_all();
      Product<decltype(be), T> product(s, be, s.once ? small : c.shape, eigen);
      const std::vector<Contender> contenders = product.contenders();
      const std::vector<double> seconds = median_seconds(s, contenders);
      Report::Line line{.what = c.name, .seconds = seconds[0], .rate = 2e-9 * double(c.shape.m * c.shape.n * c.shape.k) / seconds[0]};
      line.percents = {peak > 0 ? 1e11 * line.rate / peak : 0};
      for (std::size_t i = 1; i < contenders.size(); ++i) line.others[contenders[i].name] = seconds[i];
      report.line(line, peer);
    }
  });
}

}   // namespace fovea::bench
