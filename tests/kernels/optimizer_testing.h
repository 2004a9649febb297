// optimizer_testing.h: what tests of the optimisers' steps share on every backend: the combinations of options, the arrays, the errors.
//
// Cases call check(arrays at the start, how far each may be off in kTolerance, step), where step(backend, pointers to the arrays) is to be
// compared with the same on Reference: expect_step does that.
#pragma once

#include "kernels/adam.h"
#include "kernels/lamb.h"
#include "kernels/lars.h"
#include "kernels/moving_average.h"
#include "kernels/rmsprop.h"
#include "kernels/sgd.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {

using Arrays = std::vector<std::vector<float>>;
inline std::vector<float*> pointers_to(Arrays& arrays) {
  std::vector<float*> p;
  for (auto& a : arrays) p.push_back(a.data());
  return p;
}

/// Weights and gradients below 1, steps of at most a few lr = 0.1: near 1 the float operations of a step round 10 times at most.
constexpr double kTolerance = 10 * 0x1p-24;

template <class Step> void expect_step(const Arrays& got, Arrays start, const std::vector<double>& tolerance, const Step& step) {
  const std::vector<float*> p = pointers_to(start);
  step(Reference{}, p);
  for (std::size_t k = 0; k < start.size(); ++k)
    expect_close(got[k], start[k], 0, tolerance[k] * kTolerance, ("array " + std::to_string(k)).c_str());
}

template <class Check> void sgd_cases(std::int64_t n, const Check& check) {
  for (const double momentum : {0., 0.9})
    for (const double dampening : {0., 0.2})
      for (const double weight_decay : {0., 0.1})
        for (const bool nesterov : {false, true})
          for (const bool first : {false, true}) {
            const SgdStep o{.lr = 0.1,
                            .momentum = momentum,
                            .dampening = dampening,
                            .weight_decay = weight_decay,
                            .nesterov = nesterov,
                            .first = first};
            check(Arrays{spread<float>(n, 1), spread<float>(n, 2), spread<float>(n, 3)}, {1, 0, 1},
                  [&](auto be, const auto& p) { sgd_step<float>(be, p[0], p[1], momentum != 0 ? p[2] : nullptr, o, n); });
          }
}

template <class Check> void adam_cases(std::int64_t n, const Check& check) {
  for (const bool decoupled : {false, true})
    for (const double weight_decay : {0., 0.1}) {
      const AdamStep o{.lr = 0.1, .weight_decay = weight_decay, .decoupled = decoupled, .bias1 = 0.19, .bias2 = 0.002};
      check(Arrays{spread<float>(n, 1), spread<float>(n, 2), spread<float>(n, 3), spread<float>(n, 4, 1.01)}, {1, 0, 1, 1},
            [&](auto be, const auto& p) { adam_step<float>(be, p[0], p[1], p[2], p[3], o, n); });
    }
}

template <class Check> void rmsprop_cases(std::int64_t n, const Check& check) {
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
          check(Arrays{spread<float>(n, 1), spread<float>(n, 2), spread<float>(n, 3, 2.1), spread<float>(n, 4), spread<float>(n, 5)},
                {4, 0, 2, 1, 4}, [&](auto be, const auto& p) {
                  rmsprop_step<float>(be, p[0], p[1], p[2], centered ? p[3] : nullptr, momentum != 0 ? p[4] : nullptr, o, n);
                });
        }
}

/// Tensors of odd lengths with gaps between them, one that is empty, one longer than two pieces, and `more` of two elements.
struct Tensors {
  std::vector<Run> runs{{0, 1}, {16, 33}, {48, 48}, {48, 48 + 1000}, {1056, 1056 + 20003}};
  std::int64_t n = 1056 + 20003 + 5;
  explicit Tensors(int more = 0) {
    for (int i = 0; i < more; ++i, n += 3) runs.push_back({n, n + 2});
  }
  std::int64_t count() const { return std::ssize(runs); }
};

/// workspace(backend, bytes) is an object whose data() is the backend's memory for as long as it lives.
template <class Check, class Memory> void lars_cases(const Tensors& t, const Memory& workspace, const Check& check) {
  for (const double momentum : {0., 0.9})
    for (const bool nesterov : {false, true})
      for (const bool adapt : {true, false})
        for (const bool first : {false, true}) {
          const LarsStep o{.lr = 0.1,
                           .momentum = momentum,
                           .weight_decay = 0.1,
                           .trust_coefficient = 0.5,
                           .nesterov = nesterov,
                           .adapt = adapt,
                           .first = first};
          check(Arrays{spread<float>(t.n, 1), spread<float>(t.n, 2), spread<float>(t.n, 3)}, {1, 0, 1}, [&](auto be, const auto& p) {
            auto memory = workspace(be, lars_workspace_bytes<float>(be, t.runs.data(), t.count()));
            lars_step<float>(be, p[0], p[1], momentum != 0 ? p[2] : nullptr, o, t.runs.data(), t.count(), memory.data());
          });
        }
}

template <class Check, class Memory> void lamb_cases(const Tensors& t, const Memory& workspace, const Check& check) {
  for (const bool adapt : {true, false})
    for (const double weight_decay : {0., 0.1}) {
      const LambStep o{.lr = 0.1, .eps = 1e-3, .weight_decay = weight_decay, .adapt = adapt, .bias1 = 0.19, .bias2 = 0.02};
      // |m^| / sqrt(v^) is below 2.
      check(Arrays{spread<float>(t.n, 1), spread<float>(t.n, 2), spread<float>(t.n, 3), spread<float>(t.n, 4, 1.5)}, {2, 0, 1, 2},
            [&](auto be, const auto& p) {
              auto memory = workspace(be, lamb_workspace_bytes<float>(be, t.runs.data(), t.count()));
              lamb_step<float>(be, p[0], p[1], p[2], p[3], o, t.runs.data(), t.count(), memory.data());
            });
    }
}

}   // namespace fovea::kernels
