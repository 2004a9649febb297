// batch_norm.cpp: what is done once for each channel, the same for every backend and instruction set of the host.
#include "kernels/batch_norm.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace fovea::kernels {
namespace {

/// Two sets of n_a and n_b values join as in Chan, Golub & LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for Computing
/// Sample Variances", with d = mean_b - mean_a:
///   mean = mean_a + d n_b / (n_a + n_b),   M2 = M2_a + M2_b + d^2 n_a n_b / (n_a + n_b).
template <class A> void merge(const A* partials, A* mean, A* variance, ChannelShape s) {
  constexpr std::int64_t kBlock = 16;   // channels per task
  parallel_for((s.channels + kBlock - 1) / kBlock, [&](std::int64_t block) {
    const std::int64_t first = block * kBlock, count = std::min(kBlock, s.channels - first);
    double m[kBlock] = {}, m2[kBlock] = {};
    for (std::int64_t tile = 0; tile < stat_tiles(s.rows); ++tile) {
      const A* tile_mean = partials + tile * 2 * s.channels + first;
      const A* tile_m2 = tile_mean + s.channels;
      const double n_a = double(tile * kStatRows), n_b = double(std::min(kStatRows, s.rows - tile * kStatRows));
      const double share = n_b / (n_a + n_b), spread = n_a * share;
      for (std::int64_t c = 0; c < count; ++c) {
        const double d = tile_mean[c] - m[c];
        m[c] += d * share;
        m2[c] += tile_m2[c] + d * d * spread;
      }
    }
    for (std::int64_t c = 0; c < count; ++c) {
      mean[first + c] = A(m[c]);
      variance[first + c] = A(m2[c] / double(s.rows));
    }
  });
}
template <class A> void affine(const BatchNormAffine<A>& a, ChannelShape s) {
  for (std::int64_t c = 0; c < s.channels; ++c) a.channel(c, s.rows);
}

}   // namespace

std::size_t batch_norm_merge_workspace_bytes(Reference, ChannelShape) { return 0; }
std::size_t batch_norm_merge_workspace_bytes(Cpu, ChannelShape) { return 0; }
template <class A> void batch_norm_merge(Reference, const A* partials, A* mean, A* variance, ChannelShape s, void*) {
  merge(partials, mean, variance, s);
}
template <class A> void batch_norm_merge(Cpu, const A* partials, A* mean, A* variance, ChannelShape s, void*) {
  merge(partials, mean, variance, s);
}
template <class A> void batch_norm_affine(Reference, const BatchNormAffine<A>& a, ChannelShape s) { affine(a, s); }
template <class A> void batch_norm_affine(Cpu, const BatchNormAffine<A>& a, ChannelShape s) { affine(a, s); }

#define FOVEA_INSTANTIATE(Backend, A)                                             \
  template void batch_norm_merge(Backend, const A*, A*, A*, ChannelShape, void*); \
  template void batch_norm_affine(Backend, const BatchNormAffine<A>&, ChannelShape);
FOVEA_INSTANTIATE(Reference, float)
FOVEA_INSTANTIATE(Reference, double)
FOVEA_INSTANTIATE(Cpu, float)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
