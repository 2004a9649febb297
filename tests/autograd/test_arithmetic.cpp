// test_arithmetic.cpp: + - * / with broadcasting.
#include "autograd/arithmetic.h"

#include <gtest/gtest.h>

#include "autograd/reductions.h"
#include "autograd/shape_ops.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

using Binary = Variable (*)(const Variable&, const Variable&);
const std::vector<std::pair<std::string, Binary>> kOps{{"add", add}, {"sub", sub}, {"mul", mul}, {"div", div}};

struct Pair {
  std::string name;
  Shape a, b;
};
/// Every way of repeating: neither, per channel, gate, per row, token, outer product, apart, scalar, lacking axes, one of rank 0.
const std::vector<Pair> kPairs{
    {"equal", {3, 17}, {3, 17}},
    {"channels", {2, 3, 3}, {3}},
    {"channels_first", {17}, {5, 17}},
    {"gate", {2, 3, 2, 5}, {2, 1, 1, 5}},
    {"per_row", {3, 4, 5}, {3, 4, 1}},
    {"position", {2, 3, 5}, {1, 3, 5}},
    {"outer", {3, 1}, {1, 5}},
    {"apart", {2, 3, 4, 3}, {1, 3, 1, 3}},
    {"both", {2, 1, 3, 1}, {3, 1, 5}},
    {"one_of_each", {1, 3}, {3}},
    {"scalar", {2, 3}, {}},
    {"one", {1, 1}, {33}},
};

/// 1.5 + x^2 / 2 in place of x: a divisor is not near 0.
Variable positive(const Variable& x) { return x * x * 0.5 + 1.5; }

std::vector<OpCase> cases() {
  std::vector<OpCase> list;
  for (const auto& [op, f] : kOps)
    for (const Pair& p : kPairs)
      for (const bool parameter : {false, true}) {   // b in float32 beside a in bfloat16
        const bool divides = op == "div";
        const Binary run = f;
        list.push_back({op + "_" + p.name + (parameter ? "_parameter" : ""),
                        {p.a, p.b},
                        [=](const Inputs& in) { return run(in[0], divides ? positive(in[1]) : in[1]); },
                        parameter ? std::vector<std::size_t>{0} : std::vector<std::size_t>{0, 1}});
      }
  list.push_back({"square", {{3, 5}}, [](const Inputs& in) { return in[0] * in[0]; }});
  list.push_back({"numbers", {{2, 17}}, [](const Inputs& in) { return 1 - (2 * in[0] + 0.5) / 3 - in[0] * 0.25 + (-in[0] - 1); }});
  list.push_back({"reciprocal", {{2, 17}}, [](const Inputs& in) { return 2 / positive(in[0]); }});
  list.push_back({"expand", {{1, 1, 5}}, [](const Inputs& in) { return expand(in[0], {3, 2, 5}); }});
  list.push_back({"expand_lacking", {{3, 1}}, [](const Inputs& in) { return expand(in[0], {2, 3, 4}); }});
  list.push_back({"class_token",
                  {{1, 1, 5}, {2, 3, 5}},
                  [](const Inputs& in) {
                    return concatenate({expand(in[0], {2, 1, 5}), in[1]}, 1);
                  },
                  {0, 1}});
  list.push_back({"squeeze_and_excitation", {{2, 3, 2, 5}, {2, 5}}, [](const Inputs& in) {   // Hu et al. 2018, Eq. (2) and (4)
                    return in[0] * reshape(mean(in[0], {1, 2}) * in[1], {2, 1, 1, 5});
                  }});
  list.push_back({"summed_twice", {{3, 5}, {5}}, [](const Inputs& in) { return in[0] * in[1] + in[0] / positive(in[1]) - in[1]; }});
  return list;
}

INSTANTIATE_TEST_SUITE_P(Arithmetic, EachOp, testing::ValuesIn(cases()), op_name);

TEST(Arithmetic, MatchesPyTorch) {
  const Stored stored("arithmetic");
  for (const auto& [op, f] : kOps)
    for (const Pair& p : kPairs) {
      const Binary run = f;
      expect_parity(stored, {op + "_" + p.name, {}, [=](const Inputs& in) { return run(in[0], in[1]); }});
    }
  expect_parity(stored, {"expand", {}, [](const Inputs& in) { return expand(in[0], {2, 3, 4, 5}); }});
  expect_parity(stored, {"numbers", {}, [](const Inputs& in) { return (3 - in[0] / 7) * 0.3 + 2 / in[0]; }});
}

TEST(Arithmetic, ByHand) {
  const Variable a(Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3}), true), b(Tensor::from<float>({10, 20, 30}, {3}), true);
  EXPECT_EQ((a + b).value().to_vector<float>(), (std::vector<float>{11, 22, 33, 14, 25, 36}));
  EXPECT_EQ((b - a).value().to_vector<float>(), (std::vector<float>{9, 18, 27, 6, 15, 24}));
  EXPECT_EQ((a * b).value().to_vector<float>(), (std::vector<float>{10, 40, 90, 40, 100, 180}));
  EXPECT_EQ((b / a).value().to_vector<float>(), (std::vector<float>{10, 10, 10, 2.5, 4, 5}));
  sum(b - a).backward();
  EXPECT_EQ(a.grad().to_vector<float>(), (std::vector<float>(6, -1)));
  EXPECT_EQ(b.grad().to_vector<float>(), (std::vector<float>(3, 2)));
}

TEST(Arithmetic, KeepsOnlyWhatAGradientNeeds) {
  const Shape shape{64, 1024};
  const auto kept = [&](const auto& f) {
    const Variable a(Tensor::full(shape, 1), true), b(Tensor::full({1024}, 2));
    const std::size_t before = memory_statistics().in_use;
    const Variable y = f(a, b);
    return memory_statistics().in_use - before;
  };
  const std::size_t one = static_cast<std::size_t>(shape.elements()) * 4;
  for (const auto& [op, f] : kOps) EXPECT_LT(kept(f), one + one / 2) << op;   // y and nothing else
}

/// The gradient of a chain of products is written where the gradient that came in lay.
TEST(Arithmetic, GradientsReuseMemory) {
  const Variable x(Tensor::full({64, 1024}, 1), true), gate(Tensor::full({1024}, 2));
  const Variable y = (x * 3) * gate;
  const Tensor dy = Tensor::full({64, 1024}, 1);
  const std::size_t before = memory_statistics().in_use;
  y.backward(dy.clone());
  EXPECT_LE(memory_statistics().in_use, before + dy.bytes());
  EXPECT_EQ(x.grad().to_vector<float>()[77], 6);
}

TEST(Arithmetic, NumbersAreNotRoundedToBfloat16) {
  const Variable x(Tensor::full({3}, 256, DType::bf16));
  EXPECT_EQ((x * 1.00390625 + 0).value().to_vector<float>()[0], 256 * 1.00390625f - 1);   // 257 rounds to even, 256
  EXPECT_EQ(affine(x, 1.00390625, 1).value().to_vector<float>()[0], 258);                 // 257 + 1: the factor was exact
}

TEST(Arithmetic, EmptyTensors) {
  const Variable a(Tensor::zeros({0, 3}), true), b(Tensor::full({3}, 1), true);
  const Variable y = a * b;
  EXPECT_EQ(y.shape(), (Shape{0, 3}));
  y.backward(Tensor::zeros({0, 3}));
  EXPECT_EQ(b.grad().to_vector<float>(), (std::vector<float>{0, 0, 0}));
}

TEST(Arithmetic, BadInputSaysExpectedAndActual) {
  const auto message = [](const auto& f) -> std::string {
    try {
      f();
    } catch (const ShapeError& e) {
      return e.what();
    }
    return "nothing was thrown";
  };
  const Variable a(Tensor::zeros({2, 3, 4})), b(Tensor::zeros({2, 4}));
  EXPECT_EQ(message([&] { add(a, b); }), "add: expected shapes that broadcast, got (2, 3, 4) and (2, 4): 3 and 2 on axis -2");
  EXPECT_EQ(message([&] { mul(a, Variable(Tensor::zeros({4}, DType::f64, Device::cpu))); }),
            "mul: expected two of a dtype, got float32 and float64");
  EXPECT_EQ(message([&] { div(a, Variable(Tensor::zeros({4}, DType::f32, Device::reference))); }),
            "div: expected two of a device, got cpu and reference");
  EXPECT_EQ(message([&] { expand(a, {2, 5, 4}); }), "expand: expected a shape that x (2, 3, 4) repeats to, got (2, 5, 4)");
  EXPECT_EQ(message([&] { expand(a, {2, 3, -1}); }), "expand: expected a shape that x (2, 3, 4) repeats to, got (2, 3, -1)");
  EXPECT_EQ(message([&] { expand(a, {4}); }), "expand: expected a shape of at least 3 axes for x (2, 3, 4), got (4)");
}

}   // namespace
}   // namespace fovea
