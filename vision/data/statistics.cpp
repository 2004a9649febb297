// statistics.cpp: what pixels are like, channel by channel: measured from a histogram of their 256 values, or as published.
#include <array>
#include <cmath>
#include <mutex>

#include "vision/data/for_each_picture.h"
#include "vision/data/pictures.h"

namespace fovea::vision {

ChannelStatistics measure(const Pictures& pictures, const std::string& what) {
  if (pictures.size() == 0) throw Error(what + ": expected pictures to measure, got none");
  const auto channels = static_cast<std::size_t>(pictures.shape(0).channels);
  std::vector<std::array<std::int64_t, 256>> total(channels);
  std::mutex mutex;
  for_each_picture(pictures.size(), {}, [&](std::int64_t i) {
    std::vector<std::array<std::int64_t, 256>> count(channels);
    const Tensor picture = pictures.picture(i);
    require(picture.dim(2) == static_cast<std::int64_t>(channels), what, ": expected ", channels, " channels, got ", picture.shape());
    const std::uint8_t* x = picture.data<std::uint8_t>();
    for (std::int64_t pixel = 0, n = picture.dim(0) * picture.dim(1); pixel < n; ++pixel)
      for (std::size_t c = 0; c < channels; ++c) ++count[c][*x++];
    const std::lock_guard lock(mutex);
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t p = 0; p < 256; ++p) total[c][p] += count[c][p];
  });
  ChannelStatistics s;
  for (const auto& histogram : total) {
    double n = 0, sum = 0, sum_of_squares = 0;   // whole numbers below 2^53 for up to 1e11 pixels: exact
    for (int p = 0; p < 256; ++p) {
      const auto count = static_cast<double>(histogram[static_cast<std::size_t>(p)]);
      n += count;
      sum += count * p;
      sum_of_squares += count * p * p;
    }
    const double mean = sum / n, variance = sum_of_squares / n - mean * mean;
    if (!(variance > 0)) throw Error(what + ": expected training pictures that differ, got pixels that are all the same");
    s.mean.push_back(static_cast<float>(mean / 255));
    s.std.push_back(static_cast<float>(std::sqrt(variance) / 255));
  }
  return s;
}

ChannelStatistics published_statistics(const std::string& name) {
  if (name == "mnist") return {{0.1307f}, {0.3081f}};
  if (name == "cifar10") return {{0.4914f, 0.4822f, 0.4465f}, {0.2470f, 0.2435f, 0.2616f}};
  if (name == "imagenet") return {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
  throw Error("published statistics: expected mnist, cifar10 or imagenet, got " + name);
}

}   // namespace fovea::vision
