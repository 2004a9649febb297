// loader.cpp: cuts the order into batches; a thread assembles one at a time.
#include "vision/data/loader.h"

#include <algorithm>
#include <numeric>

#include "kernels/parallel.h"

namespace fovea::vision {

struct Batches::Assembly {
  Pictures pictures;
  std::vector<std::int64_t> order;
  Transform transform;
  std::int64_t channels;
  LoaderOptions o;

  std::int64_t count() const {
    const auto n = static_cast<std::int64_t>(order.size());
    return o.drop_last ? n / o.batch : (n + o.batch - 1) / o.batch;
  }

  Batch make(std::int64_t number) const {
    const std::int64_t begin = number * o.batch, n = std::min(o.batch, static_cast<std::int64_t>(order.size()) - begin);
    const std::int64_t H = transform.input().height, W = transform.input().width;
    const MemoryTag tag("batches");
    const Device device = o.device == Device::cuda ? Device::cpu : o.device;   // next() takes it from there
    Batch batch{.images = Tensor::empty({n, H, W, channels}, DType::f32, device), .labels = Tensor::empty({n}, DType::i64, Device::cpu)};
    float* y = batch.images.data<float>();
    std::int64_t* label = batch.labels.data<std::int64_t>();
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t index = order[static_cast<std::size_t>(begin + i)];
      transform(pictures.picture(index), index, y + i * H * W * channels);
      label[i] = pictures.label(index);
    }
    batch.images = batch.images.to(o.dtype);
    return batch;
  }
};

Batches::Batches(const Pictures& pictures, std::vector<std::int64_t> order, const Normalize& normalize, LoaderOptions o, RandomKey key,
                 std::uint64_t epoch) {
  require(o.batch >= 1, "batches: expected a batch of at least 1, got ", o.batch);
  require(o.workers >= 0 && o.workers <= 1024, "batches: expected 0 to 1024 workers, got ", o.workers);
  for (const std::int64_t i : order)
    require(i >= 0 && i < pictures.size(), "batches: expected indices from 0 to ", pictures.size() - 1, ", got ", i);
  if (o.input.height == 0 && !order.empty()) {
    const PictureShape first = pictures.shape(order[0]);
    o.input.height = first.height;
    o.input.width = first.width;
  }
  for (const std::int64_t i : order) {
    const PictureShape s = pictures.shape(i);
    require(s.channels == normalize.channels(), "batches: expected pictures with ", normalize.channels(),
            " channels, as many as the normalisation has, got ", s.channels);
    require(o.input.resize > 0 || o.augment.crop == Crop::resized || (s.height == o.input.height && s.width == o.input.width),
            pictures.name(i), ": expected a picture of ", o.input.height, " x ", o.input.width, " pixels, got ", s.height, " x ", s.width);
  }
  if (order.empty()) o.input = {.height = 1, .width = 1};   // of no batch
  Transform transform(o.input, normalize, o.augment, augment_key(key, epoch));
  assembly_ = std::make_shared<const Assembly>(Assembly{
      .pictures = pictures, .order = std::move(order), .transform = std::move(transform), .channels = normalize.channels(), .o = o});
  const int workers = o.workers > 0 ? o.workers : pictures.in_memory() ? 1 : kernels::threads();
  prefetcher_ = std::make_unique<Prefetcher<Batch>>(
      assembly_->count(), [assembly = assembly_](std::int64_t i) { return assembly->make(i); }, workers, 2 * workers);
}

std::optional<Batch> Batches::next() {
  std::optional<Batch> batch = prefetcher_->next();
  const MemoryTag tag("batches");
  if (batch) batch->images = batch->images.to(assembly_->o.device);
  return batch;
}

std::int64_t Batches::size() const { return assembly_->count(); }

Batches in_order(const Pictures& pictures, const Normalize& normalize, LoaderOptions o) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(pictures.size()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return Batches(pictures, std::move(order), normalize, o);
}

}   // namespace fovea::vision
