// test_broadcast.cpp: arithmetic with repeated operands: Cpu against Reference for every kind of inner loop.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/broadcast.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

template <class T> class Broadcast : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Broadcast, Types);

constexpr Arithmetic kAll[] = {Arithmetic::add, Arithmetic::sub, Arithmetic::mul, Arithmetic::div};

std::size_t span_of(const BroadcastShape& s, const std::int64_t* step) {
  std::int64_t last = 0;
  for (int a = 0; a < s.rank; ++a) {
    if (s.extent[a] == 0) return 0;
    last += (s.extent[a] - 1) * step[a];
  }
  return static_cast<std::size_t>(last + 1);
}

/// (rows, cols) with operands dense, repeated along one axis, or one number.
BroadcastShape matrix(std::int64_t rows, std::int64_t cols, int a, int b) {
  const std::int64_t steps[4][2] = {{cols, 1}, {0, 1}, {1, 0}, {0, 0}};
  return {
      .rank = 2, .extent = {rows, cols}, .a_step = {steps[a][0], steps[a][1]}, .b_step = {steps[b][0], steps[b][1]}, .y_step = {cols, 1}};
}

std::vector<BroadcastShape> shapes() {
  std::vector<BroadcastShape> list;
  for (const auto& [rows, cols] : {std::pair{1, 1}, {1, 17}, {40, 3}, {700, 17}, {5, 64}, {3, 255}, {9, 300}, {2, 16401}, {0, 5}, {5, 0}})
    for (int a = 0; a < 4; ++a)
      for (int b = 0; b < 4; ++b) list.push_back(matrix(rows, cols, a, b));
  list.push_back({.rank = 3, .extent = {3, 50, 33}, .a_step = {1650, 33, 1}, .b_step = {33, 0, 1}, .y_step = {1650, 33, 1}});   // gate
  list.push_back({.rank = 3, .extent = {3, 50, 64}, .a_step = {3200, 64, 1}, .b_step = {0, 1, 0}, .y_step = {3200, 64, 1}});
  list.push_back({.rank = 4, .extent = {2, 3, 4, 5}, .a_step = {0, 5, 0, 1}, .b_step = {12, 4, 1, 0}, .y_step = {60, 20, 5, 1}});
  list.push_back({.rank = 2, .extent = {4, 9}, .a_step = {9, 1}, .b_step = {36, 3}, .y_step = {36, 3}});   // y in a box
  list.push_back({.rank = 2, .extent = {4, 40}, .a_step = {40, 1}, .b_step = {100, 1}, .y_step = {100, 1}});
  list.push_back({.rank = 0});
  return list;
}

// One float operation and, with accumulate, one more; then u for the output.
TYPED_TEST(Broadcast, CpuMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const BroadcastShape& s : shapes())
      for (const Arithmetic op : kAll)
        for (const bool accumulate : {false, true}) {
          const auto a = spread<T>(std::int64_t(span_of(s, s.a_step)), 1), b = spread<T>(std::int64_t(span_of(s, s.b_step)), 2, 2);
          auto y = spread<T>(std::int64_t(span_of(s, s.y_step)), 3);
          const auto fa = as<float>(a), fb = as<float>(b);
          auto want = as<float>(y);
          broadcast(Cpu{}, op, a.data(), b.data(), y.data(), s, accumulate);
          broadcast(Reference{}, op, fa.data(), fb.data(), want.data(), s, accumulate);
          expect_close(y, want, 2 * unit_roundoff<T>, 4 * 0x1p-24, "broadcast");
          if (this->HasFatalFailure()) return;
        }
  });
}

TYPED_TEST(Broadcast, OutputMayBeAnOperand) {
  using T = TypeParam;
  for (const std::int64_t cols : {17, 300}) {
    const BroadcastShape gate = matrix(60, cols, 0, 1), equal = matrix(60, cols, 0, 0);
    const auto a = spread<T>(60 * cols, 4), b = spread<T>(60 * cols, 5, 2);
    for (const BroadcastShape& s : {gate, equal}) {
      std::vector<T> apart(a.size()), in_place = a;
      broadcast(Cpu{}, Arithmetic::sub, a.data(), b.data(), apart.data(), s, false);
      broadcast(Cpu{}, Arithmetic::sub, in_place.data(), b.data(), in_place.data(), s, false);
      EXPECT_EQ(hash_of(in_place), hash_of(apart));
    }
  }
}

TYPED_TEST(Broadcast, Edges) {
  using T = TypeParam;
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<T> a{T(inf), T(1.f), T(0.f), T(nan), T(-1.f)}, b{T(inf), T(0.f), T(0.f), T(1.f), T(0.f)};
  const BroadcastShape s{.rank = 1, .extent = {5}, .a_step = {1}, .b_step = {1}, .y_step = {1}};
  on_every_isa([&] {
    std::vector<T> y(5);
    broadcast(Cpu{}, Arithmetic::sub, a.data(), b.data(), y.data(), s, false);
    EXPECT_TRUE(std::isnan(float(y[0])) && std::isnan(float(y[3])));
    broadcast(Cpu{}, Arithmetic::div, a.data(), b.data(), y.data(), s, false);
    EXPECT_TRUE(std::isnan(float(y[0])) && std::isnan(float(y[2])));
    EXPECT_EQ(float(y[1]), inf);
    EXPECT_EQ(float(y[4]), -inf);
  });
}

TYPED_TEST(Broadcast, Affine) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const std::int64_t n : {0, 1, 16, 17, 20001})
      for (const bool accumulate : {false, true}) {
        const auto x = spread<T>(n, 6);
        auto y = spread<T>(n, 7);
        const auto fx = as<float>(x);
        auto want = as<float>(y);
        affine(Cpu{}, x.data(), 1.7f, 0.3f, y.data(), n, accumulate);
        affine(Reference{}, fx.data(), 1.7f, 0.3f, want.data(), n, accumulate);
        expect_close(y, want, unit_roundoff<T>, 8 * 0x1p-24, "affine");
      }
  });
}

TYPED_TEST(Broadcast, SameBits) {
  using T = TypeParam;
  const auto a = spread<T>(300 * 133, 8), b = spread<T>(300 * 133, 9, 2);
  expect_same_bits(std::is_same_v<T, float> ? 0xe60ec7fdf2ff14d4 : 0xdb6cee1efac44f4c, [&] {
    std::uint64_t hash = 0;
    for (const Arithmetic op : kAll)
      for (int kind = 0; kind < 4; ++kind) {
        std::vector<T> y = a;
        broadcast(Cpu{}, op, a.data(), b.data(), y.data(), matrix(300, 133, 0, kind), true);
        hash = hash_of(y, hash + 1);
      }
    return hash;
  });
}

}   // namespace
}   // namespace fovea::kernels
