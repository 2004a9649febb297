// softplus.h: a smooth ReLU.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// log(1 + e^x), element by element; any shape. Keeps its input: dx = dy / (1 + e^-x). Dugas et al. 2001.
Variable softplus(const Variable& x);

}   // namespace fovea
