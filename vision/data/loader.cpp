// loader.cpp: cuts the order into batches; a thread assembles one at a time.
#include "vision/data/loader.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "kernels/parallel.h"
#include "tensor/cuda.h"

namespace fovea::vision {

struct Batches::Assembly {
  Pictures pictures;
  std::vector<std::int64_t> order;
  Transform transform;
  std::int64_t channels;
  LoaderOptions o;
  Tensor table;   // of the normalisation, on a GPU

  std::int64_t count() const {
    const auto n = static_cast<std::int64_t>(order.size());
    return o.drop_last ? n / o.batch : (n + o.batch - 1) / o.batch;
  }

  Assembled make(std::int64_t number) const {
    const std::int64_t begin = number * o.batch, n = std::min(o.batch, static_cast<std::int64_t>(order.size()) - begin);
    const std::int64_t H = transform.input().height, W = transform.input().width;
    const MemoryTag tag("batches");
    Assembled a;
    a.batch.labels = Tensor::empty({n}, DType::i64, Device::cpu);
    const auto index = [&](std::int64_t i) { return order[static_cast<std::size_t>(begin + i)]; };
    for (std::int64_t i = 0; i < n; ++i) a.batch.labels.data<std::int64_t>()[i] = pictures.label(index(i));
    if (o.device == Device::cuda) {
      std::vector<Transform::Prepared> parts;
      for (std::int64_t i = 0; i < n; ++i) parts.push_back(transform.prepare(pictures.picture(index(i)), index(i)));
      pack(parts, a);
      return a;
    }
    Tensor images = Tensor::empty({n, H, W, channels}, DType::f32, o.device);
    for (std::int64_t i = 0; i < n; ++i) transform(pictures.picture(index(i)), index(i), images.data<float>() + i * H * W * channels);
    a.batch.images = images.to(o.dtype);
    return a;
  }

  static void pack(const std::vector<Transform::Prepared>& parts, Assembled& a) {
    std::int64_t bytes = 0;
    for (const Transform::Prepared& p : parts) bytes += p.picture.elements();
    a.pixels = Tensor::empty({bytes}, DType::u8, Device::cpu);
    a.cuts = Tensor::empty({std::ssize(parts) * std::int64_t{sizeof(kernels::Cut)}}, DType::u8, Device::cpu);
    auto* cut = static_cast<kernels::Cut*>(a.cuts.raw());
    std::int64_t at = 0;
    for (const Transform::Prepared& p : parts) {
      *cut++ = placed(p.picture, p.window, at);
      std::memcpy(a.pixels.data<std::uint8_t>() + at, p.picture.data<std::uint8_t>(), static_cast<std::size_t>(p.picture.elements()));
      at += p.picture.elements();
    }
  }

  /// On the GPU, whose stream has one thread: the caller's.
  Tensor images_of(const Assembled& a) const {
    const kernels::CutShape s{a.batch.labels.dim(0), transform.input().height, transform.input().width, channels};
    Tensor images = Tensor::empty({s.n, s.height, s.width, s.c}, o.dtype, Device::cuda);
    const Tensor pixels = a.pixels.to(Device::cuda), cuts = a.cuts.to(Device::cuda);
    const auto run = [&]<class T>(T* y) {
      kernels::cut(cuda(), pixels.data<std::uint8_t>(), static_cast<const kernels::Cut*>(cuts.raw()), table.data<float>(), y, s);
    };
    o.dtype == DType::bf16 ? run(images.data<bfloat16>()) : run(images.data<float>());
    return images;
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
  Tensor table;
  if (o.device == Device::cuda) table = Tensor::from(normalize.table(), {std::ssize(normalize.table())}).to(Device::cuda);
  assembly_ = std::make_shared<const Assembly>(Assembly{.pictures = pictures,
                                                        .order = std::move(order),
                                                        .transform = std::move(transform),
                                                        .channels = normalize.channels(),
                                                        .o = o,
                                                        .table = std::move(table)});
  const int workers = o.workers > 0 ? o.workers : pictures.in_memory() ? 1 : kernels::threads();
  prefetcher_ = std::make_unique<Prefetcher<Assembled>>(
      assembly_->count(), [assembly = assembly_](std::int64_t i) { return assembly->make(i); }, workers, 2 * workers);
}

std::optional<Batch> Batches::next() {
  std::optional<Assembled> made = prefetcher_->next();
  if (!made) return std::nullopt;
  const MemoryTag tag("batches");
  if (assembly_->o.device == Device::cuda) made->batch.images = assembly_->images_of(*made);
  return std::move(made->batch);
}

std::int64_t Batches::size() const { return assembly_->count(); }

Batches in_order(const Pictures& pictures, const Normalize& normalize, LoaderOptions o) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(pictures.size()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return Batches(pictures, std::move(order), normalize, o);
}

}   // namespace fovea::vision
