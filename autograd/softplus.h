// softplus.h: a smooth ReLU.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// log(1 + e^x), element by element; any shape. Keeps its input. Dugas et al. 2001, Eq. (6).
Variable softplus(const Variable& x);

}   // namespace fovea
