#include "nn/activation.h"

#include <cmath>

namespace fovea::nn {

LeakyReLU::LeakyReLU(const Options& o) : o_(o) {
  require(std::isfinite(o.negative_slope), "LeakyReLU: expected a finite negative_slope, got ", o.negative_slope);
}

std::string LeakyReLU::describe() const { return detail::join("LeakyReLU(", o_.negative_slope, ")"); }

}   // namespace fovea::nn
