#include "autograd/scale_channels.h"

#include "tests/op_testing.h"

namespace fovea {
namespace {

std::vector<OpCase> cases() {
  std::vector<OpCase> all;
  for (const std::int64_t c : {1, 3, 17, 33})
    all.push_back({"scale_channels_" + std::to_string(c),
                   {{2, 3, 5, c}, {2, c}},
                   [](const Inputs& in) { return scale_channels(in[0], in[1]); },
                   {0, 1}});
  return all;
}
INSTANTIATE_TEST_SUITE_P(ScaleChannels, EachOp, testing::ValuesIn(cases()), op_name);

TEST(ScaleChannelsOp, ChecksItsShapes) {
  const auto zeros = [](Shape s, DType dtype = DType::f32) { return Variable(Tensor::zeros(std::move(s), dtype)); };
  EXPECT_THROW(scale_channels(zeros({2, 3, 4}), zeros({2, 4})), ShapeError);
  EXPECT_THROW(scale_channels(zeros({2, 3, 3, 4}), zeros({2, 3})), ShapeError);
  EXPECT_THROW(scale_channels(zeros({2, 3, 3, 4}), zeros({2, 4}, DType::bf16)), ShapeError);
  EXPECT_EQ(scale_channels(zeros({0, 3, 3, 4}), zeros({0, 4})).shape(), (Shape{0, 3, 3, 4}));
}

}   // namespace
}   // namespace fovea
