// fill.h: one number everywhere.
#pragma once

#include <cstddef>

#include "kernels/backend.h"

namespace fovea::kernels {

/// y[i] = the element at `element`, which is the host's, i < n; of 1, 2, 4 or 8 bytes. Each is written once. Moves bytes and computes nothing,
/// so Reference has no version of its own.
void fill(Cpu, void* y, std::int64_t n, const void* element, std::size_t element_bytes);
void fill(Cuda, void* y, std::int64_t n, const void* element, std::size_t element_bytes);

/// f(value) with the element as an unsigned number of its size.
template <class F> void with_element(const void* element, std::size_t element_bytes, const F& f) {
  const auto with = [&]<class E>(E value) {
    __builtin_memcpy(&value, element, sizeof value);
    f(value);
  };
  switch (element_bytes) {
    case 1: return with(std::uint8_t{});
    case 2: return with(std::uint16_t{});
    case 4: return with(std::uint32_t{});
    default: return with(std::uint64_t{});
  }
}

}   // namespace fovea::kernels
