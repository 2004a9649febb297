// batch_norm_reference.cpp: batch normalisation as written in Ioffe & Szegedy 2015, in double.
#include "kernels/batch_norm.h"

namespace fovea::kernels {

template <class T> std::size_t batch_norm_workspace_bytes(Reference, ChannelShape) { return 0; }

/// Algorithm 1, lines 1 and 2.
template <class T> void batch_norm_statistics(Reference, const T* x, acc_t<T>* mean, acc_t<T>* variance, ChannelShape s, void*) {
  for (std::int64_t c = 0; c < s.channels; ++c) {
    double sum = 0, squares = 0;
    for (std::int64_t r = 0; r < s.rows; ++r) sum += x[r * s.channels + c];
    const double mu = sum / double(s.rows);
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const double d = x[r * s.channels + c] - mu;
      squares += d * d;
    }
    mean[c] = acc_t<T>(mu);
    variance[c] = acc_t<T>(squares / double(s.rows));
  }
}

template <class T>
void scale_shift(Reference, const T* x, const T* residual, const acc_t<T>* scale, const acc_t<T>* shift, Activation a, T* y,
                 ChannelShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const std::int64_t i = r * s.channels + c;
      y[i] = T(activate(a, double(scale[c]) * x[i] + shift[c] + (residual ? residual[i] : 0)));
    }
}

/// The paper's gradients (section 3, before Algorithm 2) with the sums over dl/dx^ = gamma * g pulled together.
template <class T> void batch_norm_backward(Reference, const BatchNormGradient<T>& a, ChannelShape s, void*) {
  using A = acc_t<T>;
  for (std::int64_t c = 0; c < s.channels; ++c) {
    const double mean = a.mean[c], inv_std = a.inv_std[c], scale = a.scale[c], shift = a.shift[c];
    const auto gradient = [&](std::int64_t i) {   // g, behind the activation
      const double residual = a.residual && a.activation != Activation::none ? a.residual[i] : 0;
      return activate_gradient(a.activation, scale * a.x[i] + shift + residual, double(a.dy[i]));
    };
    double dbeta = 0, dgamma = 0;
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const std::int64_t i = r * s.channels + c;
      const double g = gradient(i), x_hat = (a.x[i] - mean) * inv_std;
      dbeta += g;
      dgamma += g * x_hat;
    }
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const std::int64_t i = r * s.channels + c;
      const double g = gradient(i), x_hat = (a.x[i] - mean) * inv_std;
      const double through_statistics = a.batch_statistics ? (dbeta + x_hat * dgamma) / double(s.rows) : 0;
      if (a.dx) a.dx[i] = T((a.accumulate_dx ? a.dx[i] : 0) + scale * (g - through_statistics));
      if (a.dresidual) a.dresidual[i] = T((a.accumulate_dresidual ? a.dresidual[i] : 0) + g);
    }
    if (a.dgamma) a.dgamma[c] = A((a.accumulate_dgamma ? a.dgamma[c] : 0) + dgamma);
    if (a.dbeta) a.dbeta[c] = A((a.accumulate_dbeta ? a.dbeta[c] : 0) + dbeta);
  }
}

#define FOVEA_INSTANTIATE(T)                                                                                  \
  template std::size_t batch_norm_workspace_bytes<T>(Reference, ChannelShape);                                \
  template void batch_norm_statistics(Reference, const T*, T*, T*, ChannelShape, void*);                      \
  template void scale_shift(Reference, const T*, const T*, const T*, const T*, Activation, T*, ChannelShape); \
  template void batch_norm_backward(Reference, const BatchNormGradient<T>&, ChannelShape, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
