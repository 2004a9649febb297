// Pictures and their parts, batches against direct computation, and the same batches for any number of workers.
#include "vision/data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "tensor/cuda.h"

namespace fovea::vision {
namespace {

Pictures some_pictures(std::int64_t n, std::int64_t channels) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(n * 5 * 4 * channels));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(1 + i * 37 % 255);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < n; ++i) labels.push_back(i % 3);
  return {Tensor::from(pixels, {n, 5, 4, channels}), labels, {"x", "y", "z"}};
}

/// Pictures whose sizes differ, made when they are asked for; some cannot be.
class MadePictures : public PictureSource {
 public:
  explicit MadePictures(std::int64_t bad = -1) : bad_(bad) {}
  std::int64_t size() const override { return 23; }
  PictureShape shape(std::int64_t i) const override { return {10 + i % 5, 9 + i % 7, 3}; }
  Tensor picture(std::int64_t i) const override {
    if (i == bad_) throw Error(name(i) + ": damaged picture");
    Tensor t = Tensor::empty({shape(i).height, shape(i).width, 3}, DType::u8);
    for (std::int64_t k = 0; k < t.elements(); ++k) t.data<std::uint8_t>()[k] = static_cast<std::uint8_t>((i * 31 + k * k * 7) % 256);
    return t;
  }
  std::string name(std::int64_t i) const override { return "made " + std::to_string(i); }
  bool in_memory() const override { return false; }

 private:
  std::int64_t bad_;
};
Pictures made(std::int64_t bad = -1) { return {std::make_shared<MadePictures>(bad), std::vector<std::int64_t>(23, 0), {"a"}}; }

TEST(Pictures, PartsShareTheSource) {
  const Pictures set(Tensor::from(std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6}, {3, 1, 2, 1}), {0, 1, 2}, {"a", "b", "c"});
  EXPECT_EQ(set.common_shape(), (PictureShape{1, 2, 1}));
  EXPECT_TRUE(set.in_memory());
  const Pictures part = set.subset({2, 0, 2});
  EXPECT_EQ(part.labels(), (std::vector<std::int64_t>{2, 0, 2}));
  EXPECT_EQ(part.picture(0).to_vector<std::int64_t>(), (std::vector<std::int64_t>{5, 6}));
  EXPECT_EQ(part.picture(1).shape(), Shape({1, 2, 1}));
  EXPECT_TRUE(part.picture(0).shares_storage(set.picture(0)));
  EXPECT_EQ(part.first(2).labels(), (std::vector<std::int64_t>{2, 0}));
  EXPECT_EQ(part.first(0).size(), 3);
  EXPECT_EQ(part.first(9).size(), 3);
  EXPECT_EQ(part.subset({1}).name(0), "picture 0");
  EXPECT_EQ(set.subset({}).size(), 0);
  EXPECT_FALSE(set.subset({}).common_shape());
  EXPECT_THROW(set.subset({3}), ShapeError);
  EXPECT_THROW(set.subset({-1}), ShapeError);
  EXPECT_THROW(set.picture(3), ShapeError);
  EXPECT_EQ(Pictures().size(), 0);
  EXPECT_THROW(Pictures(Tensor::zeros({2, 1, 1, 1}, DType::u8), {0}, {"a"}), ShapeError);
  EXPECT_THROW(Pictures(Tensor::zeros({1, 1, 1, 1}, DType::u8), {1}, {"a"}), ShapeError);
  EXPECT_THROW(Pictures(Tensor::zeros({1, 1, 1, 1}), {0}, {"a"}), ShapeError);
  EXPECT_FALSE(made().common_shape());
}

TEST(Statistics, AreMeasuredByHand) {
  const Pictures set(Tensor::from(std::vector<std::uint8_t>{0, 10, 20, 10, 40, 40, 20, 60}, {2, 2, 1, 2}), {0, 0}, {"a"});
  const ChannelStatistics s = measure(set, "here");   // channel 0: 0, 20, 40, 20; channel 1: 10, 10, 40, 60
  EXPECT_FLOAT_EQ(s.mean[0], 20.f / 255);
  EXPECT_FLOAT_EQ(s.std[0], 14.142136f / 255);
  EXPECT_FLOAT_EQ(s.mean[1], 30.f / 255);
  EXPECT_FLOAT_EQ(s.std[1], 21.213203f / 255);
  EXPECT_THROW(measure(Pictures(), "here"), Error);
  EXPECT_THROW(measure(Pictures(Tensor::zeros({1, 2, 2, 1}, DType::u8), {0}, {"a"}), "here"), Error);
  EXPECT_FLOAT_EQ(published_statistics("imagenet").std[2], 0.225f);
  EXPECT_THROW(published_statistics("coco"), Error);
}

TEST(Batches, EqualDirectComputation) {
  const Pictures set = some_pictures(11, 3);
  const Normalize normalize({0.5f, 0.25f, 0.1f}, {0.2f, 0.3f, 0.4f});
  const RandomKey key{.seed = 9};
  const AugmentOptions augment{.crop = Crop::random, .crop_padding = 2, .flip = true};
  const Transform transform({.height = 5, .width = 4}, normalize, augment, augment_key(key, 2));
  const auto order = epoch_order(11, key, 2);
  for (const int workers : {1, 3})
    for (const bool drop_last : {false, true})
      for (const std::int64_t size : {1, 4, 11, 50}) {
        Batches batches(set, order, normalize, {.batch = size, .drop_last = drop_last, .workers = workers, .augment = augment}, key, 2);
        const std::int64_t full = 11 / size, expected = drop_last ? full : full + (11 % size != 0);
        EXPECT_EQ(batches.size(), expected);
        std::int64_t count = 0, at = 0;
        for (const Batch& b : batches) {
          const std::int64_t n = std::min(size, 11 - at);
          ASSERT_EQ(b.images.shape(), Shape({n, 5, 4, 3}));
          ASSERT_EQ(b.labels.shape(), Shape({n}));
          ASSERT_EQ(b.labels.dtype(), DType::i64);
          for (std::int64_t i = 0; i < n; ++i, ++at) {
            const std::int64_t index = order[static_cast<std::size_t>(at)];
            const Window w = transform.window(5, 4, index);
            ASSERT_EQ(b.labels.data<std::int64_t>()[i], index % 3);
            for (std::int64_t r = 0; r < 5; ++r)
              for (std::int64_t c = 0; c < 4; ++c)
                for (std::int64_t k = 0; k < 3; ++k) {
                  const std::int64_t row = r + w.top, column = (w.flip ? 3 - c : c) + w.left;
                  const bool inside = row >= 0 && row < 5 && column >= 0 && column < 4;
                  const int pixel = inside ? set.picture(index).data<std::uint8_t>()[(row * 4 + column) * 3 + k] : 0;
                  ASSERT_EQ(b.images.data<float>()[((i * 5 + r) * 4 + c) * 3 + k], normalize.table(k)[pixel]);
                }
          }
          ++count;
        }
        EXPECT_EQ(count, expected);
        EXPECT_FALSE(batches.next());
      }
}

TEST(Batches, TheSameForAnyNumberOfWorkers) {
  const Normalize normalize({0, 0, 0}, {1, 1, 1});
  const RandomKey key{.seed = 4};
  for (const AugmentOptions& augment :
       {AugmentOptions{}, AugmentOptions{.crop = Crop::random, .flip = true}, AugmentOptions{.crop = Crop::resized, .flip = true}}) {
    std::vector<std::vector<float>> first;
    for (const int workers : {1, 2, 3, 7}) {
      std::vector<std::vector<float>> all;
      for (const Batch& b :
           Batches(made(), epoch_order(23, key, 1), normalize,
                   {.batch = 4, .workers = workers, .input = {.height = 8, .width = 8, .resize = 9}, .augment = augment}, key, 1))
        all.push_back(b.images.to_vector<float>());
      EXPECT_EQ(all.size(), 6u);
      if (first.empty()) first = all;
      EXPECT_EQ(all, first) << workers << " workers";
    }
  }
}

TEST(Batches, ADamagedPictureIsNamedAfterTheBatchesBeforeIt) {
  const Normalize normalize({0, 0, 0}, {1, 1, 1});
  for (const int workers : {1, 4}) {
    Batches batches = in_order(made(9), normalize, {.batch = 4, .workers = workers, .input = {.height = 8, .width = 8, .resize = 8}});
    EXPECT_TRUE(batches.next() && batches.next());
    try {
      batches.next();
      FAIL() << "no error";
    } catch (const Error& e) {
      EXPECT_STREQ(e.what(), "made 9: damaged picture");
    }
    EXPECT_FALSE(batches.next());
  }
}

TEST(Batches, AnEpochIsLeftEarlyAndTheSetMayGo) {
  for (int i = 0; i < 50; ++i) {
    auto set = std::make_unique<Pictures>(some_pictures(40, 1));
    Batches batches = in_order(*set, Normalize({0}, {1}), {.batch = 3, .workers = 1 + i % 3});
    set.reset();
    for (int taken = 0; taken < i % 5; ++taken) EXPECT_EQ(batches.next()->labels.data<std::int64_t>()[0], 0);
  }
}

TEST(Batches, GoesToTheDeviceAndRefusesWhatDoesNotFit) {
  const Pictures set = some_pictures(4, 1);
  const Normalize normalize({0}, {1});
  EXPECT_EQ(in_order(set, normalize, {.batch = 2, .device = Device::reference}).next()->images.device(), Device::reference);
  EXPECT_THROW(Batches(set, {4}, normalize), ShapeError);
  EXPECT_THROW(Batches(set, {-1}, normalize), ShapeError);
  EXPECT_THROW(Batches(set, {0}, normalize, {.batch = 0}), ShapeError);
  EXPECT_THROW(Batches(set, {0}, normalize, {.workers = -1}), ShapeError);
  EXPECT_THROW(Batches(set, {0}, normalize, {.augment = {.crop_padding = -1}}), ShapeError);
  EXPECT_THROW(Batches(set, {0}, Normalize({0, 0, 0}, {1, 1, 1})), ShapeError);
  EXPECT_THROW(Batches(set, {0}, normalize, {.input = {.height = 6, .width = 4}}), ShapeError);   // nothing resizes them
  EXPECT_THROW(in_order(made(), Normalize({0, 0, 0}, {1, 1, 1})), ShapeError);
  EXPECT_FALSE(Batches(set, {}, normalize).next());
}

TEST(CudaBatches, AreCutAsTheHostCutsThem) {
  if (!cuda_available()) GTEST_SKIP() << "no GPU";
  const Normalize normalize({0.5f, 0.25f, 0.1f}, {0.2f, 0.3f, 0.4f});
  const RandomKey key{.seed = 3};
  const std::vector<std::int64_t> order{5, 0, 22, 7, 1, 9, 14};
  for (const Crop crop : {Crop::center, Crop::random, Crop::resized})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      LoaderOptions o{.batch = 3, .dtype = dtype, .input = {.height = 8, .width = 6, .resize = 9}};
      o.augment = {.crop = crop, .crop_padding = crop == Crop::random ? 3 : 0, .flip = crop != Crop::center};
      Batches host(made(), order, normalize, o, key, 4);
      o.device = Device::cuda;
      Batches gpu(made(), order, normalize, o, key, 4);
      for (std::int64_t i = 0; i < 3; ++i) {   // the last one is not full
        const std::optional<Batch> want = host.next(), got = gpu.next();
        ASSERT_TRUE(want && got);
        EXPECT_EQ(got->images.device(), Device::cuda);
        EXPECT_EQ(got->images.dtype(), dtype);
        EXPECT_EQ(got->images.shape(), want->images.shape());
        EXPECT_EQ(got->images.to_vector<float>(), want->images.to_vector<float>());
        EXPECT_EQ(got->labels.to_vector<std::int64_t>(), want->labels.to_vector<std::int64_t>());
      }
      EXPECT_FALSE(gpu.next());
    }
}

TEST(Prefetcher, ErrorsComeAfterTheItemsBeforeThem) {
  for (const int workers : {1, 2, 5}) {
    Prefetcher<std::int64_t> items(
        10,
        [](std::int64_t i) {
          if (i >= 3) throw Error("item " + std::to_string(i) + " cannot be read");
          return i;
        },
        workers, 6);
    for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(items.next(), i);
    try {
      items.next();
      FAIL() << "no error";
    } catch (const Error& e) {
      EXPECT_STREQ(e.what(), "item 3 cannot be read");
    }
    EXPECT_FALSE(items.next());
  }
}

TEST(Prefetcher, IsAtMostSoFarAhead) {
  std::atomic<std::int64_t> made_items = 0;
  Prefetcher<std::int64_t> items(
      100, [&](std::int64_t i) { return ++made_items, i; }, 3, 4);
  for (std::int64_t i = 0; i < 100; ++i) {
    EXPECT_LE(made_items, i + 4);
    EXPECT_EQ(items.next(), i);
  }
  EXPECT_FALSE(items.next());
}

}   // namespace
}   // namespace fovea::vision
