// bench_gemm.cpp: C = A B for squares and for fully connected layers (y = x W^T).
#include <cblas.h>
#include <dlfcn.h>
#include <fmt/core.h>

#include <cmath>
#include <stdexcept>

#include "bench/measure.h"
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

void fovea_gemm(const std::vector<float>& a, const std::vector<float>& b, std::vector<float>& c, const GemmShape& s,
                std::vector<char>& workspace) {
  workspace.resize(kernels::gemm_workspace_bytes<float>(kernels::Cpu{}, s));
  kernels::gemm(kernels::Cpu{}, a.data(), b.data(), c.data(), s, kernels::Epilogue<float>{}, workspace.data());
}

void openblas_gemm(const std::vector<float>& a, const std::vector<float>& b, std::vector<float>& c, const GemmShape& s) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, s.transpose_b ? CblasTrans : CblasNoTrans, int(s.m), int(s.n), int(s.k), 1.f, a.data(), int(s.k),
              b.data(), int(s.transpose_b ? s.k : s.n), 0.f, c.data(), int(s.n));
}

}   // namespace

void bench_gemm(const Settings& settings) {
  const EigenGemm eigen = load_eigen();
  struct Case {
    const char* name;
    GemmShape s;
  };
  const Case cases[] = {
      {"256^3", {.m = 256, .n = 256, .k = 256}},
      {"512^3", {.m = 512, .n = 512, .k = 512}},
      {"1024^3", {.m = 1024, .n = 1024, .k = 1024}},
      {"2048^3", {.m = 2048, .n = 2048, .k = 2048}},
      {"linear 128 x 64 -> 10 (the main job's)", {.m = 128, .n = 10, .k = 64, .transpose_b = true}},
      {"linear 128 x 2048 -> 1000 (ResNet-50's)", {.m = 128, .n = 1000, .k = 2048, .transpose_b = true}},
      {"linear 128 x 9216 -> 4096 (AlexNet's fc6)", {.m = 128, .n = 4096, .k = 9216, .transpose_b = true}},
      {"linear 1568 x 384 -> 1536 (a ViT's MLP)", {.m = 1568, .n = 1536, .k = 384, .transpose_b = true}},
  };
  Table table(settings, "gemm", {"fovea", "openblas", "eigen"});
  for (const Case& c : cases) {
    std::vector<char> workspace;
    {   // the same layout, smaller, against the definition
      const GemmShape s{.m = std::min<std::int64_t>(c.s.m, 37),
                        .n = std::min<std::int64_t>(c.s.n, 41),
                        .k = std::min<std::int64_t>(c.s.k, 600),
                        .transpose_b = c.s.transpose_b};
      const auto a = random_floats(s.m * s.k, 1), b = random_floats(s.k * s.n, 2);
      std::vector<float> y(static_cast<std::size_t>(s.m * s.n));
      std::vector<double> want(y.size());
      kernels::gemm(kernels::Reference{}, std::vector<double>(a.begin(), a.end()).data(), std::vector<double>(b.begin(), b.end()).data(),
                    want.data(), s, kernels::Epilogue<double>{}, nullptr);
      const double bound = 4. * double(s.k * s.k) * 0x1p-24;
      fovea_gemm(a, b, y, s, workspace);
      verify("fovea", y, want, bound);
      openblas_gemm(a, b, y, s);
      verify("openblas", y, want, bound);
      eigen(a.data(), b.data(), y.data(), s.m, s.n, s.k, s.transpose_b, settings.threads);
      verify("eigen", y, want, bound);
    }
    const GemmShape& s = c.s;
    const auto a = random_floats(s.m * s.k, 1), b = random_floats(s.k * s.n, 2);
    std::vector<float> y(static_cast<std::size_t>(s.m * s.n));
    const std::vector<Contender> contenders = {
        {"fovea", [&] { fovea_gemm(a, b, y, s, workspace); }},
        {"openblas", [&] { openblas_gemm(a, b, y, s); }},
        {"eigen", [&] { eigen(a.data(), b.data(), y.data(), s.m, s.n, s.k, s.transpose_b, settings.threads); }},
    };
    const auto t = median_seconds(contenders, settings.repeats);
    table.row(c.name, 2. * double(s.m * s.n * s.k), {{"fovea", t[0]}, {"openblas", t[1]}, {"eigen", t[2]}});
  }
}

}   // namespace fovea::bench
