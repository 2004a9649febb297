// test_optimizer_steps.cpp: Adam, RMSprop, LARS and LAMB: Cpu against Reference for every combination of options, each step's first
// value by hand, the same bits for any number of threads.
#include "tests/kernels/optimizer_testing.h"

#include <cstddef>

namespace fovea::kernels {
namespace {

const std::vector<std::int64_t> kLengths{0, 1, 15, 16, 17, 33, 1000, 8192 + 5, 40003};

/// On this instruction set.
const auto check = [](const Arrays& start, const std::vector<double>& tolerance, const auto& step) {
  Arrays got = start;
  step(Cpu{}, pointers_to(got));
  expect_step(got, start, tolerance, step);
};
const auto memory = [](auto, std::size_t bytes) { return std::vector<std::byte>(bytes); };

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
  on_every_isa([] {
    for (const std::int64_t n : kLengths) adam_cases(n, check);
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
  on_every_isa([] {
    for (const std::int64_t n : kLengths) rmsprop_cases(n, check);
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
  on_every_isa([] { lars_cases(Tensors(), memory, check); });
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
  on_every_isa([] { lamb_cases(Tensors(), memory, check); });
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
    auto workspace = memory(Cpu{}, lars_workspace_bytes<float>(Cpu{}, t.runs.data(), t.count()));
    lars_step(Cpu{}, w.data(), g.data(), b.data(), {.lr = 0.1, .weight_decay = 0.1}, t.runs.data(), t.count(), workspace.data());
    hash = hash_of(b, hash_of(w, hash));
    workspace = memory(Cpu{}, lamb_workspace_bytes<float>(Cpu{}, t.runs.data(), t.count()));
    lamb_step(Cpu{}, w.data(), g.data(), m.data(), v.data(), {.lr = 0.1, .weight_decay = 0.1, .bias1 = 0.5, .bias2 = 0.5}, t.runs.data(),
              t.count(), workspace.data());
    return hash_of(v, hash_of(m, hash_of(w, hash)));
  });
}

}   // namespace
}   // namespace fovea::kernels
