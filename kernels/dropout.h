// dropout.h: values, or whole rows, set to 0 at random, and the others scaled so that the expectation stays.
//
// The mask is a function of (key, index), so it is the same on every device and for any number of threads, and it is not stored:
// backward makes it again from the key, and is the same linear map, dx = mask dy / (1 - p). 8 B an element must move in float32.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/philox.h"

namespace fovea::kernels {

/// Who stays: index i does where key.bits(i) >= p 2^32, so with probability 1 - p (to 2^-33); with p = 1 nobody does.
struct KeepRule {
  std::uint64_t threshold;
  double scale;   // 1 / (1 - p), and 0 for p = 1
  explicit KeepRule(double p) : threshold(std::uint64_t(p * 0x1p32 + 0.5)), scale(p < 1 ? 1 / (1 - p) : 0) {}
  bool keeps(std::uint32_t bits) const { return bits >= threshold; }
};

/// y[i] = x[i] / (1 - p) where i stays, else 0 (also for a NaN); with accumulate it is added to y. y may be x. 0 <= p <= 1.
/// Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", section 4, in the inverted form of
/// its section 10: scaled in training, so that evaluation does nothing.
template <class T> void dropout(Reference, const T* x, T* y, std::int64_t n, double p, PhiloxKey key, bool accumulate);
template <class T> void dropout(Cpu, const T* x, T* y, std::int64_t n, double p, PhiloxKey key, bool accumulate);
template <class T> void dropout(Cuda, const T* x, T* y, std::int64_t n, double p, PhiloxKey key, bool accumulate);

/// The same for rows: y[r,:] = x[r,:] / (1 - p) where row r stays, else 0. One row: all of x or nothing.
/// Huang et al. 2016, "Deep Networks with Stochastic Depth", Eq. (2), with b drawn for each sample or each batch.
template <class T> void drop_rows(Reference, const T* x, T* y, RowShape s, double p, PhiloxKey key, bool accumulate);
template <class T> void drop_rows(Cpu, const T* x, T* y, RowShape s, double p, PhiloxKey key, bool accumulate);
template <class T> void drop_rows(Cuda, const T* x, T* y, RowShape s, double p, PhiloxKey key, bool accumulate);

}   // namespace fovea::kernels
