// The optimisers' steps on the device against Reference, for every combination of options: SGD, Adam, RMSprop, LARS, LAMB, averages.
#include "tests/cuda/traffic_testing.h"
#include "tests/kernels/optimizer_testing.h"

namespace fovea::kernels {
namespace {

constexpr std::int64_t kLengths[] = {0, 1, 33, 1029};   // one past a warp; one past a block

/// The same bits on every schedule, or on a few.
template <bool few> struct Check {
  template <class Step> void operator()(const Arrays& start, const std::vector<double>& tolerance, const Step& step) const {
    const std::size_t n = start[0].size();
    const std::vector<float> all = same_on_every_schedule<float>(
        [&] {
          std::vector<std::unique_ptr<DeviceArray<float>>> device;
          std::vector<float*> p;
          for (const auto& a : start) p.push_back(device.emplace_back(std::make_unique<DeviceArray<float>>(a))->data());
          step(Cuda{}, p);
          std::vector<float> joined;
          for (const auto& d : device) {
            d->expect_guards_untouched();
            const std::vector<float> a = d->host();
            joined.insert(joined.end(), a.begin(), a.end());
          }
          return joined;
        },
        few);
    Arrays got;
    for (auto first = all.begin(); got.size() < start.size(); first += std::ptrdiff_t(n))
      got.emplace_back(first, first + std::ptrdiff_t(n));
    expect_step(got, start, tolerance, step);
  }
};

/// Memory of the backend's own.
struct Memory {
  DeviceArray<char> operator()(Cuda, std::size_t bytes) const { return DeviceArray<char>(bytes); }
  std::vector<char> operator()(Reference, std::size_t bytes) const { return std::vector<char>(bytes); }
};

TEST(CudaSgd, IsTheReference) {
  for (const std::int64_t n : kLengths) sgd_cases(n, Check<true>{});
}
TEST(CudaAdam, IsTheReference) {
  for (const std::int64_t n : kLengths) adam_cases(n, Check<false>{});
}
TEST(CudaRmsprop, IsTheReference) {
  for (const std::int64_t n : {1, 33}) rmsprop_cases(n, Check<true>{});
}
// More tensors than a launch takes.
TEST(CudaLars, IsTheReference) { lars_cases(Tensors(130), Memory{}, Check<true>{}); }
TEST(CudaLamb, IsTheReference) { lamb_cases(Tensors(130), Memory{}, Check<true>{}); }

TEST(CudaMovingAverage, IsTheReference) {
  const Check<true> check;
  for (const std::int64_t n : kLengths) {
    check({spread<float>(n, 1), spread<float>(n, 2)}, {1, 0},
          [&](auto be, const auto& p) { moving_average<float>(be, p[0], p[1], 0.3, n); });
    check({spread<float>(n, 1), spread<float>(n, 2)}, {0, 0}, [&](auto be, const auto& p) { exchange<float>(be, p[0], p[1], n); });
  }
}

TEST(CudaOptimizerSteps, BytesAreTheContracts) {
  const std::int64_t n = 3 * 8192;
  const kernels::Run all{0, n};
  DeviceArray<float> w(spread<float>(n, 1)), g(spread<float>(n, 2)), m(spread<float>(n, 3)), v(spread<float>(n, 4, 1.01));
  DeviceArray<char> workspace(lamb_workspace_bytes<float>(Cuda{}, &all, 1));
  expect_traffic(
      20 * n, [&] { sgd_step<float>(Cuda{}, w.data(), g.data(), m.data(), {.lr = 0.1, .momentum = 0.9}, n); }, "SGD of 24576, float");
  expect_traffic(
      28 * n, [&] { adam_step<float>(Cuda{}, w.data(), g.data(), m.data(), v.data(), {.lr = 0.1}, n); }, "Adam of 24576, float");
  expect_traffic(
      20 * n, [&] { rmsprop_step<float>(Cuda{}, w.data(), g.data(), v.data(), nullptr, nullptr, {.lr = 0.1}, n); },
      "RMSprop of 24576, float");
  expect_traffic(
      28 * n, [&] { lars_step<float>(Cuda{}, w.data(), g.data(), m.data(), {.lr = 0.1}, &all, 1, workspace.data()); },
      "LARS of 24576, float");
  expect_traffic(
      40 * n, [&] { lamb_step<float>(Cuda{}, w.data(), g.data(), m.data(), v.data(), {.lr = 0.1}, &all, 1, workspace.data()); },
      "LAMB of 24576, float");
  expect_traffic(
      12 * n, [&] { moving_average<float>(Cuda{}, w.data(), g.data(), 0.1, n); }, "moving average of 24576, float");
  expect_traffic(
      16 * n, [&] { exchange<float>(Cuda{}, w.data(), g.data(), n); }, "exchange of 24576, float");
}

}   // namespace
}   // namespace fovea::kernels
