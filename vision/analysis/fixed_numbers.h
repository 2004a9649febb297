// fixed_numbers.h: numbers that every program can make for itself from a name, so that two programs can compare networks, and gradients, without
// a file between them. tests/parity/model_formula.py makes the same ones in Python.
#pragma once

#include <string>

#include "tensor/tensor.h"

namespace fovea::vision {

/// Element i is offset + factor u, where u in [-1/2, 1/2) is a multiple of 2^-16: the upper half of MurmurHash3's finaliser (Appleby 2011) of
/// i + 1 + the 32-bit FNV-1a hash of `name` (Fowler, Noll & Vo). Float32.
Tensor fixed_numbers(const std::string& name, const Shape& shape, double factor = 1, double offset = 0);

}   // namespace fovea::vision
