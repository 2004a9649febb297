// conv2d_testing.h: what tests of convolution share on every backend: sizes, names, the data of a case, and what Reference makes of it.
#pragma once

#include "kernels/conv2d.h"
#include "tests/kernels/product_testing.h"

namespace fovea::kernels {

inline std::int64_t size_x(const Conv2dShape& s) { return s.n * s.h * s.w * s.c; }
inline std::int64_t size_w(const Conv2dShape& s) { return s.k * s.taps(); }
inline std::int64_t size_y(const Conv2dShape& s) { return s.rows() * s.k; }

inline std::string name(const Conv2dShape& s) {
  std::string t;
  const auto add = [&](const char* what, std::initializer_list<std::int64_t> values) {
    t += what;
    for (std::int64_t v : values) t += ' ' + std::to_string(v);
  };
  add("x", {s.n, s.h, s.w, s.c});
  add("  w", {s.k, s.r, s.s});
  add("  stride", {s.stride_h, s.stride_w});
  add("  pad", {s.pad_h, s.pad_w});
  add("  dilation", {s.dilation_h, s.dilation_w});
  add("  groups", {s.groups});
  return t;
}

/// What is done to the operands and to the sums.
struct Fusion {
  bool prologue = false, epilogue = false, accumulate = false;
};

/// Operands of the three products, what they add to (y adds to dy), and all that a prologue and an epilogue want. Numbers in [-1, 1), or
/// the integers -2 .. 2 for what is multiplied.
template <class T> struct ConvCase {
  std::vector<T> x, w, dy, residual, dx0;
  std::vector<float> in_scale, in_shift, scale, shift, dw0;
  explicit ConvCase(const Conv2dShape& s, bool integers = false)
      : x(values(size_x(s), 1, integers)),
        w(values(size_w(s), 2, integers)),
        dy(values(size_y(s), 3, integers)),
        residual(values(size_y(s), 4, integers)),
        dx0(values(size_x(s), 5, integers)),
        in_scale(random_values<float>(s.c, 6)),
        in_shift(random_values<float>(s.c, 7)),
        scale(random_values<float>(s.k, 8)),
        shift(random_values<float>(s.k, 9)),
        dw0(values<float>(size_w(s), 10, integers)) {}
  Prologue<T> prologue() const { return {in_scale.data(), in_shift.data(), Activation::relu}; }

 private:
  template <class V = T> static std::vector<V> values(std::int64_t n, std::uint64_t seed, bool integers) {
    return integers ? small_integers<V>(n, seed) : random_values<V>(n, seed);
  }
};

/// All three products by Reference, in double; with `magnitudes` of the absolute values of everything: sum |a b|, on which bounds rest.
struct ConvProducts {
  std::vector<double> y, dx, dw;
};
template <class T> ConvProducts conv2d_reference(const ConvCase<T>& c, const Conv2dShape& s, Fusion fused, bool magnitudes = false) {
  const auto of = [&](const auto& v) { return magnitudes ? absolute(converted<double>(v)) : converted<double>(v); };
  const std::vector<double> x = of(c.x), w = of(c.w), dy = of(c.dy), residual = of(c.residual), in_scale = of(c.in_scale),
                            in_shift = of(c.in_shift), scale = of(c.scale), shift = of(c.shift);
  ConvProducts r{of(c.dy), of(c.dx0), of(c.dw0)};
  Prologue<double> p;
  if (fused.prologue) p = {in_scale.data(), in_shift.data(), Activation::relu};
  Epilogue<double> e{.accumulate = fused.accumulate};
  if (fused.epilogue) e = {.scale = scale.data(), .shift = shift.data(), .residual = residual.data(), .activation = Activation::relu};
  conv2d_forward(Reference{}, x.data(), w.data(), r.y.data(), s, p, e, nullptr);
  conv2d_input_gradient(Reference{}, dy.data(), w.data(), r.dx.data(), s, fused.accumulate, nullptr);
  conv2d_weight_gradient(Reference{}, x.data(), dy.data(), r.dw.data(), s, p, fused.accumulate, nullptr);
  return r;
}

}   // namespace fovea::kernels
