// pictures.h: labelled pictures, wherever they lie: what training, evaluation and analysis work on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tensor/tensor.h"
#include "vision/data/image_file.h"

namespace fovea::vision {

/// Where pixels come from. Everything may be called from several threads at once.
class PictureSource {
 public:
  virtual ~PictureSource() = default;
  virtual std::int64_t size() const = 0;
  virtual PictureShape shape(std::int64_t i) const = 0;
  /// (H, W, C) uint8.
  virtual Tensor picture(std::int64_t i) const = 0;
  /// For messages: a path, or "picture 17".
  virtual std::string name(std::int64_t i) const = 0;
  virtual bool in_memory() const = 0;
};

/// Pictures with their classes. A value: copies and parts share the source.
class Pictures {
 public:
  Pictures() = default;   // none, of no class
  /// images (N, H, W, C) uint8 and N labels. Throws ShapeError unless they fit and every label is one of the classes.
  Pictures(Tensor images, std::vector<std::int64_t> labels, std::vector<std::string> class_names);
  Pictures(std::shared_ptr<const PictureSource> source, std::vector<std::int64_t> labels, std::vector<std::string> class_names);

  std::int64_t size() const { return static_cast<std::int64_t>(labels_.size()); }
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names_.size()); }
  const std::vector<std::string>& class_names() const { return class_names_; }
  const std::vector<std::int64_t>& labels() const { return labels_; }
  std::int64_t label(std::int64_t i) const { return labels_[checked(i)]; }
  PictureShape shape(std::int64_t i) const { return source_->shape(index_[checked(i)]); }
  /// (H, W, C) uint8: a view of memory, or decoded now. Throws Error naming the file.
  Tensor picture(std::int64_t i) const { return source_->picture(index_[checked(i)]); }
  std::string name(std::int64_t i) const { return source_->name(index_[checked(i)]); }
  bool in_memory() const { return !source_ || source_->in_memory(); }
  /// The shape that all have; nothing when they differ, or when there are none.
  std::optional<PictureShape> common_shape() const;
  /// Those with these indices, in this order.
  Pictures subset(const std::vector<std::int64_t>& indices) const;
  /// The first `limit`; 0: all.
  Pictures first(std::int64_t limit) const;

 private:
  std::size_t checked(std::int64_t i) const;

  std::shared_ptr<const PictureSource> source_;
  std::vector<std::int64_t> index_;   // into the source
  std::vector<std::int64_t> labels_;
  std::vector<std::string> class_names_;
};

/// The files at `paths`, read when they are asked for; shapes (one for each) as image_shape tells them.
std::shared_ptr<const PictureSource> picture_files(std::vector<std::filesystem::path> paths, std::vector<PictureShape> shapes);

/// Mean and standard deviation of pixels / 255, for each channel.
struct ChannelStatistics {
  std::vector<float> mean, std;
};
/// Measured over every pixel of every picture; exact sums, so the same for any order and any number of threads. Throws Error naming
/// `what` when there are no pictures or a channel has one value only.
ChannelStatistics measure(const Pictures& pictures, const std::string& what);
/// Published for a data set: "mnist", "cifar10" or "imagenet". Throws Error for another name.
ChannelStatistics published_statistics(const std::string& name);

/// The parts of a data set. The test part is looked at once, at the end; it may be empty.
struct DataSplits {
  std::string name;
  Pictures train, validation, test;
  std::vector<float> mean, std;   // for normalisation
};

/// The four gzip-compressed (or plain) IDX files of MNIST in `folder`. The last 5,000 training pictures are the validation part; mean and
/// std are measured. Throws Error naming the file: missing, truncated, not IDX, of another type or shape, counts that differ, a label past 9.
DataSplits load_mnist(const std::filesystem::path& folder);

/// The order of an epoch: a permutation of 0..n-1 (Fisher-Yates on Philox), a function of (key, epoch) alone.
std::vector<std::int64_t> epoch_order(std::int64_t n, RandomKey key, std::uint64_t epoch);

}   // namespace fovea::vision
