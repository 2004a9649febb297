// channels.h: how the mobile networks round a number of channels that a width multiplier has made odd.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fovea::vision {

/// The multiple of 8 nearest to `channels`, at least 8 and not more than 10 % below it. From the authors' code for MobileNet V2.
inline std::int64_t round_channels(double channels) {
  const auto rounded = std::max<std::int64_t>(8, static_cast<std::int64_t>(channels + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * channels ? rounded + 8 : rounded;
}

}   // namespace fovea::vision
