// runs.h: work on some stretches of one array, with sums for each stretch: how it is cut, and how the sums are joined.
//
// A stretch is cut into pieces of a fixed length; each has sums of its own, and these are added in order, in double. So the bits
// depend on the stretches alone, whoever computes a piece.
#pragma once

#include "kernels/cpu/map.h"
#include "kernels/runs.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

struct Piece {
  std::int64_t run, begin, count;
  double sums[2];
};

/// The pieces of `count` stretches, in memory that the caller brings.
class Pieces {
 public:
  static constexpr std::int64_t kLength = kGrain / 2;

  FOVEA_INLINE static std::int64_t number(const Run* runs, std::int64_t count) {
    std::int64_t n = 0;
    for (std::int64_t r = 0; r < count; ++r) n += ceil_div(runs[r].end - runs[r].begin, kLength);
    return n;
  }
  FOVEA_INLINE static std::size_t bytes(const Run* runs, std::int64_t count) { return sizeof(Piece) * std::size_t(number(runs, count)); }

  FOVEA_INLINE Pieces(const Run* runs, std::int64_t count, void* memory) : pieces_(static_cast<Piece*>(memory)), number_(0) {
    for (std::int64_t r = 0; r < count; ++r)
      for (std::int64_t i = runs[r].begin; i < runs[r].end; i += kLength)
        pieces_[number_++] = {.run = r, .begin = i, .count = min(kLength, runs[r].end - i), .sums = {}};
  }

  /// f(piece) for every piece, on the pool; it may write the piece's sums.
  template <class F> FOVEA_INLINE void parallel(const F& f) const {
    parallel_for(number_, [&](std::int64_t i) { f(pieces_[i]); });
  }
  /// Adds up the sums of each stretch, and leaves the total in all of its pieces.
  FOVEA_INLINE void join() const {
    for (std::int64_t first = 0, last; first < number_; first = last) {
      double a = 0, b = 0;
      for (last = first; last < number_ && pieces_[last].run == pieces_[first].run; ++last)
        a += pieces_[last].sums[0], b += pieces_[last].sums[1];
      for (std::int64_t i = first; i < last; ++i) pieces_[i].sums[0] = a, pieces_[i].sums[1] = b;
    }
  }
  /// The first sums of all pieces.
  FOVEA_INLINE double total() const {
    double sum = 0;
    for (std::int64_t i = 0; i < number_; ++i) sum += pieces_[i].sums[0];
    return sum;
  }

 private:
  Piece* pieces_;
  std::int64_t number_;
};

/// The sum of the 16 lanes, from the first to the last, in double.
FOVEA_INLINE double sum_in_double(F16 x) {
  float lanes[16];
  x.store(lanes);
  double total = 0;
  for (float lane : lanes) total += double(lane);
  return total;
}

/// sum x^2 of n elements. Four groups of 16 lanes take turns.
FOVEA_INLINE double sum_of_squares(const float* x, std::int64_t n) {
  F16 sums[4];
  std::int64_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (int b = 0; b < 4; ++b) {
      const F16 v = F16::load(x + i + 16 * b);
      sums[b] = fma(v, v, sums[b]);
    }
  for_lanes(n - i, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
    const F16 v = load(x + i + j, lanes);
    sums[0] = fma(v, v, sums[0]);
  });
  return sum_in_double((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
