// shadow.cpp: one check for each access. A cell is two stamps; a stamp is 64 bits.
#include "kernels/emulator/shadow.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <vector>

#include "kernels/emulator/launch.h"
#include "kernels/emulator/memory.h"
#include "kernels/emulator/state.h"

namespace fovea::emulator {
namespace {

// thread 10 | time 20 | block 16 | launch 13 | bytes 2 | breadth 2 | atomic 1
using Stamp = std::uint64_t;
constexpr int kTimeAt = 10, kBlockAt = 30, kLaunchAt = 46, kBytesAt = 59, kBreadthAt = 61, kAtomicAt = 63;
constexpr std::uint32_t kLaunches = 1 << (kBytesAt - kLaunchAt);
constexpr Stamp kWho = ((Stamp{1} << kTimeAt) - 1) | ((Stamp{1} << kBytesAt) - (Stamp{1} << kBlockAt));   // thread, block, launch
constexpr Stamp kWhere = kWho & ~((Stamp{1} << kTimeAt) - 1);                                             // block, launch
constexpr Stamp kAtomic = Stamp{1} << kAtomicAt;
constexpr Stamp kBreadth = Stamp{3} << kBreadthAt;

constexpr std::uint32_t thread_of(Stamp s) { return s & 1023; }
constexpr std::uint32_t time_of(Stamp s) { return (s >> kTimeAt) & ((1 << (kBlockAt - kTimeAt)) - 1); }
constexpr std::uint32_t block_of(Stamp s) { return (s >> kBlockAt) & 0xffff; }
constexpr std::uint32_t launch_of(Stamp s) { return (s >> kLaunchAt) & (kLaunches - 1); }
constexpr std::uint32_t bytes_of(Stamp s) { return (s >> kBytesAt) & 3; }
/// A read stamp stands for one thread, several of a warp, several warps of a block, or several blocks.
enum Breadth : std::uint32_t { one_thread, one_warp, one_block, many_blocks };
constexpr Breadth breadth_of(Stamp s) { return static_cast<Breadth>((s >> kBreadthAt) & 3); }

struct Cell {   // of two bytes
  Stamp write = 0, read = 0;
  std::int32_t write_site = 0, read_site = 0;   // return addresses, from an anchor in this program
};
constexpr std::size_t kGranule = 2;

Cell* arena_cells = nullptr;
Cell* worker_shared_cells() {
  struct Cells {
    Cell* cells = reinterpret_cast<Cell*>(reserve(kSharedArena / kGranule * sizeof(Cell)));
    ~Cells() { munmap(cells, kSharedArena / kGranule * sizeof(Cell)); }
  };
  thread_local Cells c;
  return c.cells;
}

// Cells of global memory are shared by the workers. A stamp is one word, so it is never torn; a lost update may hide a race, never make one.
Stamp load(const Stamp& s) { return __atomic_load_n(&s, __ATOMIC_RELAXED); }
void store(Stamp& s, Stamp v) { __atomic_store_n(&s, v, __ATOMIC_RELAXED); }

std::int32_t offset_of(const void* site) {
  return static_cast<std::int32_t>(static_cast<const char*>(site) - reinterpret_cast<const char*>(&make_shadow));
}
const void* site_of(std::int32_t offset) { return reinterpret_cast<const char*>(&make_shadow) + offset; }

/// Has the block of stamp s published what it did then, and has t's block seen that?
bool ordered_across_blocks(Stamp s, const Thread& t) {
  const Launch& l = *t.block->launch;
  const std::uint64_t seen = l.published[t.block->linear].acquired.load(std::memory_order_relaxed);
  if (seen == 0) return false;
  if (breadth_of(s) == many_blocks || l.blocks() > 0x10000) return true;   // no way to tell whom to ask: no accusation
  const Published& other = l.published[block_of(s)];
  const std::uint64_t released = other.released.load(std::memory_order_relaxed);
  const std::uint32_t fence = other.fence.load(std::memory_order_relaxed), release = other.release.load(std::memory_order_relaxed);
  return released != 0 && released <= seen && time_of(s) < fence && time_of(s) <= release;
}

/// Does everything that s stands for come before what t does now?
bool ordered(Stamp s, const Thread& t, Stamp me) {
  if (s == 0 || launch_of(s) != launch_of(me)) return true;
  if (block_of(s) != block_of(me) || breadth_of(s) == many_blocks) return ordered_across_blocks(s, t);
  if (time_of(s) < t.block->time) return true;
  if (breadth_of(s) == one_thread && thread_of(s) == t.linear) return true;
  if (breadth_of(s) == one_block || static_cast<int>(thread_of(s)) / kWarp != t.warp()) return false;
  const std::uint32_t* known = t.block->warps[t.warp()].known[t.lane()];
  if (breadth_of(s) == one_thread) return time_of(s) < known[thread_of(s) % kWarp];
  for (int lane = 0; lane < kWarp; ++lane)   // which lanes is not known: lenient
    if (lane != t.lane() && time_of(s) < known[lane]) return true;
  return false;
}

[[gnu::noinline, noreturn]] void report_race(Thread& t, Stamp other, std::int32_t other_site, bool other_wrote, Access kind, const void* p,
                                             const void* site, bool shared) {
  const Outside outside;
  std::string who = "thread " + std::to_string(thread_of(other));
  switch (breadth_of(other)) {
    case one_thread: break;
    case one_warp: who = "several lanes of warp " + std::to_string(thread_of(other) / kWarp); break;
    case one_block: who = "several warps"; break;
    case many_blocks: who = "several blocks"; break;
  }
  const bool same_block = block_of(other) == (t.block->linear & 0xffff) && breadth_of(other) != many_blocks;
  if (!same_block && breadth_of(other) != many_blocks) who += " of block number " + std::to_string(block_of(other));
  std::string what = kind == Access::read ? "reads " : kind == Access::write ? "writes " : "changes atomically ";
  what += shared ? "shared memory, offset " + std::to_string(static_cast<const std::byte*>(p) - t.block->shared) : "global memory";
  if (!shared) {
    const Place a = nearest_allocation(p);
    what += ", byte " + std::to_string(static_cast<const std::byte*>(p) - a.start) + " of " + std::to_string(a.bytes);
  }
  what += ", which " + who + (other_wrote ? " wrote" : " read") + ", and nothing orders the two";
  std::vector<std::string> also{"the other access: " + where(site_of(other_site)).text()};
  if (!same_block) also.push_back("blocks of one launch run in any order; nothing orders their memory");
  t.block->stopped().fail(t, Mistake::race, site, std::move(what), std::move(also));
}

[[gnu::noinline, noreturn]] void report_state(Thread& t, const void* p, std::size_t bytes, Access kind, const void* site, bool shared,
                                              const std::uint8_t* states) {
  const Outside outside;
  const std::string verb = (kind == Access::read ? "reads " : "writes ") + std::to_string(bytes) + " bytes ";
  std::uint8_t seen = 0;
  bool beyond = false;
  for (std::size_t i = 0; i < bytes; ++i) {
    seen |= states[i];
    beyond |= !(states[i] & state::allocated);
  }
  const std::byte* q = static_cast<const std::byte*>(p);
  if (shared) {
    const std::string at = "at offset " + std::to_string(q - t.block->shared) + " of shared memory";
    if (beyond)
      t.block->stopped().fail(t, Mistake::out_of_bounds, site,
                              verb + at + ", of which this launch has " + std::to_string(t.block->launch->shared_bytes) + " bytes");
    if (seen & state::in_flight)
      t.block->stopped().fail(t, Mistake::copy_in_flight, site,
                              verb + at + ", where a cp.async that nobody has waited for may still write");
    t.block->stopped().fail(t, Mistake::uninitialised, site, verb + at + ", which this block has not written");
  }
  const Place a = nearest_allocation(p);
  const std::ptrdiff_t offset = q - a.start, end = static_cast<std::ptrdiff_t>(a.bytes);
  if (!beyond)
    t.block->stopped().fail(
        t, Mistake::uninitialised, site,
        verb + "at byte " + std::to_string(offset) + " of an allocation of " + std::to_string(end) + ", which nobody has written");
  std::string place = "far from every allocation";
  if (seen & state::freed)
    place = "in memory that was freed";
  else if (a.start && offset < 0 && offset > -static_cast<std::ptrdiff_t>(kGap) * 64)
    place = std::to_string(-offset) + " bytes before an allocation of " + std::to_string(end);
  else if (a.start && offset + static_cast<std::ptrdiff_t>(bytes) > end && offset < end + static_cast<std::ptrdiff_t>(kGap) * 64)
    place = std::to_string(offset - end) + " bytes past the end of an allocation of " + std::to_string(end);
  t.block->stopped().fail(t, Mistake::out_of_bounds, site, verb + place);
}

[[gnu::noinline]] void check_elsewhere(Thread& t, const void* p, Access kind, const void* site) {
  Block& b = *t.block;
  const Launch& l = *b.launch;
  const std::byte *q = static_cast<const std::byte*>(p), *arguments = static_cast<const std::byte*>(l.arguments.get());
  if (kind == Access::read && q >= arguments && q < arguments + l.argument_bytes) return;
  const Outside outside;
  if (kind == Access::read && is_constant(p)) return;
  for (int n = 0; n < b.count; ++n)
    if (b.threads[n].stack.contains(p))
      b.stopped().fail(t, Mistake::host_memory, site,
                       "local memory of thread " + std::to_string(n) + ": every thread has its own, at the same address");
  if (reinterpret_cast<std::uintptr_t>(p) < 4096) b.stopped().fail(t, Mistake::out_of_bounds, site, "a null pointer");
  b.stopped().fail(t, Mistake::host_memory, site,
                   "address " + hex(reinterpret_cast<std::uintptr_t>(p)) + " is neither global nor shared memory, nor the thread's own");
}

/// All states of n bytes equal to `want`, after those bits that `ignore` names are set?
bool all_states(const std::uint8_t* s, std::size_t n, std::uint8_t ignore, std::uint8_t want) {
  while (n >= 8) {
    std::uint64_t v;
    std::memcpy(&v, s, 8);
    if ((v | 0x0101010101010101u * ignore) != 0x0101010101010101u * want) return false;
    s += 8, n -= 8;
  }
  if (n >= 4) {
    std::uint32_t v;
    std::memcpy(&v, s, 4);
    if ((v | 0x01010101u * ignore) != 0x01010101u * want) return false;
    s += 4, n -= 4;
  }
  for (; n > 0; ++s, --n)
    if ((*s | ignore) != want) return false;
  return true;
}

}   // namespace

void make_shadow() { arena_cells = reinterpret_cast<Cell*>(reserve(kArena / kGranule * sizeof(Cell))); }

std::uint32_t next_launch_number() {
  static std::mutex mutex;
  static std::uint32_t number = 0;
  std::lock_guard lock(mutex);
  make_arena();
  if (++number == kLaunches) {
    number = 1;   // shared memory keeps stale stamps: they name blocks and launches of long ago, which a block soon overwrites
    madvise(arena_cells, kArena / kGranule * sizeof(Cell), MADV_DONTNEED);
  }
  return number;
}

bool on_device(const Thread& t, const void* p) {
  return in_arena(p) || reinterpret_cast<std::uintptr_t>(p) - reinterpret_cast<std::uintptr_t>(t.block->shared) < kSharedArena;
}

void check_access(Thread& t, const void* p, std::size_t bytes, Access kind, const void* site) {
  if (t.stack.contains(p)) return;
  const bool padded = kind == Access::read_padded;
  if (padded) kind = Access::read;
  Block& b = *t.block;
  const std::byte* q = static_cast<const std::byte*>(p);
  const bool shared = static_cast<std::size_t>(q - b.shared) < kSharedArena;
  if (!shared && !in_arena(p)) return check_elsewhere(t, p, kind, site);
  if (reinterpret_cast<std::uintptr_t>(p) & (bytes - 1) && std::has_single_bit(bytes))
    b.stopped().fail(t, Mistake::misaligned, site,
                     std::string(kind == Access::read ? "reads " : "writes ") + std::to_string(bytes) +
                         " bytes at an address that is not a multiple of " + std::to_string(bytes));

  std::uint8_t* states = shared ? worker_shared_state() + (q - b.shared) : arena_state + (q - arena);
  if (kind == Access::write) {
    if (!all_states(states, bytes, state::written, state::readable)) report_state(t, p, bytes, kind, site, shared, states);
    std::memset(states, state::readable, bytes);
  } else if (!all_states(states, bytes, 0, state::readable) &&
             !(padded && all_states(states, bytes, state::written, state::readable) && std::memchr(states, state::readable, bytes))) {
    report_state(t, p, bytes, kind, site, shared, states);
  }

  if (b.counted) {
    const Outside outside;
    if (kind != Access::write)
      b.log.add(site, t.linear, reinterpret_cast<std::uintptr_t>(p), bytes, shared ? Space::shared : Space::global, false);
    if (kind != Access::read)
      b.log.add(site, t.linear, reinterpret_cast<std::uintptr_t>(p), bytes, shared ? Space::shared : Space::global, true);
  }

  const Stamp me = Stamp{t.linear} | Stamp{t.time & 0xfffff} << kTimeAt | Stamp{b.linear & 0xffff} << kBlockAt |
                   Stamp{b.launch->number} << kLaunchAt | (kind == Access::atomic ? kAtomic : 0);
  const std::size_t first = (shared ? q - b.shared : q - arena) / kGranule;
  const std::size_t last = (static_cast<std::size_t>(shared ? q - b.shared : q - arena) + bytes - 1) / kGranule;
  Cell* cells = shared ? worker_shared_cells() : arena_cells;
  const Stamp touched = (bytes == 1 ? Stamp{1} << (reinterpret_cast<std::uintptr_t>(p) & 1) : Stamp{3}) << kBytesAt;
  const Stamp mine = me | touched;
  for (std::size_t i = first; i <= last; ++i) {
    Cell& c = cells[i];
    // This worker's shared memory was another block's before: what that did is over.
    const auto current_stamp = [&](const Stamp& stamp) {
      const Stamp v = load(stamp);
      return shared && ((v ^ me) & kWhere) ? 0 : v;
    };
    const Stamp w = current_stamp(c.write);
    const bool own_write = ((w ^ mine) & kWho) == 0;
    if (!own_write && (bytes_of(w) & bytes_of(mine)) && !(w & me & kAtomic) && !ordered(w, t, me))
      report_race(t, w, c.write_site, true, kind, p, site, shared);
    const Stamp r = current_stamp(c.read);
    if (kind == Access::read) {
      if (r == mine) continue;
      if (launch_of(r) == launch_of(me) && !ordered(r, t, me)) {   // both may still meet a writer: remember that there are several
        Stamp breadth = block_of(r) != block_of(me)                          ? many_blocks
                        : static_cast<int>(thread_of(r)) / kWarp != t.warp() ? one_block
                                                                             : one_warp;
        breadth = std::max<Stamp>(breadth, breadth_of(r));
        const Stamp both = (std::max(time_of(r), time_of(me)) == time_of(r) ? r : mine) | (r & Stamp{3} << kBytesAt) | touched;
        const Stamp merged = (both & ~kBreadth) | breadth << kBreadthAt;
        if (merged != r) store(c.read, merged);
      } else {
        store(c.read, mine | (((r ^ mine) & kWho) == 0 ? r & Stamp{3} << kBytesAt : 0));
      }
      c.read_site = offset_of(site);
    } else {
      if ((bytes_of(r) & bytes_of(mine)) && !ordered(r, t, me)) report_race(t, r, c.read_site, false, kind, p, site, shared);
      store(c.write, mine | (own_write ? w & Stamp{3} << kBytesAt : 0));
      c.write_site = offset_of(site);
      if (!(bytes_of(r) & ~bytes_of(mine))) store(c.read, 0);
    }
  }
}

void check_host_access(const void* p, const void* site) {
  if (!in_arena(p) || device_has_failed()) return;
  Report r;
  r.mistake = Mistake::device_memory;
  r.at = where(site);
  r.what = "the host cannot read or write global memory; copy with cudaMemcpyAsync";
  device_failed(std::move(r));
}

void mark_in_flight(const Thread& t, const std::byte* p, std::size_t bytes, bool begins) {
  std::uint8_t* states = worker_shared_state() + (p - t.block->shared);
  for (std::size_t i = 0; i < bytes; ++i) states[i] = begins ? states[i] | state::in_flight : states[i] & ~state::in_flight;
}

}   // namespace fovea::emulator
