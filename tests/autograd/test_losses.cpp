// test_losses.cpp: softmax, cross-entropy, binary cross-entropy: gradients, Cpu against Reference, PyTorch's numbers, impossible targets.
#include "autograd/loss.h"
#include "autograd/softmax.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

std::vector<OpCase> softmaxes() {
  return {{"softmax", {{2, 3, 17}}, [](const Inputs& in) { return softmax(in[0]); }},
          {"log_softmax", {{4, 33}}, [](const Inputs& in) { return log_softmax(in[0]); }}};
}

std::vector<OpCase> losses() {
  std::vector<OpCase> cases;
  const std::pair<const char*, Reduction> reductions[] = {{"mean", Reduction::mean}, {"sum", Reduction::sum}, {"none", Reduction::none}};
  const Stored stored("losses");
  for (const auto& [suffix, reduction] : reductions)
    for (const bool weighted : {false, true}) {
      const std::string weighing = weighted ? "_weighted" : "";
      for (const bool smooth : {false, true})
        for (const bool soft : {false, true}) {
          const CrossEntropyOptions o{
              .label_smoothing = smooth ? 0.1 : 0, .class_weights = weighted ? stored["weights"] : Tensor(), .reduction = reduction};
          cases.push_back({std::string("cross_entropy_") + (soft ? "soft" : "hard") + weighing + (smooth ? "_smooth_" : "_") + suffix,
                           {{6, 19}},
                           [o, t = stored[soft ? "soft" : "labels"]](const Inputs& in) { return cross_entropy(in[0], t, o); }});
        }
      const BinaryCrossEntropyOptions o{.positive_weights = weighted ? stored["positive"] : Tensor(), .reduction = reduction};
      cases.push_back({"binary_cross_entropy" + weighing + "_" + suffix, {{6, 19}}, [o, t = stored["targets"]](const Inputs& in) {
                         return binary_cross_entropy(in[0], t, o);
                       }});
    }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Softmaxes, EachOp, testing::ValuesIn(softmaxes()), op_name);
INSTANTIATE_TEST_SUITE_P(Losses, EachOp, testing::ValuesIn(losses()), op_name);

TEST(Losses, EqualPyTorch) {
  const Stored stored("losses");
  for (const auto& cases : {softmaxes(), losses()})
    for (const OpCase& c : cases) expect_parity(stored, c);
}

TEST(Losses, BinaryCrossEntropyOfAVector) {
  Variable x(Tensor::from<float>({0, 1000, -1000}, {3}), true);
  const Variable loss = binary_cross_entropy(x, Tensor::from<float>({1, 1, 1}, {3}), {.reduction = Reduction::sum});
  EXPECT_NEAR(loss.item(), std::log(2.) + 1000, 1e-4);
  loss.backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{-0.5f, 0, -1}));
}

/// What f says when it refuses; "" if it does not.
template <class F> std::string refusal(F f) {
  try {
    f();
  } catch (const ShapeError& e) {
    return e.what();
  }
  return "";
}

TEST(Losses, NameTheRowOfAnImpossibleTarget) {
  const Variable x(Tensor::zeros({3, 2}));
  EXPECT_EQ(refusal([&] {
              cross_entropy(x, Tensor::from<std::int64_t>({0, 1, 2}, {3}));
            }),
            "cross_entropy: expected labels in 0..1, got 2 in row 2");
  EXPECT_EQ(refusal([&] {
              cross_entropy(x, Tensor::from<std::int64_t>({0, -100, 1}, {3}));
            }),
            "cross_entropy: expected labels in 0..1, got -100 in row 1");
  const Tensor t = Tensor::from<float>({0.5f, 0.5f, 1, 0, 0.25f, 1.5f}, {3, 2});
  EXPECT_EQ(refusal([&] { cross_entropy(x, t); }), "cross_entropy: expected probabilities in [0, 1], got 1.5 in row 2, column 1");
  EXPECT_EQ(refusal([&] { binary_cross_entropy(x, t); }), "binary_cross_entropy: expected targets in [0, 1], got 1.5 in row 2, column 1");
  const Tensor nan = Tensor::from<float>({0.5f, 0.5f, std::nanf(""), 0, 0, 1}, {3, 2});
  EXPECT_EQ(refusal([&] { cross_entropy(x, nan); }), "cross_entropy: expected probabilities in [0, 1], got nan in row 1, column 0");
}

TEST(Losses, RefuseBadInput) {
  const Variable x(Tensor::zeros({3, 2}));
  const Tensor labels = Tensor::from<std::int64_t>({0, 1, 1}, {3}), soft = Tensor::full({3, 2}, 0.5);
  EXPECT_THROW(cross_entropy(x, Tensor::zeros({3})), ShapeError);   // labels have to be int64
  EXPECT_THROW(cross_entropy(x, Tensor::zeros({3, 3})), ShapeError);
  EXPECT_THROW(cross_entropy(x, labels, {.label_smoothing = 1}), ShapeError);
  EXPECT_THROW(cross_entropy(x, labels, {.class_weights = Tensor::full({3}, 1)}), ShapeError);
  EXPECT_THROW(cross_entropy(x, labels, {.class_weights = Tensor::from<float>({1, -1}, {2})}), ShapeError);
  EXPECT_THROW(cross_entropy(x, labels, {.class_weights = Tensor::zeros({2})}), ShapeError);   // a mean without weight
  EXPECT_EQ(cross_entropy(x, labels, {.class_weights = Tensor::zeros({2}), .reduction = Reduction::sum}).item(), 0);
  EXPECT_THROW(cross_entropy(Variable(Tensor::zeros({0, 2})), Tensor::zeros({0}, DType::i64)), ShapeError);
  EXPECT_THROW(cross_entropy(Variable(Tensor::zeros({2, 3, 2})), soft), ShapeError);
  EXPECT_THROW(binary_cross_entropy(x, Tensor::zeros({2, 3})), ShapeError);
  EXPECT_THROW(binary_cross_entropy(x, Tensor::zeros({3, 2}, DType::i64)), ShapeError);
  EXPECT_THROW(binary_cross_entropy(x, soft, {.positive_weights = Tensor::full({3}, 1)}), ShapeError);
  EXPECT_THROW(softmax(Variable(Tensor::zeros({}))), ShapeError);
  EXPECT_THROW(softmax(Variable(Tensor::zeros({3, 0}))), ShapeError);
  EXPECT_EQ(softmax(Variable(Tensor::zeros({0, 3}))).shape(), (Shape{0, 3}));
}

}   // namespace
}   // namespace fovea
