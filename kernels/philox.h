// philox.h: counter-based random bits. Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": Philox4x32-10.
// A block of four words is a function of (key, counter), so any element of a random tensor can be had alone, on any device, in any
// order; and a mask need not be stored: whoever has the key makes it again.
#pragma once

#include "kernels/backend.h"

namespace fovea::kernels {

constexpr std::uint32_t kPhiloxMultiply0 = 0xD2511F53, kPhiloxMultiply1 = 0xCD9E8D57;
constexpr std::uint32_t kPhiloxWeyl0 = 0x9E3779B9, kPhiloxWeyl1 = 0xBB67AE85;   // golden ratio, sqrt(3) - 1

/// Ten rounds, in place: counter c (4 words) under key (k0, k1).
FOVEA_INLINE void philox4x32(std::uint32_t* c, std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{kPhiloxMultiply0} * c[0], p1 = std::uint64_t{kPhiloxMultiply1} * c[2];
    const std::uint32_t c0 = std::uint32_t(p1 >> 32) ^ c[1] ^ k0, c2 = std::uint32_t(p0 >> 32) ^ c[3] ^ k1;
    c[0] = c0, c[1] = std::uint32_t(p1), c[2] = c2, c[3] = std::uint32_t(p0);
    k0 += kPhiloxWeyl0, k1 += kPhiloxWeyl1;
  }
}

/// A stream of random words that can be read at any index: word i is word i % 4 of block i / 4. (RandomKey of tensor/random.h.)
struct PhiloxKey {
  std::uint64_t seed = 0;     // the Philox key
  std::uint64_t stream = 0;   // words 2 and 3 of the counter; the block is words 0 and 1
  /// Of the device's memory, for Cuda kernels alone: what they add to stream. So a recorded kernel draws other numbers in each replay.
  const std::uint64_t* advance = nullptr;
  FOVEA_INLINE PhiloxKey advanced() const { return {seed, stream + (advance ? *advance : 0)}; }
  FOVEA_INLINE std::uint32_t bits(std::uint64_t index) const {
    const std::uint64_t block = index / 4;
    std::uint32_t c[4] = {std::uint32_t(block), std::uint32_t(block >> 32), std::uint32_t(stream), std::uint32_t(stream >> 32)};
    philox4x32(c, std::uint32_t(seed), std::uint32_t(seed >> 32));
    return c[index % 4];
  }
};

}   // namespace fovea::kernels
