// dataset.cpp: subsets, and the order of an epoch.
#include "vision/data/dataset.h"

#include <cstring>
#include <numeric>

namespace fovea::vision {

ImageSet ImageSet::subset(const std::vector<std::int64_t>& indices) const {
  require(images.defined() && images.rank() == 4 && images.dim(0) == size(), "subset: expected images of shape (", size(), ", H, W, C)");
  const auto n = static_cast<std::int64_t>(indices.size());
  ImageSet part{.images = Tensor::empty({n, images.dim(1), images.dim(2), images.dim(3)}, images.dtype(), images.device()),
                .labels = {},
                .class_names = class_names};
  part.labels.reserve(indices.size());
  const std::size_t bytes = images.slice(0, size() ? 1 : 0).bytes();   // of one picture
  const auto* from = static_cast<const std::byte*>(images.raw());
  auto* to = static_cast<std::byte*>(part.images.raw());
  for (const std::int64_t i : indices) {
    require(i >= 0 && i < size(), "subset: expected an index from 0 to ", size() - 1, ", got ", i);
    std::memcpy(to, from + static_cast<std::size_t>(i) * bytes, bytes);
    to += bytes;
    part.labels.push_back(labels[static_cast<std::size_t>(i)]);
  }
  return part;
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
