// interpolate_cuda.cu: resizing is a sparse matrix along each axis, and each of its rows is a band: some neighbouring pixels with their
// weights. A small kernel writes the bands of both axes down, those of the matrix forward and of its transpose backward; then one kernel gathers
// for both directions, 16 bytes of channels a thread, in the order of the pixels, without atomics. Each array comes from memory about once, as
// neighbours find their sources in a cache; multiply-adds an output: 1 (nearest), 4 (bilinear), 16 (bicubic).
#include "kernels/interpolate.h"

#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

/// The rows of one axis' matrix (out x in), or of its transpose: row i weighs the pixels begin[i], ..., begin[i] + count[i] - 1.
struct Bands {
  std::int64_t rows, pixels;
  int most;   // of a band
  int *begin, *count;
  float* weight;   // (rows, most)
};

/// Outputs that may have seen pixel x, and some more: [first, last).
struct Candidates {
  std::int64_t first, last;
};
/// Taps lie within 2 pixels of the source coordinate, (i + 1/2) scale - 1/2 or i scale (nearest: less than 1 below the latter); those that a
/// border has moved are nearer.
__host__ __device__ inline Candidates candidates(const InterpolationAxis& a, std::int64_t x) {
  if (a.scale == 0) return {0, a.out};   // one output, with its corners aligned
  const bool nearest = a.mode == Interpolation::nearest;
  const double shift = nearest || a.align_corners ? 0 : 0.5, from = double(x) - (nearest ? 0 : 2), to = double(x) + (nearest ? 1 : 2);
  const double low = (from + shift) / a.scale - shift - 1, high = (to + shift) / a.scale - shift + 2;
  return {low > 0 ? static_cast<std::int64_t>(low) : 0, high < double(a.out) ? static_cast<std::int64_t>(high) : a.out};
}
/// The most that candidates() gives: with a scale s below 1 a pixel is seen by 4 / s outputs, and rounding adds a few.
int most_candidates(const InterpolationAxis& a) {
  if (a.scale == 0) return static_cast<int>(a.out);
  const double most = (a.mode == Interpolation::nearest ? 1 : 4) / a.scale + 5;
  return static_cast<int>(most < double(a.out) ? most : double(a.out));
}

std::size_t band_bytes(const InterpolationAxis& a, bool transpose) {
  const std::int64_t rows = transpose ? a.in : a.out, most = transpose ? most_candidates(a) : 4;
  return sizeof(float) * std::size_t(rows * (2 + most));
}
Bands bands_at(void* memory, const InterpolationAxis& a, bool transpose) {
  Bands b;
  b.rows = transpose ? a.in : a.out;
  b.pixels = transpose ? a.out : a.in;
  b.most = transpose ? most_candidates(a) : 4;
  b.begin = static_cast<int*>(memory);
  b.count = b.begin + b.rows;
  b.weight = reinterpret_cast<float*>(b.count + b.rows);
  return b;
}

/// What pixel x weighs in output i: at a border several taps may meet.
__device__ __forceinline__ double weight_of(const InterpolationAxis& a, std::int64_t i, std::int64_t x) {
  const InterpolationTaps t = a.taps(i);
  double sum = 0;
  for (int k = 0; k < t.count; ++k) sum += t.pixel[k] == x ? t.weight[k] : 0;
  return sum;
}

constexpr int kBandThreads = 128;
/// A thread for each row.
__global__ void bands_kernel(InterpolationAxis a, bool transpose, Bands b) {
  const std::int64_t row = blockIdx.x * std::int64_t{kBandThreads} + threadIdx.x;
  if (row >= b.rows) return;
  Candidates c;
  if (transpose) {
    c = candidates(a, row);
  } else {
    const InterpolationTaps t = a.taps(row);
    c = {t.pixel[0], t.pixel[t.count - 1] + 1};
  }
  int begin = 0, count = 0;
  for (std::int64_t pixel = c.first; pixel < c.last; ++pixel) {
    const float weight = static_cast<float>(transpose ? weight_of(a, pixel, row) : weight_of(a, row, pixel));
    if (count == 0 && weight == 0) continue;
    if (count == 0) begin = static_cast<int>(pixel);
    b.weight[row * b.most + count++] = weight;
  }
  b.begin[row] = begin;
  b.count[row] = count;
}

/// y (n, rows, columns, c) from x (n, rows.pixels, columns.pixels, c). A row of the grid is an output pixel.
template <class T>
__global__ void gather_kernel(const T* __restrict__ x, T* y, Bands rows, Bands columns, bool accumulate, RowGrid<T> grid) {
  constexpr int kSize = Wide<T>::kSize;
  const auto at = grid.piece();
  if (at.count <= 0) return;
  std::int64_t p, q;
  const std::int64_t line = divide(at.row, columns.rows, q), n = divide(line, rows.rows, p), channels = grid.cols;
  const int row_count = rows.count[p], column_count = columns.count[q];
  const T* first = x + ((n * rows.pixels + rows.begin[p]) * columns.pixels + columns.begin[q]) * channels + at.col;
  float sum[kSize] = {};
  for (int r = 0; r < row_count; ++r, first += columns.pixels * channels) {
    float part[kSize] = {};
    for (int k = 0; k < column_count; ++k) {
      const Wide<T> v = load_up_to(first + k * channels, at.count);
      const float weight = columns.weight[q * columns.most + k];
      FOVEA_UNROLL
      for (int j = 0; j < kSize; ++j) part[j] += weight * float(v[j]);
    }
    const float weight = rows.weight[p * rows.most + r];
    FOVEA_UNROLL
    for (int j = 0; j < kSize; ++j) sum[j] += weight * part[j];
  }
  store_or_add_up_to(y + at.row * channels + at.col, sum, at.count, accumulate);
}

template <class T> void gather(Cuda be, const T* x, T* y, const InterpolationShape& s, bool transpose, bool accumulate, void* workspace) {
  if (s.n * s.c == 0) return;
  const Bands rows = bands_at(workspace, s.rows, transpose);
  const Bands columns = bands_at(static_cast<char*>(workspace) + band_bytes(s.rows, transpose), s.columns, transpose);
  launch(bands_kernel, {.grid = blocks(rows.rows, kBandThreads), .block = kBandThreads, .stream = be.stream}, s.rows, transpose, rows);
  launch(bands_kernel, {.grid = blocks(columns.rows, kBandThreads), .block = kBandThreads, .stream = be.stream}, s.columns, transpose,
         columns);
  const RowGrid<T> grid(s.n * rows.rows * columns.rows, s.c);
  launch(gather_kernel<T>, grid.launch_shape(be), x, y, rows, columns, accumulate, grid);
}

}   // namespace

std::size_t interpolate_workspace_bytes(Cuda, const InterpolationShape& s) {
  const std::size_t forward = band_bytes(s.rows, false) + band_bytes(s.columns, false);
  const std::size_t backward = band_bytes(s.rows, true) + band_bytes(s.columns, true);
  return forward > backward ? forward : backward;
}
template <class T> void interpolate_forward(Cuda be, const T* x, T* y, const InterpolationShape& s, void* workspace) {
  gather(be, x, y, s, false, false, workspace);
}
template <class T> void interpolate_backward(Cuda be, const T* dy, T* dx, const InterpolationShape& s, bool accumulate, void* workspace) {
  gather(be, dy, dx, s, true, accumulate, workspace);
}

#define FOVEA_INSTANTIATE(T)                                                               \
  template void interpolate_forward(Cuda, const T*, T*, const InterpolationShape&, void*); \
  template void interpolate_backward(Cuda, const T*, T*, const InterpolationShape&, bool, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
