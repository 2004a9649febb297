// for_each_picture.h: work on many pictures at once, as when a folder is read.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>

#include "kernels/parallel.h"

namespace fovea::vision {

/// Told how far it is: now and then, from any thread but never two at a time.
using CountProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// f(i) for i in 0..n-1 on all threads. Of the exceptions the one with the lowest i is thrown, as a loop would; what comes after it
/// may have run or not.
template <class F> void for_each_picture(std::int64_t n, const CountProgress& progress, F&& f) {
  std::mutex mutex;   // guards error
  std::exception_ptr error;
  std::atomic<std::int64_t> failed = n, done = 0;
  kernels::parallel_for(n, [&](std::int64_t i) {
    if (i > failed) return;
    try {
      f(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (i < failed) failed = i, error = std::current_exception();
      return;
    }
    const std::int64_t count = ++done;
    if (progress && (count % 256 == 0 || count == n)) {
      const std::lock_guard lock(mutex);
      progress(count, n);
    }
  });
  if (error) std::rethrow_exception(error);
}

}   // namespace fovea::vision
