// test_shape_ops.cpp: the ops that move numbers without changing them.
#include "autograd/shape_ops.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/op_testing.h"

namespace fovea {
namespace {

/// 0, 1, 2, ... of a dtype.
Tensor counting(const Shape& shape, DType dtype = DType::f32) {
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  std::iota(values.begin(), values.end(), 0.f);
  return Tensor::from(values, shape).to(dtype);
}

std::vector<OpCase> cases() {
  return {
      {"slice_first_axis", {{5, 3}}, [](const Inputs& in) { return slice(in[0], {.begin = 1, .end = 4}); }},
      {"slice_middle", {{2, 5, 17}}, [](const Inputs& in) { return slice(in[0], {.axis = 1, .begin = 1, .end = -1}); }},
      {"slice_last_step", {{3, 33}}, [](const Inputs& in) { return slice(in[0], {.axis = -1, .begin = 2, .step = 3}); }},
      {"slice_pixels", {{2, 5, 4, 3}}, [](const Inputs& in) { return slice(in[0], {.axis = 1, .step = 2}, {.axis = 2, .step = 2}); }},
      {"pad_channels", {{2, 3, 2, 3}}, [](const Inputs& in) { return pad(in[0], {.axis = -1, .before = 2, .after = 1}); }},
      {"pad_pixels",
       {{2, 3, 2, 17}},
       [](const Inputs& in) { return pad(in[0], {.axis = 1, .before = 1, .after = 2}, {.axis = 2, .after = 1}); }},
      {"shortcut_a",
       {{2, 4, 6, 5}},
       [](const Inputs& in) {
         return pad(slice(in[0], {.axis = 1, .step = 2}, {.axis = 2, .step = 2}), {.axis = 3, .before = 2, .after = 3});
       }},
  };
}

INSTANTIATE_TEST_SUITE_P(ShapeOps, EachOp, testing::ValuesIn(cases()), op_name);

TEST(Slice, ByHand) {
  const Variable x(counting({3, 4}), true);
  EXPECT_EQ(slice(x, {.axis = 1, .begin = 1, .step = 2}).value().to_vector<float>(), (std::vector<float>{1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(slice(x, {.axis = -1, .begin = -2, .end = -1}).value().to_vector<float>(), (std::vector<float>{2, 6, 10}));
  EXPECT_EQ(slice(x, {.axis = 0, .begin = 1}, {.axis = 1, .end = 1}).value().to_vector<float>(), (std::vector<float>{4, 8}));
  EXPECT_EQ(slice(x, {.axis = 0, .begin = 1, .end = 1}).shape(), (Shape{0, 4}));
  EXPECT_TRUE(slice(x, {.begin = 1}).value().shares_storage(x.value()));   // whole rows are a view
  slice(x, {.axis = 0, .begin = 2, .end = 3}).backward(counting({1, 4}));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3}));
}

TEST(Pad, ByHand) {
  const Variable x(counting({2, 2}));
  EXPECT_EQ(pad(x, {.axis = 0, .after = 1}, {.axis = 1, .before = 1}).value().to_vector<float>(),
            (std::vector<float>{0, 0, 1, 0, 2, 3, 0, 0, 0}));
  EXPECT_EQ(pad(Variable(counting({0, 2})), {.after = 2}).value().to_vector<float>(), (std::vector<float>{0, 0, 0, 0}));
}

/// Whole numbers and bytes move as well.
TEST(ShapeOps, AnyDtype) {
  for (const DType dtype : {DType::u8, DType::i64, DType::bf16, DType::f32}) {
    const Variable x(counting({3, 5}, dtype));
    EXPECT_EQ(slice(x, {.axis = 1, .begin = 4}).value().to_vector<float>(), (std::vector<float>{4, 9, 14}));
    EXPECT_EQ(pad(slice(x, {.end = 1}), {.axis = 1, .before = 1}).value().to_vector<float>(), (std::vector<float>{0, 0, 1, 2, 3, 4}));
  }
}

TEST(ShapeOps, BadInputSaysExpectedAndActual) {
  const Variable x(Tensor::zeros({2, 3}));
  const auto message = [](const auto& f) -> std::string {
    try {
      f();
    } catch (const ShapeError& e) {
      return e.what();
    }
    return "nothing was thrown";
  };
  EXPECT_EQ(message([&] { slice(x, {.axis = 2}); }), "slice: expected an axis in -2..1 of (2, 3), got 2");
  EXPECT_EQ(message([&] { slice(x, {.axis = 1, .begin = 2, .end = 1}); }),
            "slice: expected 0 <= begin <= end <= 3 on axis 1 of (2, 3), got begin 2 and end 1");
  EXPECT_EQ(message([&] { slice(x, {.axis = 1, .end = 4}); }),
            "slice: expected 0 <= begin <= end <= 3 on axis 1 of (2, 3), got begin 0 and end 4");
  EXPECT_EQ(message([&] { slice(x, {.step = 0}); }), "slice: expected a step of at least 1, got 0");
  EXPECT_EQ(message([&] { slice(x, {.axis = 1}, {.axis = -1}); }), "slice: expected each axis once, got axis 1 twice");
  EXPECT_EQ(message([&] { pad(x, {.axis = -3}); }), "pad: expected an axis in -2..1 of (2, 3), got -3");
  EXPECT_EQ(message([&] { pad(x, {.axis = 1, .before = -1}); }), "pad: expected at least 0 zeros on either side, got -1 and 0");
}

}   // namespace
}   // namespace fovea
