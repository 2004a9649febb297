// runs.h: some stretches of one long flat array: the tensors of an optimiser's arena.
#pragma once

#include "kernels/backend.h"

namespace fovea::kernels {

/// Elements [begin, end).
struct Run {
  std::int64_t begin, end;
};

}   // namespace fovea::kernels
