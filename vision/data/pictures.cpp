// pictures.cpp: pictures in memory and in files, parts of them, the order of an epoch.
#include "vision/data/pictures.h"

#include <numeric>
#include <utility>

namespace fovea::vision {
namespace {

class PicturesInMemory : public PictureSource {
 public:
  explicit PicturesInMemory(Tensor images) : images_(std::move(images)) {}
  std::int64_t size() const override { return images_.dim(0); }
  PictureShape shape(std::int64_t) const override { return {images_.dim(1), images_.dim(2), images_.dim(3)}; }
  Tensor picture(std::int64_t i) const override {
    return images_.slice(i, i + 1).reshape({images_.dim(1), images_.dim(2), images_.dim(3)});
  }
  std::string name(std::int64_t i) const override { return "picture " + std::to_string(i); }
  bool in_memory() const override { return true; }

 private:
  Tensor images_;   // (N, H, W, C) uint8
};

class PictureFiles : public PictureSource {
 public:
  PictureFiles(std::vector<std::filesystem::path> paths, std::vector<PictureShape> shapes)
      : paths_(std::move(paths)), shapes_(std::move(shapes)) {
    require(paths_.size() == shapes_.size(), "picture files: expected a shape for each file, got ", paths_.size(), " files and ",
            shapes_.size(), " shapes");
  }
  std::int64_t size() const override { return std::ssize(paths_); }
  PictureShape shape(std::int64_t i) const override { return shapes_[static_cast<std::size_t>(i)]; }
  Tensor picture(std::int64_t i) const override {
    return read_image(paths_[static_cast<std::size_t>(i)], static_cast<int>(shape(i).channels));
  }
  std::string name(std::int64_t i) const override { return paths_[static_cast<std::size_t>(i)].string(); }
  bool in_memory() const override { return false; }

 private:
  std::vector<std::filesystem::path> paths_;
  std::vector<PictureShape> shapes_;
};

std::shared_ptr<const PictureSource> in_memory(Tensor images) {
  require(images.defined() && images.dtype() == DType::u8 && images.rank() == 4, "pictures: expected uint8 images of shape (N, H, W, C)");
  return std::make_shared<PicturesInMemory>(std::move(images));
}

}   // namespace

Pictures::Pictures(Tensor images, std::vector<std::int64_t> labels, std::vector<std::string> class_names)
    : Pictures(vision::in_memory(std::move(images)), std::move(labels), std::move(class_names)) {}

Pictures::Pictures(std::shared_ptr<const PictureSource> source, std::vector<std::int64_t> labels, std::vector<std::string> class_names)
    : source_(std::move(source)), index_(labels.size()), labels_(std::move(labels)), class_names_(std::move(class_names)) {
  require(source_->size() == size(), "pictures: expected a label for each of the ", source_->size(), " pictures, got ", size());
  for (const std::int64_t label : labels_)
    require(label >= 0 && label < classes(), "pictures: expected labels 0 to ", classes() - 1, ", got ", label);
  std::iota(index_.begin(), index_.end(), std::int64_t{0});
}

std::size_t Pictures::checked(std::int64_t i) const {
  require(i >= 0 && i < size(), "pictures: expected an index from 0 to ", size() - 1, ", got ", i);
  return static_cast<std::size_t>(i);
}

std::optional<PictureShape> Pictures::common_shape() const {
  if (size() == 0) return std::nullopt;
  const PictureShape first = shape(0);
  for (std::int64_t i = 1; i < size(); ++i)
    if (!(shape(i) == first)) return std::nullopt;
  return first;
}

Pictures Pictures::subset(const std::vector<std::int64_t>& indices) const {
  Pictures part;
  part.source_ = source_;
  part.class_names_ = class_names_;
  for (const std::int64_t i : indices) {
    part.index_.push_back(index_[checked(i)]);
    part.labels_.push_back(label(i));
  }
  return part;
}

Pictures Pictures::first(std::int64_t limit) const {
  require(limit >= 0, "pictures: expected a limit >= 0, got ", limit);
  if (limit == 0 || limit >= size()) return *this;
  Pictures part = *this;
  part.index_.resize(static_cast<std::size_t>(limit));
  part.labels_.resize(static_cast<std::size_t>(limit));
  return part;
}

std::shared_ptr<const PictureSource> picture_files(std::vector<std::filesystem::path> paths, std::vector<PictureShape> shapes) {
  return std::make_shared<PictureFiles>(std::move(paths), std::move(shapes));
}

std::vector<std::int64_t> epoch_order(std::int64_t n, RandomKey key, std::uint64_t epoch) {
  require(n >= 0, "epoch_order: expected n >= 0, got ", n);
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const RandomKey shuffle = key.fork("shuffle", epoch);
  for (std::size_t i = order.size(); i-- > 1;) std::swap(order[i], order[shuffle.below(i, i + 1)]);   // Knuth, TAOCP 2, Algorithm 3.4.2P
  return order;
}

}   // namespace fovea::vision
