#include "kernels/fill.h"

#include <algorithm>
#include <cstring>

namespace fovea::kernels {

void fill(Cpu, void* y, std::int64_t n, const void* element, std::size_t element_bytes) {
  if (n == 0) return;
  with_element(element, element_bytes, [&]<class E>(E value) {
    if (value == 0)
      std::memset(y, 0, std::size_t(n) * sizeof(E));
    else
      std::fill_n(static_cast<E*>(y), n, value);
  });
}

}   // namespace fovea::kernels
