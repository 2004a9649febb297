// mnist.cpp: MNIST, 70,000 handwritten digits of 28 x 28 pixels. LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning
// applied to document recognition", section III.A.
#include <fmt/format.h>

#include <numeric>

#include "vision/data/idx.h"
#include "vision/data/pictures.h"

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

Pictures load_part(const std::filesystem::path& folder, const std::string& part) {
  const auto images_path = find_file(folder, part + "-images-idx3-ubyte"), labels_path = find_file(folder, part + "-labels-idx1-ubyte");
  const Tensor images = read_idx(images_path, 3), labels = read_idx(labels_path, 1);
  const std::int64_t n = images.dim(0);
  if (images.dim(1) != kSide || images.dim(2) != kSide)
    throw Error(fmt::format("{}: expected pictures of 28 x 28 pixels, got {} x {}", images_path.string(), images.dim(1), images.dim(2)));
  if (labels.dim(0) != n)
    throw Error(fmt::format("{}: expected {} labels, one for each picture in {}, got {}", labels_path.string(), n,
                            images_path.filename().string(), labels.dim(0)));
  std::vector<std::int64_t> classes;
  std::vector<std::string> names;
  const std::uint8_t* label = labels.data<std::uint8_t>();
  for (std::int64_t i = 0; i < n; ++i) {
    if (label[i] >= kClasses)
      throw Error(fmt::format("{}: expected labels 0 to 9, got {} at position {}", labels_path.string(), label[i], i));
    classes.push_back(label[i]);
  }
  for (std::int64_t c = 0; c < kClasses; ++c) names.push_back(std::to_string(c));
  return {images.reshape({n, kSide, kSide, 1}), std::move(classes), std::move(names)};
}

}   // namespace

DataSplits load_mnist(const std::filesystem::path& folder) {
  const Pictures all = load_part(folder, "train");
  if (all.size() <= kValidation)
    throw Error(fmt::format("{}: expected more than {} training pictures (the last {} are the validation part), got {}", folder.string(),
                            kValidation, kValidation, all.size()));
  std::vector<std::int64_t> last(kValidation);
  std::iota(last.begin(), last.end(), all.size() - kValidation);
  DataSplits splits{.name = "mnist",
                    .train = all.first(all.size() - kValidation),
                    .validation = all.subset(last),
                    .test = load_part(folder, "t10k"),
                    .mean = {},
                    .std = {}};
  if (splits.test.size() == 0) throw Error(folder.string() + ": expected at least one test picture, got none");
  const ChannelStatistics s = measure(splits.train, folder.string());
  splits.mean = s.mean;
  splits.std = s.std;
  return splits;
}

}   // namespace fovea::vision
