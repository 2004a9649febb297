// state.h: what optimisers, averages and schedules with a memory save.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace fovea::optim {

/// Named tensors for a checkpoint, as TensorFile::tensors holds them.
using State = std::vector<std::pair<std::string, Tensor>>;

/// Throws ShapeError, beginning with `what`, unless names, shapes and dtypes of `from` are those of `expected`, in its order.
void require_fit(const char* what, const State& from, const State& expected);

}   // namespace fovea::optim
