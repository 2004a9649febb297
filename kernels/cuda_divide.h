// cuda_divide.h: division by a number that is the same for a whole launch: the host prepares it, and the card, which has no instruction for
// division, multiplies.
#pragma once

#include "kernels/cuda.h"

namespace fovea::kernels {

/// n / d for 0 <= n < 2^31, as a multiplication. Granlund & Montgomery 1994, "Division by Invariant Integers using Multiplication", Theorem
/// 4.2: with m = ceil(2^(31 + l) / d) and l = ceil(log2 d), n m / 2^(31 + l) exceeds n / d by less than 1 / d.
class FastDivide {
 public:
  FastDivide() = default;
  explicit FastDivide(std::int64_t d) : divisor_(static_cast<int>(d)) {
    if (d <= 1) return;
    const int l = std::bit_width(static_cast<std::uint64_t>(d - 1));
    multiplier_ =
        static_cast<unsigned>(((std::uint64_t{1} << (31 + l)) + static_cast<std::uint64_t>(d) - 1) / static_cast<std::uint64_t>(d));
    shift_ = l - 1;
  }
  __device__ __forceinline__ int operator()(int n) const {
    return multiplier_ ? static_cast<int>(__umulhi(static_cast<unsigned>(n), multiplier_) >> shift_) : n;
  }
  __host__ __device__ __forceinline__ int divisor() const { return divisor_; }

 private:
  int divisor_ = 1, shift_ = 0;
  unsigned multiplier_ = 0;   // 0: the divisor is 1
};

}   // namespace fovea::kernels
