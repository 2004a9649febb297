// mnist.cpp: MNIST, 70,000 handwritten digits of 28 x 28 pixels. LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning
// applied to document recognition", section III.A.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "vision/data/dataset.h"
#include "vision/data/idx.h"

namespace fovea::vision {
namespace {

constexpr std::int64_t kSide = 28, kClasses = 10, kValidation = 5000;

std::filesystem::path find_file(const std::filesystem::path& folder, const std::string& name) {
  std::error_code ec;
  if (!std::filesystem::is_directory(folder, ec)) throw Error(folder.string() + ": no such folder; expected MNIST's four IDX files in it");
  for (const char* suffix : {".gz", ""})
    if (const auto path = folder / (name + suffix); std::filesystem::exists(path, ec)) return path;
  throw Error(fmt::format("{}: expected {}.gz or {} in this folder, found neither", folder.string(), name, name));
}

ImageSet load_part(const std::filesystem::path& folder, const std::string& part) {
  const auto images_path = find_file(folder, part + "-images-idx3-ubyte"), labels_path = find_file(folder, part + "-labels-idx1-ubyte");
  const Tensor images = read_idx(images_path, 3), labels = read_idx(labels_path, 1);
  const std::int64_t n = images.dim(0);
  if (images.dim(1) != kSide || images.dim(2) != kSide)
    throw Error(fmt::format("{}: expected pictures of 28 x 28 pixels, got {} x {}", images_path.string(), images.dim(1), images.dim(2)));
  if (labels.dim(0) != n)
    throw Error(fmt::format("{}: expected {} labels, one for each picture in {}, got {}", labels_path.string(), n,
                            images_path.filename().string(), labels.dim(0)));
  ImageSet set{.images = images.reshape({n, kSide, kSide, 1}), .labels = {}, .class_names = {}};
  set.labels.reserve(static_cast<std::size_t>(n));
  const std::uint8_t* label = labels.data<std::uint8_t>();
  for (std::int64_t i = 0; i < n; ++i) {
    if (label[i] >= kClasses)
      throw Error(fmt::format("{}: expected labels 0 to 9, got {} at position {}", labels_path.string(), label[i], i));
    set.labels.push_back(label[i]);
  }
  for (std::int64_t c = 0; c < kClasses; ++c) set.class_names.push_back(std::to_string(c));
  return set;
}

/// Pictures begin..end-1, sharing the memory.
ImageSet view(const ImageSet& set, std::int64_t begin, std::int64_t end) {
  return {set.images.slice(begin, end), {set.labels.begin() + begin, set.labels.begin() + end}, set.class_names};
}

}   // namespace

DataSplits load_mnist(const std::filesystem::path& folder) {
  const ImageSet all = load_part(folder, "train");
  if (all.size() <= kValidation)
    throw Error(fmt::format("{}: expected more than {} training pictures (the last {} are the validation part), got {}", folder.string(),
                            kValidation, kValidation, all.size()));
  const std::int64_t n = all.size() - kValidation;
  DataSplits splits{.name = "mnist",
                    .train = view(all, 0, n),
                    .validation = view(all, n, all.size()),
                    .test = load_part(folder, "t10k"),
                    .mean = {},
                    .std = {}};
  if (splits.test.size() == 0) throw Error(folder.string() + ": expected at least one test picture, got none");

  std::array<std::int64_t, 256> histogram{};   // exact, whatever the order of the sum
  const std::uint8_t* pixels = splits.train.images.data<std::uint8_t>();
  const std::int64_t elements = splits.train.images.elements();
  for (std::int64_t i = 0; i < elements; ++i) ++histogram[pixels[i]];
  double sum = 0, sum_of_squares = 0;   // below 2^53: exact
  for (int p = 0; p < 256; ++p) {
    const auto count = static_cast<double>(histogram[static_cast<std::size_t>(p)]);
    sum += count * p;
    sum_of_squares += count * p * p;
  }
  const auto n_pixels = static_cast<double>(elements);
  const double mean = sum / n_pixels, variance = sum_of_squares / n_pixels - mean * mean;
  if (!(variance > 0)) throw Error(folder.string() + ": expected training pictures that differ, got pixels that are all the same");
  splits.mean = {static_cast<float>(mean / 255)};
  splits.std = {static_cast<float>(std::sqrt(variance) / 255)};
  return splits;
}

}   // namespace fovea::vision
