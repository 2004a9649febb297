// lamb_cuda.cu: moments and norms in one pass over pieces of fixed length, joined in order, then the step: 40 B a parameter.
#include "kernels/lamb.h"

#include "kernels/cuda_runs.h"

namespace fovea::kernels {
namespace {

__global__ void moments_kernel(const float* __restrict__ w, const float* __restrict__ g, float* m, float* v, LambRule<float> rule,
                               SumPair* __restrict__ pieces, RunBatch batch) {
  const RunBatch::Piece piece = batch.piece();
  float squares[2] = {};
  for_run_pieces(piece.begin, piece.count, [&](std::int64_t i, std::int64_t count) {
    const Wide<float> weight = load_up_to(w + i, count), gradient = load_up_to(g + i, count);
    Wide<float> first = load_up_to(m + i, count), second = load_up_to(v + i, count);
    FOVEA_UNROLL
    for (int j = 0; j < Wide<float>::kSize; ++j) {   // past the end all are 0, and the direction is 0 / eps
      rule.moments(gradient[j], first[j], second[j]);
      const float direction = rule.direction(weight[j], first[j], second[j]);
      squares[0] += weight[j] * weight[j];
      if (j < count) squares[1] += direction * direction;   // eps may be 0
    }
    store_up_to(m + i, first, count);
    store_up_to(v + i, second, count);
  });
  double sums[2] = {double(squares[0]), double(squares[1])};
  sum_over_block(sums);
  if (threadIdx.x == 0) pieces[blockIdx.x] = {{sums[0], sums[1]}};
}

__global__ void step_kernel(float* w, const float* __restrict__ m, const float* __restrict__ v, LambStep o, LambRule<float> rule,
                            const SumPair* __restrict__ totals, RunBatch batch) {
  const RunBatch::Piece piece = batch.piece();
  const float minus_rate = float(-o.lr * lamb_ratio(o, ::sqrt(totals[piece.run].of[0]), ::sqrt(totals[piece.run].of[1])));
  for_run_pieces(piece.begin, piece.count, [&](std::int64_t i, std::int64_t count) {
    Wide<float> weight = load_up_to(w + i, count);
    const Wide<float> first = load_up_to(m + i, count), second = load_up_to(v + i, count);
    FOVEA_UNROLL
    for (int j = 0; j < Wide<float>::kSize; ++j) weight[j] = fma(minus_rate, rule.direction(weight[j], first[j], second[j]), weight[j]);
    store_up_to(w + i, weight, count);
  });
}

}   // namespace

template <> std::size_t lamb_workspace_bytes<float>(Cuda, const Run* runs, std::int64_t count) { return run_workspace_bytes(runs, count); }
template <>
void lamb_step(Cuda be, float* w, const float* g, float* m, float* v, const LambStep& o, const Run* runs, std::int64_t count,
               void* workspace) {
  SumPair *pieces = static_cast<SumPair*>(workspace), *totals = pieces + pieces_of(runs, count);
  const LambRule<float> rule(o);
  for_batches(runs, count, [&](const RunBatch& batch, std::int64_t before) {
    LaunchShape shape = block_for_each_piece(be, batch);
    shape.smem = sizeof(BlockSums);
    launch(moments_kernel, shape, w, g, m, v, rule, pieces + before, batch);
    join_runs(be, pieces + before, totals, batch);
    launch(step_kernel, block_for_each_piece(be, batch), w, m, v, o, rule, totals, batch);
  });
}

}   // namespace fovea::kernels
