// The optimisers' steps on the device against Reference, for every combination of options: SGD, Adam, RMSprop, LARS, LAMB, averages.
#include "kernels/adam.h"
#include "kernels/lamb.h"
#include "kernels/lars.h"
#include "kernels/moving_average.h"
#include "kernels/rmsprop.h"
#include "kernels/sgd.h"
#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

constexpr std::int64_t kLengths[] = {0, 1, 33, 1029};   // one past a warp; one past a block

// Weights and gradients below 1, steps of at most a few lr = 0.1: near 1 the float operations of a step round 10 times at most.
constexpr double kTolerance = 10 * 0x1p-24;

using Arrays = std::vector<std::vector<float>>;

/// step(backend, pointers to the arrays) on every schedule, against the same on Reference. The arrays' tolerances, in kTolerance.
template <class Step> void check(const Arrays& start, const std::vector<double>& tolerance, const Step& step, bool few = true) {
  const std::size_t n = start[0].size();
  const std::vector<float> got = same_on_every_schedule<float>(
      [&] {
        std::vector<std::unique_ptr<DeviceArray<float>>> device;
        std::vector<float*> p;
        for (const auto& a : start) p.push_back(device.emplace_back(std::make_unique<DeviceArray<float>>(a))->data());
        step(Cuda{}, p);
        std::vector<float> all;
        for (const auto& d : device) {
          d->expect_guards_untouched();
          const std::vector<float> a = d->host();
          all.insert(all.end(), a.begin(), a.end());
        }
        return all;
      },
      few);
  Arrays want = start;
  std::vector<float*> p;
  for (auto& a : want) p.push_back(a.data());
  step(Reference{}, p);
  for (std::size_t k = 0; k < want.size(); ++k) {
    const auto first = got.begin() + std::ptrdiff_t(k * n);
    expect_close(std::vector<float>(first, first + std::ptrdiff_t(n)), want[k], 0, tolerance[k] * kTolerance,
                 ("array " + std::to_string(k)).c_str());
  }
}

TEST(CudaSgd, IsTheReference) {
  for (const std::int64_t n : kLengths)
    for (const double momentum : {0., 0.9})
      for (const bool nesterov : {false, true})
        for (const bool first : {false, true}) {
          const SgdStep o{
              .lr = 0.1, .momentum = momentum, .dampening = nesterov ? 0 : 0.2, .weight_decay = 0.1, .nesterov = nesterov, .first = first};
          check(
              {spread<float>(n, 1), spread<float>(n, 2), spread<float>(n, 3)}, {1, 0, 1},
              [&](auto be, auto& p) { sgd_step<float>(be, p[0], p[1], momentum != 0 ? p[2] : nullptr, o, n); }, n != 1029);
        }
}

TEST(CudaAdam, IsTheReference) {
  for (const std::int64_t n : kLengths)
    for (const bool decoupled : {false, true})
      for (const double weight_decay : {0., 0.1}) {
        const AdamStep o{.lr = 0.1, .weight_decay = weight_decay, .decoupled = decoupled, .bias1 = 0.19, .bias2 = 0.002};
        check({spread<float>(n, 1), spread<float>(n, 2), spread<float>(n, 3), spread<float>(n, 4, 1.01)}, {1, 0, 1, 1},
              [&](auto be, auto& p) { adam_step<float>(be, p[0], p[1], p[2], p[3], o, n); });
      }
}

TEST(CudaRmsprop, IsTheReference) {
  for (const std::int64_t n : {1, 33})
    for (const double momentum : {0., 0.9})
      for (const bool centered : {false, true})
        for (const bool eps_inside : {false, true})
          for (const bool lr_in_velocity : {false, true}) {
            const RmspropStep o{.lr = 0.1,
                                .alpha = 0.9,
                                .eps = 0.01,
                                .weight_decay = 0.1,
                                .momentum = momentum,
                                .centered = centered,
                                .eps_inside = eps_inside,
                                .lr_in_velocity = lr_in_velocity};
            // The velocity is g over a root of 0.1 and more, below 4.
            check({spread<float>(n, 1), spread<float>(n, 2), spread<float>(n, 3, 2.1), spread<float>(n, 4), spread<float>(n, 5)},
                  {4, 0, 2, 1, 4}, [&](auto be, auto& p) {
                    rmsprop_step<float>(be, p[0], p[1], p[2], centered ? p[3] : nullptr, momentum != 0 ? p[4] : nullptr, o, n);
                  });
          }
}

/// Tensors of odd lengths with gaps between them, one of more than two pieces, one that is empty, and more of them than a launch takes.
struct Tensors {
  std::vector<Run> runs{{0, 1}, {16, 33}, {48, 48}, {49, 1049}, {1056, 1056 + 16400}};
  std::int64_t n = 1056 + 16400 + 5;
  explicit Tensors(bool many) {
    for (int i = 0; many && i < 130; ++i, n += 3) runs.push_back({n, n + 2});
  }
  std::int64_t count() const { return std::ssize(runs); }
};

/// Memory of the backend's own.
DeviceArray<char> workspace_for(Cuda, std::size_t bytes) { return DeviceArray<char>(bytes); }
struct NoMemory {
  char* data() { return nullptr; }
};
NoMemory workspace_for(Reference, std::size_t) { return {}; }

// Norms of up to 16400 elements: a chain of 32 squares a thread, in float, the rest in double; so ratios are off by 20 units.
TEST(CudaLars, IsTheReference) {
  for (const bool many : {false, true})
    for (const double momentum : {0., 0.9})
      for (const bool adapt : {true, false}) {
        const Tensors t(many);
        const LarsStep o{.lr = 0.1,
                         .momentum = momentum,
                         .weight_decay = 0.1,
                         .trust_coefficient = 0.5,
                         .nesterov = momentum != 0 && adapt,
                         .adapt = adapt,
                         .first = many};
        check({spread<float>(t.n, 1), spread<float>(t.n, 2), spread<float>(t.n, 3)}, {3, 0, 3}, [&](auto be, auto& p) {
          auto workspace = workspace_for(be, lars_workspace_bytes<float>(be, t.runs.data(), t.count()));
          lars_step<float>(be, p[0], p[1], momentum != 0 ? p[2] : nullptr, o, t.runs.data(), t.count(), workspace.data());
        });
      }
}

TEST(CudaLamb, IsTheReference) {
  for (const bool many : {false, true})
    for (const bool adapt : {true, false}) {
      const Tensors t(many);
      const LambStep o{.lr = 0.1, .eps = 1e-3, .weight_decay = 0.1, .adapt = adapt, .bias1 = 0.19, .bias2 = 0.02};
      check({spread<float>(t.n, 1), spread<float>(t.n, 2), spread<float>(t.n, 3), spread<float>(t.n, 4, 1.01)}, {4, 0, 1, 1},
            [&](auto be, auto& p) {
              auto workspace = workspace_for(be, lamb_workspace_bytes<float>(be, t.runs.data(), t.count()));
              lamb_step<float>(be, p[0], p[1], p[2], p[3], o, t.runs.data(), t.count(), workspace.data());
            });
    }
}

TEST(CudaMovingAverage, IsTheReference) {
  for (const std::int64_t n : kLengths) {
    check({spread<float>(n, 1), spread<float>(n, 2)}, {1, 0}, [&](auto be, auto& p) { moving_average<float>(be, p[0], p[1], 0.3, n); });
    check({spread<float>(n, 1), spread<float>(n, 2)}, {0, 0}, [&](auto be, auto& p) { exchange<float>(be, p[0], p[1], n); });
  }
}

TEST(CudaOptimizerSteps, BytesAreTheContracts) {
  const std::int64_t n = 3 * 8192;
  const kernels::Run all{0, n};
  DeviceArray<float> w(spread<float>(n, 1)), g(spread<float>(n, 2)), m(spread<float>(n, 3)), v(spread<float>(n, 4, 1.01));
  DeviceArray<char> workspace(lamb_workspace_bytes<float>(Cuda{}, &all, 1));
  expect_traffic(20 * n, [&] { sgd_step<float>(Cuda{}, w.data(), g.data(), m.data(), {.lr = 0.1, .momentum = 0.9}, n); });
  expect_traffic(28 * n, [&] { adam_step<float>(Cuda{}, w.data(), g.data(), m.data(), v.data(), {.lr = 0.1}, n); });
  expect_traffic(20 * n, [&] { rmsprop_step<float>(Cuda{}, w.data(), g.data(), v.data(), nullptr, nullptr, {.lr = 0.1}, n); });
  expect_traffic(28 * n, [&] { lars_step<float>(Cuda{}, w.data(), g.data(), m.data(), {.lr = 0.1}, &all, 1, workspace.data()); });
  expect_traffic(40 * n, [&] { lamb_step<float>(Cuda{}, w.data(), g.data(), m.data(), v.data(), {.lr = 0.1}, &all, 1, workspace.data()); });
  expect_traffic(12 * n, [&] { moving_average<float>(Cuda{}, w.data(), g.data(), 0.1, n); });
}

}   // namespace
}   // namespace fovea::kernels
