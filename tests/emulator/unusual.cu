// unusual.cu: kernels that look wrong to a careless checker and are right by CUDA's rules. None may be accused, under any schedule, and each
// also checks its own result, in `bad`: how many values are not what they should be.
#include "kernels/cuda_ptx.h"
#include "tests/emulator/cases.h"

namespace fovea::kernels {
namespace {

constexpr int kThreads = 64;

struct Tile {
  float a[kThreads], b[kThreads];
};

__device__ void expect(unsigned* bad, bool good) {
  if (!good) atomicAdd(bad, 1u);
}

// ---- leaving early, odd sizes ------------------------------------------------------------------------------------------------------------

__global__ void leaves_when_nobody_waits(unsigned* bad, float* y) {
  __syncthreads();
  if (threadIdx.x % 3 == 0) return;
  y[threadIdx.x] = 1;
  expect(bad, y[threadIdx.x] == 1);
}

__global__ void warps_leave_alone(unsigned* bad, float* y) {
  if (threadIdx.x < 32) return;
  const int sum = __reduce_add_sync(kFullWarp, 1);   // of the other warp
  y[threadIdx.x] = float(sum);
  expect(bad, sum == 32);
}

__global__ void full_mask_after_lanes_left(unsigned* bad, float* y) {
  if (threadIdx.x % 2 == 1) return;
  const unsigned ballot = __ballot_sync(kFullWarp, threadIdx.x < 8);   // who has left need not come
  y[threadIdx.x] = 0;
  expect(bad, ballot == (threadIdx.x < 32 ? 0x55u : 0u));
}

__global__ void short_last_warp(unsigned* bad, float* y) {
  Tile& s = shared_memory<Tile>();
  s.a[threadIdx.x] = float(threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = s.a[blockDim.x - 1 - threadIdx.x];
  const int votes = __syncthreads_count(threadIdx.x >= 32);
  expect(bad, votes == int(blockDim.x) - 32);
  expect(bad, __any_sync(kFullWarp, threadIdx.x == 36) == (threadIdx.x >= 32));
}

__global__ void three_dimensions(unsigned* bad, float* y) {
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  y[block * 30 + thread] = float(thread);
  const unsigned first = __shfl_sync(kFullWarp, thread, 0);
  expect(bad, first == 0 && blockDim.x * blockDim.y * blockDim.z == 30);
}

// ---- warps that part ------------------------------------------------------------------------------------------------------------------------

__global__ void halves_part(unsigned* bad, float* y) {
  float v = float(threadIdx.x);
  if (threadIdx.x % 32 < 16) {
    for (int lanes = 8; lanes > 0; lanes /= 2) v += __shfl_xor_sync(0x0000ffffu, v, lanes);
  } else {
    for (int lanes = 1; lanes < 16; lanes *= 2) v += __shfl_xor_sync(0xffff0000u, v, lanes);
  }
  __syncwarp();
  y[threadIdx.x] = v;
  const int first = int(threadIdx.x) / 16 * 16;
  expect(bad, v == float(16 * first + 120));
}

__global__ void overlapping_masks_in_turn(unsigned* bad, float* y) {
  Tile& s = shared_memory<Tile>();
  const int lane = threadIdx.x;   // of one warp
  s.a[lane] = float(lane);
  if (lane < 16) {
    __syncwarp(0x0000ffffu);   // 0-15 know each other ...
    s.b[lane] = s.a[15 - lane];
  }
  if (lane >= 8 && lane < 24) __syncwarp(0x00ffff00u);       // ... and 8-23 what 0-15 did
  if (lane == 20) expect(bad, s.a[0] == 0 && s.a[9] == 9);   // through 8-15, by transitivity
  y[lane] = s.a[lane];
}

__global__ void narrow_shuffles(unsigned* bad, float* y) {
  const int lane = threadIdx.x % 32, inside = lane % 8;
  expect(bad, __shfl_sync(kFullWarp, lane, 9, 8) == lane - inside + 1);
  expect(bad, __shfl_up_sync(kFullWarp, lane, 3u, 8) == (inside < 3 ? lane : lane - 3));
  expect(bad, __shfl_down_sync(kFullWarp, lane, 3u, 8) == (inside > 4 ? lane : lane + 3));
  expect(bad, __shfl_xor_sync(kFullWarp, lane, 5, 8) == (lane ^ 5));
  expect(bad, __shfl_xor_sync(kFullWarp, 1.5 * lane, 31) == 1.5 * (31 - lane));   // 8 bytes
  y[threadIdx.x] = 0;
}

__global__ void matches(unsigned* bad, float* y) {
  const int lane = threadIdx.x % 32;
  expect(bad, __match_any_sync(kFullWarp, lane % 4) == 0x11111111u << lane % 4);
  int all = 0;
  expect(bad, __match_all_sync(kFullWarp, 7, &all) == kFullWarp && all == 1);
  expect(bad, __match_all_sync(kFullWarp, lane / 31, &all) == 0 && all == 0);
  y[threadIdx.x] = 0;
}

// ---- memory that changes hands ----------------------------------------------------------------------------------------------------------------

__global__ void exchange_within_a_warp(unsigned* bad, float* y) {
  Tile& s = shared_memory<Tile>();
  for (int step = 0; step < 3; ++step) {
    s.a[threadIdx.x] = float(threadIdx.x + step);
    __syncwarp();
    expect(bad, s.a[threadIdx.x ^ 1] == float((threadIdx.x ^ 1) + step));
    __syncwarp();
  }
  y[threadIdx.x] = 0;
}

__global__ void same_line_many_barriers(unsigned* bad, float* y) {
  Tile& s = shared_memory<Tile>();
  s.a[threadIdx.x] = 1;
#pragma GCC unroll 5
  for (int d = 1; d < kThreads; d *= 2) {   // an inclusive scan; the compiler may copy its body, barriers included
    __syncthreads();
    const float left = threadIdx.x >= unsigned(d) ? s.a[threadIdx.x - d] : 0.f;
    __syncthreads();
    s.a[threadIdx.x] += left;
  }
  y[threadIdx.x] = s.a[threadIdx.x];
  expect(bad, s.a[threadIdx.x] == float(threadIdx.x + 1));
}

__global__ void neighbours_in_a_word(unsigned* bad, bfloat16* y, unsigned char* bytes) {
  y[threadIdx.x] = bfloat16(float(threadIdx.x));   // two threads for each 4 bytes, four for each 4 bytes
  bytes[threadIdx.x] = static_cast<unsigned char>(threadIdx.x);
  expect(bad, float(y[threadIdx.x]) == float(threadIdx.x) && bytes[threadIdx.x] == threadIdx.x);
}

__global__ void all_read_then_one_writes(unsigned* bad, float* y) {
  Tile& s = shared_memory<Tile>();
  if (threadIdx.x == 0) s.a[0] = 0;
  for (int step = 0; step < 3; ++step) {
    __syncthreads();
    expect(bad, s.a[0] == float(step));
    __syncthreads();
    if (int(threadIdx.x) == 7 * step) s.a[0] = float(step + 1);
  }
  y[threadIdx.x] = 0;
}

__global__ void histogram(unsigned* bad, float* y) {
  struct Bins {
    int n[4];
  };
  Bins& s = shared_memory<Bins>();
  if (threadIdx.x < 4) s.n[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&s.n[threadIdx.x % 4], 1);
  atomicMax(&s.n[threadIdx.x % 4], 0);
  __syncthreads();
  expect(bad, s.n[threadIdx.x % 4] == kThreads / 4);
  y[threadIdx.x] = 0;
}

__global__ void last_block_adds(unsigned* bad, float* part, unsigned* done, float* y) {
  part[blockIdx.x * kThreads + threadIdx.x] = float(blockIdx.x);
  __threadfence();
  __syncthreads();   // the others' parts are there, too, before thread 0 says so
  const int last = __syncthreads_or(threadIdx.x == 0 && atomicInc(done, gridDim.x - 1) == gridDim.x - 1);
  if (!last) return;
  float sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += part[b * kThreads + threadIdx.x];
  y[threadIdx.x] = sum;
  expect(bad, sum == float(gridDim.x * (gridDim.x - 1) / 2));
}

__global__ void writes_again(unsigned* bad, float* y) {   // in several launches: each comes after the last
  y[threadIdx.x] += 1;
  expect(bad, y[threadIdx.x] >= 1);
}

// ---- copies and structs -----------------------------------------------------------------------------------------------------------------------

__global__ void pipeline(unsigned* bad, const float* x, int tiles, float* y) {
  struct Stages {
    float a[3][kThreads];
  };
  Stages& s = shared_memory<Stages>();
  const int i = threadIdx.x;
  const auto fetch = [&](int tile) {   // beyond the last nothing is read, but the group counts
    copy_async<4>(&s.a[tile % 3][i], x + std::int64_t{tile} * kThreads + i, tile < tiles ? 4 : 0);
    copy_async_commit();
  };
  fetch(0);
  fetch(1);
  float sum = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    copy_async_wait<1>();
    __syncthreads();   // everybody's copies have arrived, and everybody has read the stage that is written next
    fetch(tile + 2);
    sum += s.a[tile % 3][kThreads - 1 - i];
  }
  copy_async_wait<0>();
  expect(bad, s.a[(tiles + 1) % 3][i] == 0);   // zeros, for what was not valid
  y[i] = sum;
  expect(bad, sum == float(tiles * (tiles - 1) / 2));
}

__global__ void memcpy_in_device_code(unsigned* bad, const float* x, float* y) {
  struct Row {
    float v[12];
  };
  Row row;
  __builtin_memcpy(&row, x + 12 * threadIdx.x, sizeof row);
  for (float& v : row.v) v += 1;
  reinterpret_cast<Row*>(y)[threadIdx.x] = row;
  float sum = 0;
  for (int i = 0; i < 12; ++i) sum += y[12 * threadIdx.x + i];
  expect(bad, sum == 12);
}

struct Particle {
  double mass;
  float position[3];
  short charge;
};
__global__ void structs_and_tables(unsigned* bad, Particle* p, float* y) {
  constexpr float table[4] = {1, 2, 4, 8};
  Particle mine{.mass = 2, .position = {1, 2, table[threadIdx.x % 4]}, .charge = 3};
  p[threadIdx.x] = mine;
  const Particle back = p[threadIdx.x];
  float stack[64];
  for (int i = 0; i < 64; ++i) stack[(i * 7 + int(threadIdx.x)) % 64] = float(i);
  float sum = 0;
  for (int i = 0; i < 64; ++i) sum += stack[i];
  y[threadIdx.x] = sum;
  expect(bad, back.position[2] == table[threadIdx.x % 4] && back.mass == 2 && sum == 63 * 32);
}

__global__ void wide_accesses(unsigned* bad, const float* x, float* y) {
  const Wide<float> v = load16(x + 4 * threadIdx.x);
  Wide<float> w;
  for (int i = 0; i < 4; ++i) w[i] = v[3 - i];
  store16(y + 4 * threadIdx.x, w);
  expect(bad, y[4 * threadIdx.x + 3] == x[4 * threadIdx.x]);
}

__device__ __attribute__((noinline)) float meets_in_a_function(float v) {
  __syncthreads();
  return v + 1;
}
__global__ void barriers_in_functions(unsigned* bad, float* y) {
  float local[4000];   // 16 KB of the stack
  for (int i = 0; i < 4000; ++i) local[i] = float(i) + float(threadIdx.x);
  float v = 0;
  for (int i = 0; i < 3; ++i) v = meets_in_a_function(v);
  float& mine = y[blockIdx.x * blockDim.x + threadIdx.x];
  mine = local[int(v) * 100];
  expect(bad, v == 3 && mine == 300 + float(threadIdx.x));
}

__global__ void zero_times_nothing(unsigned* bad, int n, float* y) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = 1;
  expect(bad, n == 0);
}

// ---- how each is launched -------------------------------------------------------------------------------------------------------------------

template <class T> T* device(std::size_t n) {
  T* p = nullptr;
  check_cuda(cudaMalloc(&p, n * sizeof(T)), "cudaMalloc");
  return p;
}
float* zeros(std::size_t n) {
  float* p = device<float>(n);
  check_cuda(cudaMemset(p, 0, n * sizeof(float)), "cudaMemset");
  return p;
}

/// launches(bad), and then nothing may have been counted in *bad.
template <class F> void run(F launches) {
  unsigned *bad = device<unsigned>(1), n = 0;
  check_cuda(cudaMemset(bad, 0, sizeof n), "cudaMemset");
  launches(bad);
  check_cuda(cudaMemcpy(&n, bad, sizeof n, cudaMemcpyDeviceToHost), "cudaMemcpy");
  check_cuda(cudaFree(bad), "cudaFree");
  if (n > 0) throw std::logic_error(std::to_string(n) + " values are not what they should be");   // a runtime_error would be the runtime's
}
constexpr std::size_t kShared = 3 * kThreads * sizeof(float);
template <auto kernel> void run_y(unsigned grid, dim3 block) {
  run([&](unsigned* bad) { launch(kernel, {.grid = grid, .block = block, .smem = kShared}, bad, device<float>(4096)); });
}

}   // namespace

const std::vector<Case>& unusual() {
  using enum emulator::Mistake;
  static const std::vector<Case> cases{
      {"leaves_when_nobody_waits", none, [] { run_y<leaves_when_nobody_waits>(1, kThreads); }},
      {"warps_leave_alone", none, [] { run_y<warps_leave_alone>(1, kThreads); }},
      {"full_mask_after_lanes_left", none, [] { run_y<full_mask_after_lanes_left>(1, kThreads); }},
      {"short_last_warp", none, [] { run_y<short_last_warp>(1, 37); }},
      {"three_dimensions", none,
       [] { run([](unsigned* bad) {
              launch(three_dimensions, {.grid = {3, 2, 2}, .block = {3, 5, 2}}, bad, device<float>(360));
            }); }},
      {"halves_part", none, [] { run_y<halves_part>(1, kThreads); }},
      {"overlapping_masks_in_turn", none, [] { run_y<overlapping_masks_in_turn>(1, 32); }},
      {"narrow_shuffles", none, [] { run_y<narrow_shuffles>(1, kThreads); }},
      {"matches", none, [] { run_y<matches>(1, kThreads); }},
      {"exchange_within_a_warp", none, [] { run_y<exchange_within_a_warp>(1, kThreads); }},
      {"same_line_many_barriers", none, [] { run_y<same_line_many_barriers>(1, kThreads); }},
      {"neighbours_in_a_word", none,
       [] {
         run([](unsigned* bad) {
           launch(neighbours_in_a_word, {.grid = 1, .block = kThreads}, bad, device<bfloat16>(kThreads), device<unsigned char>(kThreads));
         });
       }},
      {"all_read_then_one_writes", none, [] { run_y<all_read_then_one_writes>(1, kThreads); }},
      {"histogram", none, [] { run_y<histogram>(1, kThreads); }},
      {"last_block_adds", none,
       [] {
         run([](unsigned* bad) {
           float *part = device<float>(7 * kThreads), *y = device<float>(kThreads);
           unsigned* done = reinterpret_cast<unsigned*>(zeros(1));
           for (int i = 0; i < 2; ++i)
             launch(last_block_adds, {.grid = 7, .block = kThreads}, bad, part, done, y);   // atomicInc ends where it began
         });
       }},
      {"writes_again", none,
       [] {
         run([](unsigned* bad) {
           float* y = zeros(kThreads);
           for (int i = 0; i < 3; ++i) launch(writes_again, {.grid = 1, .block = kThreads}, bad, y);
         });
       }},
      {"pipeline", none,
       [] {
         run([](unsigned* bad) {
           std::vector<float> x;
           for (int i = 0; i < 5 * kThreads; ++i) x.push_back(float(i / kThreads));
           float* x_device = device<float>(x.size());
           check_cuda(cudaMemcpy(x_device, x.data(), x.size() * sizeof(float), cudaMemcpyHostToDevice), "cudaMemcpy");
           launch(pipeline, {.grid = 1, .block = kThreads, .smem = kShared}, bad, x_device, 5, device<float>(kThreads));
         });
       }},
      {"structs_and_tables", none,
       [] {
         run([](unsigned* bad) {
           launch(structs_and_tables, {.grid = 1, .block = kThreads}, bad, device<Particle>(kThreads), device<float>(kThreads));
         });
       }},
      {"memcpy_in_device_code", none,
       [] {
         run([](unsigned* bad) {
           launch(memcpy_in_device_code, {.grid = 1, .block = kThreads}, bad, zeros(12 * kThreads), device<float>(12 * kThreads));
         });
       }},
      {"wide_accesses", none,
       [] {
         run([](unsigned* bad) {
           launch(wide_accesses, {.grid = 1, .block = kThreads}, bad, zeros(4 * kThreads), device<float>(4 * kThreads));
         });
       }},
      {"barriers_in_functions", none, [] { run_y<barriers_in_functions>(2, 1024); }},
      {"zero_times_nothing", none,
       [] { run([](unsigned* bad) { launch(zero_times_nothing, {.grid = 1, .block = kThreads}, bad, 0, device<float>(1)); }); }},
  };
  return cases;
}

}   // namespace fovea::kernels
