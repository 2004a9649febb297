// test_optimizer_steps.cpp: Adam, RMSprop, LARS and LAMB: Cpu against Reference for every combination of options, each step's first
// value by hand, the same bits for any number of threads.
#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "kernels/adam.h"
#include "kernels/lamb.h"
#include "kernels/lars.h"
#include "kernels/rmsprop.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

const std::vector<std::int64_t> kLengths{0, 1, 15, 16, 17, 33, 1000, 8192 + 5, 40003};

// Weights below 1, gradients below 1: steps of at most a few lr = 0.1. Near 1 the float operations of a step round 10 times at most.
constexpr double kTolerance = 10 * 0x1p-24;

TEST(AdamReference, FirstStepByHand) {
  for (const bool decoupled : {false, true}) {
    double w = 2, m = 0, v = 0;
    const double g = 3;
    adam_step(Reference{}, &w, &g, &m, &v, {.lr = 0.1, .weight_decay = 0.5, .decoupled = decoupled, .bias1 = 0.1, .bias2 = 0.001}, 1);
    const double gradient = decoupled ? 3 : 4;
    EXPECT_DOUBLE_EQ(m, 0.1 * gradient);
    EXPECT_DOUBLE_EQ(v, 0.001 * gradient * gradient);
    EXPECT_NEAR(w, (decoupled ? 2 - 0.1 * 0.5 * 2 : 2) - 0.1, 1e-8);   // m^ / sqrt(v^) is 1
  }
}

TEST(Adam, CpuMatchesReference) {
  on_every_isa([&] {
    for (const std::int64_t n : kLengths)
      for (const bool decoupled : {false, true})
        for (const double weight_decay : {0., 0.1}) {
          const AdamStep o{.lr = 0.1, .weight_decay = weight_decay, .decoupled = decoupled, .bias1 = 0.19, .bias2 = 0.002};
          auto w = spread<float>(n, 1), m = spread<float>(n, 2), v = spread<float>(n, 3, 1.01);
          const auto g = spread<float>(n, 4);
          auto w_want = w, m_want = m, v_want = v;
          adam_step(Cpu{}, w.data(), g.data(), m.data(), v.data(), o, n);
          adam_step(Reference{}, w_want.data(), g.data(), m_want.data(), v_want.data(), o, n);
          expect_close(w, w_want, 0, kTolerance, "w");
          expect_close(m, m_want, 0, kTolerance, "m");
          expect_close(v, v_want, 0, kTolerance, "v");
        }
  });
}

TEST(RmspropReference, FirstStepByHand) {
  double w = 2, v = 1, m = 0, b = 0;
  const double g = 3;
  rmsprop_step(Reference{}, &w, &g, &v, &m, &b,
               {.lr = 0.1, .alpha = 0.5, .eps = 0.25, .weight_decay = 0.5, .momentum = 0.9, .centered = true, .eps_inside = true}, 1);
  EXPECT_DOUBLE_EQ(v, 0.5 + 0.5 * 16);
  EXPECT_DOUBLE_EQ(m, 2);
  EXPECT_DOUBLE_EQ(b, 4 / std::sqrt(8.5 - 4 + 0.25));
  EXPECT_DOUBLE_EQ(w, 2 - 0.1 * b);
}

TEST(Rmsprop, CpuMatchesReference) {
  on_every_isa([&] {
    for (const std::int64_t n : kLengths)
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
              auto w = spread<float>(n, 5), v = spread<float>(n, 6, 2.1), m = spread<float>(n, 7), b = spread<float>(n, 8);
              const auto g = spread<float>(n, 9);
              auto w_want = w, v_want = v, m_want = m, b_want = b;
              const auto step = [&](auto be, auto& w1, auto& v1, auto& m1, auto& b1) {
                rmsprop_step(be, w1.data(), g.data(), v1.data(), centered ? m1.data() : nullptr, momentum != 0 ? b1.data() : nullptr, o, n);
              };
              step(Cpu{}, w, v, m, b);
              step(Reference{}, w_want, v_want, m_want, b_want);
              // The velocity is g over a root of 0.1 and more, below 4.
              expect_close(w, w_want, 0, 4 * kTolerance, "w");
              expect_close(v, v_want, 0, 2 * kTolerance, "v");
              expect_close(m, m_want, 0, kTolerance, "m");
              expect_close(b, b_want, 0, 4 * kTolerance, "b");
            }
  });
}

// A mean square that rounding has put below the mean's square must not become NaN.
TEST(Rmsprop, VarianceIsNeverNegative) {
  on_every_isa([&] {
    std::vector<float> w(20, 1), v(20, 0.25f), m(20, 0.6f);
    const std::vector<float> g(20, 0.5f);
    rmsprop_step<float>(Cpu{}, w.data(), g.data(), v.data(), m.data(), nullptr, {.lr = 0.1, .alpha = 0.99, .eps = 1, .centered = true}, 20);
    for (const float x : w) EXPECT_FLOAT_EQ(x, 0.95f);
  });
}

/// Tensors of odd lengths with gaps between them, the last longer than two pieces.
struct Tensors {
  std::vector<Run> runs{{0, 1}, {16, 33}, {48, 48}, {48, 48 + 1000}, {1056, 1056 + 20003}};
  std::int64_t n = 1056 + 20003 + 5;
  std::int64_t count() const { return std::ssize(runs); }
};

template <class B>
void step(B be, const LarsStep& o, const Tensors& t, std::vector<float>& w, const std::vector<float>& g, std::vector<float>& v) {
  std::vector<std::byte> workspace(lars_workspace_bytes<float>(be, t.runs.data(), t.count()));
  lars_step(be, w.data(), g.data(), o.momentum != 0 ? v.data() : nullptr, o, t.runs.data(), t.count(), workspace.data());
}
template <class B>
void step(B be, const LambStep& o, const Tensors& t, std::vector<float>& w, const std::vector<float>& g, std::vector<float>& m,
          std::vector<float>& v) {
  std::vector<std::byte> workspace(lamb_workspace_bytes<float>(be, t.runs.data(), t.count()));
  lamb_step(be, w.data(), g.data(), m.data(), v.data(), o, t.runs.data(), t.count(), workspace.data());
}

TEST(LarsReference, ByHand) {
  double w[] = {3, 4}, v[] = {7, 7};
  const double g[] = {0.6, 0.8};
  const kernels::Run all{0, 2};
  lars_step(Reference{}, w, g, v, {.lr = 0.5, .weight_decay = 0.1, .trust_coefficient = 0.3, .eps = 0, .first = true}, &all, 1, nullptr);
  EXPECT_DOUBLE_EQ(v[0], 0.3 * 5 / (1 + 0.1 * 5) * (0.6 + 0.3));   // |w| = 5, |g| = 1: ratio 1
  EXPECT_DOUBLE_EQ(w[0], 3 - 0.5 * v[0]);
  EXPECT_EQ(lars_ratio({.lr = 1}, 0, 1), 1);
  EXPECT_EQ(lars_ratio({.lr = 1}, 1, 0), 1);
  EXPECT_EQ(lars_ratio({.lr = 1, .adapt = false}, 5, 1), 1);
}

TEST(Lars, CpuMatchesReference) {
  const Tensors t;
  on_every_isa([&] {
    for (const double momentum : {0., 0.9})
      for (const bool nesterov : {false, true})
        for (const bool adapt : {false, true})
          for (const bool first : {false, true}) {
            const LarsStep o{.lr = 0.1,
                             .momentum = momentum,
                             .weight_decay = 0.1,
                             .trust_coefficient = 0.5,
                             .nesterov = nesterov,
                             .adapt = adapt,
                             .first = first};
            auto w = spread<float>(t.n, 10), v = spread<float>(t.n, 11);
            const auto g = spread<float>(t.n, 12);
            auto w_want = w, v_want = v;
            step(Cpu{}, o, t, w, g, v);
            step(Reference{}, o, t, w_want, g, v_want);
            expect_close(w, w_want, 0, kTolerance, "w");
            expect_close(v, v_want, 0, kTolerance, "v");
          }
  });
}

TEST(LambReference, ByHand) {
  double w[] = {3, 4}, m[] = {0, 0}, v[] = {0, 0};
  const double g[] = {0.6, -0.8};
  const kernels::Run all{0, 2};
  lamb_step(Reference{}, w, g, m, v, {.lr = 0.5, .eps = 1e-12, .weight_decay = 0.5, .bias1 = 0.1, .bias2 = 0.001}, &all, 1, nullptr);
  const double r[] = {1 + 0.5 * 3, -1 + 0.5 * 4}, ratio = 5 / std::sqrt(r[0] * r[0] + r[1] * r[1]);
  EXPECT_NEAR(w[0], 3 - 0.5 * ratio * r[0], 1e-10);
  EXPECT_NEAR(w[1], 4 - 0.5 * ratio * r[1], 1e-10);
  EXPECT_EQ(lamb_ratio({.lr = 1}, 0, 1), 1);
  EXPECT_EQ(lamb_ratio({.lr = 1}, 1, 0), 1);
  EXPECT_EQ(lamb_ratio({.lr = 1, .adapt = false}, 5, 1), 1);
}

TEST(Lamb, CpuMatchesReference) {
  const Tensors t;
  on_every_isa([&] {
    for (const bool adapt : {false, true})
      for (const double weight_decay : {0., 0.1}) {
        const LambStep o{.lr = 0.1, .eps = 1e-3, .weight_decay = weight_decay, .adapt = adapt, .bias1 = 0.19, .bias2 = 0.02};
        auto w = spread<float>(t.n, 13), m = spread<float>(t.n, 14), v = spread<float>(t.n, 15, 1.5);
        const auto g = spread<float>(t.n, 16);
        auto w_want = w, m_want = m, v_want = v;
        step(Cpu{}, o, t, w, g, m, v);
        step(Reference{}, o, t, w_want, g, m_want, v_want);
        expect_close(w, w_want, 0, 2 * kTolerance, "w");   // |m^| / sqrt(v^) is below 2
        expect_close(m, m_want, 0, kTolerance, "m");
        expect_close(v, v_want, 0, 2 * kTolerance, "v");
      }
  });
}

TEST(OptimizerSteps, SameBits) {
  const std::int64_t n = 40003;
  const auto g = spread<float>(n, 17);
  expect_same_bits(0x66bf0e7ccee7b695, [&] {
    auto w = spread<float>(n, 18);
    std::vector<float> m(w.size()), v(w.size());
    for (int t = 0; t < 3; ++t)
      adam_step(Cpu{}, w.data(), g.data(), m.data(), v.data(),
                {.lr = 0.1, .weight_decay = 0.1, .decoupled = true, .bias1 = 0.1, .bias2 = 0.1}, n);
    std::uint64_t hash = hash_of(v, hash_of(m, hash_of(w)));
    std::vector<float> b(w.size());
    rmsprop_step(Cpu{}, w.data(), g.data(), v.data(), m.data(), b.data(), {.lr = 0.1, .momentum = 0.9, .centered = true}, n);
    hash = hash_of(b, hash_of(w, hash));
    const Tensors t;
    step(Cpu{}, LarsStep{.lr = 0.1, .weight_decay = 0.1}, t, w, g, b);
    hash = hash_of(b, hash_of(w, hash));
    step(Cpu{}, LambStep{.lr = 0.1, .weight_decay = 0.1, .bias1 = 0.5, .bias2 = 0.5}, t, w, g, m, v);
    return hash_of(v, hash_of(m, hash_of(w, hash)));
  });
}

}   // namespace
}   // namespace fovea::kernels
