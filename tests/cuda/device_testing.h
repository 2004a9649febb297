// device_testing.h: what tests of CUDA kernels share: arrays on the device, and the walk over schedules.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/cuda_host.h"
#include "tests/kernels/variants.h"
#ifdef FOVEA_CUDA_EMULATED
#include "kernels/emulator/emulator.h"
#endif

namespace fovea::kernels {

/// n values on the device, with room of its own: on a card kGuard bytes of a pattern on both sides tell whether a kernel overran them.
template <class T> class DeviceArray {
 public:
  explicit DeviceArray(std::size_t n) : n_(n) {
    check_cuda(cudaMalloc(&base_, bytes() + 2 * kGuard), "DeviceArray");
#ifndef FOVEA_CUDA_EMULATED
    check_cuda(cudaMemset(base_, 0xa5, bytes() + 2 * kGuard), "DeviceArray");
#endif
  }
  explicit DeviceArray(const std::vector<T>& host) : DeviceArray(host.size()) {
    check_cuda(cudaMemcpy(data(), host.data(), bytes(), cudaMemcpyHostToDevice), "upload");
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(base_); }   // may fail when a kernel has: the test has failed then

  T* data() { return reinterpret_cast<T*>(base_ + kGuard); }
  std::size_t size() const { return n_; }
  std::vector<T> host() {
    std::vector<T> v(n_);
    check_cuda(cudaMemcpy(v.data(), data(), bytes(), cudaMemcpyDeviceToHost), "download");
    return v;
  }
  void expect_guards_untouched() {
#ifndef FOVEA_CUDA_EMULATED
    std::vector<unsigned char> all(bytes() + 2 * kGuard);
    check_cuda(cudaMemcpy(all.data(), base_, all.size(), cudaMemcpyDeviceToHost), "download");
    for (std::size_t i = 0; i < kGuard; ++i) {
      ASSERT_EQ(all[i], 0xa5) << "written " << kGuard - i << " bytes before the array";
      ASSERT_EQ(all[kGuard + bytes() + i], 0xa5) << "written " << i << " bytes past the array";
    }
#endif
  }

 private:
  // The emulator puts gaps between allocations and watches them: an array then starts where an allocation starts.
#ifdef FOVEA_CUDA_EMULATED
  static constexpr std::size_t kGuard = 0;
#else
  static constexpr std::size_t kGuard = 256;
#endif
  std::size_t bytes() const { return n_ * sizeof(T); }
  std::size_t n_;
  char* base_ = nullptr;
};

/// run(), which gives a result as bits, under every schedule, with `few` under three of the eight; on a card 20 times: always the same.
template <class T> std::vector<T> same_on_every_schedule(const std::function<std::vector<T>()>& run, bool few = false) {
  std::vector<T> first;
  const auto compare = [&](const std::string& name) {
    const std::vector<T> result = run();
    if (first.empty()) first = result;
    ASSERT_EQ(result.size(), first.size());
    if (result.empty()) return;
    ASSERT_EQ(std::memcmp(result.data(), first.data(), result.size() * sizeof(T)), 0) << "other bits under schedule " << name;
  };
#ifdef FOVEA_CUDA_EMULATED
  std::vector<emulator::Schedule> all = emulator::schedules();
  if (few) all.erase(all.begin() + 1, all.end() - 2);
  for (const emulator::Schedule& s : all) {
    emulator::set_schedule(s);
    compare(s.name());
  }
  emulator::set_schedule({});
#else
  (void)few;
  const char* repeats = std::getenv("FOVEA_DEVICE_REPEATS");   // fewer under compute-sanitizer
  for (int i = 0; i < (repeats ? std::atoi(repeats) : 20); ++i) compare("run " + std::to_string(i));
#endif
  return first;
}

}   // namespace fovea::kernels
