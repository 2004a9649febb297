// runtime.cpp: errors, device properties, memory, copies.
#include "kernels/emulator/runtime.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "kernels/emulator/emulator.h"
#include "kernels/emulator/memory.h"
#include "kernels/emulator/state.h"

namespace fovea::emulator {

//                 name                          cc    SMs  shared  opt-in   per SM   threads  memory
const Profile sm_80{"emulated A100 (sm_80)", 8, 0, 108, 48 << 10, 163 << 10, 164 << 10, 2048, std::size_t{16} << 30};
const Profile sm_86{"emulated RTX 3090 (sm_86)", 8, 6, 82, 48 << 10, 99 << 10, 100 << 10, 1536, std::size_t{16} << 30};
const Profile sm_90{"emulated H100 (sm_90)", 9, 0, 132, 48 << 10, 227 << 10, 228 << 10, 2048, std::size_t{16} << 30};

namespace {

struct State {
  std::recursive_mutex mutex;
  Schedule schedule;
  Profile profile = sm_80;
  std::atomic<bool> checks{true}, counting{false}, failed{false};
  std::mutex report_mutex;
  std::optional<Report> report;
  cudaError_t latest = cudaSuccess;
  std::string detail;
  std::vector<Counters> counters;
  std::map<const std::byte*, std::size_t> pinned;
};
State& state_of_device() {
  static State& s = *new State;   // never destroyed: destructors of other statics may still free device memory
  return s;
}

}   // namespace

void set_schedule(const Schedule& s) { state_of_device().schedule = s; }
const Schedule& schedule() { return state_of_device().schedule; }
std::vector<Schedule> schedules() {
  return {{.order = Order::ascending},
          {.order = Order::descending, .late_copies = true},
          {.order = Order::warp_ahead, .late_streams = true},
          {.order = Order::random, .seed = 1, .late_copies = true, .late_streams = true},
          {.order = Order::ascending, .late_copies = true, .late_streams = true},
          {.order = Order::descending, .late_streams = true},
          {.order = Order::warp_ahead, .seed = 2, .late_copies = true},
          {.order = Order::random, .seed = 2}};
}
std::string Schedule::name() const {
  static constexpr const char* orders[] = {"ascending", "descending", "random", "warp_ahead"};
  return std::string(orders[static_cast<int>(order)]) + "_" + std::to_string(seed) + (late_copies ? "_late_copies" : "") +
         (late_streams ? "_late_streams" : "");
}
void set_profile(const Profile& p) { state_of_device().profile = p; }
const Profile& profile() { return state_of_device().profile; }
bool checks_available() { return FOVEA_EMULATOR_CHECKED; }
void set_checks(bool on) { state_of_device().checks = on; }
bool checks_enabled() { return checks_available() && state_of_device().checks; }
void set_counting(bool on) { state_of_device().counting = on; }
bool counting() { return checks_available() && state_of_device().counting; }
void add_counters(Counters c) {
  std::lock_guard lock(state_of_device().report_mutex);
  state_of_device().counters.push_back(std::move(c));
}
std::vector<Counters> take_counters() {
  std::lock_guard lock(state_of_device().report_mutex);
  return std::exchange(state_of_device().counters, {});
}

std::optional<Report> report() {
  std::lock_guard lock(state_of_device().report_mutex);
  return state_of_device().report;
}
void device_failed(Report r) {
  State& s = state_of_device();
  std::lock_guard lock(s.report_mutex);
  if (!s.report) s.report = std::move(r);
  s.failed = true;
}
bool device_has_failed() { return state_of_device().failed; }
void reset() {
  State& s = state_of_device();
  std::lock_guard lock(s.mutex);
  drop_all_work();
  std::lock_guard report_lock(s.report_mutex);
  s.report.reset();
  s.failed = false;
  s.latest = cudaSuccess;
  s.detail.clear();
  s.counters.clear();
}
std::recursive_mutex& runtime_mutex() { return state_of_device().mutex; }

// ---- errors ----------------------------------------------------------------------------------------------------------------

cudaError_t sticky_error() {
  State& s = state_of_device();
  if (!s.failed) return cudaSuccess;
  std::lock_guard lock(s.report_mutex);
  switch (s.report->mistake) {
    case Mistake::misaligned: return cudaErrorMisalignedAddress;
    case Mistake::out_of_bounds:
    case Mistake::host_memory:
    case Mistake::device_memory: return cudaErrorIllegalAddress;
    default: return cudaErrorLaunchFailure;
  }
}
cudaError_t error(cudaError_t e, std::string detail) {
  State& s = state_of_device();
  s.latest = e;
  s.detail = std::move(detail);
  return e;
}

}   // namespace fovea::emulator

using namespace fovea::emulator;

#define FOVEA_ENTER                              \
  std::lock_guard runtime_lock(runtime_mutex()); \
  if (const cudaError_t lost = sticky_error(); lost != cudaSuccess) return lost

const char* cudaGetErrorName(cudaError_t e) {
  switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorMisalignedAddress: return "cudaErrorMisalignedAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorNotSupported: return "cudaErrorNotSupported";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
  }
  return "cudaErrorUnknown";
}
const char* cudaGetErrorString(cudaError_t e) {
  thread_local std::string text;
  State& s = state_of_device();
  std::lock_guard lock(s.mutex);
  text = cudaGetErrorName(e);
  if (e != cudaSuccess && e == sticky_error())
    text += ": " + report()->text();
  else if (e == s.latest && !s.detail.empty())
    text += ": " + s.detail;
  return text.c_str();
}
cudaError_t cudaGetLastError() {
  FOVEA_ENTER;
  return std::exchange(state_of_device().latest, cudaSuccess);   // the detail stays, for cudaGetErrorString
}

// ---- the device --------------------------------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  FOVEA_ENTER;
  return device == 0 ? cudaSuccess : error(cudaErrorInvalidDevice, "device " + std::to_string(device) + ", but there is one");
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  FOVEA_ENTER;
  if (device != 0) return error(cudaErrorInvalidDevice, "device " + std::to_string(device) + ", but there is one");
  const Profile& f = profile();
  *p = {};
  std::snprintf(p->name, sizeof p->name, "%s", f.name);
  p->totalGlobalMem = f.memory;
  p->sharedMemPerBlock = f.shared_per_block;
  p->sharedMemPerBlockOptin = f.shared_per_block_opt_in;
  p->sharedMemPerMultiprocessor = f.shared_per_multiprocessor;
  p->major = f.major, p->minor = f.minor;
  p->multiProcessorCount = f.multiprocessors;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsPerMultiProcessor = f.threads_per_multiprocessor;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 0x7fffffff, p->maxGridSize[1] = p->maxGridSize[2] = int(f.grid_yz);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  FOVEA_ENTER;
  if (capturing_any()) return error(cudaErrorStreamCaptureUnsupported, "cudaDeviceSynchronize during a capture");
  return finish_all();
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  FOVEA_ENTER;
  *total = profile().memory;
  *free = *total - std::min(*total, allocated_bytes());
  return cudaSuccess;
}

// ---- memory --------------------------------------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  FOVEA_ENTER;
  *p = nullptr;
  if (capturing_strictly()) return error(cudaErrorStreamCaptureUnsupported, "cudaMalloc during a capture that is not relaxed");
  if (bytes == 0) return cudaSuccess;
  *p = allocate(bytes);
  if (*p) return cudaSuccess;
  return error(cudaErrorMemoryAllocation, "cudaMalloc of " + std::to_string(bytes) + " bytes with " + std::to_string(allocated_bytes()) +
                                              " of " + std::to_string(profile().memory) + " in use");
}
cudaError_t cudaFree(void* p) {
  FOVEA_ENTER;
  if (!p) return cudaSuccess;
  if (capturing_any()) return error(cudaErrorStreamCaptureUnsupported, "cudaFree during a capture");
  if (const cudaError_t e = finish_all()) return e;   // it waits for the device
  return release(p) ? cudaSuccess : error(cudaErrorInvalidValue, "cudaFree of what is not the start of a live allocation");
}
cudaError_t cudaMallocHost(void** p, std::size_t bytes) {
  FOVEA_ENTER;
  if (capturing_strictly()) return error(cudaErrorStreamCaptureUnsupported, "cudaMallocHost during a capture that is not relaxed");
  *p = std::malloc(std::max<std::size_t>(bytes, 1));
  if (!*p) return error(cudaErrorMemoryAllocation, "cudaMallocHost of " + std::to_string(bytes) + " bytes");
  state_of_device().pinned[static_cast<std::byte*>(*p)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
  FOVEA_ENTER;
  if (!p) return cudaSuccess;
  if (const cudaError_t e = finish_all()) return e;
  if (state_of_device().pinned.erase(static_cast<std::byte*>(p)) == 0)
    return error(cudaErrorInvalidValue, "cudaFreeHost of what is not pinned");
  std::free(p);
  return cudaSuccess;
}

namespace {

bool is_pinned(const void* p) {
  const auto& pinned = state_of_device().pinned;
  auto next = pinned.upper_bound(static_cast<const std::byte*>(p));
  if (next == pinned.begin()) return false;
  --next;
  return static_cast<const std::byte*>(p) < next->first + next->second;
}

/// "" or what is wrong with copying so.
std::string wrong_copy(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const bool to_device = in_arena(to), from_device = in_arena(from);
  if (kind != cudaMemcpyDefault) {
    const bool says_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool says_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (to_device != says_to)
      return std::string("the target is ") + (to_device ? "the device's" : "the host's") + " memory, and the kind says otherwise";
    if (from_device != says_from)
      return std::string("the source is ") + (from_device ? "the device's" : "the host's") + " memory, and the kind says otherwise";
  }
  if (to_device && !owned(to, bytes)) return std::to_string(bytes) + " bytes do not fit the target";
  if (from_device && !owned(from, bytes)) return "the source does not have " + std::to_string(bytes) + " bytes";
  return "";
}

void copy_now(void* to, const void* from, std::size_t bytes) {
  std::memmove(to, from, bytes);
  if (in_arena(to)) {
    std::uint8_t* target = arena_state + (static_cast<std::byte*>(to) - arena);
    if (in_arena(from))   // copying what nobody wrote is no mistake; using the copy is
      std::memmove(target, arena_state + (static_cast<const std::byte*>(from) - arena), bytes);
    else
      std::memset(target, state::readable, bytes);
  }
}

}   // namespace

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  FOVEA_ENTER;
  if (bytes == 0) return cudaSuccess;
  if (std::string wrong = wrong_copy(to, from, bytes, kind); !wrong.empty()) return error(cudaErrorInvalidValue, "copy: " + wrong);
  if (!in_arena(from) && !is_pinned(from)) {   // the driver takes a copy of pageable memory before it returns
    auto staged =
        std::make_shared<std::vector<std::byte>>(static_cast<const std::byte*>(from), static_cast<const std::byte*>(from) + bytes);
    return queue(stream, [to, staged, bytes] { copy_now(to, staged->data(), bytes); });
  }
  if (const cudaError_t e = queue(stream, [to, from, bytes] { copy_now(to, from, bytes); })) return e;
  if (!in_arena(to) && !is_pinned(to) && !capturing_any()) return finish(stream);   // and fills it before it returns
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  FOVEA_ENTER;
  if (capturing_any()) return error(cudaErrorStreamCaptureUnsupported, "cudaMemcpy during a capture");
  if (const cudaError_t e = cudaMemcpyAsync(to, from, bytes, kind, nullptr)) return e;
  return finish(nullptr);
}
cudaError_t cudaMemsetAsync(void* p, int value, std::size_t bytes, cudaStream_t stream) {
  FOVEA_ENTER;
  if (bytes == 0) return cudaSuccess;
  if (!in_arena(p) || !owned(p, bytes))
    return error(cudaErrorInvalidValue, "cudaMemset of " + std::to_string(bytes) + " bytes that no allocation has");
  return queue(stream, [p, value, bytes] {
    std::memset(p, value, bytes);
    std::memset(arena_state + (static_cast<std::byte*>(p) - arena), state::readable, bytes);
  });
}
cudaError_t cudaMemset(void* p, int value, std::size_t bytes) { return cudaMemsetAsync(p, value, bytes, nullptr); }
