// test_strided_copy.cpp: every way that a loop nest is cut and copied, against one element after the other.
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "kernels/strided_copy.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

/// Past the last element that the steps reach.
std::int64_t span_of(const std::int64_t* extent, const std::int64_t* step, int rank) {
  std::int64_t last = 0;
  for (int a = 0; a < rank; ++a) last += (extent[a] - 1) * step[a];
  return last + 1;
}

template <class E> void expect_copied(const StridedShape& s) {
  std::vector<E> x(static_cast<std::size_t>(span_of(s.extent, s.x_step, s.rank)));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<E>(i * 2654435761u >> 7);
  std::vector<E> y(static_cast<std::size_t>(span_of(s.extent, s.y_step, s.rank)), E{99}), want = y;
  std::int64_t elements = 1;
  for (int a = 0; a < s.rank; ++a) elements *= s.extent[a];
  for (std::int64_t i = 0; i < elements; ++i) {
    std::int64_t rest = i, from = 0, to = 0;
    for (int a = s.rank - 1; a >= 0; rest /= s.extent[a--]) {
      from += rest % s.extent[a] * s.x_step[a];
      to += rest % s.extent[a] * s.y_step[a];
    }
    want[static_cast<std::size_t>(to)] = x[static_cast<std::size_t>(from)];
  }
  const KeepSettings keep;
  for (const int t : {1, 3}) {
    set_threads(t);
    std::vector<E> got = y;
    strided_copy(Cpu{}, x.data(), got.data(), s, sizeof(E));
    ASSERT_TRUE(got == want) << "elements of " << sizeof(E) << " bytes, " << t << " threads";
  }
}

void expect_copied_in_every_size(const StridedShape& s) {
  expect_copied<std::uint8_t>(s);
  expect_copied<std::uint16_t>(s);
  expect_copied<std::uint32_t>(s);
  expect_copied<std::uint64_t>(s);
}

TEST(StridedCopy, Transposes) {   // (b, i, j) -> (b, j, i), around tiles of 8 to 32 and blocks of 128
  for (const std::int64_t rows : {1, 3, 17, 32, 129, 300})
    for (const std::int64_t cols : {1, 2, 8, 31, 33, 128, 200}) {
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(cols));
      expect_copied_in_every_size(
          {.rank = 3, .extent = {2, cols, rows}, .x_step = {rows * cols, 1, cols}, .y_step = {rows * cols, rows, 1}});
    }
  expect_copied_in_every_size({.rank = 2, .extent = {3, 50000}, .x_step = {1, 3}, .y_step = {50000, 1}});   // colours
  expect_copied_in_every_size({.rank = 2, .extent = {50000, 3}, .x_step = {1, 50000}, .y_step = {3, 1}});
}

TEST(StridedCopy, LargeTransposesAreStreamed) {   // past 16 MB; rows of y aligned to 16 bytes, and not
  for (const std::int64_t rows : {2100, 2101}) {
    const std::int64_t cols = 2117;
    std::vector<std::uint32_t> x(static_cast<std::size_t>(rows * cols)), y(x.size());
    std::iota(x.begin(), x.end(), 0u);
    strided_copy(Cpu{}, x.data(), y.data(), {.rank = 2, .extent = {cols, rows}, .x_step = {1, cols}, .y_step = {rows, 1}}, 4);
    std::int64_t wrong = 0;
    for (std::int64_t j = 0; j < cols; ++j)
      for (std::int64_t i = 0; i < rows; ++i) wrong += y[static_cast<std::size_t>(j * rows + i)] != std::uint32_t(i * cols + j);
    EXPECT_EQ(wrong, 0) << rows;
  }
}

TEST(StridedCopy, Runs) {   // (B, T, H, D) -> (B, H, T, D) for runs around 16 and 512 bytes, and one long copy
  for (const std::int64_t d : {1, 2, 3, 5, 8, 16, 17, 33, 64, 129, 600})
    expect_copied_in_every_size({.rank = 4, .extent = {2, 3, 7, d}, .x_step = {21 * d, d, 3 * d, 1}, .y_step = {21 * d, 7 * d, d, 1}});
  expect_copied_in_every_size({.rank = 1, .extent = {40000}, .x_step = {1}, .y_step = {1}});
  expect_copied_in_every_size({.rank = 2, .extent = {3, 20001}, .x_step = {20003, 1}, .y_step = {20010, 1}});
}

TEST(StridedCopy, AnyOtherSteps) {
  expect_copied_in_every_size({.rank = 2, .extent = {5, 33}, .x_step = {70, 2}, .y_step = {33, 1}});    // every second
  expect_copied_in_every_size({.rank = 2, .extent = {5, 33}, .x_step = {33, 1}, .y_step = {100, 3}});   // spread out
  expect_copied_in_every_size({.rank = 2, .extent = {5, 33}, .x_step = {1, 0}, .y_step = {33, 1}});     // repeated along rows
  expect_copied_in_every_size({.rank = 2, .extent = {700, 33}, .x_step = {0, 1}, .y_step = {33, 1}});   // and columns
  expect_copied_in_every_size({.rank = 2, .extent = {2, 20000}, .x_step = {0, 0}, .y_step = {20000, 1}});
  expect_copied_in_every_size({.rank = 0});
  expect_copied_in_every_size(
      {.rank = 6, .extent = {2, 3, 2, 3, 2, 3}, .x_step = {1, 2, 6, 12, 36, 72}, .y_step = {108, 36, 18, 6, 3, 1}});   // all reversed
}

TEST(StridedCopy, NothingToCopy) {
  strided_copy(Cpu{}, nullptr, nullptr, {.rank = 2, .extent = {0, 5}, .x_step = {5, 1}, .y_step = {5, 1}}, 4);
  strided_copy(Cpu{}, nullptr, nullptr, {.rank = 2, .extent = {5, 0}, .x_step = {0, 1}, .y_step = {0, 1}}, 4);
}

TEST(Box, ExtractAndEmbed) {
  // Every second of rows 1.. of a 6 x 5 matrix, columns 2..3.
  const Box box{.rank = 2, .whole = {6, 5}, .begin = {1, 2}, .step = {2, 1}, .part = {3, 2}};
  std::vector<std::int32_t> whole(30), part(6);
  std::iota(whole.begin(), whole.end(), 0);
  extract(Cpu{}, whole.data(), part.data(), box, 4);
  EXPECT_EQ(part, (std::vector<std::int32_t>{7, 8, 17, 18, 27, 28}));
  std::vector<std::int32_t> back(30, -1), inserted(30, -1);
  embed(Cpu{}, part.data(), back.data(), box, 4);
  insert(Cpu{}, part.data(), inserted.data(), box, 4);
  for (std::size_t i = 0; i < 30; ++i) {
    const bool inside = std::find(part.begin(), part.end(), std::int32_t(i)) != part.end();
    EXPECT_EQ(back[i], inside ? std::int32_t(i) : 0);
    EXPECT_EQ(inserted[i], inside ? std::int32_t(i) : -1);
  }
}

/// Large enough for several slabs: leading axes that the box covers whole are done one after the other.
TEST(Box, EmbedInSlabs) {
  const Box box{.rank = 4, .whole = {3, 40, 40, 24}, .begin = {0, 0, 0, 4}, .step = {1, 1, 1, 1}, .part = {3, 40, 40, 16}};
  std::vector<float> part(3 * 40 * 40 * 16), whole(3 * 40 * 40 * 24, 7.f);
  std::iota(part.begin(), part.end(), 1.f);
  embed(Cpu{}, part.data(), whole.data(), box, 4);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::size_t pixel = i / 24, channel = i % 24;
    ASSERT_EQ(whole[i], channel >= 4 && channel < 20 ? part[pixel * 16 + channel - 4] : 0.f) << i;
  }
}

}   // namespace
}   // namespace fovea::kernels
