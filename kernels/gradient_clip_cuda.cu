// gradient_clip_cuda.cu: sums of squares over pieces of fixed length, joined in order by one block; rows by a warp each, so that a row that
// has to be scaled is still in the cache that its norm was read into. 4 B an element of a norm, 8 of a limit or of a norm that is too long, 8 to 12 of rows.
#include "kernels/gradient_clip.h"

#include "kernels/cuda_map.h"
#include "kernels/cuda_runs.h"

namespace fovea::kernels {
namespace {

__global__ void squares_kernel(const float* __restrict__ x, double* __restrict__ pieces, RunBatch batch) {
  const RunBatch::Piece piece = batch.piece();
  float squares = 0;
  for_run_pieces(piece.begin, piece.count, [&](std::int64_t i, std::int64_t count) {
    const Wide<float> v = load_up_to(x + i, count);
    FOVEA_UNROLL
    for (int j = 0; j < Wide<float>::kSize; ++j) squares += v[j] * v[j];
  });
  double sums[2] = {double(squares), 0};
  sum_over_block(sums);
  if (threadIdx.x == 0) pieces[blockIdx.x] = sums[0];
}
/// One block.
__global__ void total_kernel(const double* __restrict__ pieces, std::int64_t n, double* __restrict__ sum) {
  double sums[2] = {};
  for (std::int64_t i = threadIdx.x; i < n; i += kRunThreads) sums[0] += pieces[i];
  sum_over_block(sums);
  if (threadIdx.x == 0) sum[0] = sums[0], sum[1] = ::sqrt(sums[0]);
}
__global__ void clip_norm_kernel(float* __restrict__ x, const double* __restrict__ norm, ClipNorm c, RunBatch batch) {
  const double factor = c.factor(*norm);
  if (factor == 1) return;
  const RunBatch::Piece piece = batch.piece();
  for_run_pieces(piece.begin, piece.count, [&](std::int64_t i, std::int64_t count) {
    Wide<float> v = load_up_to(x + i, count);
    FOVEA_UNROLL
    for (int j = 0; j < Wide<float>::kSize; ++j) v[j] *= static_cast<float>(factor);
    store_up_to(x + i, v, count);
  });
}

__device__ __forceinline__ double row_norm(const float* row, std::int64_t cols) {
  float squares = 0;
  for (std::int64_t i = threadIdx.x * Wide<float>::kSize; i < cols; i += kWarp * Wide<float>::kSize) {
    const Wide<float> v = load_up_to(row + i, cols - i);
    FOVEA_UNROLL
    for (int j = 0; j < Wide<float>::kSize; ++j) squares += v[j] * v[j];
  }
  return ::sqrt(warp_all_reduce(double(squares), Sum{}));
}
__global__ void clip_rows_kernel(const float* __restrict__ w, float* g, RowShape s, double limit, double eps) {
  const std::int64_t row = row_of_warp();
  if (row >= s.rows) return;
  g += row * s.cols;
  const double longest = limit * max(row_norm(w + row * s.cols, s.cols), eps), length = row_norm(g, s.cols);
  if (!(length > longest)) return;
  const float factor = static_cast<float>(longest / length);
  for (std::int64_t i = threadIdx.x * Wide<float>::kSize; i < s.cols; i += kWarp * Wide<float>::kSize) {
    Wide<float> v = load_up_to(g + i, s.cols - i);
    FOVEA_UNROLL
    for (int j = 0; j < Wide<float>::kSize; ++j) v[j] *= factor;
    store_up_to(g + i, v, s.cols - i);
  }
}

}   // namespace

/// The pieces' sums.
template <> std::size_t sum_squares_workspace_bytes<float>(Cuda, const Run* runs, std::int64_t count) {
  return sizeof(double) * std::size_t(pieces_of(runs, count));
}
template <> void sum_squares(Cuda be, const float* x, const Run* runs, std::int64_t count, double* sum, void* workspace) {
  double* pieces = static_cast<double*>(workspace);
  for_batches(runs, count, [&](const RunBatch& batch, std::int64_t before) {
    LaunchShape shape = block_for_each_piece(be, batch);
    shape.smem = sizeof(BlockSums);
    launch(squares_kernel, shape, x, pieces + before, batch);
  });
  launch(total_kernel, {.grid = 1, .block = kRunThreads, .smem = sizeof(BlockSums), .stream = be.stream}, pieces, pieces_of(runs, count),
         sum);
}
template <> void clip_norm(Cuda be, float* x, const Run* runs, std::int64_t count, const double* norm, ClipNorm c) {
  for_batches(runs, count,
              [&](const RunBatch& batch, std::int64_t) { launch(clip_norm_kernel, block_for_each_piece(be, batch), x, norm, c, batch); });
}

template <> void clip_value(Cuda be, float* g, double limit, std::int64_t n) { map(be, n, Clip{limit}, g, false, g); }

template <> void clip_rows(Cuda be, const float* w, float* g, RowShape s, double limit, double eps) {
  if (s.rows * s.cols == 0) return;
  launch(clip_rows_kernel, warp_for_each_row(be, s.rows), w, g, s, limit, eps);
}

}   // namespace fovea::kernels
