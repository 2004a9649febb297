// prefetch.h: makes the next items on a thread of its own while the present one is used. Order and values are those of calling
// `produce` in a loop; only the time changes.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace fovea::vision {

/// At most `depth` items wait. An exception thrown by `produce` is thrown by next() after the items before it; then the sequence
/// has ended. The destructor waits for the item in the making, no longer.
template <class T> class Prefetcher {
 public:
  explicit Prefetcher(std::function<std::optional<T>()> produce, std::size_t depth = 2)
      : produce_(std::move(produce)), depth_(depth), thread_([this] { work(); }) {}
  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next item, waiting for it; nothing when the sequence has ended.
  std::optional<T> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || ended_; });
    if (ready_.empty()) {
      if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
      return std::nullopt;
    }
    std::optional<T> item(std::move(ready_.front()));
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return item;
  }

 private:
  void work() {
    try {
      while (std::optional<T> item = produce_()) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ready_.size() < depth_ || stop_; });
        if (stop_) return;
        ready_.push_back(std::move(*item));
        lock.unlock();
        changed_.notify_all();
      }
      end(nullptr);
    } catch (...) {
      end(std::current_exception());
    }
  }
  void end(std::exception_ptr error) {
    {
      const std::lock_guard lock(mutex_);
      error_ = std::move(error);
      ended_ = true;
    }
    changed_.notify_all();
  }

  std::function<std::optional<T>()> produce_;
  const std::size_t depth_;
  std::mutex mutex_;   // guards what follows
  std::condition_variable changed_;
  std::deque<T> ready_;
  std::exception_ptr error_;
  bool stop_ = false, ended_ = false;
  std::thread thread_;   // last: it uses all the others
};

}   // namespace fovea::vision
