// block.cpp: scheduling, the block's barrier, warp-wide meetings, and what is said when they go wrong.
#include "kernels/emulator/block.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "kernels/emulator/faults.h"
#include "kernels/emulator/launch.h"
#include "kernels/emulator/memory.h"
#include "kernels/emulator/shadow.h"
#include "kernels/emulator/state.h"

namespace fovea::emulator {

__thread Thread* current = nullptr;

namespace {

// The bottom of every fiber.
void thread_main() {
  Thread& t = *current;
  const Launch& l = *t.block->launch;
  l.invoke(l.kernel, l.arguments.get());
  t.block->exit(t);
}

std::string plural(std::size_t n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

}   // namespace

void Block::run(Launch& l, std::uint64_t i) {
  launch = &l;
  checked = l.checked;
  counted = l.counted;
  linear = i;
  index = {static_cast<unsigned>(i % l.grid.x), static_cast<unsigned>(i / l.grid.x % l.grid.y),
           static_cast<unsigned>(i / (std::uint64_t{l.grid.x} * l.grid.y))};
  count = l.threads();
  exited = arrived = 0;
  time = 0;
  max_time = 1;
  uint3 at{};
  for (int n = 0; n < count; ++n) {
    Thread& t = threads[n];
    t.block = this;
    t.stack = stacks_[n];
    t.stack_pointer = fresh_fiber(t.stack, thread_main);
    t.index = at;
    t.linear = static_cast<std::uint16_t>(n);
    t.state = Thread::State::ready;
    t.time = 1;
    t.copies.clear();
    t.groups.clear();
    if (++at.x == l.block.x) at.x = 0, ++at.y;
    if (at.y == l.block.y) at.y = 0, ++at.z;
  }
  for (int w = 0; w * kWarp < count; ++w) {
    const int lanes = std::min(kWarp, count - w * kWarp);
    warps[w].exists = warps[w].live = lanes == kWarp ? kFullWarp : (1u << lanes) - 1;
    warps[w].waiting = 0;
    if (l.checked) std::memset(warps[w].known, 0, sizeof warps[w].known);
  }
  shared = worker_shared_memory();
  begin_shared(shared, l.shared_bytes, l.checked);
  begin_order();
  log.clear();

  catch_faults();
  current = pick();
  fovea_emulator_switch(&host_, current->stack_pointer);   // comes back when all threads are through, or one has failed
  current = nullptr;
  if (l.counted) {
    std::lock_guard lock(l.mutex);
    log.flush(l.counters);
  }
}

// ---- who is next -----------------------------------------------------------------------------------------------------

std::uint64_t Block::random() {   // SplitMix64
  std::uint64_t z = random_state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Lays the threads out in slots, so that "the next ready slot" is the schedule's choice.
void Block::begin_order() {
  random_state_ = launch->schedule.seed * 0x9e3779b97f4a7c15u + linear;   // the block's number, not the worker's: repeatable
  const Order order = launch->schedule.order;
  std::uint16_t warp_at[kMaxThreads / kWarp];
  const int warp_count = (count + kWarp - 1) / kWarp;
  for (int w = 0; w < warp_count; ++w) warp_at[w] = static_cast<std::uint16_t>(w);
  if (order == Order::warp_ahead)
    for (int w = warp_count - 1; w > 0; --w) std::swap(warp_at[w], warp_at[random() % (w + 1)]);
  int slot = 0;
  for (int w = 0; w < warp_count; ++w)
    for (int n = warp_at[w] * kWarp; n < std::min(count, (warp_at[w] + 1) * kWarp); ++n, ++slot)
      at_slot_[order == Order::descending ? count - 1 - slot : slot] = static_cast<std::uint16_t>(n);
  for (int s = 0; s < count; ++s) threads[at_slot_[s]].slot = static_cast<std::uint16_t>(s);
  for (int w = 0; w < kMaxThreads / 64; ++w) {
    const int bits = std::clamp(count - w * 64, 0, 64);
    ready_[w] = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  }
  last_slot_ = -1;
}

Thread* Block::pick() {
  int from = 0;
  if (launch->schedule.order == Order::random)
    from = static_cast<int>(random() % count);
  else if (launch->schedule.order != Order::warp_ahead)
    from = last_slot_ + 1 == count ? 0 : last_slot_ + 1;
  // The first ready slot at or after `from`, around the end: words from/64 .. and back to it.
  const int words = (count + 63) / 64;
  int w = from / 64;
  std::uint64_t bits = ready_[w] & (~std::uint64_t{0} << (from % 64));
  for (int step = 0; step <= words; ++step) {
    if (bits) {
      last_slot_ = w * 64 + std::countr_zero(bits);
      return &threads[at_slot_[last_slot_]];
    }
    w = w + 1 == words ? 0 : w + 1;
    bits = ready_[w];
  }
  return nullptr;
}

void Block::make_ready(Thread& t) {
  t.state = Thread::State::ready;
  ready_[t.slot / 64] |= std::uint64_t{1} << (t.slot % 64);
}

/// Runs somebody else, if t waits; or whom the schedule likes, t included.
void Block::yield(Thread& t) {
  Thread* next = pick();
  if (!next) report_deadlock();
  if (next == &t) return;
  current = next;
  fovea_emulator_switch(&t.stack_pointer, next->stack_pointer);
}

void Block::exit(Thread& t) {
  t.state = Thread::State::exited;
  ready_[t.slot / 64] &= ~(std::uint64_t{1} << (t.slot % 64));
  ++exited;
  if (arrived > 0) {
    const Thread* waiter = threads;
    while (waiter->state != Thread::State::at_barrier) ++waiter;
    stopped().fail(*waiter, Mistake::exited_at_barrier, waiter->site,
                   plural(arrived, "thread") + " of " + std::to_string(count) + " wait here in " + waiter->waits_in + ", but thread " +
                       std::to_string(t.linear) + " has left the kernel");
  }
  Warp& warp = warps[t.warp()];
  warp.live &= ~(1u << t.lane());
  for (unsigned lanes = warp.waiting; lanes; lanes &= lanes - 1)   // they may have waited for this lane alone
    if (try_complete(threads[t.warp() * kWarp + std::countr_zero(lanes)])) break;
  Thread* next = pick();
  if (!next && exited < count) report_deadlock();
  current = next;
  void* nowhere;
  fovea_emulator_switch(&nowhere, next ? next->stack_pointer : host_);
  __builtin_unreachable();
}

// ---- barriers and meetings ---------------------------------------------------------------------------------------------

unsigned Block::barrier(Thread& t, unsigned vote, unsigned (*combine)(const Block&), const char* name, const void* site) {
  if (exited > 0) {
    int gone = 0;
    while (threads[gone].state != Thread::State::exited) ++gone;
    stopped().fail(t, Mistake::exited_at_barrier, site,
                   std::string("this thread reached ") + name + ", but " + plural(exited, "thread") + " of " + std::to_string(count) +
                       " have left the kernel already, thread " + std::to_string(gone) + " among them");
  }
  t.state = Thread::State::at_barrier;
  t.site = site;
  t.waits_in = name;
  t.vote = vote;
  ready_[t.slot / 64] &= ~(std::uint64_t{1} << (t.slot % 64));
  combine_ = combine;
  if (++arrived == count) complete_barrier(t);
  yield(t);
  return vote_result;
}

void Block::complete_barrier(Thread& last) {
  for (int n = 0; n < count; ++n)
    if (threads[n].site != last.site || threads[n].waits_in != last.waits_in) {
      const Outside outside;   // compilers copy code, calls of barriers included: what counts is the line
      const Where here = where(last.site), there = where(threads[n].site);
      if (threads[n].waits_in == last.waits_in && here.line == there.line && here.file == there.file) continue;
      stopped().fail(last, Mistake::divergent_barrier, last.site,
                     std::string("the threads of the block meet in different barriers: this one in ") + last.waits_in, waiters());
    }
  vote_result = combine_ ? combine_(*this) : 0;
  arrived = 0;
  time = ++max_time;
  for (int n = 0; n < count; ++n) {
    threads[n].time = time;
    make_ready(threads[n]);
  }
  if (launch->counted) {
    const Outside outside;
    std::lock_guard lock(launch->mutex);
    log.flush(launch->counters);
    ++launch->counters.barriers;
  }
}

void Block::warp_op(Thread& t, const WarpOp& op, const void* site) {
  Warp& warp = warps[t.warp()];
  if (!(op.mask >> t.lane() & 1))
    stopped().fail(t, Mistake::wrong_mask, site,
                   std::string(op.name) + ": the mask " + hex(op.mask) + " does not name the calling lane, " + std::to_string(t.lane()));
  t.state = Thread::State::in_warp_op;
  t.site = site;
  t.waits_in = op.name;
  t.op = op;
  warp.waiting |= 1u << t.lane();
  ready_[t.slot / 64] &= ~(std::uint64_t{1} << (t.slot % 64));
  try_complete(t);
  yield(t);
}

/// Completes the operation that t waits in if every lane that its mask names, and that has not left the kernel, waits in the same one.
bool Block::try_complete(const Thread& t) {
  Warp& warp = warps[t.warp()];
  const unsigned lanes = t.op.mask & warp.live;
  if ((warp.waiting & lanes) != lanes) return false;
  void* records[kWarp] = {};
  for (unsigned rest = lanes; rest; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const WarpOp& other = threads[t.warp() * kWarp + lane].op;
    if (other.mask != t.op.mask || other.complete != t.op.complete) return false;   // waits for somebody else; may come here later
    records[lane] = other.record;
  }
  t.op.complete(*this, t.warp(), lanes, records);
  warp.waiting &= ~lanes;
  for (unsigned rest = lanes; rest; rest &= rest - 1) make_ready(threads[t.warp() * kWarp + std::countr_zero(rest)]);
  return true;
}

// ---- when it goes wrong ------------------------------------------------------------------------------------------------

std::string hex(std::uint64_t v) {
  char text[24];
  std::snprintf(text, sizeof text, "%#lx", static_cast<unsigned long>(v));
  return text;
}

/// "threads 0-15 (16): softmax_cuda.cu:33, __shfl_xor_sync, mask 0xffff"
std::vector<std::string> Block::waiters() const {
  std::map<std::string, std::vector<int>> by_place;
  for (int n = 0; n < count; ++n) {
    const Thread& t = threads[n];
    if (t.state == Thread::State::exited) {
      by_place["left the kernel"].push_back(n);
    } else if (t.state != Thread::State::ready) {
      std::string place = "wait at " + where(t.site).text() + ", " + t.waits_in;
      if (t.state == Thread::State::in_warp_op) place += ", mask " + hex(t.op.mask);
      by_place[place].push_back(n);
    }
  }
  std::vector<std::string> lines;
  for (const auto& [place, list] : by_place) {
    std::string line = "threads ";
    int ranges = 0;
    for (std::size_t i = 0; i < list.size();) {
      std::size_t j = i;
      while (j + 1 < list.size() && list[j + 1] == list[j] + 1) ++j;
      if (++ranges <= 4)
        line += (ranges > 1 ? ", " : "") + std::to_string(list[i]) + (j > i ? "-" + std::to_string(list[j]) : "");
      else if (ranges == 5)
        line += ", ...";
      i = j + 1;
    }
    lines.push_back(line + " (" + std::to_string(list.size()) + ") " + place);
  }
  return lines;
}

void Block::report_deadlock() {
  const Outside outside;
  const Thread* first = threads;   // in a warp operation, if any: that is where the fault is, and a barrier only waits for it
  for (int n = count - 1; n >= 0; --n)
    if (threads[n].state == Thread::State::at_barrier) first = &threads[n];
  for (int n = count - 1; n >= 0; --n)
    if (threads[n].state == Thread::State::in_warp_op) first = &threads[n];
  if (first->state == Thread::State::in_warp_op) {
    const Warp& warp = warps[first->warp()];
    for (unsigned rest = first->op.mask & warp.live; rest; rest &= rest - 1) {
      const Thread& other = threads[first->warp() * kWarp + std::countr_zero(rest)];
      const bool same = other.state == Thread::State::in_warp_op && other.op.complete == first->op.complete;
      if (same && other.op.mask == first->op.mask) continue;
      const std::string named =
          std::string(first->waits_in) + " with mask " + hex(first->op.mask) + " waits for lane " + std::to_string(other.lane());
      if (same) stopped().fail(*first, Mistake::wrong_mask, first->site, named + ", which came with mask " + hex(other.op.mask), waiters());
      stopped().fail(*first, Mistake::deadlock, first->site, named + ", which waits elsewhere", waiters());
    }
  }
  stopped().fail(*first, Mistake::deadlock, first->site, "no thread of the block can go on", waiters());
}

Block& Block::stopped() {
  current = nullptr;
  return *this;
}

void Block::fail(const Thread& t, Mistake m, const void* site, std::string what, std::vector<std::string> also) {
  if (!launch->failed.exchange(true)) {
    Report r{.mistake = m, .kernel = function_name(launch->kernel), .at = where(site), .what = std::move(what), .also = std::move(also)};
    r.block[0] = index.x, r.block[1] = index.y, r.block[2] = index.z;
    r.thread[0] = t.index.x, r.thread[1] = t.index.y, r.thread[2] = t.index.z;
    device_failed(std::move(r));
  }
  void* nowhere;   // nobody comes back to these fibers; what their frames own is lost, and device code owns nothing
  fovea_emulator_switch(&nowhere, host_);
  __builtin_unreachable();
}

}   // namespace fovea::emulator
