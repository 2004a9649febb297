// Pooling as differentiable ops: gradients, Cpu against Reference, PyTorch's numbers, and what is refused.
#include "autograd/pooling.h"

#include "tests/op_testing.h"

namespace fovea {
namespace {

struct Windows {
  std::string name;
  Shape x;
  Size2 kernel, stride = 0, padding = 0;
  bool ceil_mode = false;
};
/// As in tests/parity/pooling.py.
const std::vector<Windows> kWindows{
    {"plain", {2, 5, 4, 2}, 2},
    {"overlapping", {1, 5, 6, 3}, 3, 2, 1},
    {"ceil", {1, 6, 4, 2}, 3, 2, 1, true},
    {"ceil_dropped", {1, 5, 5, 2}, 2, 3, 1, true},
    {"ceil_overhang", {1, 6, 7, 2}, {3, 4}, {2, 3}, {0, 2}, true},
    {"uneven", {1, 4, 8, 2}, {2, 5}, {1, 3}, {1, 2}},
};
struct Bins {
  std::string name;
  Shape x;
  Size2 output;
};
const std::vector<Bins> kBins{{"divides", {1, 6, 8, 3}, {3, 4}},
                              {"uneven", {1, 7, 10, 2}, {3, 4}},
                              {"more", {1, 3, 4, 3}, {5, 4}},
                              {"one", {2, 5, 4, 3}, 1},
                              {"wide", {1, 17, 18, 1}, 1}};

std::vector<OpCase> cases() {
  std::vector<OpCase> list;
  for (const Windows& w : kWindows) {
    list.push_back({"max_" + w.name, {w.x}, [w](const Inputs& in) {
                      return max_pool2d(in[0], {.kernel = w.kernel, .stride = w.stride, .padding = w.padding, .ceil_mode = w.ceil_mode});
                    }});
    for (const auto& [prefix, count, divisor] :
         {std::tuple("avg_", true, 0), std::tuple("avg_unpadded_", false, 0), std::tuple("avg_divisor_", true, 5)}) {
      const AvgPool2dConfig o{.kernel = w.kernel,
                              .stride = w.stride,
                              .padding = w.padding,
                              .ceil_mode = w.ceil_mode,
                              .count_include_pad = count,
                              .divisor_override = divisor};
      list.push_back({prefix + w.name, {w.x}, [o](const Inputs& in) { return avg_pool2d(in[0], o); }});
    }
  }
  for (const Bins& b : kBins) {
    list.push_back({"adaptive_avg_" + b.name, {b.x}, [b](const Inputs& in) { return adaptive_avg_pool2d(in[0], b.output); }});
    list.push_back({"adaptive_max_" + b.name, {b.x}, [b](const Inputs& in) { return adaptive_max_pool2d(in[0], b.output); }});
  }
  list.push_back({"global_avg", {{2, 3, 5, 4}}, [](const Inputs& in) { return global_avg_pool(in[0]); }});
  return list;
}

INSTANTIATE_TEST_SUITE_P(Pooling, EachOp, testing::ValuesIn(cases()), op_name);
INSTANTIATE_TEST_SUITE_P(
    PoolingLanes, EachOp,   // more than 16 channels, and some that are left
    testing::Values(
        OpCase{"max", {{1, 5, 4, 33}}, [](const Inputs& in) { return max_pool2d(in[0], {.kernel = 3, .stride = 2, .padding = 1}); }},
        OpCase{"avg", {{1, 3, 4, 81}}, [](const Inputs& in) { return avg_pool2d(in[0], {.kernel = 3, .stride = 2, .padding = 1}); }},
        OpCase{"adaptive",
               {{1, 5, 7, 17}},
               [](const Inputs& in) {
                 return adaptive_avg_pool2d(in[0], {2, 3});
               }}),
    op_name);

TEST(PoolingParity, EqualsPyTorch) {
  const Stored stored("pooling");
  for (const OpCase& c : cases()) expect_parity(stored, c);
}

TEST(Pooling, RefusesBadInput) {
  const Variable x(Tensor::zeros({1, 4, 4, 2}));
  EXPECT_THROW(max_pool2d(Variable(Tensor::zeros({4, 4})), {}), ShapeError);
  EXPECT_THROW(avg_pool2d(Variable(Tensor::zeros({4, 4})), {}), ShapeError);
  EXPECT_THROW(avg_pool2d(x, {.kernel = 5}), ShapeError);
  EXPECT_NO_THROW(avg_pool2d(x, {.kernel = 5, .stride = 2, .ceil_mode = true}));
  EXPECT_THROW(avg_pool2d(x, {.kernel = 0}), ShapeError);
  EXPECT_THROW(avg_pool2d(x, {.kernel = 2, .stride = {1, 0}}), ShapeError);
  EXPECT_THROW(avg_pool2d(x, {.kernel = 2, .padding = -1}), ShapeError);
  EXPECT_THROW(avg_pool2d(x, {.kernel = 3, .padding = 2}), ShapeError);
  EXPECT_THROW(avg_pool2d(x, {.kernel = 2, .divisor_override = -1}), ShapeError);
  EXPECT_THROW(adaptive_avg_pool2d(x, {0, 1}), ShapeError);
  EXPECT_THROW(adaptive_max_pool2d(Variable(Tensor::zeros({1, 0, 4, 2})), 1), ShapeError);
  EXPECT_EQ(max_pool2d(x, {.kernel = 4}).shape(), (Shape{1, 1, 1, 2}));   // stride: the kernel's
  EXPECT_EQ(adaptive_max_pool2d(Variable(Tensor::zeros({0, 4, 4, 2})), 2).shape(), (Shape{0, 2, 2, 2}));
}

}   // namespace
}   // namespace fovea
