// mistakes.cu: one small kernel for each kind of mistake. On a card most of them give the right result most of the time; the emulator must
// stop at the line that the comment marks, whatever the schedule.
#include "kernels/cuda_ptx.h"
#include "tests/emulator/cases.h"

namespace fovea::kernels {
namespace {

constexpr int kThreads = 64;

struct Tile {
  float a[kThreads], b[kThreads];
};

// ---- barriers ---------------------------------------------------------------------------------------------------------------------

__global__ void missing_barrier(float* y) {
  Tile& s = shared_memory<Tile>();
  const int i = threadIdx.x;
  s.a[i] = 0;
  __syncthreads();
  s.a[i] = float(i);                 // WRONG: missing_barrier (whichever comes second)
  y[i] = s.a[(i + 33) % kThreads];   // WRONG: missing_barrier
}

__global__ void missing_barrier_before_reuse(float* y) {
  Tile& s = shared_memory<Tile>();
  const int i = threadIdx.x;
  for (int step = 0; step < 2; ++step) {
    s.a[i] = float(i + step);   // WRONG: missing_barrier_before_reuse (a neighbour may still read)
    __syncthreads();
    y[i] = s.a[kThreads - 1 - i];   // WRONG: missing_barrier_before_reuse
  }
}

__global__ void barrier_in_branches(float* y) {
  if (threadIdx.x < 32) {
    y[threadIdx.x] = 1;
    __syncthreads();   // WRONG: barrier_in_branches
  } else {
    y[threadIdx.x] = 2;
    __syncthreads();   // WRONG: barrier_in_branches
  }
  y[threadIdx.x] += 1;
}

__global__ void barrier_for_some(float* y) {
  if (threadIdx.x % 2 == 0) __syncthreads();   // WRONG: barrier_for_some
  y[threadIdx.x] = 1;
}

__global__ void early_return(float* y, int n) {
  const int i = threadIdx.x;
  if (i >= n) return;
  y[i] = 1;
  __syncthreads();   // WRONG: early_return
  y[i] += 1;
}

__global__ void different_barriers(float* y) {
  y[threadIdx.x] = 1;
  if (threadIdx.x < 16)
    __syncwarp();   // WRONG: different_barriers
  else
    __syncthreads();   // WRONG: different_barriers
}

// ---- bounds and alignment -------------------------------------------------------------------------------------------------------------

__global__ void off_by_one_in_a_tile(float* y) {
  Tile& s = shared_memory<Tile>();
  s.a[threadIdx.x] = s.b[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s.a[threadIdx.x + 1];   // WRONG: off_by_one_in_a_tile (the last meets b, which is there)
}

__global__ void off_by_one_in_shared_memory(float* y) {
  float* s = shared_memory<Tile>().a;
  s[threadIdx.x] = s[threadIdx.x + kThreads] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x + kThreads + 1];   // WRONG: off_by_one_in_shared_memory
}

__global__ void off_by_one_in_global_memory(const float* x, float* y, int n) {
  const int i = threadIdx.x;
  if (i <= n) y[i] = x[0];   // WRONG: off_by_one_in_global_memory
}

__global__ void memcpy_too_far(const float* x, float* y, int n) {
  __builtin_memcpy(y, x, n * sizeof(float));   // WRONG: memcpy_too_far
}

__global__ void before_the_start(const float* x, float* y) {
  y[threadIdx.x] = x[int(threadIdx.x) - 1];   // WRONG: before_the_start
}

__global__ void used_after_it_was_freed(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x];   // WRONG: used_after_it_was_freed
}

__global__ void null_pointer(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x];   // WRONG: null_pointer
}

__global__ void misaligned_vector(const float* x, float* y) {
  const Wide<float> v = load16(x + threadIdx.x);   // WRONG: misaligned_vector
  y[threadIdx.x] = v[0];
}

#ifndef __clang__   // which takes a pair apart before it asks the checker: two accesses, each of them aligned
__global__ void misaligned_pair(const float* x, float* y) {
  const float2 v = *reinterpret_cast<const float2*>(x + threadIdx.x);   // WRONG: misaligned_pair
  y[threadIdx.x] = v.x + v.y;
}
#endif

__global__ void more_shared_memory_than_launched(float* y) {
  struct Large {
    float v[4 * kThreads];
  };
  Large& s = shared_memory<Large>();   // WRONG: more_shared_memory_than_launched
  s.v[threadIdx.x] = 1;
  y[threadIdx.x] = s.v[threadIdx.x];
}

__device__ __attribute__((noinline)) float deep(const float* x, int depth) {   // WRONG: endless_recursion
  float local[1024];
  for (int i = 0; i < 1024; ++i) local[i] = x[0];                                        // WRONG: endless_recursion
  return depth == 0 ? local[int(x[0])] : deep(local, depth - 1) + local[depth % 1024];   // WRONG: endless_recursion
}
__global__ void endless_recursion(const float* x, float* y) { y[threadIdx.x] = deep(x, 1000); }

// ---- whose memory -----------------------------------------------------------------------------------------------------------------------

__global__ void host_pointer(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x];   // WRONG: host_pointer
}

__global__ void local_memory_of_another_thread(float* y) {
  struct Pointers {
    float* p[kThreads];
  };
  Pointers& s = shared_memory<Pointers>();
  float mine[2] = {float(threadIdx.x), 0};
  s.p[threadIdx.x] = mine;
  __syncthreads();
  y[threadIdx.x] = *s.p[(threadIdx.x + 1) % kThreads];   // WRONG: local_memory_of_another_thread
  __syncthreads();
}

bool host_reads_device_memory(const float* p) {
  return *p > 1;   // WRONG: host_reads_device_memory
}

// ---- uninitialised ------------------------------------------------------------------------------------------------------------------------

__global__ void uninitialised_shared(float* y) {
  Tile& s = shared_memory<Tile>();
  s.a[threadIdx.x] = 1;
  y[threadIdx.x] = s.b[threadIdx.x];   // WRONG: uninitialised_shared
}

__global__ void uninitialised_global(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x];   // WRONG: uninitialised_global
}

__global__ void uninitialised_accumulator(float* y) {
  y[threadIdx.x] += 1;   // WRONG: uninitialised_accumulator
}

// ---- races ----------------------------------------------------------------------------------------------------------------------------------

__global__ void two_writers(float* y) {
  y[threadIdx.x / 2] = float(threadIdx.x);   // WRONG: two_writers
}

__global__ void race_between_blocks(float* y) {
  y[threadIdx.x] = float(blockIdx.x);   // WRONG: race_between_blocks
}

__global__ void reads_what_another_block_writes(float* y) {
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  y[i] = y[(i + kThreads) % (2 * kThreads)] + 1;   // WRONG: reads_what_another_block_writes
}

__global__ void last_block_without_fence(float* part, unsigned* done, float* y) {
  part[blockIdx.x * kThreads + threadIdx.x] = 1;
  __syncthreads();   // a __threadfence is missing
  const int last = __syncthreads_or(threadIdx.x == 0 && atomicAdd(done, 1u) == gridDim.x - 1);
  if (!last) return;
  float sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += part[b * kThreads + threadIdx.x];   // WRONG: last_block_without_fence
  y[threadIdx.x] = sum;
}

__global__ void lanes_in_step(float* y) {
  Tile& s = shared_memory<Tile>();
  const int lane = threadIdx.x;
  s.a[lane] = 0;
  __syncwarp();
  s.a[lane] = float(lane);   // WRONG: lanes_in_step (if it comes second)
  y[lane] = s.a[lane ^ 1];   // WRONG: lanes_in_step
}

__global__ void shuffle_is_no_barrier(float* y) {
  Tile& s = shared_memory<Tile>();
  const int lane = threadIdx.x;
  s.a[lane] = 0;
  __syncwarp();
  s.a[lane] = float(lane);
  const float sum = warp_all_reduce(1.f, Sum{});   // all lanes meet, but memory is not ordered
  y[lane] = sum + s.a[lane ^ 1];                   // WRONG: shuffle_is_no_barrier
}

__global__ void plain_read_of_a_counter(unsigned* count, float* y) {
  y[threadIdx.x] = float(*count);   // WRONG: plain_read_of_a_counter
  atomicAdd(count, 1u);             // WRONG: plain_read_of_a_counter
}

__global__ void racing_halves(bfloat16* y) {
  y[threadIdx.x] = bfloat16(1.f);               // WRONG: racing_halves
  if (threadIdx.x == 5) y[6] = bfloat16(2.f);   // WRONG: racing_halves
}

// ---- asynchronous copies ------------------------------------------------------------------------------------------------------------------

__global__ void missing_wait(const float* x, float* y) {
  Tile& s = shared_memory<Tile>();
  copy_async<4>(&s.a[threadIdx.x], x + threadIdx.x);
  copy_async_commit();
  __syncthreads();
  y[threadIdx.x] = s.a[threadIdx.x];   // WRONG: missing_wait
}

__global__ void wait_for_the_wrong_group(const float* x, float* y) {
  Tile& s = shared_memory<Tile>();
  copy_async<4>(&s.a[threadIdx.x], x + threadIdx.x);
  copy_async_commit();
  copy_async<4>(&s.b[threadIdx.x], x + threadIdx.x);
  copy_async_commit();
  copy_async_wait<1>();
  y[threadIdx.x] = s.a[threadIdx.x];
  y[threadIdx.x] += s.b[threadIdx.x];   // WRONG: wait_for_the_wrong_group
}

__global__ void waited_but_no_barrier(const float* x, float* y) {
  Tile& s = shared_memory<Tile>();
  s.a[threadIdx.x] = 0;
  __syncthreads();
  copy_async<4>(&s.a[threadIdx.x], x + threadIdx.x);   // WRONG: waited_but_no_barrier (if it comes second)
  copy_async_commit();
  copy_async_wait<0>();
  y[threadIdx.x] = s.a[threadIdx.x ^ 32];   // WRONG: waited_but_no_barrier
}

// ---- warp operations ------------------------------------------------------------------------------------------------------------------------

__global__ void mask_without_the_caller(float* y) {
  y[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, float(threadIdx.x), 1);   // WRONG: mask_without_the_caller
}

__global__ void mask_of_lanes_elsewhere(float* y) {
  float v = float(threadIdx.x);
  if (threadIdx.x % 32 < 16) v = __shfl_xor_sync(0xffffffffu, v, 1);   // WRONG: mask_of_lanes_elsewhere
  __syncthreads();
  y[threadIdx.x] = v;
}

__global__ void masks_that_disagree(float* y) {
  const unsigned mask = threadIdx.x % 32 < 8 ? 0x00ffffffu : 0xffffffffu;
  y[threadIdx.x] = float(__ballot_sync(mask, 1));   // WRONG: masks_that_disagree
}

__global__ void shuffle_from_outside_the_mask(float* y) {
  const float v = float(threadIdx.x);
  y[threadIdx.x] = threadIdx.x % 32 < 16 ? __shfl_sync(0x0000ffffu, v, 20) : v;   // WRONG: shuffle_from_outside_the_mask
}

__global__ void shuffle_from_one_who_left(float* y) {
  if (threadIdx.x == 31) return;
  y[threadIdx.x] = __shfl_sync(0xffffffffu, float(threadIdx.x), 31);   // WRONG: shuffle_from_one_who_left
}

__global__ void mma_of_half_a_warp(float* y) {
  if (threadIdx.x >= 16) return;
  float c[4] = {};
  const std::uint32_t a[4] = {};
  mma_bf16(c, a, 0, 0);   // WRONG: mma_of_half_a_warp
  y[threadIdx.x] = c[0];
}

// ---- how each is launched ------------------------------------------------------------------------------------------------------------------

template <class T> T* device(std::size_t n, bool written = true) {
  T* p = nullptr;
  check_cuda(cudaMalloc(&p, n * sizeof(T)), "cudaMalloc");
  if (written) check_cuda(cudaMemset(p, 0, n * sizeof(T)), "cudaMemset");
  return p;
}
const LaunchShape kOne{.grid = 1, .block = kThreads, .smem = sizeof(Tile)};
const LaunchShape kWarpOnly{.grid = 1, .block = 32, .smem = sizeof(Tile)};
const LaunchShape kTwo{.grid = 2, .block = kThreads, .smem = sizeof(Tile)};
void wait() { check_cuda(cudaDeviceSynchronize(), "wait"); }

template <auto kernel> void run_y() {
  launch(kernel, kOne, device<float>(2 * kThreads));
  wait();
}
template <auto kernel> void run_warp() {
  launch(kernel, kWarpOnly, device<float>(2 * kThreads));
  wait();
}
template <auto kernel> void run_xy() {
  launch(kernel, kOne, static_cast<const float*>(device<float>(2 * kThreads)), device<float>(2 * kThreads));
  wait();
}
template <auto kernel> void run_blocks() {
  launch(kernel, kTwo, device<float>(2 * kThreads));
  wait();
}

}   // namespace

const std::vector<Case>& mistakes() {
  using enum emulator::Mistake;
  static const std::vector<Case> cases{
      {"missing_barrier", race, run_y<missing_barrier>},
      {"missing_barrier_before_reuse", race, run_y<missing_barrier_before_reuse>},
      {"barrier_in_branches", divergent_barrier, run_y<barrier_in_branches>},
      {"barrier_for_some", exited_at_barrier, run_y<barrier_for_some>},
      {"early_return", exited_at_barrier, [] { launch(early_return, kOne, device<float>(kThreads), 40), wait(); }},
      {"different_barriers", deadlock, run_warp<different_barriers>},
      {"off_by_one_in_a_tile", out_of_bounds, run_y<off_by_one_in_a_tile>},
      {"off_by_one_in_shared_memory", out_of_bounds, run_y<off_by_one_in_shared_memory>},
      {"off_by_one_in_global_memory", out_of_bounds,
       [] { launch(off_by_one_in_global_memory, kOne, static_cast<const float*>(device<float>(1)), device<float>(50), 50), wait(); }},
      {"memcpy_too_far", out_of_bounds,
       [] {
         launch(memcpy_too_far, {.grid = 1, .block = 1}, static_cast<const float*>(device<float>(50)), device<float>(49), 50), wait();
       }},
      {"before_the_start", out_of_bounds, run_xy<before_the_start>},
      {"used_after_it_was_freed", out_of_bounds,
       [] {
         float* x = device<float>(kThreads);
         check_cuda(cudaFree(x), "cudaFree");
         launch(used_after_it_was_freed, kOne, static_cast<const float*>(x), device<float>(kThreads)), wait();
       }},
      {"null_pointer", out_of_bounds,
       [] { launch(null_pointer, kOne, static_cast<const float*>(nullptr), device<float>(kThreads)), wait(); }},
      {"misaligned_vector", misaligned, run_xy<misaligned_vector>},
#ifndef __clang__
      {"misaligned_pair", misaligned, run_xy<misaligned_pair>},
#endif
      {"more_shared_memory_than_launched", out_of_bounds, run_y<more_shared_memory_than_launched>},
      {"host_pointer", host_memory,
       [] {
         static float x[kThreads];
         launch(host_pointer, kOne, static_cast<const float*>(x), device<float>(kThreads)), wait();
       }},
      {"local_memory_of_another_thread", host_memory, run_y<local_memory_of_another_thread>},
      {"host_reads_device_memory", device_memory,
       [] {
         if (!host_reads_device_memory(device<float>(1))) wait();
       }},
      {"uninitialised_shared", uninitialised, run_y<uninitialised_shared>},
      {"uninitialised_global", uninitialised,
       [] {
         launch(uninitialised_global, kOne, static_cast<const float*>(device<float>(kThreads, false)), device<float>(kThreads)), wait();
       }},
      {"uninitialised_accumulator", uninitialised, [] { launch(uninitialised_accumulator, kOne, device<float>(kThreads, false)), wait(); }},
      {"two_writers", race, run_y<two_writers>},
      {"race_between_blocks", race, run_blocks<race_between_blocks>},
      {"reads_what_another_block_writes", race, run_blocks<reads_what_another_block_writes>},
      {"last_block_without_fence", race,
       [] { launch(last_block_without_fence, kTwo, device<float>(2 * kThreads), device<unsigned>(1), device<float>(kThreads)), wait(); }},
      {"lanes_in_step", race, run_warp<lanes_in_step>},
      {"shuffle_is_no_barrier", race, run_warp<shuffle_is_no_barrier>},
      {"plain_read_of_a_counter", race,
       [] { launch(plain_read_of_a_counter, kOne, device<unsigned>(1), device<float>(kThreads)), wait(); }},
      {"racing_halves", race, [] { launch(racing_halves, kOne, device<bfloat16>(kThreads)), wait(); }},
      {"missing_wait", copy_in_flight, run_xy<missing_wait>},
      {"wait_for_the_wrong_group", copy_in_flight, run_xy<wait_for_the_wrong_group>},
      {"waited_but_no_barrier", race, run_xy<waited_but_no_barrier>},
      {"mask_without_the_caller", wrong_mask, run_y<mask_without_the_caller>},
      {"mask_of_lanes_elsewhere", deadlock, run_y<mask_of_lanes_elsewhere>},
      {"masks_that_disagree", wrong_mask, run_y<masks_that_disagree>},
      {"shuffle_from_outside_the_mask", wrong_lane, run_y<shuffle_from_outside_the_mask>},
      {"shuffle_from_one_who_left", wrong_lane, run_warp<shuffle_from_one_who_left>},
      {"mma_of_half_a_warp", wrong_mask, run_warp<mma_of_half_a_warp>},
      {"endless_recursion", stack_overflow, run_xy<endless_recursion>},
  };
  return cases;
}

}   // namespace fovea::kernels
