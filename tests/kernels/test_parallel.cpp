// test_parallel.cpp: every number once, on any number of threads, nested, from several callers, with denormals off.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kernels/parallel.h"

namespace fovea::kernels {
namespace {

class Parallel : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_threads(GetParam()); }
  void TearDown() override { set_threads(before_); }

 private:
  const int before_ = threads();
};

TEST_P(Parallel, CallsEveryNumberOnce) {
  EXPECT_EQ(threads(), GetParam());
  for (std::int64_t count : {0, 1, 2, 3, 17, 1000}) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      std::vector<int> calls(std::size_t(count) + 1);   // each element written by one thread: a race would show
      parallel_for(count, [&](std::int64_t i) { ++calls[std::size_t(i)]; });
      for (std::int64_t i = 0; i < count; ++i) ASSERT_EQ(calls[std::size_t(i)], 1) << i << " of " << count;
      ASSERT_EQ(calls.back(), 0);
    }
  }
}

TEST_P(Parallel, WorksAfterWorkersFellAsleep) {
  for (int repeat = 0; repeat < 5; ++repeat) {
    std::atomic<int> sum = 0;
    parallel_for(100, [&](std::int64_t i) { sum += int(i); });
    EXPECT_EQ(sum, 4950);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST_P(Parallel, NestedCallsRunOnTheirThread) {
  std::atomic<int> inner = 0, elsewhere = 0;
  parallel_for(20, [&](std::int64_t) {
    const auto me = std::this_thread::get_id();
    parallel_for(10, [&](std::int64_t) {
      ++inner;
      if (std::this_thread::get_id() != me) ++elsewhere;
    });
  });
  EXPECT_EQ(inner, 200);
  EXPECT_EQ(elsewhere, 0);
}

TEST_P(Parallel, CallersTakeTurns) {
  std::atomic<int> inside = 0, overlaps = 0, sum = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t)
    callers.emplace_back([&, t] {
      for (int repeat = 0; repeat < 100; ++repeat)
        parallel_for(8, [&](std::int64_t) {
          if (threads() > 1) {
            const int owner = inside.exchange(t + 1);   // 0, or who had a call running a moment ago
            if (owner != 0 && owner != t + 1) ++overlaps;
          }
          ++sum;
          inside = 0;
        });
    });
  for (auto& t : callers) t.join();
  EXPECT_EQ(sum, 3 * 100 * 8);
  if (GetParam() > 1) {
    EXPECT_EQ(overlaps, 0);
  }
}

/// Smallest normal / 2, by an operation that the compiler cannot do for us.
float half_of_smallest_normal() {
  volatile float x = std::numeric_limits<float>::min();
  return x * 0.5f;
}

TEST_P(Parallel, DenormalsAreZeroInsideAndBackAfterwards) {
  for (std::int64_t count : {1, 64}) {
    std::atomic<int> denormals = 0;
    parallel_for(count, [&](std::int64_t) {
      volatile float denormal = std::numeric_limits<float>::denorm_min();
      if (half_of_smallest_normal() != 0.f) ++denormals;   // flush to zero
      if (denormal * 1e30f != 0.f) ++denormals;            // denormals are zero
    });
    EXPECT_EQ(denormals, 0) << count;
    EXPECT_GT(half_of_smallest_normal(), 0.f) << count;
  }
}

TEST_P(Parallel, SharesLongWork) {
  if (GetParam() == 1) return;
  std::vector<std::thread::id> who(200);
  parallel_for(200, [&](std::int64_t i) {
    who[std::size_t(i)] = std::this_thread::get_id();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  });
  std::vector<std::thread::id> distinct;
  for (auto id : who)
    if (std::find(distinct.begin(), distinct.end(), id) == distinct.end()) distinct.push_back(id);
  EXPECT_GE(distinct.size(), 2u);   // on a busy machine not everybody may come in time
}

INSTANTIATE_TEST_SUITE_P(Threads, Parallel, testing::Values(1, 2, 3, 7));

TEST(ParallelSettings, RefusesAbsurdNumbers) {
  const int before = threads();
  for (int n : {0, -1, 1025, std::numeric_limits<int>::max()}) EXPECT_THROW(set_threads(n), std::invalid_argument) << n;
  EXPECT_EQ(threads(), before);
  EXPECT_GE(before, 1);
}

TEST(ParallelSettings, RefusesToChangeInsideAJob) {
  parallel_for(1, [](std::int64_t) { EXPECT_THROW(set_threads(2), std::logic_error); });
}

}   // namespace
}   // namespace fovea::kernels
