// problem.h: the little training of make_pytorch_numbers.py, step by step.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/dot.h"
#include "optim/optimizer.h"

namespace fovea::optim {

/// The parameters of make_pytorch_numbers.py: w (2, 3), b (5) and, if asked for, u (3, 2, 1, 2).
struct Problem {
  std::vector<Variable> parameters;

  Problem(DType dtype, Device device, int count = 2) {
    for (const Shape& shape : {Shape{2, 3}, Shape{5}, Shape{3, 2, 1, 2}}) {
      if (std::ssize(parameters) == count) break;
      const double start = 10.0 * static_cast<double>(parameters.size());
      std::vector<double> values;
      for (std::int64_t i = 0; i < shape.elements(); ++i) values.push_back(std::cos(static_cast<double>(i) + start));
      parameters.emplace_back(Tensor::from<double>(values, shape, device).to(dtype), true);
    }
  }

  /// As Module::parameters() has them, with names.
  std::vector<std::pair<std::string, Variable>> named() const {
    std::vector<std::pair<std::string, Variable>> all;
    for (std::size_t i = 0; i < parameters.size(); ++i) all.emplace_back(std::vector{"w", "b", "u"}[i], parameters[i]);
    return all;
  }

  void backward(std::size_t p, int t) {
    Variable& x = parameters[p];
    std::vector<double> dy = x.value().to_vector<double>();
    for (std::size_t i = 0; i < dy.size(); ++i)
      dy[i] = std::sin(0.7 * static_cast<double>(i) + 1.3 * t + static_cast<double>(p)) + 0.3 * dy[i];
    dot(x, Tensor::from<double>(dy, x.shape(), x.device()).to(x.dtype())).backward();
  }

  /// The gradients of step t; some are missing.
  void backward(int t) {
    for (std::size_t p = 0; p < parameters.size(); ++p)
      if (!(p == 1 && (t == 0 || t == 3 || t == 4)) && !(p == 2 && t == 5)) backward(p, t);
  }

  void step(Optimizer& optimizer, double lr, int t) {
    optimizer.set_lr(t > 5 ? lr / 2 : lr);
    optimizer.zero_grad();
    backward(t);
    optimizer.step();
  }

  std::vector<double> values() const {
    std::vector<double> all;
    for (const Variable& p : parameters)
      for (const double v : p.value().to_vector<double>()) all.push_back(v);
    return all;
  }
};

inline void expect_near(const std::vector<double>& got, const std::vector<double>& want, double tolerance, const char* what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << what << " " << i;
}

}   // namespace fovea::optim
