// test_reductions.cpp: sums, means, maxima and variances along axes.
#include "autograd/reductions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/arithmetic.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

struct Along {
  std::string name;
  Shape x;
  Axes axes;
};
/// Rows, columns, the middle, neighbours, axes that are apart, all of them, one of extent 1, negative ones.
const std::vector<Along> kAlong{{"last", {3, 17}, {-1}},          {"first", {5, 33}, {0}},          {"middle", {2, 5, 3}, {1}},
                                {"pixels", {2, 3, 2, 5}, {1, 2}}, {"apart", {2, 3, 2, 5}, {0, -2}}, {"batch", {2, 3, 17}, {1, 0}},
                                {"all", {2, 3, 4}, {0, 1, 2}},    {"single", {3, 1, 5}, {1}},       {"around_single", {3, 1, 5}, {0, 2}}};

std::vector<OpCase> cases() {
  std::vector<OpCase> list;
  for (const Along& a : kAlong)
    for (const bool keepdim : {false, true}) {
      const std::string suffix = "_" + a.name + (keepdim ? "_keepdim" : "");
      list.push_back({"sum" + suffix, {a.x}, [=](const Inputs& in) { return sum(in[0], a.axes, keepdim); }});
      list.push_back({"mean" + suffix, {a.x}, [=](const Inputs& in) { return mean(in[0], a.axes, keepdim); }});
      list.push_back({"amax" + suffix, {a.x}, [=](const Inputs& in) { return amax(in[0], a.axes, keepdim); }});
      if (a.name == "single") continue;   // no variance of one number
      list.push_back({"var" + suffix, {a.x}, [=](const Inputs& in) { return var(in[0], a.axes, {.keepdim = keepdim}); }});
      list.push_back(
          {"biased_var" + suffix, {a.x}, [=](const Inputs& in) { return var(in[0], a.axes, {.correction = 0, .keepdim = keepdim}); }});
    }
  list.push_back({"sum", {{3, 5}}, [](const Inputs& in) { return sum(in[0]); }});
  list.push_back({"normalise", {{3, 17}}, [](const Inputs& in) {   // each input is used several times
                    return (in[0] - mean(in[0], {-1}, true)) / (var(in[0], {-1}, {.correction = 0, .keepdim = true}) + 1) +
                           amax(in[0], {0});
                  }});
  return list;
}

INSTANTIATE_TEST_SUITE_P(Reductions, EachOp, testing::ValuesIn(cases()), op_name);

TEST(Reductions, MatchPyTorch) {
  const Stored stored("reductions");
  for (const Along& a : kAlong) {
    expect_parity(stored, {"sum_" + a.name, {}, [=](const Inputs& in) { return sum(in[0], a.axes); }});
    expect_parity(stored, {"mean_" + a.name, {}, [=](const Inputs& in) { return mean(in[0], a.axes, true); }});
    expect_parity(stored, {"amax_" + a.name, {}, [=](const Inputs& in) { return amax(in[0], a.axes); }});
    if (a.name == "single") continue;
    expect_parity(stored, {"var_" + a.name, {}, [=](const Inputs& in) { return var(in[0], a.axes); }});
    expect_parity(stored,
                  {"biased_var_" + a.name, {}, [=](const Inputs& in) { return var(in[0], a.axes, {.correction = 0, .keepdim = true}); }});
  }
  expect_parity(stored, {"amax_ties", {}, [](const Inputs& in) { return amax(in[0], {1}); }});
}

TEST(Reductions, EqualMaximaShareTheGradient) {
  const Variable x(Tensor::from<float>({1, 3, 3, 3, 2, -1}, {2, 3}), true);
  amax(x, {1}).backward(Tensor::from<float>({6, 5}, {2}));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{0, 3, 3, 5, 0, 0}));
}

TEST(Reductions, ANaNIsTheMaximum) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Device device : {Device::cpu, Device::reference})
    for (int axis : {0, 1})
      for (std::int64_t at = 0; at < 40; ++at) {
        Tensor x = Tensor::zeros({40, 40}, DType::f32, device);
        x.data<float>()[axis == 0 ? at * 40 + 7 : 7 * 40 + at] = nan;
        const auto y = amax(Variable(x), {axis}).value().to_vector<float>();
        for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i == 7) << at;
      }
}

/// A variance far from 0 keeps its digits: E[x^2] - E[x]^2 would lose all of them here.
TEST(Reductions, VarianceDoesNotCancel) {
  const Variable x(Tensor::from<float>({10000, 10001, 10002, 10003}, {4}));
  EXPECT_EQ(var(x, {0}, {.correction = 0}).item(), 1.25);
}

TEST(Reductions, EmptyTensors) {
  const Variable x(Tensor::zeros({0, 3}), true);
  EXPECT_EQ(sum(x, {0}).value().to_vector<float>(), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(sum(x).item(), 0);
  EXPECT_EQ(mean(x, {1}).shape(), (Shape{0}));
  EXPECT_EQ(amax(x, {1}).shape(), (Shape{0}));
  sum(x, {0}).backward(Tensor::zeros({3}));
  EXPECT_EQ(x.grad().shape(), (Shape{0, 3}));
}

TEST(Reductions, BadInputSaysExpectedAndActual) {
  const auto message = [](const auto& f) -> std::string {
    try {
      f();
    } catch (const ShapeError& e) {
      return e.what();
    }
    return "nothing was thrown";
  };
  const Variable x(Tensor::zeros({2, 3})), empty(Tensor::zeros({0, 3}));
  EXPECT_EQ(message([&] { sum(x, {2}); }), "sum: expected an axis in -2..1 of (2, 3), got 2");
  EXPECT_EQ(message([&] { mean(x, {1, -1}); }), "mean: expected each axis once, got axis 1 twice");
  EXPECT_EQ(message([&] { sum(x, Axes{}); }), "sum: expected at least one axis of (2, 3)");
  EXPECT_EQ(message([&] { mean(empty); }), "mean: expected at least 1 element to reduce, got 0 of (0, 3)");
  EXPECT_EQ(message([&] { amax(empty, {0}); }), "amax: expected at least 1 element to reduce, got 0 of (0, 3)");
  EXPECT_EQ(message([&] { var(Variable(Tensor::zeros({3, 1})), {1}); }), "var: expected at least 2 elements to reduce, got 1 of (3, 1)");
  EXPECT_EQ(message([&] { var(x, {1}, {.correction = -1}); }), "var: expected a correction of at least 0, got -1");
}

}   // namespace
}   // namespace fovea
