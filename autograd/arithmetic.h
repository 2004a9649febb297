// arithmetic.h: + - * / of two Variables, or of one and a number.
//
// Shapes broadcast as in NumPy: aligned at their last axes, an axis that one side lacks or has once is repeated. So a bias (C), a gate
// (N, 1, 1, C) or a positional embedding (1, T, C) meets (N, H, W, C) or (N, T, C) without a copy. The gradient of what was repeated is
// the sum over its repetitions, in a fixed order.
//
// dtypes are equal, or one side is a float32 parameter beside bfloat16 activations: it is used rounded to bfloat16 and gets a float32
// gradient. Cost: each operand read once, the result written once.
#pragma once

#include "autograd/variable.h"

namespace fovea {

Variable add(const Variable& a, const Variable& b);   // da = dy, db = dy; keeps nothing
Variable sub(const Variable& a, const Variable& b);   // da = dy, db = -dy; keeps nothing
/// da = dy b, db = dy a: keeps a if b wants a gradient, and b if a does.
Variable mul(const Variable& a, const Variable& b);
/// da = dy / b, db = -dy y / b: keeps b, and y if b wants a gradient.
Variable div(const Variable& a, const Variable& b);
/// factor * x + shift, dx = factor dy; the numbers are not rounded to x's dtype.
Variable affine(const Variable& x, double factor, double shift);
/// factor * x
inline Variable scale(const Variable& x, double factor) { return affine(x, factor, 0); }
/// x repeated along the axes that it lacks or has once, as in a class token (1, 1, C) for every image of a batch: expand(token, {n, 1, c}).
Variable expand(const Variable& x, const Shape& shape);

inline Variable operator+(const Variable& a, const Variable& b) { return add(a, b); }
inline Variable operator-(const Variable& a, const Variable& b) { return sub(a, b); }
inline Variable operator*(const Variable& a, const Variable& b) { return mul(a, b); }
inline Variable operator/(const Variable& a, const Variable& b) { return div(a, b); }

inline Variable operator+(const Variable& x, double c) { return affine(x, 1, c); }
inline Variable operator+(double c, const Variable& x) { return affine(x, 1, c); }
inline Variable operator-(const Variable& x, double c) { return affine(x, 1, -c); }
inline Variable operator-(double c, const Variable& x) { return affine(x, -1, c); }
inline Variable operator-(const Variable& x) { return scale(x, -1); }
inline Variable operator*(const Variable& x, double c) { return scale(x, c); }
inline Variable operator*(double c, const Variable& x) { return scale(x, c); }
inline Variable operator/(const Variable& x, double c) { return scale(x, 1 / c); }
/// c is rounded to x's dtype here.
Variable operator/(double c, const Variable& x);

}   // namespace fovea
