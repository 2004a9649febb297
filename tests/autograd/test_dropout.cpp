// test_dropout.cpp: dropout and stochastic depth as ops: gradients, masks from keys, one key a call.
#include "autograd/arithmetic.h"
#include "autograd/dropout.h"

#include "autograd/dot.h"
#include "tensor/allocator.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

constexpr RandomKey kKey{.seed = 5, .stream = 9};

std::vector<OpCase> cases() {
  return {
      {"dropout", {{3, 33}}, [](const Inputs& in) { return dropout(in[0], 0.3, kKey); }},
      {"dropout_all", {{7}}, [](const Inputs& in) { return dropout(in[0], 1, kKey); }},
      {"dropout_twice", {{5, 17}}, [](const Inputs& in) { return add(dropout(in[0], 0.5, kKey), dropout(in[0], 0.2, kKey)); }},
      {"stochastic_depth_row", {{9, 3, 2, 17}}, [](const Inputs& in) { return stochastic_depth(in[0], 0.4, DropMode::row, kKey); }},
      {"stochastic_depth_batch", {{4, 5}}, [](const Inputs& in) { return stochastic_depth(in[0], 0.1, DropMode::batch, kKey); }},
      {"stochastic_depth_column", {{9, 1}}, [](const Inputs& in) { return stochastic_depth(in[0], 0.4, DropMode::row, kKey); }},
      {"residual_branch", {{6, 4}}, [](const Inputs& in) { return add(in[0], stochastic_depth(in[0], 0.5, DropMode::row, kKey)); }},
  };
}
INSTANTIATE_TEST_SUITE_P(Dropout, EachOp, testing::ValuesIn(cases()), op_name);

TEST(DropoutOp, TheKeyIsTheMask) {
  const Variable x(Tensor::full({1000}, 1));
  const auto y = dropout(x, 0.25, kKey).value().to_vector<float>();
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], kKey.bits(i) >= 0x40000000u ? float(1 / 0.75) : 0.f) << i;
  const auto rows = stochastic_depth(Variable(x.value().reshape({100, 10})), 0.25, DropMode::row, kKey).value().to_vector<float>();
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i] != 0, kKey.bits(i / 10) >= 0x40000000u) << i;
  const auto batch = stochastic_depth(x, 0.25, DropMode::batch, kKey).value().to_vector<float>();
  for (const float v : batch) EXPECT_EQ(v != 0, kKey.bits(0) >= 0x40000000u);
}

TEST(DropoutOp, EachCallTakesOneKey) {
  manual_seed(3);
  const Variable x(Tensor::full({64}, 1));
  const auto first = dropout(x, 0.5).value().to_vector<float>(), second = dropout(x, 0.5).value().to_vector<float>();
  EXPECT_NE(first, second);
  EXPECT_EQ(default_generator().used(), 2u);
  manual_seed(3);
  EXPECT_EQ(dropout(x, 0.5).value().to_vector<float>(), first);
}

TEST(DropoutOp, KeepsNothing) {
  const Variable x(Tensor::zeros({1 << 18}), true);
  const std::size_t before = memory_statistics().in_use;
  const Variable y = dropout(x, 0.5);
  EXPECT_LT(memory_statistics().in_use - before, (4u << 18) + 4096u);   // the output alone
}

TEST(DropoutOp, RefusesWhatIsNoProbability) {
  const Variable x(Tensor::zeros({3}));
  EXPECT_THROW(dropout(x, -0.1), ShapeError);
  EXPECT_THROW(dropout(x, 1.1), ShapeError);
  EXPECT_THROW(dropout(x, std::nan("")), ShapeError);
  EXPECT_THROW(stochastic_depth(Variable(Tensor::zeros({})), 0.1, DropMode::row), ShapeError);
  EXPECT_EQ(stochastic_depth(Variable(Tensor::zeros({0, 4})), 0.1, DropMode::row).shape(), (Shape{0, 4}));
}

}   // namespace
}   // namespace fovea
