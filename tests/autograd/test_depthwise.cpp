// Depthwise convolution as conv2d() does it: gradients, Cpu against Reference, PyTorch's numbers. Its kernels: tests/kernels/test_conv2d.cpp.
#include "autograd/conv.h"
#include "autograd/norm.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

std::vector<OpCase> cases() {
  struct Depthwise {
    std::string name;
    std::int64_t channels, multiplier, h, w, kernel;
    Size2 stride, padding, dilation = 1;
  };
  std::vector<OpCase> list;
  for (const Depthwise& d : {Depthwise{"3x3", 17, 1, 4, 5, 3, 1, 1},
                             {"3x3_stride2", 18, 1, 5, 4, 3, 2, 1},
                             {"5x5", 3, 1, 6, 7, 5, 1, 2},
                             {"5x5_stride2", 5, 1, 8, 7, 5, 2, 2},
                             {"7x7", 5, 1, 8, 7, 7, 1, 3},
                             {"dilated", 4, 1, 9, 8, 3, {1, 2}, 2, {2, 3}},
                             {"stride3", 3, 1, 8, 7, 3, 3, 4},
                             {"one_channel", 1, 1, 5, 5, 3, 1, 1},
                             {"multiplier", 3, 2, 5, 4, 3, 1, 1}})   // as in tests/parity/depthwise.py
    list.push_back({"conv_" + d.name,
                    {{1, d.h, d.w, d.channels}, {d.channels * d.multiplier, d.kernel, d.kernel, 1}, {d.channels * d.multiplier}},
                    [d](const Inputs& in) {
                      return conv2d(in[0], in[1], in[2],
                                    {.stride = d.stride, .padding = d.padding, .dilation = d.dilation, .groups = d.channels});
                    }});
  return list;
}
INSTANTIATE_TEST_SUITE_P(Depthwise, EachOp, testing::ValuesIn(cases()), op_name);

TEST(DepthwiseParity, EqualsPyTorch) {
  const Stored stored("depthwise");
  for (OpCase c : cases()) {
    c.name = c.name.substr(5);
    expect_parity(stored, c);
  }
}

/// Expand, depthwise, project as in MobileNetV2: the depthwise layer reads a raw output through its prologue, makes batch-norm partials, and
/// is read that way itself.
std::vector<OpCase> fused_cases() {
  std::vector<OpCase> list;
  for (const bool training : {true, false})
    list.push_back({training ? "training" : "frozen",
                    {{2, 5, 6, 4}, {18, 1, 1, 4}, {18}, {18}, {18, 3, 3, 1}, {18}, {18}, {4, 1, 1, 18}},
                    [training](const Inputs& in) {
                      const auto norm = [&](std::size_t i) {
                        const Tensor like = in[i].value();
                        return BatchNormConfig{.gamma = in[i],
                                               .beta = in[i + 1],
                                               .running_mean = Tensor::full(like.shape(), 0.25, like.dtype(), like.device()),
                                               .running_var = Tensor::full(like.shape(), 1.5, like.dtype(), like.device()),
                                               .training = training};
                      };
                      const Variable wide = conv_norm_act(in[0], in[1], {}, norm(2), {.activation = Activation::relu});
                      const Variable deep =
                          conv_norm_act(wide, in[4], {.stride = 2, .padding = 1, .groups = 18}, norm(5), {.activation = Activation::relu});
                      return conv2d(deep, in[7], Variable(), {});
                    },
                    {0},
                    5e-5,
                    0.05});
  return list;
}
INSTANTIATE_TEST_SUITE_P(DepthwiseFused, EachOp, testing::ValuesIn(fused_cases()), op_name);

}   // namespace
}   // namespace fovea
