// random.cpp: what is made of the bits of Philox4x32-10 (kernels/philox.h).
#include "tensor/random.h"

#include <cmath>

#include "kernels/random_fill.h"

namespace fovea {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> k) {
  kernels::philox4x32(c.data(), k[0], k[1]);
  return c;
}

namespace {

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

/// Numbers 4 block .. 4 block + 3 of the stream.
std::array<std::uint32_t, 4> block_of(const RandomKey& key, std::uint64_t block) {
  return philox4x32({low(block), high(block), low(key.stream), high(key.stream)}, {low(key.seed), high(key.seed)});
}

/// The finaliser of SplitMix64 (Steele et al. 2014): a bijection that spreads each bit over all.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}   // namespace

std::uint32_t RandomKey::bits(std::uint64_t index) const { return block_of(*this, index / 4)[index % 4]; }

float RandomKey::uniform(std::uint64_t index) const { return static_cast<float>(bits(index) >> 8) * 0x1p-24f; }

double RandomKey::uniform_f64(std::uint64_t index) const {
  const auto words = block_of(*this, index / 2);
  const std::size_t at = index % 2 * 2;
  return kernels::fraction<double>(std::uint64_t{words[at]}, std::uint64_t{words[at + 1]});
}

std::array<double, 2> RandomKey::normal_pair(std::uint64_t pair) const {
  const auto words = block_of(*this, pair);
  const auto z = kernels::box_muller<double, std::uint64_t>(words[0], words[1], words[2], words[3]);
  const double radius = std::sqrt(z.radius2);
  return {radius * z.cosine, radius * z.sine};
}

double RandomKey::normal(std::uint64_t index) const { return normal_pair(index / 2)[index % 2]; }

std::uint64_t RandomKey::below(std::uint64_t index, std::uint64_t n) const {
  const auto words = block_of(*this, index / 2);
  const std::size_t at = index % 2 * 2;
  const std::uint64_t x = (std::uint64_t{words[at]} << 32) | words[at + 1];
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(x) * n) >> 64);
}

RandomKey RandomKey::fork(std::string_view purpose, std::uint64_t number) const {
  std::uint64_t hash = 0xCBF29CE484222325u;   // FNV-1a
  for (const char c : purpose) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return {.seed = seed, .stream = mix(mix(stream ^ hash) ^ number)};
}

RandomKey Generator::next() { return {.seed = seed_, .stream = used_++}; }

Generator& default_generator() {
  static Generator generator;
  return generator;
}

void manual_seed(std::uint64_t seed) { default_generator().set_state(seed, 0); }

}   // namespace fovea
