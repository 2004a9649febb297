// test_shape_ops.cpp: the ops that move numbers without changing them.
#include "autograd/shape_ops.h"

#include <gtest/gtest.h>

#include <numeric>

#include "autograd/arithmetic.h"
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
      {"permute",
       {{2, 3, 4, 5}},
       [](const Inputs& in) {
         return permute(in[0], {2, 0, 3, 1});
       }},
      {"permute_around_one",
       {{2, 1, 17}},
       [](const Inputs& in) {
         return permute(in[0], {1, 0, 2});
       }},
      {"transpose_matrix", {{17, 33}}, [](const Inputs& in) { return transpose(in[0], 0, 1); }},
      {"transpose_heads", {{2, 3, 4, 5}}, [](const Inputs& in) { return transpose(in[0], 1, 2); }},
      {"channel_shuffle", {{2, 3, 12}}, [](const Inputs& in) { return channel_shuffle(in[0], 3); }},
      {"concatenate_channels", {{2, 3, 1}, {2, 3, 17}, {2, 3, 2}}, [](const Inputs& in) { return concatenate(in, -1); }, {0, 1, 2}},
      {"concatenate_tokens", {{2, 1, 3}, {2, 4, 3}}, [](const Inputs& in) { return concatenate(in, 1); }, {0, 1}},
      {"concatenate_itself",
       {{3, 5}},
       [](const Inputs& in) {
         return concatenate({in[0], in[0], in[0]}, 1);
       }},
      {"split_and_reversed",
       {{3, 7, 2}},
       [](const Inputs& in) {
         const auto pieces = split(in[0], {1, 4, 2}, 1);
         return concatenate({pieces[2], pieces[1], pieces[0]}, 1);
       }},
      {"chunk",
       {{3, 8}},
       [](const Inputs& in) {
         const auto halves = chunk(in[0], 2, -1);
         return mul(halves[0], halves[1]);
       }},
      {"slices_that_overlap",
       {{4, 9}},
       [](const Inputs& in) { return add(slice(in[0], {.axis = 1, .step = 2}), slice(in[0], {.axis = 1, .begin = 2, .end = 7})); }},
  };
}

INSTANTIATE_TEST_SUITE_P(ShapeOps, EachOp, testing::ValuesIn(cases()), op_name);

TEST(ShapeOps, MatchPyTorch) {
  const Stored stored("shape_ops");
  expect_parity(stored, {"slice", {}, [](const Inputs& in) {
                           return slice(in[0], {.axis = 1, .begin = 1, .end = -1, .step = 2}, {.axis = 2, .begin = 3});
                         }});
  expect_parity(stored,
                {"pad", {}, [](const Inputs& in) { return pad(in[0], {.axis = 2, .before = 2, .after = 1}, {.axis = 1, .after = 3}); }});
  expect_parity(stored, {"shortcut_a", {}, [](const Inputs& in) {
                           const Variable every_second = slice(in[0], {.axis = 1, .step = 2}, {.axis = 2, .step = 2});
                           return pad(every_second, {.axis = -1, .before = 3, .after = 3});
                         }});
  expect_parity(stored, {"permute", {}, [](const Inputs& in) { return permute(in[0], {2, 0, 3, 1}); }});
  expect_parity(stored, {"transpose", {}, [](const Inputs& in) { return transpose(in[0], -1, 1); }});
  expect_parity(stored, {"heads", {}, [](const Inputs& in) { return transpose(reshape(in[0], {2, 5, 3, 4}), 1, 2); }});
  expect_parity(stored, {"concatenate", {}, [](const Inputs& in) { return concatenate(in, -1); }});
  expect_parity(stored, {"split", {}, [](const Inputs& in) {
                           const auto pieces = split(in[0], {1, 4, 2}, 1);
                           return concatenate({pieces[2], pieces[1], pieces[0]}, 1);
                         }});
  expect_parity(stored, {"chunk", {}, [](const Inputs& in) {
                           const auto halves = chunk(in[0], 2, -1);
                           return mul(halves[0], halves[1]);
                         }});
  expect_parity(stored, {"channel_shuffle", {}, [](const Inputs& in) { return channel_shuffle(in[0], 3); }});
}

TEST(Permute, ByHand) {
  const Variable x(counting({2, 3}));
  EXPECT_EQ(transpose(x, 0, 1).value().to_vector<float>(), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(permute(Variable(counting({1, 2, 3})), {2, 0, 1}).shape(), (Shape{3, 1, 2}));
  const Variable one(counting({2, 1, 3}));
  EXPECT_TRUE(permute(one, {1, 0, 2}).value().shares_storage(one.value()));   // nothing moves
  EXPECT_EQ(permute(Variable(counting({0, 2})), {1, 0}).shape(), (Shape{2, 0}));
  EXPECT_EQ(permute(Variable(counting({})), {}).shape(), Shape{});
}

/// Fig. 1 of the paper: three groups of which each sends a channel to each group of the next layer.
TEST(ChannelShuffle, ByHand) {
  const Variable x(counting({1, 6}));
  EXPECT_EQ(channel_shuffle(x, 3).value().to_vector<float>(), (std::vector<float>{0, 2, 4, 1, 3, 5}));
  EXPECT_EQ(channel_shuffle(channel_shuffle(x, 3), 2).value().to_vector<float>(), x.value().to_vector<float>());
}

TEST(Concatenate, EmptyPiecesAndDtypes) {
  const Variable nothing(counting({2, 0})), x(counting({2, 2}));
  EXPECT_EQ(concatenate({nothing, x, nothing}, 1).value().to_vector<float>(), x.value().to_vector<float>());
  const Variable bytes(counting({2, 2}, DType::u8));
  EXPECT_EQ(concatenate({bytes, bytes}, 0).value().to_vector<float>(), (std::vector<float>{0, 1, 2, 3, 0, 1, 2, 3}));
  EXPECT_EQ(split(x, {0, 2}, 1)[0].shape(), (Shape{2, 0}));
}

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
  EXPECT_EQ(message([&] { permute(x, {0}); }), "permute: expected 2 axes for x (2, 3), got {0}");
  EXPECT_EQ(message([&] { permute(x, {1, -1}); }), "permute: expected each axis of (2, 3) once, got {1, -1}");
  EXPECT_EQ(message([&] { permute(x, {0, 2}); }), "permute: expected an axis in -2..1 of (2, 3), got 2");
  EXPECT_EQ(message([&] { transpose(x, 0, 3); }), "transpose: expected an axis in -2..1 of (2, 3), got 3");
  EXPECT_EQ(message([&] {
              concatenate({x, Variable(Tensor::zeros({3, 3}))}, 1);
            }),
            "concatenate: expected shapes that differ on axis 1 alone, got (2, 3) and (3, 3)");
  EXPECT_EQ(message([&] {
              concatenate({x, Variable(Tensor::zeros({2, 3}, DType::bf16))}, 1);
            }),
            "concatenate: expected float32 on cpu like the first, got bfloat16 on cpu");
  EXPECT_EQ(message([&] { concatenate({}, 0); }), "concatenate: expected at least one tensor");
  EXPECT_EQ(message([&] { split(x, {1, 1}, 1); }), "split: expected extents that add up to 3 on axis 1 of (2, 3), got 2");
  EXPECT_EQ(message([&] { split(x, {1, 3}, 1); }), "split: expected extents that add up to 3 on axis 1 of (2, 3), got 3 after 1");
  EXPECT_EQ(message([&] { chunk(x, 2, 1); }), "chunk: expected a number of pieces that divides 3 on axis 1 of (2, 3), got 2");
  EXPECT_EQ(message([&] { channel_shuffle(x, 2); }),
            "channel_shuffle: expected x of shape (.., C) with C a multiple of 2 groups, got (2, 3)");
  EXPECT_EQ(message([&] { pad(x, {.axis = 1, .before = -1}); }), "pad: expected at least 0 zeros on either side, got -1 and 0");
}

}   // namespace
}   // namespace fovea
