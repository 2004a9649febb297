// argmax.h: which class has the largest logit. No gradient: it counts what a network gets right. Reads 4 B an element of float32.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// which[r] = the place of the first of the largest elements of row r of x (rows, cols); -1 where one is NaN. cols >= 1.
template <class T> void argmax_rows(Reference, const T* x, std::int64_t* which, RowShape s);
template <class T> void argmax_rows(Cpu, const T* x, std::int64_t* which, RowShape s);
template <class T> void argmax_rows(Cuda, const T* x, std::int64_t* which, RowShape s);

}   // namespace fovea::kernels
