// loader.h: the batches of an epoch: pictures in a given order, decoded, augmented, normalised, assembled ahead of time.
//
//   for (const Batch& batch : Batches(train, epoch_order(train.size(), key, epoch), normalize, {.augment = {.flip = true}}, key, epoch)) ...
#pragma once

#include <iterator>
#include <memory>
#include <optional>
#include <vector>

#include "vision/data/pictures.h"
#include "vision/data/prefetch.h"
#include "vision/transforms/transform.h"

namespace fovea::vision {

struct Batch {
  Tensor images;   // (B, H, W, C), normalised
  Tensor labels;   // (B) int64, in the host's memory
};

struct LoaderOptions {
  std::int64_t batch = 128;
  bool drop_last = false;   // leave out a last batch that is not full
  /// Threads that assemble batches, each two ahead; 0: one for pictures in memory, as many as kernels::threads() for files.
  int workers = 0;
  Device device = Device::cpu;   // of the images
  DType dtype = DType::f32;      // likewise; bf16 is what networks that compute in it start from
  InputOptions input = {};
  AugmentOptions augment = {};
};

/// One pass over the pictures named by `order`. The batches are a function of the arguments alone, whatever the number of workers.
/// Throws ShapeError: an index outside the set, a batch below 1, other channels than `normalize` has, pictures that are not of the
/// input's size when nothing resizes them. next() throws Error naming a file that cannot be read.
class Batches {
 public:
  Batches(const Pictures& pictures, std::vector<std::int64_t> order, const Normalize& normalize, LoaderOptions o = {}, RandomKey key = {},
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
  struct Assembly;   // what the threads work on; holds its share of the pictures
  /// What a thread makes: a batch, or for a GPU its pictures' bytes, one behind the other, from which next() has the GPU make it.
  struct Assembled {
    Batch batch;
    Tensor pixels, cuts;   // uint8: all pictures; a kernels::Cut of each
  };
  std::shared_ptr<const Assembly> assembly_;
  std::unique_ptr<Prefetcher<Assembled>> prefetcher_;
};

/// The same for all pictures in their own order: validation and test.
Batches in_order(const Pictures& pictures, const Normalize& normalize, LoaderOptions o = {});

}   // namespace fovea::vision
