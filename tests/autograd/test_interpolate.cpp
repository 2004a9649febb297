// Resizing as a differentiable op: gradients, Cpu against Reference, PyTorch's numbers, and what is refused.
#include "autograd/interpolate.h"

#include "tests/op_testing.h"

namespace fovea {
namespace {

/// As in tests/parity/interpolate.py.
std::vector<OpCase> cases() {
  struct Size {
    std::string name;
    Shape x;
    Size2 size;
  };
  struct Scale {
    std::string name;
    Shape x;
    double factor;
  };
  const auto op = [](InterpolateConfig o) { return [o](const Inputs& in) { return interpolate(in[0], o); }; };
  std::vector<OpCase> list;
  for (const Size& s : {Size{"up", {1, 4, 3, 3}, {7, 6}},
                        {"down", {1, 7, 9, 2}, {3, 4}},
                        {"same", {1, 3, 4, 2}, {3, 4}},
                        {"twice", {1, 3, 5, 2}, {6, 10}},
                        {"to_one", {1, 5, 4, 2}, 1},
                        {"from_one", {1, 1, 1, 3}, {3, 2}},
                        {"mixed", {1, 8, 2, 2}, {3, 5}}}) {
    list.push_back({"nearest_" + s.name, {s.x}, op({.size = s.size})});
    for (const bool corners : {false, true}) {
      const std::string suffix = (corners ? "_corners_" : "_") + s.name;
      list.push_back({"bilinear" + suffix, {s.x}, op({.size = s.size, .mode = Interpolation::bilinear, .align_corners = corners})});
      list.push_back({"bicubic" + suffix, {s.x}, op({.size = s.size, .mode = Interpolation::bicubic, .align_corners = corners})});
    }
  }
  for (const Scale& s : {Scale{"twice", {1, 3, 4, 2}, 2}, {"uneven", {1, 5, 7, 2}, 1.7}, {"down", {1, 7, 6, 3}, 0.6}}) {
    list.push_back({"nearest_scale_" + s.name, {s.x}, op({.scale_factor = s.factor})});
    list.push_back({"bilinear_scale_" + s.name, {s.x}, op({.scale_factor = s.factor, .mode = Interpolation::bilinear})});
    list.push_back({"bicubic_scale_" + s.name, {s.x}, op({.scale_factor = s.factor, .mode = Interpolation::bicubic})});
  }
  return list;
}

INSTANTIATE_TEST_SUITE_P(Interpolate, EachOp, testing::ValuesIn(cases()), op_name);
INSTANTIATE_TEST_SUITE_P(InterpolateLanes, EachOp,   // more than 16 channels, and some that are left
                         testing::Values(OpCase{"bilinear",
                                                {{2, 4, 3, 33}},
                                                [](const Inputs& in) {
                                                  return interpolate(in[0], {.size = {5, 7}, .mode = Interpolation::bilinear});
                                                }},
                                         OpCase{"bicubic",
                                                {{1, 5, 4, 17}},
                                                [](const Inputs& in) {
                                                  return interpolate(in[0], {.size = {7, 3}, .mode = Interpolation::bicubic});
                                                }}),
                         op_name);

TEST(InterpolateParity, EqualsPyTorch) {
  const Stored stored("interpolate");
  for (const OpCase& c : cases()) expect_parity(stored, c);
}

TEST(Interpolate, RefusesBadInput) {
  const Variable x(Tensor::zeros({1, 4, 4, 2}));
  EXPECT_THROW(interpolate(Variable(Tensor::zeros({4, 4})), {.size = 2}), ShapeError);
  EXPECT_THROW(interpolate(Variable(Tensor::zeros({1, 0, 4, 2})), {.size = 2}), ShapeError);
  EXPECT_THROW(interpolate(x, {}), ShapeError);
  EXPECT_THROW(interpolate(x, {.size = 2, .scale_factor = 2}), ShapeError);
  EXPECT_THROW(interpolate(x, {.size = {0, 3}}), ShapeError);
  EXPECT_THROW(interpolate(x, {.scale_factor = 0.1}), ShapeError);   // less than one pixel
  EXPECT_THROW(interpolate(x, {.scale_factor = -1}), ShapeError);
  EXPECT_THROW(interpolate(x, {.scale_factor = std::nan("")}), ShapeError);
  EXPECT_THROW(interpolate(x, {.scale_factor = 1e300}), ShapeError);
  EXPECT_THROW(interpolate(x, {.size = 2, .align_corners = true}), ShapeError);
  EXPECT_EQ(interpolate(Variable(Tensor::zeros({0, 4, 4, 2})), {.size = 3}).shape(), (Shape{0, 3, 3, 2}));
}

}   // namespace
}   // namespace fovea
