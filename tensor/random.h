// random.h: counter-based random numbers. Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", Philox4x32-10.
// The numbers of a tensor are a function of (key, index): the same on every device, in any order, with any number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fovea {

/// Ten rounds of Philox4x32. counter and key as in Random123's known-answer tests (word 0 first).
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// A stream of random numbers that can be read at any index.
struct RandomKey {
  std::uint64_t seed = 0;                                        // the Philox key
  std::uint64_t stream = 0;                                      // words 2 and 3 of the counter: which use of the seed this is
  std::uint32_t bits(std::uint64_t index) const;                 // index / 4 is words 0 and 1 of the counter
  float uniform(std::uint64_t index) const;                      // [0, 1), 24 bits
  double uniform_f64(std::uint64_t index) const;                 // [0, 1), 53 bits from bits(2 index), bits(2 index + 1)
  double normal(std::uint64_t index) const;                      // N(0, 1) by Box & Muller 1958, in double, on the host only
  std::array<double, 2> normal_pair(std::uint64_t pair) const;   // normal(2 pair), normal(2 pair + 1), for the price of one
  /// Uniform in 0..n-1, n >= 1 (64-bit multiply-shift: bias below n / 2^64).
  std::uint64_t below(std::uint64_t index, std::uint64_t n) const;
  /// Another stream of the same seed, named by purpose and number ("shuffle", epoch): mixes both into `stream`.
  RandomKey fork(std::string_view purpose, std::uint64_t number = 0) const;
};

/// Hands out keys, one to each random operation. All the state is two numbers, so a checkpoint can hold it.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) : seed_(seed) {}
  RandomKey next();   // stream = 0, 1, 2, ...
  std::uint64_t seed() const { return seed_; }
  std::uint64_t used() const { return used_; }
  void set_state(std::uint64_t seed, std::uint64_t used) { seed_ = seed, used_ = used; }

 private:
  std::uint64_t seed_, used_ = 0;
};

/// The generator that layers take their initial weights from. manual_seed(s) makes what follows repeatable.
Generator& default_generator();
void manual_seed(std::uint64_t seed);

}   // namespace fovea
