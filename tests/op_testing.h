// op_testing.h: what every differentiable op has to pass. A test file lists its ops as OpCases and instantiates EachOp with them
// (the tests themselves are in autograd/test_each_op.cpp); numbers of PyTorch are compared by expect_parity.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "tensor/safetensors.h"

namespace fovea {

using Inputs = std::vector<Variable>;

struct OpCase {
  std::string name;   // letters, digits and underscores
  std::vector<Shape> inputs;
  std::function<Variable(const Inputs&)> run;
  std::vector<std::size_t> activations = {0};   // the other inputs are parameters: float32 even when these are bfloat16
  double f32 = 2e-5;                            // || cpu - truth || <= f32 * || truth ||: sums of about 100 terms, a few in a row
  double bf16 = 0.03;                           // u = 2^-8 = 0.004 an op, and a norm can stretch it
};
/// For messages of GoogleTest.
inline void PrintTo(const OpCase& c, std::ostream* out) { *out << c.name; }

class EachOp : public testing::TestWithParam<OpCase> {};
/// Names the tests: INSTANTIATE_TEST_SUITE_P(Pooling, EachOp, testing::ValuesIn(pooling_cases()), op_name);
inline std::string op_name(const testing::TestParamInfo<OpCase>& c) { return c.param.name; }

/// N(0, 1) in double, one tensor an input.
inline std::vector<Tensor> random_inputs(const OpCase& c) {
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    inputs.push_back(Tensor::randn(c.inputs[i], RandomKey{7, i}, DType::f64, Device::reference));
  return inputs;
}

/// The output, then the gradient of every input (undefined where there is none) for dL/dy = dy. Activations in `dtype`, parameters in its
/// accumulator's; inputs and dy are rounded to `rounded_to` first, so that every dtype starts from the same numbers.
inline std::vector<Tensor> run_op(const OpCase& c, const std::vector<Tensor>& inputs, const Tensor& dy, DType dtype, Device device,
                                  DType rounded_to) {
  Inputs in;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool activation = std::find(c.activations.begin(), c.activations.end(), i) != c.activations.end();
    in.emplace_back(inputs[i].to(rounded_to).to(activation ? dtype : acc_dtype(dtype)).to(device).clone(), true);
  }
  const Variable y = c.run(in);
  std::vector<Tensor> results{y.value().clone()};
  const Tensor direction = dy.defined() ? dy : Tensor::randn(y.shape(), RandomKey{9}, DType::f64, Device::reference);
  y.backward(direction.to(rounded_to).to(y.dtype()).to(y.device()).clone());
  for (const Variable& x : in) results.push_back(x.grad());
  return results;
}

/// || a - b || / || b ||, over all elements.
inline double relative_error(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) error += (x[i] - y[i]) * (x[i] - y[i]), norm += y[i] * y[i];
  return std::sqrt(error / (norm > 0 ? norm : 1));
}

inline void expect_same_results(const std::vector<Tensor>& got, const std::vector<Tensor>& truth, double bound, const std::string& what) {
  ASSERT_EQ(got.size(), truth.size()) << what;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const std::string part = what + (i ? ", gradient of input " + std::to_string(i - 1) : ", output");
    ASSERT_EQ(got[i].defined(), truth[i].defined()) << part;
    if (!truth[i].defined()) continue;
    ASSERT_EQ(got[i].shape(), truth[i].shape()) << part;
    EXPECT_LE(relative_error(got[i], truth[i]), bound) << part;
  }
}

/// What tests/parity/<topic>.py stored in tests/parity/<topic>.safetensors (see stored.py there).
class Stored {
 public:
  explicit Stored(const std::string& topic) : file_(read_safetensors(FOVEA_SOURCE_DIR "/tests/parity/" + topic + ".safetensors")) {}
  bool has(const std::string& key) const { return file_.find(key) != nullptr; }
  Tensor operator[](const std::string& key) const {
    const Tensor* t = file_.find(key);
    require(t != nullptr, "stored numbers: there is no ", key);
    return t->to(Device::reference);
  }

 private:
  TensorFile file_;
};

/// `run` on the stored inputs "<c.name>.x0", ... gives the stored output "<c.name>.y" and, for dL/dy = "<c.name>.dy", the stored
/// gradients "<c.name>.dx0", ...: in float64 on Reference to 1e-9, in float32 on Cpu to 1e-5, of the norm. c.inputs is not used.
inline void expect_parity(const Stored& stored, const OpCase& c) {
  SCOPED_TRACE(c.name);
  std::vector<Tensor> inputs, truth{stored[c.name + ".y"]};
  for (std::size_t i = 0; stored.has(c.name + ".x" + std::to_string(i)); ++i) {
    inputs.push_back(stored[c.name + ".x" + std::to_string(i)]);
    const std::string gradient = c.name + ".dx" + std::to_string(i);
    truth.push_back(stored.has(gradient) ? stored[gradient] : Tensor());
  }
  const Tensor dy = stored[c.name + ".dy"];
  expect_same_results(run_op(c, inputs, dy, DType::f64, Device::reference, DType::f64), truth, 1e-9, "float64 on Reference");
  expect_same_results(run_op(c, inputs, dy, DType::f32, Device::cpu, DType::f32), truth, 1e-5, "float32 on Cpu");
}

}   // namespace fovea
