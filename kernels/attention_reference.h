// attention_reference.h: attention of one head as it stands in the paper, for attention_reference.cpp and window_attention_reference.cpp.
//
// A Head says where its rows lie and what is added to its scores:
//   std::int64_t queries, keys, dim;  double scale;
//   const T *q(i), *k(j), *v(j);      rows of dim elements
//   double added(i, j);               to the score of query i and key j
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace fovea::kernels {

template <class A, class B> double dot(const A* a, const B* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t c = 0; c < n; ++c) sum += double(a[c]) * double(b[c]);
  return sum;
}

template <class Head> double score(const Head& h, std::int64_t i, std::int64_t j) {
  return h.scale * dot(h.q(i), h.k(j), h.dim) + h.added(i, j);
}

/// p (keys) = softmax of query i's scores; returns their log-sum-exp.
template <class Head> double softmax_row(const Head& h, std::int64_t i, double* p) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::int64_t j = 0; j < h.keys; ++j) largest = std::fmax(largest, p[j] = score(h, i, j));
  for (std::int64_t j = 0; j < h.keys; ++j) sum += p[j] = std::exp(p[j] - largest);   // at most e^0: nothing overflows
  for (std::int64_t j = 0; j < h.keys; ++j) p[j] /= sum;
  return largest + std::log(sum);
}

/// y(i, c, sum_j P_ij v_jc) for every query and element; lse(i, log-sum-exp). p: (keys) of scratch.
template <class Head, class Y, class Lse> void head_forward(const Head& h, double* p, Y y, Lse lse) {
  for (std::int64_t i = 0; i < h.queries; ++i) {
    lse(i, softmax_row(h, i, p));
    for (std::int64_t c = 0; c < h.dim; ++c) {
      double sum = 0;
      for (std::int64_t j = 0; j < h.keys; ++j) sum += p[j] * double(h.v(j)[c]);
      y(i, c, sum);
    }
  }
}

/// dq(i, c, value), dk(j, c, value), dv(j, c, value) for every element, dbias(i, j, dS_ij) for every pair.
/// p, ds: (queries, keys) of scratch. dy(i) is a row of dL/dy.
template <class Head, class Lse, class DY, class DQ, class DK, class DV, class DBias>
void head_backward(const Head& h, double* p, double* ds, Lse lse, DY dy, DQ dq, DK dk, DV dv, DBias dbias) {
  for (std::int64_t i = 0; i < h.queries; ++i) {
    double *pi = p + i * h.keys, *dsi = ds + i * h.keys, mean = 0;   // mean = <P, dP>, weighted by P
    for (std::int64_t j = 0; j < h.keys; ++j) {
      pi[j] = std::exp(score(h, i, j) - lse(i));
      dsi[j] = dot(dy(i), h.v(j), h.dim);   // dP
      mean += pi[j] * dsi[j];
    }
    for (std::int64_t j = 0; j < h.keys; ++j) dbias(i, j, dsi[j] = pi[j] * (dsi[j] - mean));
  }
  for (std::int64_t i = 0; i < h.queries; ++i)
    for (std::int64_t c = 0; c < h.dim; ++c) {
      double sum = 0;
      for (std::int64_t j = 0; j < h.keys; ++j) sum += ds[i * h.keys + j] * double(h.k(j)[c]);
      dq(i, c, h.scale * sum);
    }
  for (std::int64_t j = 0; j < h.keys; ++j)
    for (std::int64_t c = 0; c < h.dim; ++c) {
      double sum_k = 0, sum_v = 0;
      for (std::int64_t i = 0; i < h.queries; ++i) {
        sum_k += ds[i * h.keys + j] * double(h.q(i)[c]);
        sum_v += p[i * h.keys + j] * double(dy(i)[c]);
      }
      dk(j, c, h.scale * sum_k);
      dv(j, c, sum_v);
    }
}

}   // namespace fovea::kernels
