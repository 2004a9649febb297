// layer_norm_reference.cpp: layer normalisation as written in Ba, Kiros & Hinton 2016, in double.
#include "kernels/layer_norm.h"

#include <cmath>

namespace fovea::kernels {

template <class T>
void layer_norm_forward(Reference, const T* x, const acc_t<T>* gamma, const acc_t<T>* beta, double eps, T* y, acc_t<T>* mean,
                        acc_t<T>* inv_std, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols, y += s.cols) {
    double sum = 0, squares = 0;
    for (std::int64_t j = 0; j < s.cols; ++j) sum += x[j];
    const double mu = sum / double(s.cols);
    for (std::int64_t j = 0; j < s.cols; ++j) squares += (x[j] - mu) * (x[j] - mu);
    const double inverse = 1 / std::sqrt(squares / double(s.cols) + eps);
    for (std::int64_t j = 0; j < s.cols; ++j) y[j] = T((gamma ? gamma[j] : 1) * ((x[j] - mu) * inverse) + (beta ? beta[j] : 0));
    if (mean) mean[r] = acc_t<T>(mu);
    if (inv_std) inv_std[r] = acc_t<T>(inverse);
  }
}

template <class T> std::size_t layer_norm_workspace_bytes(Reference, RowShape) { return 0; }

/// x^ depends on x_j directly, through the mean and through the deviation: d x^_i / d x_j = inv_std ([i = j] - 1/cols - x^_i x^_j / cols).
template <class T> void layer_norm_backward(Reference, const LayerNormGradient<T>& a, RowShape s, void*) {
  const auto x_hat = [&](std::int64_t r, std::int64_t j) { return (a.x[r * s.cols + j] - double(a.mean[r])) * double(a.inv_std[r]); };
  for (std::int64_t j = 0; j < s.cols && (a.dgamma || a.dbeta); ++j) {
    double dgamma = 0, dbeta = 0;
    for (std::int64_t r = 0; r < s.rows; ++r) {
      dgamma += a.dy[r * s.cols + j] * x_hat(r, j);
      dbeta += a.dy[r * s.cols + j];
    }
    if (a.dgamma) a.dgamma[j] = acc_t<T>((a.accumulate_dgamma ? a.dgamma[j] : 0) + dgamma);
    if (a.dbeta) a.dbeta[j] = acc_t<T>((a.accumulate_dbeta ? a.dbeta[j] : 0) + dbeta);
  }
  for (std::int64_t r = 0; r < s.rows && a.dx; ++r) {
    const auto g = [&](std::int64_t j) { return (a.gamma ? double(a.gamma[j]) : 1.) * a.dy[r * s.cols + j]; };
    double mean_g = 0, mean_gx = 0;
    for (std::int64_t j = 0; j < s.cols; ++j) {
      mean_g += g(j) / double(s.cols);
      mean_gx += g(j) * x_hat(r, j) / double(s.cols);
    }
    for (std::int64_t j = 0; j < s.cols; ++j) {
      T& dx = a.dx[r * s.cols + j];
      dx = T((a.accumulate_dx ? dx : 0) + a.inv_std[r] * (g(j) - mean_g - x_hat(r, j) * mean_gx));
    }
  }
}

#define FOVEA_INSTANTIATE(T)                                                                               \
  template void layer_norm_forward(Reference, const T*, const T*, const T*, double, T*, T*, T*, RowShape); \
  template std::size_t layer_norm_workspace_bytes<T>(Reference, RowShape);                                 \
  template void layer_norm_backward(Reference, const LayerNormGradient<T>&, RowShape, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
