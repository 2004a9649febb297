// test_interpolate.cpp: resizing by hand, Cpu against Reference, the same bits everywhere.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "kernels/interpolate.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

template <class T> class Interpolate : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Interpolate, Types);

InterpolationShape shape(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t p, std::int64_t q, Interpolation mode,
                         bool align_corners = false) {
  return {.n = n,
          .c = c,
          .rows = InterpolationAxis::resize(h, p, mode, align_corners),
          .columns = InterpolationAxis::resize(w, q, mode, align_corners)};
}

std::vector<InterpolationShape> shapes() {
  std::vector<InterpolationShape> list;
  for (const Interpolation mode : {Interpolation::nearest, Interpolation::bilinear, Interpolation::bicubic})
    for (const bool align_corners : {false, true})
      for (const std::int64_t c : {1, 3, 17, 33}) {
        list.push_back(shape(2, 5, 4, c, 7, 9, mode, align_corners));
        list.push_back(shape(1, 9, 11, c, 4, 1, mode, align_corners));
        list.push_back(shape(1, 1, 1, c, 3, 2, mode, align_corners));
        list.push_back(shape(0, 3, 3, c, 3, 2, mode, align_corners));
      }
  list.push_back(shape(3, 40, 30, 16, 20, 45, Interpolation::bilinear));
  return list;
}

template <class T> struct Results { std::vector<T> y, dx; };
template <class T, class Backend>
Results<T> run(Backend be, const std::vector<T>& x, const std::vector<T>& dy, const InterpolationShape& s, bool accumulate) {
  Results<T> r{dy, x};   // something to overwrite, or to add to
  std::vector<char> workspace(interpolate_workspace_bytes(be, s) + 64, char(0x5a));
  interpolate_forward(be, x.data(), r.y.data(), s, workspace.data());
  interpolate_backward(be, dy.data(), r.dx.data(), s, accumulate, workspace.data());
  for (std::size_t i = workspace.size() - 64; i < workspace.size(); ++i)
    EXPECT_EQ(workspace[i], char(0x5a)) << "wrote behind the workspace";
  return r;
}

TYPED_TEST(Interpolate, MatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const auto& s : shapes())
      for (const bool accumulate : {false, true}) {
        const auto x = spread<T>(s.n * s.rows.in * s.columns.in * s.c, 41), dy = spread<T>(s.n * s.rows.out * s.columns.out * s.c, 42);
        const Results<T> got = run(Cpu{}, x, dy, s, accumulate);
        const Results<float> want = run(Reference{}, as<float>(x), as<float>(dy), s, accumulate);
        expect_close(got.y, want.y, unit_roundoff<T>, 32 * 0x1p-24, "y");   // 16 terms below 1; sum |weight| <= 1.6
        expect_close(got.dx, want.dx, unit_roundoff<T>, 256 * 0x1p-24, "dx");
      }
  });
}

TEST(InterpolationReference, ByHand) {
  const std::vector<double> x{0, 4};   // two pixels side by side
  std::vector<double> y(4);
  interpolate_forward(Reference{}, x.data(), y.data(), shape(1, 1, 2, 1, 1, 4, Interpolation::bilinear), nullptr);
  EXPECT_EQ(y, (std::vector<double>{0, 1, 3, 4}));   // sources -1/4, 1/4, 3/4, 5/4
  interpolate_forward(Reference{}, x.data(), y.data(), shape(1, 1, 2, 1, 1, 4, Interpolation::nearest), nullptr);
  EXPECT_EQ(y, (std::vector<double>{0, 0, 4, 4}));
  std::vector<double> three(3);
  interpolate_forward(Reference{}, x.data(), three.data(), shape(1, 1, 2, 1, 1, 3, Interpolation::bilinear, true), nullptr);
  EXPECT_EQ(three, (std::vector<double>{0, 2, 4}));
  EXPECT_EQ(InterpolationAxis::keys(0), 1);   // Keys 1981: interpolating, and the four weights of a point sum to 1
  EXPECT_EQ(InterpolationAxis::keys(1), 0);
  EXPECT_EQ(InterpolationAxis::keys(-2), 0);
  EXPECT_DOUBLE_EQ(InterpolationAxis::keys(0.5), 19. / 32);
  EXPECT_DOUBLE_EQ(
      InterpolationAxis::keys(1.3) + InterpolationAxis::keys(0.3) + InterpolationAxis::keys(-0.7) + InterpolationAxis::keys(-1.7), 1);
}

TEST(Interpolation, InfinityAndNanStayWhereTheyAre) {
  std::vector<float> x(16, 1.f), y(64);
  x[5] = std::numeric_limits<float>::infinity();
  x[10] = std::nanf("");
  const InterpolationShape s = shape(1, 4, 4, 1, 8, 8, Interpolation::nearest);
  std::vector<char> workspace(interpolate_workspace_bytes(Cpu{}, s));
  interpolate_forward(Cpu{}, x.data(), y.data(), s, workspace.data());
  for (std::size_t i = 0; i < 64; ++i) {
    const float from = x[i / 16 * 4 + i % 8 / 2];
    EXPECT_TRUE(y[i] == from || (std::isnan(y[i]) && std::isnan(from))) << i;
  }
}

TYPED_TEST(Interpolate, SameBits) {
  using T = TypeParam;
  expect_same_bits(std::is_same_v<T, float> ? 0xe7f46abfc1e1b70a : 0xe2b22f2abec0c6f9, [&] {
    std::uint64_t hash = 0;
    for (const Interpolation mode : {Interpolation::bilinear, Interpolation::bicubic}) {
      const InterpolationShape s = shape(3, 40, 30, 21, 21, 45, mode);
      const auto x = spread<T>(s.n * s.rows.in * s.columns.in * s.c, 43), dy = spread<T>(s.n * s.rows.out * s.columns.out * s.c, 44);
      const Results<T> r = run(Cpu{}, x, dy, s, true);
      hash = hash_of(r.dx, hash_of(r.y, hash));
    }
    return hash;
  });
}

}   // namespace
}   // namespace fovea::kernels
