// cuda_product.h: the block of a matrix product C (m, n) = sum_k A (m, k) B (k, n) whose operands nobody has laid out as matrices: a
// convolution's patches, a phase of its gradient, the weights of several groups. The block does not know; it asks a source for the address
// of a few neighbours of a line, and brings them to shared memory itself. That is implicit GEMM: Chetlur et al. 2014, "cuDNN: Efficient
// Primitives for Deep Learning" (arXiv:1410.0759), section 3.
//
// A block of 4 warps owns M x N outputs, in registers. The inner dimension passes through shared memory in slices of 64 bytes a line, four
// of them in flight: cp.async fetches slice i + 3 while slice i is multiplied, and one barrier a slice says both that slice i has come and
// that nobody reads the place where i + 3 will go. bfloat16 goes through ldmatrix and mma.sync m16n8k16, a warp taking M/2 x N/2; float
// through fmaf, a thread taking M/16 x N/8, each output one chain over k. Then the sums cross shared memory once more, so that rows of C
// are written, residuals read and batch-norm partials formed with neighbouring threads on neighbouring addresses.
//
// Cost: 2 m n k operations on tiles; with t = ceil(m / M) ceil(n / N) blocks, t (M + N) k elements are asked of the second-level cache, m n
// written. 96 x 128 in bfloat16 is 55 operations a byte asked.
#pragma once

#include <stdexcept>
#include <type_traits>

#include "kernels/cuda_divide.h"
#include "kernels/cuda_gemm.h"
#include "kernels/cuda_tiles.h"

namespace fovea::kernels {

// ---- shared memory -----------------------------------------------------------------------------------------------------------------------

/// Which way an operand lies in memory, and so in shared memory.
enum class Major {
  k,      // lines are rows of A or columns of B; k runs along them
  line,   // lines are k; rows of A or columns of B run along them
};

/// The tile of a slice: M (or N) by kK elements.
template <class T, Major major, int Size> struct OperandTile;
template <class T, int Size> struct OperandTile<T, Major::k, Size> : SharedTile<T, Size, 64 / sizeof(T)> {};
template <class T, int Size> struct OperandTile<T, Major::line, Size> : SharedTile<T, 64 / sizeof(T), Size> {};

// ---- from global to shared memory -----------------------------------------------------------------------------------------------------------

/// V neighbours from global to shared memory; zeros where there is no source. Two bytes are too few for cp.async: they go through a register.
template <int V, class T> __device__ __forceinline__ void copy_piece(T* shared, const T* global) {
  constexpr int kBytes = V * static_cast<int>(sizeof(T));
  if constexpr (kBytes >= 4)
    copy_async<kBytes>(shared, global, global ? kBytes : 0);
  else
    *shared = global ? *global : T(0.f);
}

/// x' = act(scale x + shift) on V neighbours that lie in shared memory, channels c, c + 1, ...
template <int V, class T> __device__ __forceinline__ void transform_piece(T* x, const Prologue<T>& p, int c) {
  const auto one = [&](T v, int i) { return T(start_value(p, p.scale[c + i], p.shift[c + i], float(v))); };
  if constexpr (V == Wide<T>::kSize) {
    Wide<T> w = load16(x);
    FOVEA_UNROLL
    for (int i = 0; i < V; ++i) w[i] = one(w[i], i);
    store16(x, w);
  } else {
    FOVEA_UNROLL
    for (int i = 0; i < V; ++i) x[i] = one(x[i], i);
  }
}

/// One thread's part in bringing an operand's slices: pieces of V neighbours, at one place along the line and kDown lines apart. A source has
///   Line line(int)     what is to be known of a line, and
///   Place place(int)   of the place of V neighbours along lines;
///   const T* at(line, place)   where they lie: null for zeros;   int channel(place)   for the prologue.
/// Whichever of the two does not change from slice to slice is computed once (unless it is lines, and so many that registers would not do).
template <class Source, class T, Major major, int Size, int V, int Threads> class Carrier {
  using Tile = OperandTile<T, major, Size>;
  static constexpr int kK = 64 / static_cast<int>(sizeof(T));
  static constexpr int kLines = major == Major::k ? Size : kK, kLength = major == Major::k ? kK : Size;
  static constexpr int kAcross = kLength / V, kDown = Threads / kAcross, kPieces = kLines / kDown;
  static constexpr bool kKeepsLines = major == Major::k && kPieces <= 8;
  static_assert(Threads % kAcross == 0 && kLines % kDown == 0);

 public:
  /// first: the block's first row of A (column of B).
  __device__ __forceinline__ Carrier(const Source& source, int first)
      : source_(source),
        first_(first),
        line_(static_cast<int>(threadIdx.x) / kAcross),
        along_(static_cast<int>(threadIdx.x) % kAcross * V) {
    if constexpr (kKeepsLines) {
      FOVEA_UNROLL
      for (int i = 0; i < kPieces; ++i) lines_[i] = source_.line(first + line_ + i * kDown);
    } else if constexpr (major == Major::line) {
      place_ = source_.place(first + along_);
    }
  }
  /// Starts the slice from k on.
  __device__ __forceinline__ void fetch(Tile& tile, int k) {
    for_each_piece(k, [&](int i, const T* p, int) { copy_piece<V>(tile.at(line_ + i * kDown, along_), p); });
  }
  /// What this thread has fetched, and what has arrived, becomes x'. Padding stays 0.
  __device__ __forceinline__ void transform(Tile& tile, int k, const Prologue<T>& prologue) {
    for_each_piece(k, [&](int i, const T* p, int channel) {
      if (p) transform_piece<V>(tile.at(line_ + i * kDown, along_), prologue, channel);
    });
  }

 private:
  template <class F> __device__ __forceinline__ void for_each_piece(int k, const F& f) const {
    if constexpr (major == Major::k) {
      const typename Source::Place place = source_.place(k + along_);
      if constexpr (kKeepsLines) {
        FOVEA_UNROLL
        for (int i = 0; i < kPieces; ++i) f(i, source_.at(lines_[i], place), source_.channel(place));
      } else {
        for (int i = 0; i < kPieces; ++i) f(i, source_.at(source_.line(first_ + line_ + i * kDown), place), source_.channel(place));
      }
    } else {
      FOVEA_UNROLL
      for (int i = 0; i < kPieces; ++i) f(i, source_.at(source_.line(k + line_ + i * kDown), place_), source_.channel(place_));
    }
  }

  const Source& source_;
  const int first_, line_, along_;
  typename Source::Line lines_[kKeepsLines ? kPieces : 1];
  typename Source::Place place_;
};

// ---- multiplying a slice ------------------------------------------------------------------------------------------------------------------

constexpr int kProductThreads = 128;
/// Floats from one row of the finished tile to the next: 8 banks on, so that 4 rows x 4 pairs are stored without a conflict.
template <int N> constexpr int kStagedRow = N + 8;

/// Which pairs of an m16n8 tile of C and 16 of k are worth multiplying. All of them:
struct Dense {
  __device__ __forceinline__ bool operator()(int, int, int) const { return true; }
};

template <class T, Major a_major, Major b_major, int M, int N> struct BlockSums;

/// Tensor cores. Warp w owns rows (w / 2) M / 2 and columns (w % 2) N / 2 onwards.
template <Major a_major, Major b_major, int M, int N> struct BlockSums<bfloat16, a_major, b_major, M, N> {
  static constexpr int kK = 32, kRows = M / 32, kCols = N / 16;   // m16n8 tiles of a warp
  float sum[kRows][kCols][4] = {};

  __device__ __forceinline__ static int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
  __device__ __forceinline__ static int first_row() { return static_cast<int>(threadIdx.x) / 64 * (M / 2); }
  __device__ __forceinline__ static int first_col() { return static_cast<int>(threadIdx.x) / 32 % 2 * (N / 2); }

  /// wants(row, column, k): of the block's tile, and of this slice.
  template <class Wants>
  __device__ __forceinline__ void multiply(OperandTile<bfloat16, a_major, M>& a, OperandTile<bfloat16, b_major, N>& b, const Wants& wants) {
    const int low = lane() & 15, high = (lane() >> 4) * 8;                                // 16 lines, two pieces
    const int eight = (lane() & 7) + (lane() >> 4) * 8, half = ((lane() >> 3) & 1) * 8;   // the same four tiles, the middle two swapped
    FOVEA_UNROLL
    for (int k = 0; k < kK; k += 16) {
      std::uint32_t av[kRows][4];
      FOVEA_UNROLL
      for (int i = 0; i < kRows; ++i) {
        const int row = first_row() + 16 * i;
        if constexpr (a_major == Major::k)
          load_matrix_x4(av[i], a.at(row + low, k + high));
        else
          load_matrix_x4_transposed(av[i], a.at(k + eight, row + half));
      }
      FOVEA_UNROLL
      for (int j = 0; j < kCols; j += 2) {
        const int col = first_col() + 8 * j;
        std::uint32_t bv[4];   // two tiles of 8 columns, two halves of k each
        if constexpr (b_major == Major::k)
          load_matrix_x4(bv, b.at(col + eight, k + half));
        else
          load_matrix_x4_transposed(bv, b.at(k + low, col + high));
        FOVEA_UNROLL
        for (int i = 0; i < kRows; ++i) {
          const int row = first_row() + 16 * i;
          if (wants(row, col, k)) mma_bf16(sum[i][j], av[i], bv[0], bv[1]);
          if (wants(row, col + 8, k)) mma_bf16(sum[i][j + 1], av[i], bv[2], bv[3]);
        }
      }
    }
  }
  __device__ __forceinline__ void stage(float* staged) const {
    const int g = lane() / 4, t = lane() % 4;
    FOVEA_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FOVEA_UNROLL
      for (int j = 0; j < kCols; ++j) {
        float* to = staged + (first_row() + 16 * i + g) * kStagedRow<N> + first_col() + 8 * j + 2 * t;
        store8(to, sum[i][j][0], sum[i][j][1]);
        store8(to + 8 * kStagedRow<N>, sum[i][j][2], sum[i][j][3]);
      }
    }
  }
};

/// Ordinary cores. Thread (y, x) of 16 x 8 owns M / 16 rows and N / 8 columns: where k runs along lines, every 16th row or 8th column from y
/// or x on, so that neighbours read neighbouring lines; else runs of 4, so that they read neighbouring pieces.
template <Major a_major, Major b_major, int M, int N> struct BlockSums<float, a_major, b_major, M, N> {
  static constexpr int kK = 16, kRows = M / 16, kCols = N / 8;
  float sum[kRows][kCols] = {};

  __device__ __forceinline__ static int row(int i) {
    const int y = static_cast<int>(threadIdx.x) / 8;
    return a_major == Major::k ? y + 16 * i : 4 * y + i % 4 + 64 * (i / 4);
  }
  __device__ __forceinline__ static int col(int j) {
    const int x = static_cast<int>(threadIdx.x) % 8;
    return b_major == Major::k ? x + 8 * j : 4 * x + j % 4 + 32 * (j / 4);
  }
  /// v[i] = 4 numbers along k of line i.
  template <Major major, int n, class Tile, class Index>
  __device__ __forceinline__ static void read(float (&v)[n][4], Tile& tile, int k, const Index& index) {
    if constexpr (major == Major::k) {
      FOVEA_UNROLL
      for (int i = 0; i < n; ++i) {
        const Wide<float> w = load16(tile.at(index(i), k));
        FOVEA_UNROLL
        for (int e = 0; e < 4; ++e) v[i][e] = w[e];
      }
    } else {
      FOVEA_UNROLL
      for (int e = 0; e < 4; ++e) {
        FOVEA_UNROLL
        for (int i = 0; i < n; i += 4) {
          const Wide<float> w = load16(tile.at(k + e, index(i)));
          FOVEA_UNROLL
          for (int u = 0; u < 4; ++u) v[i + u][e] = w[u];
        }
      }
    }
  }
  template <class Wants>
  __device__ __forceinline__ void multiply(OperandTile<float, a_major, M>& a, OperandTile<float, b_major, N>& b, const Wants&) {
    FOVEA_UNROLL
    for (int k = 0; k < kK; k += 4) {
      float av[kRows][4];
      read<a_major>(av, a, k, [](int i) { return row(i); });
      FOVEA_UNROLL
      for (int j = 0; j < kCols; j += 4) {   // four columns at a time: more would not fit the registers
        float bv[4][4];
        read<b_major>(bv, b, k, [&](int u) { return col(j + u); });
        FOVEA_UNROLL
        for (int e = 0; e < 4; ++e) {
          FOVEA_UNROLL
          for (int i = 0; i < kRows; ++i) {
            FOVEA_UNROLL
            for (int u = 0; u < 4; ++u) sum[i][j + u] = fmaf(av[i][e], bv[u][e], sum[i][j + u]);
          }
        }
      }
    }
  }
  __device__ __forceinline__ void stage(float* staged) const {
    FOVEA_UNROLL
    for (int i = 0; i < kRows; ++i) {
      float* line = staged + row(i) * kStagedRow<N>;
      FOVEA_UNROLL
      for (int j = 0; j < kCols; j += b_major == Major::k ? 1 : 4) {
        if constexpr (b_major == Major::k)
          line[col(j)] = sum[i][j];
        else
          store16(line + col(j), Wide<float>{sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]});
      }
    }
  }
};

// ---- the finished tile ----------------------------------------------------------------------------------------------------------------------

/// C, of a group and a slice. An output derives from it and has   std::int64_t offset(int line, int place)   where an element lies; negative: nowhere.
template <class TC> struct Target {
  TC* c;
  int m, n;
  bool vector;                   // 4 neighbours from a multiple of 4 on have one address, 4 elements aligned
  std::int64_t group_step = 0;   // elements from one group's C to the next
  std::int64_t slice_step = 0;   // and from one slice's
  std::int64_t partials_n = 0;   // columns of the epilogue's partials
  int group_channels = 0;        // scales, shifts and partials from one group's to the next
};

/// Mean and M2 of a column of finished outputs, `step` floats apart, in the order of the rows: fusion.h.
template <int step> __device__ __forceinline__ void write_partials(const float* y, int rows, float* to, std::int64_t m2_step) {
  float sum = 0, m2 = 0;
  for (int i = 0; i < rows; ++i) sum += y[i * step];
  const float mean = sum / static_cast<float>(rows);
  for (int i = 0; i < rows; ++i) {
    const float d = y[i * step] - mean;
    m2 = fmaf(d, d, m2);
  }
  to[0] = mean;
  to[m2_step] = m2;
}

/// Writes the tile whose first output is (m0, n0) from shared memory. All threads come.
template <int M, int N, class TC, class Output>
__device__ __forceinline__ void finish_tile(float* staged, const Output& out, const Epilogue<TC>& e, int m0, int n0) {
  constexpr int kAcross = N / 4, kDown = kProductThreads / kAcross;
  const int at = static_cast<int>(threadIdx.x) % kAcross * 4, n = n0 + at;
  for (int row = static_cast<int>(threadIdx.x) / kAcross; row < M && m0 + row < out.m && n < out.n; row += kDown) {
    float* sums = staged + row * kStagedRow<N> + at;
    if (out.vector) {
      const std::int64_t offset = out.offset(m0 + row, n);
      if (offset < 0) continue;
      const Wide<float> s = load16(sums);
      Four<TC> c{}, residual{}, y;
      if (e.accumulate) c = load4(out.c + offset);
      if (e.residual) residual = load4(e.residual + offset);
      FOVEA_UNROLL
      for (int i = 0; i < 4; ++i) y[i] = finish_sum(e, s[i], n + i, float(c[i]), float(residual[i]));
      store4(out.c + offset, y);
      if (e.partials) store16(sums, Wide<float>{float(y[0]), float(y[1]), float(y[2]), float(y[3])});
    } else {
      for (int i = 0; i < 4 && n + i < out.n; ++i) {
        const std::int64_t offset = out.offset(m0 + row, n + i);
        if (offset < 0) continue;
        const TC y = finish_sum<TC>(e, sums[i], n + i, out.c, offset);
        out.c[offset] = y;
        if (e.partials) sums[i] = float(y);
      }
    }
  }
  if constexpr (M == kStatRows) {
    if (!e.partials) return;
    __syncthreads();   // the rounded values of all threads
    const int column = static_cast<int>(threadIdx.x), rows = out.m - m0 < M ? out.m - m0 : M;
    if (column >= N || n0 + column >= out.n) return;
    write_partials<kStagedRow<N>>(staged + column, rows, e.partials + m0 / M * 2 * out.partials_n + n0 + column, out.partials_n);
  }
}

// ---- the kernel -----------------------------------------------------------------------------------------------------------------------------

constexpr int kSlicesInFlight = 4;

template <class T, Major a_major, Major b_major, int M, int N> union ProductMemory {
  struct {
    OperandTile<T, a_major, M> a[kSlicesInFlight];
    OperandTile<T, b_major, N> b[kSlicesInFlight];
  } slices;
  float staged[M * kStagedRow<N>];
};

/// How the grid walks, along x (y would end at 65535): over tiles, those of one row of tiles side by side as they share A; then over groups,
/// then over slices of k.
struct ProductGrid {
  FastDivide tiles{}, tiles_n{};   // by all tiles, and by those of a row
  FastDivide groups;
  int k, slice_k;              // slice_k: a multiple of what the pipeline takes, or all of k
  int prologue_channels = 0;   // scales and shifts from one group's to the next
};

/// prologue_on_a: it belongs to A's elements, else to B's. Blocks hide each other's barriers, three on a multiprocessor where their registers allow
/// it: a copy for each float takes many addresses.
template <class T, Major a_major, Major b_major, int M, int N, int V, bool prologue_on_a, class A, class B, class Output, class TC,
          class Wants>
__global__ void __launch_bounds__(kProductThreads, M* N > 96 * 128 || V * sizeof(T) == 4 ? 2 : 3)   // blocks a multiprocessor
    product_kernel(A a, B b, Output out, ProductGrid grid, Prologue<T> prologue, Epilogue<TC> e, Wants wants) {
  using Sums = BlockSums<T, a_major, b_major, M, N>;
  auto& memory = shared_memory<ProductMemory<T, a_major, b_major, M, N>>();
  auto& slices = memory.slices;
  const int block = static_cast<int>(blockIdx.x), z = grid.tiles(block), slice = grid.groups(z), group = z - slice * grid.groups.divisor();
  const int tile = block - z * grid.tiles.divisor(), tile_m = grid.tiles_n(tile);
  const int m0 = tile_m * M, n0 = (tile - tile_m * grid.tiles_n.divisor()) * N;
  a.select(group);
  b.select(group);
  if (!prologue.empty()) prologue.scale += group * grid.prologue_channels, prologue.shift += group * grid.prologue_channels;

  Carrier<A, T, a_major, M, V, kProductThreads> bring_a(a, m0);
  Carrier<B, T, b_major, N, V, kProductThreads> bring_b(b, n0);
  const int first = slice * grid.slice_k, last = first + grid.slice_k < grid.k ? first + grid.slice_k : grid.k;
  const int count = static_cast<int>(ceil_div(last - first, Sums::kK));
  const auto fetch = [&](int i) {
    if (i < count) {
      bring_a.fetch(slices.a[i % kSlicesInFlight], first + i * Sums::kK);
      bring_b.fetch(slices.b[i % kSlicesInFlight], first + i * Sums::kK);
    }
    copy_async_commit();   // be it empty: then slice i has arrived when all but the newest kSlicesInFlight - 2 groups have
  };
  for (int i = 0; i < kSlicesInFlight - 1; ++i) fetch(i);
  Sums sums;
  for (int i = 0; i < count; ++i) {
    copy_async_wait<kSlicesInFlight - 2>();
    if (!prologue.empty()) {
      if constexpr (prologue_on_a)
        bring_a.transform(slices.a[i % kSlicesInFlight], first + i * Sums::kK, prologue);
      else
        bring_b.transform(slices.b[i % kSlicesInFlight], first + i * Sums::kK, prologue);
    }
    __syncthreads();
    fetch(i + kSlicesInFlight - 1);
    sums.multiply(slices.a[i % kSlicesInFlight], slices.b[i % kSlicesInFlight],
                  [&](int row, int col, int k) { return wants(m0 + row, n0 + col, first + i * Sums::kK + k); });
  }
  __syncthreads();   // the last slice has been read: its place is free
  sums.stage(memory.staged);
  __syncthreads();
  out.c += group * out.group_step + slice * out.slice_step;
  if (e.residual) e.residual += group * out.group_step;
  if (e.scale) e.scale += group * out.group_channels;
  if (e.shift) e.shift += group * out.group_channels;
  if (e.partials) e.partials += group * out.group_channels;
  finish_tile<M, N>(memory.staged, out, e, m0, n0);
}

}   // namespace fovea::kernels
