// lars_cuda.cu: both norms of every tensor in one pass over pieces of fixed length, joined in order, then the step: 28 B a parameter.
#include "kernels/lars.h"

#include "kernels/cuda_runs.h"
#include "kernels/cuda_update.h"

namespace fovea::kernels {
namespace {

__global__ void norms_kernel(const float* __restrict__ w, const float* __restrict__ g, SumPair* __restrict__ pieces, RunBatch batch) {
  const RunBatch::Piece piece = batch.piece();
  float squares[2] = {};
  for_run_pieces(piece.begin, piece.count, [&](std::int64_t i, std::int64_t count) {
    const Wide<float> weight = load_up_to(w + i, count), gradient = load_up_to(g + i, count);
    FOVEA_UNROLL
    for (int j = 0; j < Wide<float>::kSize; ++j) {
      squares[0] += weight[j] * weight[j];
      squares[1] += gradient[j] * gradient[j];
    }
  });
  double sums[2] = {double(squares[0]), double(squares[1])};
  sum_over_block(sums);
  if (threadIdx.x == 0) pieces[blockIdx.x] = {{sums[0], sums[1]}};
}

/// totals: null where the ratio is 1.
__global__ void step_kernel(float* w, const float* g, float* v, LarsStep o, const SumPair* __restrict__ totals, RunBatch batch) {
  const RunBatch::Piece piece = batch.piece();
  const double ratio = totals ? lars_ratio(o, ::sqrt(totals[piece.run].of[0]), ::sqrt(totals[piece.run].of[1])) : 1;
  const LarsRule<float> rule(o, ratio);
  for_run_pieces(piece.begin, piece.count, [&](std::int64_t i, std::int64_t count) { update_piece(rule, i, count, w, g, v); });
}

}   // namespace

template <> std::size_t lars_workspace_bytes<float>(Cuda, const Run* runs, std::int64_t count) { return run_workspace_bytes(runs, count); }
template <>
void lars_step(Cuda be, float* w, const float* g, float* v, const LarsStep& o, const Run* runs, std::int64_t count, void* workspace) {
  SumPair *pieces = static_cast<SumPair*>(workspace), *totals = pieces + pieces_of(runs, count);
  for_batches(runs, count, [&](const RunBatch& batch, std::int64_t before) {
    if (o.adapt) {
      LaunchShape shape = block_for_each_piece(be, batch);
      shape.smem = sizeof(BlockSums);
      launch(norms_kernel, shape, w, g, pieces + before, batch);
      join_runs(be, pieces + before, totals, batch);
    }
    launch(step_kernel, block_for_each_piece(be, batch), w, g, v, o, o.adapt ? totals : nullptr, batch);
  });
}

}   // namespace fovea::kernels
