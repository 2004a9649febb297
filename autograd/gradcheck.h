// gradcheck.h: is a gradient right? Central differences in double on Reference.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace fovea {

struct GradcheckOptions {
  double step = 1e-5;
  double tolerance = 1e-6;   // |analytic - numeric| <= tolerance * max(1, |analytic|, |numeric|)
  std::uint64_t seed = 1;
};

/// Compares the gradient of <f(inputs), u>, u a fixed random tensor (a plain sum would miss ops whose outputs sum to a
/// constant), with respect to every element of every input, with central differences. Inputs are float64 on Reference.
/// Returns "" when all agree, else what differs most: input, index, both numbers.
std::string gradcheck(const std::function<Variable(const std::vector<Variable>&)>& f, const std::vector<Tensor>& inputs,
                      const GradcheckOptions& o = {});

}   // namespace fovea
