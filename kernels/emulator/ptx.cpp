// ptx.cpp: asynchronous copies and the tensor core. PTX ISA, "Data Movement: cp.async", "Warp Level Matrix Instructions".
#include "kernels/emulator/ptx.h"

#include <bit>
#include <cstring>
#include <utility>

#include "kernels/emulator/block.h"
#include "kernels/emulator/launch.h"
#include "kernels/emulator/memory.h"
#include "kernels/emulator/shadow.h"
#include "kernels/emulator/state.h"

#define FOVEA_SITE __builtin_return_address(0)

namespace fovea::emulator {

// ---- cp.async --------------------------------------------------------------------------------------------------------------

namespace {

void move(const AsyncCopy& c) {
  const Outside outside;
  if (c.read > 0) std::memcpy(c.to, c.from, c.read);   // else `from` may be anything
  std::memset(c.to + c.read, 0, c.bytes - c.read);
}

/// The first n copies have arrived: what they wrote is this thread's writing, as of now.
void arrive(Thread& t, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const AsyncCopy& c = t.copies[i];
    if (t.block->launch->schedule.late_copies) move(c);
    if (!t.block->checked) continue;
    mark_in_flight(t, c.to, c.bytes, false);
    const bool counted = std::exchange(t.block->counted, false);   // it was counted when it was issued
    check(t, c.to, c.bytes, Access::write, c.site);
    t.block->counted = counted;
  }
  t.copies.erase(t.copies.begin(), t.copies.begin() + static_cast<std::ptrdiff_t>(n));
}

}   // namespace

void copy_async(void* to, const void* from, int bytes, int read) {
  Thread& t = *current;
  const void* site = FOVEA_SITE;
  const AsyncCopy c{.to = static_cast<std::byte*>(to),
                    .from = static_cast<const std::byte*>(from),
                    .bytes = static_cast<std::uint8_t>(bytes),
                    .read = static_cast<std::uint8_t>(read),
                    .site = site};
  const auto bad = [&](const char* what) { t.block->stopped().fail(t, Mistake::bad_argument, site, std::string("cp.async: ") + what); };
  if (bytes != 4 && bytes != 8 && bytes != 16) bad("it moves 4, 8 or 16 bytes");
  if (read < 0 || read > bytes) bad("it reads between 0 and all of its bytes");
  if (static_cast<std::size_t>(c.to - t.block->shared) >= t.block->launch->shared_bytes) bad("the target is not in shared memory");
  if (reinterpret_cast<std::uintptr_t>(from) % bytes != 0)
    t.block->stopped().fail(t, Mistake::misaligned, site, "cp.async from " + hex(reinterpret_cast<std::uintptr_t>(from)));
  if (read > 0 && !in_arena(from)) bad("the source is not in global memory");
  if (t.block->checked) {
    // It reads and writes from now on; nobody may still be using the target.
    if (read == bytes)
      check(t, from, bytes, Access::read, site);
    else
      for (int i = 0; i < read; ++i) check(t, c.from + i, 1, Access::read, site);
    check(t, to, bytes, Access::write, site);
    mark_in_flight(t, c.to, bytes, true);
  }
  if (t.block->counted) {
    const Outside outside;
    std::lock_guard lock(t.block->launch->mutex);
    t.block->launch->counters.async_bytes += read;
  }
  if (!t.block->launch->schedule.late_copies) move(c);
  t.copies.push_back(c);
}

void copy_async_commit() { current->groups.push_back({static_cast<std::uint32_t>(current->copies.size())}); }

void copy_async_wait(int newest) {
  Thread& t = *current;
  if (static_cast<int>(t.groups.size()) <= newest) return;
  const std::size_t done = t.groups.size() - newest;
  const std::uint32_t n = t.groups[done - 1].end;
  arrive(t, n);
  t.groups.erase(t.groups.begin(), t.groups.begin() + static_cast<std::ptrdiff_t>(done));
  for (CopyGroup& g : t.groups) g.end -= n;
}

// ---- ldmatrix ---------------------------------------------------------------------------------------------------------------

namespace {

void need_all_lanes(Block& b, int warp, unsigned lanes) {
  if (lanes == kFullWarp) return;
  const Thread& t = b.threads[warp * kWarp + std::countr_zero(lanes)];
  b.stopped().fail(t, Mistake::wrong_mask, t.site,
                   std::string(t.op.name) + " needs all 32 lanes; " + std::to_string(kWarp - std::popcount(lanes)) +
                       " do not exist or have left the kernel");
}

struct MatrixRecord {
  std::uint16_t row[8];   // that this lane pointed at
  std::uint32_t result[4];
};
template <bool transpose> void complete_load_matrices(Block& b, int warp, unsigned lanes, void* const* records) {
  need_all_lanes(b, warp, lanes);
  for (int lane = 0; lane < kWarp; ++lane) {
    auto& mine = *static_cast<MatrixRecord*>(records[lane]);
    for (int i = 0; i < 4; ++i) {
      const auto element = [&](int r, int c) {
        return static_cast<const MatrixRecord*>(records[8 * i + (transpose ? c : r)])->row[transpose ? r : c];
      };
      const int r = lane / 4, c = lane % 4 * 2;
      mine.result[i] = element(r, c) | std::uint32_t{element(r, c + 1)} << 16;
    }
  }
}

}   // namespace

Wide load_matrices(const void* row, bool transpose) {
  Thread& t = *current;
  const void* site = FOVEA_SITE;
  MatrixRecord record{};
  if (static_cast<std::size_t>(static_cast<const std::byte*>(row) - t.block->shared) >= kSharedArena)
    t.block->stopped().fail(t, Mistake::bad_argument, site, "ldmatrix: the row is not in shared memory");
  if (t.block->checked) check(t, row, 16, Access::read, site);
  std::memcpy(record.row, row, 16);
  const auto complete = transpose ? complete_load_matrices<true> : complete_load_matrices<false>;
  t.block->warp_op(t, {.complete = complete, .name = "ldmatrix", .mask = kFullWarp, .record = &record}, site);
  return std::bit_cast<Wide>(record.result);
}

// ---- mma.sync -----------------------------------------------------------------------------------------------------------------

namespace {

struct MmaRecord {
  std::uint32_t a[4], b[2];
  Accumulators c;
};

/// C += A B of a 16 x k by k x 8 product, summed in double: the card's sums keep a few bits beyond float, in an order that is not
/// documented, so a kernel may rely on neither.
template <int k> void multiply(const double (&a)[16][k], const double (&b)[k][8], void* const* records) {
  for (int lane = 0; lane < kWarp; ++lane) {
    Accumulators& c = static_cast<MmaRecord*>(records[lane])->c;
    const int g = lane / 4, t = lane % 4;
    for (int half = 0; half < 2; ++half) {
      double s0 = c.v[2 * half], s1 = c.v[2 * half + 1];
      for (int i = 0; i < k; ++i) {
        s0 += a[g + 8 * half][i] * b[i][2 * t];
        s1 += a[g + 8 * half][i] * b[i][2 * t + 1];
      }
      c.v[2 * half] = static_cast<float>(s0);
      c.v[2 * half + 1] = static_cast<float>(s1);
    }
  }
}

double low_bf16(std::uint32_t pair) { return std::bit_cast<float>(pair << 16); }
double high_bf16(std::uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); }
void complete_mma_bf16(Block& block, int warp, unsigned lanes, void* const* records) {
  need_all_lanes(block, warp, lanes);
  double a[16][16], b[16][8];
  for (int lane = 0; lane < kWarp; ++lane) {
    const auto& r = *static_cast<const MmaRecord*>(records[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const int row = g + 8 * (i % 2), k = 2 * t + 8 * (i / 2);
      a[row][k] = low_bf16(r.a[i]);
      a[row][k + 1] = high_bf16(r.a[i]);
    }
    for (int i = 0; i < 2; ++i) {
      const int k = 2 * t + 8 * i;
      b[k][g] = low_bf16(r.b[i]);
      b[k + 1][g] = high_bf16(r.b[i]);
    }
  }
  multiply(a, b, records);
}

double tf32(std::uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); }
void complete_mma_tf32(Block& block, int warp, unsigned lanes, void* const* records) {
  need_all_lanes(block, warp, lanes);
  double a[16][8], b[8][8];
  for (int lane = 0; lane < kWarp; ++lane) {
    const auto& r = *static_cast<const MmaRecord*>(records[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) a[g + 8 * (i % 2)][t + 4 * (i / 2)] = tf32(r.a[i]);
    for (int i = 0; i < 2; ++i) b[t + 4 * i][g] = tf32(r.b[i]);
  }
  multiply(a, b, records);
}

Accumulators mma(MmaRecord& record, WarpOp::Complete complete, const char* name, std::uint64_t flops, const void* site) {
  Thread& t = *current;
  t.block->warp_op(t, {.complete = complete, .name = name, .mask = kFullWarp, .record = &record}, site);
  if (t.block->counted && t.lane() == 0) {
    const Outside outside;
    std::lock_guard lock(t.block->launch->mutex);
    ++t.block->launch->counters.mma;
    t.block->launch->counters.mma_flops += flops;
  }
  return record.c;
}

}   // namespace

Accumulators mma_bf16(Accumulators c, std::uint32_t a0, std::uint32_t a1, std::uint32_t a2, std::uint32_t a3, std::uint32_t b0,
                      std::uint32_t b1) {
  MmaRecord record{.a = {a0, a1, a2, a3}, .b = {b0, b1}, .c = c};
  return mma(record, complete_mma_bf16, "mma.m16n8k16", 2 * 16 * 8 * 16, FOVEA_SITE);
}
Accumulators mma_tf32(Accumulators c, std::uint32_t a0, std::uint32_t a1, std::uint32_t a2, std::uint32_t a3, std::uint32_t b0,
                      std::uint32_t b1) {
  MmaRecord record{.a = {a0, a1, a2, a3}, .b = {b0, b1}, .c = c};
  return mma(record, complete_mma_tf32, "mma.m16n8k8", 2 * 16 * 8 * 8, FOVEA_SITE);
}

}   // namespace fovea::emulator
