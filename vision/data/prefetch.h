// prefetch.h: makes the next items on threads of its own while the present one is used. Order and values are those of calling `make` in
// a loop; only the time changes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace fovea::vision {

/// Items make(0), ..., make(count - 1), in this order. `workers` threads each take the next number; at most `depth` items are made
/// or in the making ahead of the one that is asked for. An exception thrown by make(i) is thrown by next() after the items before it; then the
/// sequence has ended. The destructor waits for the items in the making, no longer.
template <class T> class Prefetcher {
 public:
  Prefetcher(std::int64_t count, std::function<T(std::int64_t)> make, int workers = 1, std::int64_t depth = 2)
      : count_(count), depth_(depth), make_(std::move(make)) {
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& t : threads_) t.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next item, waiting for it; nothing when the sequence has ended.
  std::optional<T> next() {
    std::unique_lock lock(mutex_);
    if (given_ == count_) return std::nullopt;
    changed_.wait(lock, [this] { return !made_.empty() && made_.front().done; });
    Slot slot = std::move(made_.front());
    made_.pop_front();
    ++given_;
    if (slot.error) given_ = count_, stop_ = true;
    lock.unlock();
    changed_.notify_all();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(slot.item);
  }

 private:
  struct Slot {
    bool done = false;
    std::optional<T> item;
    std::exception_ptr error;
  };

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stop_ || taken_ == count_ || taken_ < given_ + depth_; });
      if (stop_ || taken_ == count_) return;
      const std::int64_t i = taken_++;
      made_.emplace_back();
      lock.unlock();
      Slot slot;
      try {
        slot.item = make_(i);
      } catch (...) {
        slot.error = std::current_exception();
      }
      slot.done = true;
      lock.lock();
      if (stop_) return;   // nobody will ask; after an error the numbers no longer match
      made_[static_cast<std::size_t>(i - given_)] = std::move(slot);
      changed_.notify_all();
    }
  }

  const std::int64_t count_, depth_;
  const std::function<T(std::int64_t)> make_;
  std::mutex mutex_;   // guards what follows
  std::condition_variable changed_;
  std::deque<Slot> made_;                // items given_, given_ + 1, ..., taken_ - 1
  std::int64_t given_ = 0, taken_ = 0;   // by next(); by workers
  bool stop_ = false;
  std::vector<std::thread> threads_;   // last: they use all the others
};

}   // namespace fovea::vision
