// loader.cpp: cuts the order into batches and assembles each in one pass over its pixels.
#include "vision/data/loader.h"

#include <algorithm>
#include <numeric>

namespace fovea::vision {

struct Batches::Assembly {
  Tensor images;
  std::vector<std::int64_t> labels, order;
  Normalize normalize;
  LoaderOptions o;
  RandomKey key;           // of this epoch's augmentation
  std::int64_t done = 0;   // batches

  std::int64_t count() const {
    const auto n = static_cast<std::int64_t>(order.size());
    return o.drop_last ? n / o.batch : (n + o.batch - 1) / o.batch;
  }

  std::optional<Batch> next() {
    if (done == count()) return std::nullopt;
    const std::int64_t begin = done++ * o.batch, n = std::min(o.batch, static_cast<std::int64_t>(order.size()) - begin);
    const PictureShape s{.height = images.dim(1), .width = images.dim(2), .channels = images.dim(3)};
    const std::int64_t elements = s.height * s.width * s.channels;
    const MemoryTag tag("batches");
    Batch batch{.images = Tensor::empty({n, s.height, s.width, s.channels}, DType::f32, o.device),
                .labels = Tensor::empty({n}, DType::i64, o.device)};
    const std::uint8_t* x = images.data<std::uint8_t>();
    float* y = batch.images.data<float>();
    std::int64_t* label = batch.labels.data<std::int64_t>();
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t index = order[static_cast<std::size_t>(begin + i)];
      augment_picture(x + index * elements, y + i * elements, s, draw_augmentation(o.augment, key, index), normalize);
      label[i] = labels[static_cast<std::size_t>(index)];
    }
    return batch;
  }
};

Batches::Batches(const ImageSet& set, std::vector<std::int64_t> order, Normalize normalize, LoaderOptions o, RandomKey key,
                 std::uint64_t epoch) {
  require(set.images.defined() && set.images.dtype() == DType::u8 && set.images.rank() == 4 && set.images.dim(0) == set.size(),
          "batches: expected uint8 images of shape (", set.size(), ", H, W, C), one for each label, got ", name_of(set.images.dtype()), " ",
          set.images.shape());
  require(set.images.dim(3) == normalize.channels(), "batches: expected images with ", normalize.channels(),
          " channels, as many as the normalisation has, got ", set.images.shape());
  require(o.batch >= 1, "batches: expected a batch of at least 1, got ", o.batch);
  require(o.augment.shift >= 0 && o.augment.shift <= 1'000'000, "batches: expected a shift of 0 to 1000000 pixels, got ", o.augment.shift);
  for (const std::int64_t i : order) require(i >= 0 && i < set.size(), "batches: expected indices from 0 to ", set.size() - 1, ", got ", i);
  assembly_ = std::make_shared<Assembly>(Assembly{.images = set.images,
                                                  .labels = set.labels,
                                                  .order = std::move(order),
                                                  .normalize = std::move(normalize),
                                                  .o = o,
                                                  .key = augment_key(key, epoch)});
  if (o.prefetch) prefetcher_ = std::make_unique<Prefetcher<Batch>>([assembly = assembly_] { return assembly->next(); });
}

std::int64_t Batches::size() const { return assembly_->count(); }

std::optional<Batch> Batches::next() { return prefetcher_ ? prefetcher_->next() : assembly_->next(); }

Batches in_order(const ImageSet& set, Normalize normalize, std::int64_t batch, Device device) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(set.size()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return Batches(set, std::move(order), std::move(normalize),
                 {.batch = batch, .drop_last = false, .prefetch = true, .device = device, .augment = {}});
}

}   // namespace fovea::vision
