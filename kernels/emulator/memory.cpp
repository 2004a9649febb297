// memory.cpp: the arena, its allocations, and each worker's shared memory.
#include "kernels/emulator/memory.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "kernels/emulator/emulator.h"
#include "kernels/emulator/shadow.h"

namespace fovea::emulator {

std::byte* arena = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 63);   // until it is made: nobody's address
std::uint8_t* arena_state = nullptr;

namespace {

std::mutex mutex;
std::map<std::size_t, std::size_t> live;   // offset -> bytes, of every allocation
std::size_t live_bytes = 0;
std::size_t cursor = kGap;   // where to look first: freed memory rests before it is used again

std::size_t slot(std::size_t bytes) { return (bytes + kGap + kAlignment - 1) / kAlignment * kAlignment; }

/// The lowest offset in [from, to) with room for `need` bytes between allocations; kArena if there is none.
std::size_t room(std::size_t need, std::size_t from, std::size_t to) {
  auto next = live.lower_bound(from);
  if (next != live.begin()) {
    const auto before = std::prev(next);
    from = std::max(from, before->first + slot(before->second));
  }
  for (; from + need <= to; ++next) {
    if (next == live.end() || from + need <= next->first) return from;
    from = next->first + slot(next->second);
  }
  return kArena;
}

}   // namespace

std::byte* reserve(std::size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(p);
}

void make_arena() {
  static std::once_flag once;
  std::call_once(once, [] {
    arena_state = reinterpret_cast<std::uint8_t*>(reserve(kArena));
    make_shadow();
    arena = reserve(kArena);
  });
}

void* allocate(std::size_t bytes) {
  make_arena();
  std::lock_guard lock(mutex);
  if (live_bytes + bytes > profile().memory) return nullptr;
  std::size_t at = room(slot(bytes), cursor, kArena);
  if (at == kArena) at = room(slot(bytes), kGap, kArena);
  if (at == kArena) return nullptr;
  live[at] = bytes;
  live_bytes += bytes;
  cursor = at + slot(bytes);
  std::memset(arena + at, 0xff, bytes);
  std::memset(arena_state + at, state::allocated, bytes);
  return arena + at;
}

bool release(void* p) {
  std::lock_guard lock(mutex);
  if (!in_arena(p)) return false;
  const std::size_t at = static_cast<std::byte*>(p) - arena;
  const auto found = live.find(at);
  if (found == live.end()) return false;
  std::memset(arena_state + at, state::freed, found->second);
  live_bytes -= found->second;
  live.erase(found);
  return true;
}

bool owned(const void* p, std::size_t bytes) {
  const Place a = nearest_allocation(p);
  const std::byte* q = static_cast<const std::byte*>(p);
  return a.start && q >= a.start && q + bytes <= a.start + a.bytes;
}

std::size_t allocated_bytes() {
  std::lock_guard lock(mutex);
  return live_bytes;
}

Place nearest_allocation(const void* p) {
  std::lock_guard lock(mutex);
  if (!in_arena(p) || live.empty()) return {};
  const std::size_t at = static_cast<const std::byte*>(p) - arena;
  auto next = live.upper_bound(at);
  if (next == live.begin()) return {.start = arena + next->first, .bytes = next->second};
  const auto before = std::prev(next);
  const std::size_t past = at - before->first - std::min(at - before->first, before->second);
  if (next != live.end() && next->first - at < past) return {.start = arena + next->first, .bytes = next->second};
  return {.start = arena + before->first, .bytes = before->second};
}

namespace {

struct Segment {
  std::uintptr_t begin, end;
  unsigned flags;
};
bool in_segment(const void* p, unsigned has, unsigned lacks) {
  static const std::vector<Segment> segments = [] {
    std::vector<Segment> s;
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* out) {
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            const auto& h = info->dlpi_phdr[i];
            const std::uintptr_t begin = info->dlpi_addr + h.p_vaddr;
            if (h.p_type == PT_LOAD) static_cast<std::vector<Segment>*>(out)->push_back({begin, begin + h.p_memsz, h.p_flags});
          }
          return 0;
        },
        &s);
    return s;
  }();
  const auto a = reinterpret_cast<std::uintptr_t>(p);
  return std::any_of(segments.begin(), segments.end(),
                     [&](const Segment& s) { return a >= s.begin && a < s.end && (s.flags & has) == has && !(s.flags & lacks); });
}

}   // namespace

bool is_constant(const void* p) { return in_segment(p, PF_R, PF_W); }
bool is_code(const void* p) { return in_segment(p, PF_X, 0); }

namespace {
// Freed with its worker's thread.
struct WorkerShared {
  std::byte* bytes = reserve(2 * kSharedArena);
  std::uint8_t* states = reinterpret_cast<std::uint8_t*>(bytes + kSharedArena);
  std::size_t dirty = 0;   // bytes that the last block had
  ~WorkerShared() { munmap(bytes, 2 * kSharedArena); }
};
WorkerShared& worker_shared() {
  thread_local WorkerShared w;
  return w;
}
}   // namespace

std::byte* worker_shared_memory() { return worker_shared().bytes; }
std::uint8_t* worker_shared_state() { return worker_shared().states; }

void begin_shared(std::byte* shared, std::size_t bytes, bool checked) {
  std::memset(shared, 0xff, bytes);
  if (!checked) return;
  WorkerShared& w = worker_shared();
  std::memset(w.states, state::allocated, bytes);
  if (w.dirty > bytes) std::memset(w.states + bytes, 0, w.dirty - bytes);
  w.dirty = bytes;
}

}   // namespace fovea::emulator
