// device.cpp: barriers, warp operations, wide accesses and atomics: the instructions behind device.h.
#include "kernels/emulator/device.h"

#include <algorithm>
#include <bit>

#include "kernels/emulator/block.h"
#include "kernels/emulator/launch.h"
#include "kernels/emulator/shadow.h"
#include "kernels/emulator/state.h"

#define FOVEA_SITE __builtin_return_address(0)

namespace fovea::emulator {

uint3 thread_index() { return current->index; }
uint3 block_index() { return current->block->index; }
uint3 block_size() {
  const dim3 d = current->block->launch->block;
  return {d.x, d.y, d.z};
}
uint3 grid_size() {
  const dim3 d = current->block->launch->grid;
  return {d.x, d.y, d.z};
}
void* shared_memory(std::size_t bytes) {
  Thread& t = *current;
  if (bytes > t.block->launch->shared_bytes)
    t.block->stopped().fail(
        t, Mistake::out_of_bounds, FOVEA_SITE,
        "shared_memory of " + std::to_string(bytes) + " bytes, but the launch asked for " + std::to_string(t.block->launch->shared_bytes));
  return t.block->shared;
}

// ---- the block's barrier -----------------------------------------------------------------------------------------------

namespace {
template <Count how> unsigned combine(const Block& b) {
  unsigned n = 0;
  for (int i = 0; i < b.count; ++i) n += b.threads[i].vote;
  return how == Count::count ? n : n > 0;
}
}   // namespace

int barrier_vote(Count how, int predicate) {
  Thread& t = *current;
  const auto combined = how == Count::count ? combine<Count::count> : combine<Count::disjunction>;
  const char* name = how == Count::count ? "__syncthreads_count" : "__syncthreads_or";
  return static_cast<int>(t.block->barrier(t, predicate != 0, combined, name, FOVEA_SITE));
}

// ---- warp operations: every lane leaves a record, the last to come fills them all in ----------------------------------------

namespace {

struct ShuffleRecord {
  std::uint64_t value, result;
  int source;   // lane
};
void complete_shuffle(Block& b, int warp, unsigned lanes, void* const* records) {
  for (unsigned rest = lanes; rest; rest &= rest - 1) {
    auto& mine = *static_cast<ShuffleRecord*>(records[std::countr_zero(rest)]);
    if (!(lanes >> mine.source & 1)) {
      const Thread& t = b.threads[warp * kWarp + std::countr_zero(rest)];
      const bool exists = b.warps[warp].exists >> mine.source & 1;
      b.stopped().fail(t, Mistake::wrong_lane, t.site,
                       std::string(t.op.name) + " reads from lane " + std::to_string(mine.source) +
                           (t.op.mask >> mine.source & 1 ? exists ? ", which has left the kernel" : ", which this warp does not have"
                                                         : ", which the mask " + hex(t.op.mask) + " does not name"));
    }
    mine.result = static_cast<ShuffleRecord*>(records[mine.source])->value;
  }
}

struct VoteRecord {
  unsigned value, result;
};
template <Vote how> void complete_vote(Block&, int, unsigned lanes, void* const* records) {
  unsigned ballot = 0;
  for (unsigned rest = lanes; rest; rest &= rest - 1)
    ballot |= static_cast<VoteRecord*>(records[std::countr_zero(rest)])->value << std::countr_zero(rest);
  const unsigned result = how == Vote::ballot ? ballot : how == Vote::any ? ballot != 0 : ballot == lanes;
  for (unsigned rest = lanes; rest; rest &= rest - 1) static_cast<VoteRecord*>(records[std::countr_zero(rest)])->result = result;
}

void complete_reduce_add(Block&, int, unsigned lanes, void* const* records) {
  unsigned result = 0;
  for (unsigned rest = lanes; rest; rest &= rest - 1) result += static_cast<VoteRecord*>(records[std::countr_zero(rest)])->value;
  for (unsigned rest = lanes; rest; rest &= rest - 1) static_cast<VoteRecord*>(records[std::countr_zero(rest)])->result = result;
}

struct MatchRecord {
  std::uint64_t value;
  unsigned result;
  bool all;
};
void complete_match(Block&, int, unsigned lanes, void* const* records) {
  for (unsigned rest = lanes; rest; rest &= rest - 1) {
    auto& mine = *static_cast<MatchRecord*>(records[std::countr_zero(rest)]);
    mine.result = 0;
    for (unsigned others = lanes; others; others &= others - 1)
      if (static_cast<MatchRecord*>(records[std::countr_zero(others)])->value == mine.value) mine.result |= 1u << std::countr_zero(others);
    mine.all = mine.result == lanes;
  }
}

/// The only warp operation that orders memory: afterwards each lane knows what any of them knew.
void complete_syncwarp(Block& b, int w, unsigned lanes, void* const*) {
  if (!b.checked) return;
  Warp& warp = b.warps[w];
  std::uint32_t joined[kWarp] = {};
  for (unsigned rest = lanes; rest; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    Thread& t = b.threads[w * kWarp + lane];
    warp.known[lane][lane] = ++t.time;
    b.max_time = std::max(b.max_time, t.time);
    for (int i = 0; i < kWarp; ++i) joined[i] = std::max(joined[i], warp.known[lane][i]);
  }
  for (unsigned rest = lanes; rest; rest &= rest - 1) std::copy(joined, joined + kWarp, warp.known[std::countr_zero(rest)]);
}

}   // namespace

std::uint64_t shuffle(Shuffle how, unsigned mask, std::uint64_t value, int lane, int width) {
  static constexpr const char* names[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync"};
  Thread& t = *current;
  const char* name = names[static_cast<int>(how)];
  if (width < 1 || width > kWarp || !std::has_single_bit(static_cast<unsigned>(width)))
    t.block->stopped().fail(t, Mistake::bad_argument, FOVEA_SITE,
                            std::string(name) + ": width " + std::to_string(width) + " is not a power of two up to 32");
  // The warp falls into segments of `width` lanes. Up and down stop at the segment's ends, there a lane gets its own value.
  const int begin = t.lane() & -width, inside = t.lane() - begin;
  int source = 0;
  switch (how) {
    case Shuffle::from: source = begin + (lane & (width - 1)); break;
    case Shuffle::up: source = inside - lane < 0 ? t.lane() : t.lane() - lane; break;
    case Shuffle::down: source = inside + lane >= width ? t.lane() : t.lane() + lane; break;
    case Shuffle::exclusive_or: source = (t.lane() ^ lane) >= begin + width ? t.lane() : t.lane() ^ lane; break;
  }
  ShuffleRecord record{.value = value, .result = 0, .source = source & (kWarp - 1)};
  t.block->warp_op(t, {.complete = complete_shuffle, .name = name, .mask = mask, .record = &record}, FOVEA_SITE);
  return record.result;
}

unsigned vote(Vote how, unsigned mask, int predicate) {
  Thread& t = *current;
  VoteRecord record{.value = predicate != 0, .result = 0};
  WarpOp op{.complete = complete_vote<Vote::ballot>, .name = "__ballot_sync", .mask = mask, .record = &record};
  if (how == Vote::any) op.complete = complete_vote<Vote::any>, op.name = "__any_sync";
  if (how == Vote::all) op.complete = complete_vote<Vote::all>, op.name = "__all_sync";
  t.block->warp_op(t, op, FOVEA_SITE);
  return record.result;
}

unsigned reduce_add(unsigned mask, unsigned value) {
  Thread& t = *current;
  VoteRecord record{.value = value, .result = 0};
  t.block->warp_op(t, {.complete = complete_reduce_add, .name = "__reduce_add_sync", .mask = mask, .record = &record}, FOVEA_SITE);
  return record.result;
}

unsigned match(bool all, unsigned mask, std::uint64_t value, int* all_equal) {
  Thread& t = *current;
  MatchRecord record{.value = value, .result = 0, .all = false};
  t.block->warp_op(t, {.complete = complete_match, .name = all ? "__match_all_sync" : "__match_any_sync", .mask = mask, .record = &record},
                   FOVEA_SITE);
  if (!all) return record.result;
  *all_equal = record.all;
  return record.all ? record.result : 0;
}

// ---- memory ----------------------------------------------------------------------------------------------------------------

Wide load_wide(const void* p) {
  if (current->block->checked) check(*current, p, 16, Access::read, FOVEA_SITE);
  return *static_cast<const Wide*>(p);
}
void store_wide(void* p, Wide v) {
  if (current->block->checked) check(*current, p, 16, Access::write, FOVEA_SITE);
  *static_cast<Wide*>(p) = v;
}

namespace {
/// An atomic after a __threadfence publishes what the block did before the fence; any atomic sees what was published before it.
void atomic_happens(Thread& t) {
  Launch& l = *t.block->launch;
  Published& p = l.published[t.block->linear];
  const std::uint64_t now = l.atomics.fetch_add(1, std::memory_order_relaxed) + 1;
  if (p.fence.load(std::memory_order_relaxed) != 0) {
    p.release.store(t.time, std::memory_order_relaxed);
    std::uint64_t never = 0;
    p.released.compare_exchange_strong(never, now);
  }
  p.acquired.store(now, std::memory_order_relaxed);
}
}   // namespace

template <class T> T atomic(Atomic how, T* p, T v) {
  Thread& t = *current;
  if (t.block->checked) {
    check(t, p, sizeof(T), Access::atomic, FOVEA_SITE);
    atomic_happens(t);
  }
  T old = __atomic_load_n(p, __ATOMIC_RELAXED), next = 0;
  do {
    switch (how) {
      case Atomic::add: next = old + v; break;
      case Atomic::max: next = std::max(old, v); break;
      case Atomic::increment: next = old >= v ? 0 : old + 1; break;
    }
  } while (!__atomic_compare_exchange_n(p, &old, next, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
  return old;
}
template int atomic(Atomic, int*, int);
template unsigned atomic(Atomic, unsigned*, unsigned);
template unsigned long long atomic(Atomic, unsigned long long*, unsigned long long);

}   // namespace fovea::emulator

void __syncthreads() {
  using namespace fovea::emulator;
  Thread& t = *current;
  t.block->barrier(t, 0, nullptr, "__syncthreads", FOVEA_SITE);
}

void __syncwarp(unsigned mask) {
  using namespace fovea::emulator;
  Thread& t = *current;
  t.block->warp_op(t, {.complete = complete_syncwarp, .name = "__syncwarp", .mask = mask}, FOVEA_SITE);
}

void __threadfence() {
  using namespace fovea::emulator;
  Thread& t = *current;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (t.block->checked) t.block->launch->published[t.block->linear].fence.store(t.time + 1, std::memory_order_relaxed);
}
