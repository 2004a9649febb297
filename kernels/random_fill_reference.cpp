#include "kernels/math.h"
#include "kernels/random_fill.h"

namespace fovea::kernels {

void fill_normal(Reference, float* y, std::int64_t n, double scale, PhiloxKey key) {
  for (std::int64_t i = 0; i < n; ++i) {
    const auto block = static_cast<std::uint64_t>(i / 2);
    const std::uint64_t w0 = key.bits(4 * block), w1 = key.bits(4 * block + 1), w2 = key.bits(4 * block + 2), w3 = key.bits(4 * block + 3);
    const BoxMuller<double> pair = box_muller<double>(w0, w1, w2, w3);
    y[i] = static_cast<float>(scale * (sqrt(pair.radius2) * (i % 2 ? pair.sine : pair.cosine)));
  }
}

void fill_uniform(Reference, float* y, std::int64_t n, double bound, PhiloxKey key) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double u = (key.bits(static_cast<std::uint64_t>(i)) >> 8) * 0x1p-24;
    y[i] = static_cast<float>(bound * (2 * u - 1));
  }
}

}   // namespace fovea::kernels
