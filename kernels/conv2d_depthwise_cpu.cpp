// conv2d_depthwise_cpu.cpp: depthwise convolution, 16 channels a vector. There is no matrix product in it: each output is R S
// multiply-adds on numbers of its own channel, so what counts is how often a pixel is read. Groups of G = 4 or 8 channels with as many
// filters, which are as poor as matrix products, go the same way, with R S G multiply-adds an output (cpu/group_lines.h).
//
// A task takes a range of output pixels and up to 64 channels. It walks over the lines of the output and keeps the input lines that
// the taps see in a ring: gathered once, in float, zeros where the padding is, the prologue applied; vector by vector of channels, so that
// the inner loops (cpu/depthwise_lines.h) run over contiguous memory in the first-level cache. A finished line takes the epilogue
// on its way to y; batch-norm partials are taken when the task is done and its part of y still in the second-level cache.
//
//   forward          bytes: x, y once (3 of 16 lines twice for a 3x3 at task borders, from a cache); 2 R S flops an output
//   input gradient   the same with dy and the taps in reverse; with a stride, phase by phase (cpu/conv2d_patches.h)
//   weight gradient  slices of lines, each with R S vectors of sums that live in the cache; then the slices in order
//
// A 3x3 has 9 flops for each 4 bytes moved, a 7x7 49, a 3x3 of groups of 4 36: the first runs at the speed of memory, the others at that of
// the multiply-adds.
// Order of each sum, which fixes its bits: as in conv2d_cpu.cpp. Keeping rows of taps in registers and sliding along the line is
// Zhang, Lo & Lu 2020, "High Performance Depthwise and Pointwise Convolutions on Mobile Devices" (AAAI), section 3; Lu et al. 2021,
// "Optimizing Depthwise Separable Convolution Operations on GPUs" (TPDS) call it column and row reuse.
#include "kernels/conv2d_depthwise.h"

#include "kernels/cpu/conv2d_patches.h"
#include "kernels/cpu/group_lines.h"
#include "kernels/cpu/isa.h"

namespace fovea::kernels {

template <class T> struct DepthwiseFunctions {
  void (*forward)(const T*, const T*, T*, const Conv2dShape&, const Prologue<T>&, const Epilogue<T>&, void*);
  void (*input_gradient)(const T*, const T*, T*, const Conv2dShape&, bool, void*);
  void (*weight_gradient)(const T*, const T*, float*, const Conv2dShape&, const Prologue<T>&, bool, void*);
};
struct DepthwiseTable {
  DepthwiseFunctions<float> f32;
  DepthwiseFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(DepthwiseTable, depthwise_table)

namespace FOVEA_ISA {
namespace {

constexpr std::int64_t kRing = 96 * 1024;          // floats: input lines that the taps see
constexpr std::int64_t kLine = 16 * 1024;          // floats: a line of sums, or of dy
constexpr std::int64_t kTaskOutputs = 64 * 1024;   // outputs of a task, about: 256 KB that a second-level cache holds
constexpr std::int64_t kTasks = 24;                // at least, if there is work for them
constexpr std::int64_t kMaxSlices = 96;            // of the weight gradient

/// What a task works in, on its thread's stack.
struct DepthwiseScratch {
  alignas(64) float ring[kRing];
  alignas(64) float line[kLine];
};

/// How a pass is cut, from its shape alone: blocks of `vectors` vectors of channels, lines in strips of outputs.
struct DepthwiseCut {
  std::int64_t blocks, vectors, strip;
};
/// Outputs of a line whose input lines fit into the ring with this many vectors of channels; less than 1 if none do.
template <class T> FOVEA_INLINE std::int64_t longest_strip(const Patches<T>& a, std::int64_t vectors) {
  const std::int64_t lines = max_of(1, (a.r - 1) * a.tap_h + 1), columns = kRing / (16 * vectors * lines) - (a.s - 1) * a.tap_w - 1;
  return columns < 0 ? 0 : min_of(columns / a.step_w + 1, kLine / (16 * vectors));
}
/// The lines of `a` in strips of equal length, for `vectors` vectors a block.
template <class T> FOVEA_INLINE DepthwiseCut strips_of(const Patches<T>& a, std::int64_t vectors) {
  const std::int64_t strips = ceil_div(a.q, max_of(1, longest_strip(a, vectors)));
  return {ceil_div(ceil_div(a.pixel, 16), vectors), vectors, ceil_div(a.q, max_of(1, strips))};
}
/// Up to 4 vectors, 256 bytes a pixel; fewer if strips would get short.
template <class T> FOVEA_INLINE DepthwiseCut depthwise_cut(const Patches<T>& a) {
  const std::int64_t all = ceil_div(a.pixel, 16);
  std::int64_t vectors = min_of(4, all);
  while (vectors > 1 && longest_strip(a, vectors) < min_of(a.q, 64)) --vectors;
  return strips_of(a, ceil_div(all, ceil_div(all, vectors)));
}

/// `count` neighbouring pixels of some vectors of channels, as floats: pixel j of vector v to to[v * pitch + 16 j]. channels: those
/// that are left from `from` on; lanes past them become 0.
template <class T>
void gather_pixels(const T* from, std::int64_t pixel, std::int64_t count, std::int64_t channels, std::int64_t vectors, const float* scale,
                   const float* shift, Activation activation, float* to, std::int64_t pitch) {
  constexpr std::int64_t kPixels = 8;   // so many at a time: long enough for the loop, near enough for their memory page
  for (std::int64_t j0 = 0; j0 < count; j0 += kPixels)
    for (std::int64_t v = 0; v < vectors; ++v) {
      const std::int64_t n = channels - 16 * v, end = min_of(count, j0 + kPixels);
      const T* x = from + 16 * v;
      float* y = to + v * pitch;
      if (scale) {
        const F16 a = load_some(scale + 16 * v, n), b = load_some(shift + 16 * v, n);
        for (std::int64_t j = j0; j < end; ++j) activate(activation, fma(a, load_some(x + j * pixel, n), b)).store(y + 16 * j);
      } else if (n >= 16) {
        for (std::int64_t j = j0; j < end; ++j) F16::load(x + j * pixel).store(y + 16 * j);
      } else {
        for (std::int64_t j = j0; j < end; ++j) F16::load_first(x + j * pixel, n).store(y + 16 * j);
      }
    }
}

/// The input lines of one image that a strip of output lines sees: line h lies at slot h modulo the reach of the taps.
template <class T> struct LineRing {
  const Patches<T>& a;
  float* data;
  std::int64_t channel, vectors;   // the block of channels
  std::int64_t first, columns;     // the columns of x, which may lie outside it
  std::int64_t slots, pitch;       // pitch: floats from one vector of channels to the next
  std::int64_t image = -1, next = 0;

  LineRing(const Patches<T>& patches, float* ring, std::int64_t c, std::int64_t v, std::int64_t j0, std::int64_t j1)
      : a(patches),
        data(ring),
        channel(c),
        vectors(v),
        first(j0 * a.step_w + a.w0),
        columns((j1 - j0 - 1) * a.step_w + (a.s - 1) * a.tap_w + 1),
        slots((a.r - 1) * a.tap_h + 1),
        pitch(slots * columns * 16) {}
  float* slot(std::int64_t h) const { return data + h % slots * columns * 16; }

  /// Points `line` at what output line i of an image sees, and gathers what of it is not there yet.
  void see(std::int64_t of_image, std::int64_t i, Line& line) {
    if (a.r * a.s == 0) {   // a phase without taps
      line.r0 = line.r1 = line.ahead_lines = 0;
      return;
    }
    const std::int64_t top = i * a.step_h + a.h0;
    if (image != of_image) image = of_image, next = 0;
    line.r0 = top >= 0 ? 0 : min_of(a.r, ceil_div(-top, a.tap_h));
    line.r1 = top >= a.h ? 0 : min_of(a.r, ceil_div(a.h - top, a.tap_h));
    if (line.r1 < line.r0) line.r1 = line.r0;
    const std::int64_t end = min_of(a.h, top + slots), after = image * a.h + top + slots;   // the next image's follow without a gap
    line.ahead_lines = min_of(a.step_h, max_of(0, a.images * a.h - after));
    line.ahead_line = a.w * a.pixel * std::int64_t(sizeof(T));
    line.ahead_pixel = a.pixel * std::int64_t(sizeof(T));
    line.ahead = reinterpret_cast<const char*>(a.x) + after * line.ahead_line + max_of(0, first) * line.ahead_pixel +
                 channel * std::int64_t(sizeof(T));
    for (std::int64_t h = max_of(next, max_of(0, top)); h < end; ++h) {
      const std::int64_t inside = min_of(columns, max_of(0, -first)), outside = max_of(inside, min_of(columns, a.w - first));
      const std::int64_t channels = a.pixel - channel;
      for (std::int64_t v = 0; v < vectors; ++v) {
        zero_floats(slot(h) + v * pitch, 16 * inside);
        zero_floats(slot(h) + v * pitch + 16 * outside, 16 * (columns - outside));
      }
      gather_pixels(a.x + ((image * a.h + h) * a.w + first + inside) * a.pixel + channel, a.pixel, outside - inside, channels, vectors,
                    a.scale ? a.scale + channel : nullptr, a.scale ? a.shift + channel : nullptr, a.activation, slot(h) + 16 * inside,
                    pitch);
    }
    next = max_of(next, end);
    for (std::int64_t r = line.r0; r < line.r1; ++r) line.row[r] = slot(top + r * a.tap_h);
  }
};

/// f(line, pitch, image, i, j, count) for every run of output pixels of [m0, m1) that lies in one line and one strip; strip after strip.
/// Vector v of the block's channels is line with v * pitch added to its offset.
template <class T, class F>
FOVEA_INLINE void for_lines(const Patches<T>& a, const DepthwiseCut& cut, std::int64_t block, std::int64_t m0, std::int64_t m1, float* ring,
                            const F& f) {
  Line line{};
  line.s = a.s, line.step = a.step_w, line.tap = a.tap_w, line.ahead = reinterpret_cast<const char*>(a.x);
  for (std::int64_t j0 = 0; j0 < a.q; j0 += cut.strip) {
    const std::int64_t j1 = min_of(a.q, j0 + cut.strip), channel = 16 * block * cut.vectors;
    LineRing<T> seen(a, ring, channel, min_of(cut.vectors, ceil_div(a.pixel - channel, 16)), j0, j1);
    for (std::int64_t at = m0 / a.q; at * a.q < m1; ++at) {
      const std::int64_t first = max_of(j0, m0 - at * a.q), last = min_of(j1, m1 - at * a.q);
      if (first >= last) continue;
      seen.see(at / a.p, at % a.p, line);
      line.offset = (first - j0) * a.step_w * 16;
      f(line, seen.pitch, at / a.p, at % a.p, first, last - first);
    }
  }
}

/// Filters laid out for the lines: (vectors, R, S, G, 16): lane l is filter l and place g of G its channel, or with `transposed` the reverse, for
/// the input gradient.
template <class T> void pack_filters(const T* w, const Conv2dShape& s, bool transposed, float* packed) {
  const std::int64_t taps = s.r * s.s, group = s.c / s.groups;
  parallel_for(ceil_div(s.c, 16), [&](std::int64_t v) {
    for (std::int64_t t = 0; t < taps; ++t)
      for (std::int64_t g = 0; g < group; ++g)
        for (std::int64_t l = 0; l < 16; ++l) {
          const std::int64_t lane = 16 * v + l, k = transposed ? lane / group * group + g : lane, c = transposed ? lane % group : g;
          packed[((v * taps + t) * group + g) * 16 + l] = lane < s.c ? float(w[(k * taps + t) * group + c]) : 0.f;
        }
  });
}
/// Where in `packed` a pass finds its taps: tap (r, t) at first + r * step_r + t * step_t; step_v from one vector to the next.
struct PackedTaps {
  const float* first;
  std::int64_t step_r, step_t, step_v;
};

/// Output pixels [m0, m1) of a pass, one block of channels.
template <class T>
void filter_block(const Patches<T>& a, const PackedTaps& w, const Output<T>& out, const DepthwiseCut& cut, std::int64_t block,
                  std::int64_t m0, std::int64_t m1, DepthwiseScratch& scratch) {
  const FilterLine filter = filter_line_of(a.c, a.s, a.step_w, a.tap_w);
  const std::int64_t first_vector = block * cut.vectors, vectors = min_of(cut.vectors, ceil_div(a.pixel, 16) - first_vector);
  for_lines(a, cut, block, m0, m1, scratch.ring,
            [&](Line& line, std::int64_t pitch, std::int64_t image, std::int64_t i, std::int64_t j, std::int64_t count) {
              line.w_r = w.step_r, line.w_s = w.step_t, line.y_pixel = out.pixel_step * std::int64_t(sizeof(T));
              const std::int64_t at = image * out.image_step + i * out.row_step + j * out.pixel_step;
              for (std::int64_t v = 0; v < vectors; ++v, line.offset += pitch, line.ahead += 16 * sizeof(T)) {
                const std::int64_t channel = 16 * (first_vector + v), n = a.pixel - channel;
                line.w = w.first + (first_vector + v) * w.step_v;
                line.y = reinterpret_cast<const char*>(out.y + at + channel);
                if constexpr (std::is_same_v<T, float>)
                  if (n >= 16 && plain(out.e)) {   // straight from the registers
                    filter(line, count, out.y + at + channel, out.pixel_step);
                    continue;
                  }
                filter(line, count, scratch.line, 16);
                finish_rows(scratch.line, 16, count, min_of(n, 16), channel, out, [&](std::int64_t k) { return at + k * out.pixel_step; });
              }
            });
}

/// Lines of outputs that a task should have at least: as many as its taps reach, or most of what it gathers would serve one line.
template <class T> FOVEA_INLINE std::int64_t least_lines(const Patches<T>& a) { return ceil_div((a.r - 1) * a.tap_h + 1, a.step_h); }

template <class T>
void forward(const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& pro, const Epilogue<T>& e, void* workspace) {
  float* packed = static_cast<float*>(workspace);
  pack_filters(w, s, false, packed);
  const Patches<T> a = forward_patches(x, s, pro);
  const std::int64_t tap = 16 * a.c;   // floats of one
  const PackedTaps taps{packed, tap * s.s, tap, tap * s.r * s.s};
  const Output<T> out{.y = y, .image_step = s.p() * s.q() * s.c, .row_step = s.q() * s.c, .pixel_step = s.c, .e = e};
  const DepthwiseCut cut = depthwise_cut(a);
  const std::int64_t tiles = stat_tiles(s.rows());   // a task has whole tiles, so that it can make their partials
  const std::int64_t task_tiles = max_of(ceil_div(least_lines(a) * a.q, kStatRows),
                                         min_of(kTaskOutputs / (16 * cut.vectors * kStatRows), ceil_div(tiles * cut.blocks, kTasks)));
  parallel_for(ceil_div(tiles, task_tiles) * cut.blocks, [&](std::int64_t task) {
    const std::int64_t block = task % cut.blocks, m0 = task / cut.blocks * task_tiles * kStatRows,
                       m1 = min_of(s.rows(), m0 + task_tiles * kStatRows);
    DepthwiseScratch scratch;
    filter_block(a, taps, out, cut, block, m0, m1, scratch);
    if (!e.partials) return;
    const std::int64_t channel = 16 * block * cut.vectors, channels = min_of(16 * cut.vectors, s.c - channel);
    for (std::int64_t m = m0; m < m1; m += kStatRows) {
      float* mean = e.partials + 2 * (m / kStatRows) * s.c + channel;
      tile_statistics(y + m * s.c + channel, min_of(kStatRows, m1 - m), channels, s.c, mean, mean + s.c);
    }
  });
}

template <class T> void input_gradient(const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace) {
  float* packed = static_cast<float*>(workspace);
  pack_filters(w, s, true, packed);
  const std::int64_t tap = 16 * (s.c / s.groups);                                    // floats of one
  const std::int64_t lines = ceil_div(s.h, s.stride_h);                              // of the phase that has most
  Patches<T> all_taps = input_gradient_phase(dy, dx, s, 0, 0, accumulate).patches;   // no phase reaches farther than this
  all_taps.r = s.r, all_taps.s = s.s, all_taps.tap_h = s.dilation_h, all_taps.tap_w = s.dilation_w;
  const DepthwiseCut all_phases = depthwise_cut(all_taps);
  const std::int64_t blocks = all_phases.blocks;
  const std::int64_t line_outputs = s.stride_h * s.w * ceil_div(s.c, blocks);
  const std::int64_t per_image = ceil_div(lines, max_of(ceil_div(least_lines(all_taps), s.stride_h),
                                                        min_of(kTaskOutputs / line_outputs, ceil_div(s.n * lines * blocks, kTasks))));
  const std::int64_t task_lines = ceil_div(lines, per_image);
  // A task makes all phases of its lines: what of dy they share, and the lines of dx that they write in turn, stay in the cache.
  parallel_for(s.n * per_image * blocks, [&](std::int64_t task) {
    const std::int64_t block = task % blocks, i0 = task / blocks % per_image * task_lines, image = task / blocks / per_image;
    DepthwiseScratch scratch;
    for (std::int64_t a = 0; a < min_of(s.stride_h, s.h); ++a)
      for (std::int64_t b = 0; b < min_of(s.stride_w, s.w); ++b) {
        const Phase<T> phase = input_gradient_phase(dy, dx, s, a, b, accumulate);
        const DepthwiseCut cut = strips_of(phase.patches, all_phases.vectors);
        const std::int64_t p = phase.patches.p, q = phase.patches.q;
        const PackedTaps taps{packed + tap * (phase.rows.last * s.s + phase.columns.last), -tap * s.s * phase.rows.step,
                              -tap * phase.columns.step, tap * s.r * s.s};
        filter_block(phase.patches, taps, phase.out, cut, block, (image * p + min_of(p, i0)) * q,
                     (image * p + min_of(p, i0 + task_lines)) * q, scratch);
      }
  });
}

/// Lines of y in one slice of the weight gradient.
template <class T> FOVEA_INLINE std::int64_t slice_lines(const Patches<T>& a, const DepthwiseCut& cut) {
  const std::int64_t lines = a.images * a.p;
  const std::int64_t few =
      max_of(least_lines(a), min_of(kTaskOutputs / (16 * cut.vectors * max_of(1, a.q)), ceil_div(lines * cut.blocks, kTasks)));
  return max_of(few, ceil_div(lines, kMaxSlices));
}
template <class T> FOVEA_INLINE std::int64_t slices(const Patches<T>& a, const DepthwiseCut& cut) {
  return ceil_div(a.images * a.p, slice_lines(a, cut));
}

template <class T>
void weight_gradient_of(const T* x, const T* dy, float* dw, const Conv2dShape& s, const Prologue<T>& pro, bool accumulate,
                        void* workspace) {
  const Patches<T> a = forward_patches(x, s, pro);
  const DepthwiseCut cut = depthwise_cut(a);
  const CorrelateLine correlate = correlate_line_of(a.c, a.s, a.step_w, a.tap_w);
  const std::int64_t all = ceil_div(s.c, 16), taps = s.r * s.s * a.c, count = slices(a, cut), pixels = slice_lines(a, cut) * a.q;
  float* sums = static_cast<float*>(workspace);   // (slices, vectors, R, S, G, 16)
  parallel_for(count * cut.blocks, [&](std::int64_t task) {
    const std::int64_t slice = task / cut.blocks, block = task % cut.blocks, first = block * cut.vectors,
                       vectors = min_of(cut.vectors, all - first);
    float* mine = sums + (slice * all + first) * taps * 16;
    zero_floats(mine, vectors * taps * 16);
    DepthwiseScratch scratch;
    for_lines(a, cut, block, slice * pixels, min_of(s.rows(), (slice + 1) * pixels), scratch.ring,
              [&](Line& line, std::int64_t pitch, std::int64_t image, std::int64_t i, std::int64_t j, std::int64_t n) {
                const T* d = dy + ((image * a.p + i) * a.q + j) * s.c + 16 * first;
                gather_pixels(d, s.c, n, s.c - 16 * first, vectors, nullptr, nullptr, Activation::none, scratch.line, 16 * n);
                line.y_pixel = s.c * std::int64_t(sizeof(T));
                for (std::int64_t v = 0; v < vectors; ++v, line.offset += pitch, line.ahead += 16 * sizeof(T)) {
                  line.y =
                      reinterpret_cast<const char*>(d + a.q * s.c + 16 * v);   // the line that follows; behind the last one nothing is read
                  correlate(line, n, scratch.line + v * 16 * n, mine + v * taps * 16);
                }
              });
  });
  parallel_for(all, [&](std::int64_t v) {
    for (std::int64_t t = 0; t < taps; ++t) {
      F16 sum;
      for (std::int64_t slice = 0; slice < count; ++slice) sum = sum + F16::load(sums + ((slice * all + v) * taps + t) * 16);
      float lanes[16];
      sum.store(lanes);
      for (std::int64_t c = 16 * v; c < min_of(s.c, 16 * v + 16); ++c)
        dw[c * taps + t] = accumulate ? dw[c * taps + t] + lanes[c % 16] : lanes[c % 16];
    }
  });
}

template <class T> constexpr DepthwiseFunctions<T> functions{forward<T>, input_gradient<T>, weight_gradient_of<T>};

}   // namespace
const DepthwiseTable depthwise_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
bool in_lanes(const Conv2dShape& s) {
  using namespace FOVEA_ISA;
  const std::int64_t group = s.c / s.groups;
  if (s.k != s.c || s.r > kMaxTapRows) return false;
  if (group == 1 ? s.c < 2 : (group != 4 && group != 8) || s.c < 16) return false;
  return longest_strip(forward_patches<float>(nullptr, s, {}), 1) >= 1;
}

std::size_t depthwise_workspace_bytes(const Conv2dShape& s, ConvProduct product) {
  using namespace FOVEA_ISA;
  std::int64_t floats = ceil_div(s.c, 16) * 16 * s.taps();
  if (product == ConvProduct::weight_gradient) {
    const Patches<float> a = forward_patches<float>(nullptr, s, {});
    floats *= slices(a, depthwise_cut(a));
  }
  return static_cast<std::size_t>(floats) * sizeof(float);
}

template <class T>
void depthwise_forward(const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& pro, const Epilogue<T>& e, void* workspace) {
  for_type<T>(depthwise_table()).forward(x, w, y, s, pro, e, workspace);
}
template <class T> void depthwise_input_gradient(const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace) {
  for_type<T>(depthwise_table()).input_gradient(dy, w, dx, s, accumulate, workspace);
}
template <class T>
void depthwise_weight_gradient(const T* x, const T* dy, float* dw, const Conv2dShape& s, const Prologue<T>& pro, bool accumulate,
                               void* workspace) {
  for_type<T>(depthwise_table()).weight_gradient(x, dy, dw, s, pro, accumulate, workspace);
}

#define FOVEA_DEPTHWISE_CPU(T)                                                                                                \
  template void depthwise_forward(const T*, const T*, T*, const Conv2dShape&, const Prologue<T>&, const Epilogue<T>&, void*); \
  template void depthwise_input_gradient(const T*, const T*, T*, const Conv2dShape&, bool, void*);                            \
  template void depthwise_weight_gradient(const T*, const T*, float*, const Conv2dShape&, const Prologue<T>&, bool, void*);
FOVEA_DEPTHWISE_CPU(float)
FOVEA_DEPTHWISE_CPU(bfloat16)
#endif

}   // namespace fovea::kernels
