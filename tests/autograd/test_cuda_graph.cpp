// What autograd keeps must not hide work from a graph that is recorded.
#include <gtest/gtest.h>

#include "autograd/dropout.h"
#include "autograd/variable.h"
#include "tensor/cuda.h"
#include "tensor/graph.h"

namespace fovea {
namespace {

class CudaGraphOfOps : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no GPU";
  }
};

TEST_F(CudaGraphOfOps, AFormOfAParameterIsMadeInEveryLaunch) {
  const Variable w(Tensor::full({100}, 1, DType::f32, Device::cuda), true);
  const auto narrow = [&] { return w.derived("narrow", [](const Tensor& value) { return value.to(DType::bf16); }); };
  narrow();   // kept, and valid
  Tensor inside;
  CudaGraph graph([&] { inside = narrow(); });
  Tensor value = w.value();
  value.fill(2);
  graph.launch();
  EXPECT_EQ(inside.to_vector<float>(), std::vector<float>(100, 2));
}

TEST_F(CudaGraphOfOps, MasksAreThoseOfEagerSteps) {
  const NoGrad no_grad;
  const Variable x(Tensor::full({1000}, 1, DType::f32, Device::cuda));
  std::vector<std::vector<float>> eager, replayed;
  manual_seed(3);
  for (int step = 0; step < 3; ++step) eager.push_back(dropout(dropout(x, 0.2), 0.5).value().to_vector<float>());
  manual_seed(3);
  Tensor y;
  CudaGraph graph([&] { y = dropout(dropout(x, 0.2), 0.5).value(); });
  for (int step = 0; step < 3; ++step) {
    graph.launch();
    replayed.push_back(y.to_vector<float>());
  }
  EXPECT_EQ(eager, replayed);
  EXPECT_NE(eager[0], eager[1]);
}

}   // namespace
}   // namespace fovea
