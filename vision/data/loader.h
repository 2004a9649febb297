// loader.h: the batches of an epoch: pictures in a given order, augmented, normalised, assembled ahead of time.
//
//   for (const Batch& batch : Batches(train, epoch_order(train.size(), key, epoch), normalize, {.augment = {.shift = 2}}, key, epoch)) ...
#pragma once

#include <iterator>
#include <memory>
#include <optional>
#include <vector>

#include "vision/data/dataset.h"
#include "vision/data/prefetch.h"
#include "vision/transforms/augment.h"
#include "vision/transforms/normalize.h"

namespace fovea::vision {

struct LoaderOptions {
  std::int64_t batch = 128;
  bool drop_last = false;   // leave out a last batch that is not full
  bool prefetch = true;     // assemble on a thread of its own, two batches ahead
  Device device = Device::cpu;
  AugmentOptions augment = {};
};

/// One pass over the pictures of `set` named by `order`. The batches are a function of the arguments alone. Throws ShapeError: an
/// index outside the set, a batch below 1, pictures that are not (N, H, W, C) uint8 with the channels of `normalize`.
class Batches {
 public:
  Batches(const ImageSet& set, std::vector<std::int64_t> order, Normalize normalize, LoaderOptions o = {}, RandomKey key = {},
          std::uint64_t epoch = 0);
  /// Number of batches in the pass.
  std::int64_t size() const;
  /// The next batch; nothing after the last.
  std::optional<Batch> next();

  class Iterator {
   public:
    explicit Iterator(Batches* from) : from_(from), batch_(from->next()) {}
    const Batch& operator*() const { return *batch_; }
    Iterator& operator++() {
      batch_.reset();   // its memory is free before the next is waited for
      batch_ = from_->next();
      return *this;
    }
    bool operator==(std::default_sentinel_t) const { return !batch_; }

   private:
    Batches* from_;
    std::optional<Batch> batch_;
  };
  Iterator begin() { return Iterator(this); }   // goes on from where next() is
  std::default_sentinel_t end() const { return {}; }

 private:
  struct Assembly;   // what the thread works on; holds its share of the set's memory
  std::shared_ptr<Assembly> assembly_;
  std::unique_ptr<Prefetcher<Batch>> prefetcher_;
};

/// The same for a whole set in its own order, without augmentation: validation and test.
Batches in_order(const ImageSet& set, Normalize normalize, std::int64_t batch = 128, Device device = Device::cpu);

}   // namespace fovea::vision
