// test_sgd.cpp: three steps by hand, Cpu against Reference for every combination of options.
#include "tests/kernels/optimizer_testing.h"

namespace fovea::kernels {
namespace {

TEST(SgdReference, ByHand) {
  const double g = 1;
  double w = 10, v = -99;   // v is not looked at in the first step
  SgdStep o{.lr = 0.5, .momentum = 0.5, .dampening = 0.2, .weight_decay = 0.1, .first = true};
  sgd_step(Reference{}, &w, &g, &v, o, 1);
  EXPECT_DOUBLE_EQ(v, 2);   // g' = 1 + 0.1 * 10, undampened
  EXPECT_DOUBLE_EQ(w, 9);
  o.first = false;
  sgd_step(Reference{}, &w, &g, &v, o, 1);
  EXPECT_DOUBLE_EQ(v, 0.5 * 2 + 0.8 * 1.9);
  EXPECT_DOUBLE_EQ(w, 9 - 0.5 * 2.52);
  o.nesterov = true;
  sgd_step(Reference{}, &w, &g, &v, o, 1);
  const double gradient = 1 + 0.1 * 7.74, velocity = 0.5 * 2.52 + 0.8 * gradient;
  EXPECT_DOUBLE_EQ(v, velocity);
  EXPECT_DOUBLE_EQ(w, 7.74 - 0.5 * (gradient + 0.5 * velocity));
}

TEST(SgdReference, WithoutMomentumNeedsNoVelocity) {
  const double g = 2;
  double w = 1;
  sgd_step<double>(Reference{}, &w, &g, nullptr, {.lr = 0.25}, 1);
  EXPECT_DOUBLE_EQ(w, 0.5);
}

TEST(Sgd, CpuMatchesReference) {
  on_every_isa([] {
    for (const std::int64_t n : {0, 1, 17, 1000, 8192 + 5, 40003})
      sgd_cases(n, [](const Arrays& start, const std::vector<double>& tolerance, const auto& step) {
        Arrays got = start;
        step(Cpu{}, pointers_to(got));
        expect_step(got, start, tolerance, step);
      });
  });
}

TEST(Sgd, SameBits) {
  const std::int64_t n = 40003;
  const auto g = spread<float>(n, 44);
  expect_same_bits(0x50fe2f2ad808068, [&] {
    auto w = spread<float>(n, 45), v = spread<float>(n, 46);
    for (int step = 0; step < 3; ++step)
      sgd_step(Cpu{}, w.data(), g.data(), v.data(),
               {.lr = 0.1, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true, .first = step == 0}, n);
    return hash_of(v, hash_of(w));
  });
}

}   // namespace
}   // namespace fovea::kernels
