// cuda_update.h: an optimiser's step as one pass over flat arrays: a thread takes four parameters with their gradients and whatever is kept of
// each of them (velocity, moments), applies the rule of the optimiser's header, and puts them back. Each array moves once each way.
#pragma once

#include <utility>

#include "kernels/cuda_rows.h"

namespace fovea::kernels {

/// rule(weight, gradient, state...) for element i of each array; a state that is null is neither read nor written.
template <class Rule, class... State>
__device__ __forceinline__ void update_piece(const Rule& rule, std::int64_t i, std::int64_t count, float* w, const float* g,
                                             State*... state) {
  Wide<float> weight = load_up_to(w + i, count);
  const Wide<float> gradient = load_up_to(g + i, count);
  const auto apply = [&](auto... kept) {
    FOVEA_UNROLL
    for (int j = 0; j < Wide<float>::kSize; ++j) rule(weight[j], gradient[j], kept[j]...);
    ((state ? store_up_to(state + i, kept, count) : void()), ...);
  };
  apply((state ? load_up_to(state + i, count) : Wide<float>{})...);
  store_up_to(w + i, weight, count);
}

constexpr int kUpdateThreads = 256;

template <class Rule, class... State> __global__ void update_kernel(std::int64_t n, Rule rule, float* w, const float* g, State*... state) {
  const std::int64_t i = (blockIdx.x * std::int64_t{kUpdateThreads} + threadIdx.x) * Wide<float>::kSize;
  if (i < n) update_piece(rule, i, n - i, w, g, state...);
}
template <class Rule, class... State> void update(Cuda be, std::int64_t n, Rule rule, float* w, const float* g, State*... state) {
  if (n == 0) return;
  launch(update_kernel<Rule, State...>,
         {.grid = blocks(n, kUpdateThreads * Wide<float>::kSize), .block = kUpdateThreads, .stream = be.stream}, n, rule, w, g, state...);
}

}   // namespace fovea::kernels
