// Layers that resize an image: shapes, options, printed form, no parameters.
#include "autograd/reductions.h"
#include "nn/pooling.h"

#include <gtest/gtest.h>

#include "nn/upsample.h"

namespace fovea::nn {
namespace {

std::vector<float> values(Module& layer, const Variable& x) { return layer(x).value().to_vector<float>(); }

TEST(PoolingLayers, KnowTheirOptions) {
  const Variable x(Tensor::from<float>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1}));
  MaxPool2d max({.kernel = 2, .ceil_mode = true});
  EXPECT_EQ(values(max, x), (std::vector<float>{5, 6, 8, 9}));
  EXPECT_EQ(max.describe(), "MaxPool2d(kernel 2, stride 2, ceil_mode)");
  AvgPool2d mean({.kernel = 2, .padding = 1});
  EXPECT_EQ(values(mean, x), (std::vector<float>{0.25f, 1.25f, 2.75f, 7}));
  EXPECT_EQ(mean.describe(), "AvgPool2d(kernel 2, stride 2, padding 1)");
  AvgPool2d unpadded({.kernel = 2, .padding = 1, .count_include_pad = false});
  EXPECT_EQ(values(unpadded, x), (std::vector<float>{1, 2.5f, 5.5f, 7}));
  EXPECT_EQ(unpadded.describe(), "AvgPool2d(kernel 2, stride 2, padding 1, without padding)");
  AvgPool2d sum({.kernel = {1, 3}, .divisor_override = 1});
  EXPECT_EQ(values(sum, x), (std::vector<float>{6, 15, 24}));
  EXPECT_EQ(sum.describe(), "AvgPool2d(kernel 1 x 3, stride 1 x 3, divisor 1)");
  AdaptiveAvgPool2d bins({.output_size = {2, 1}});
  EXPECT_EQ(values(bins, x), (std::vector<float>{3.5f, 6.5f}));
  EXPECT_EQ(bins.describe(), "AdaptiveAvgPool2d(2 x 1)");
  AdaptiveMaxPool2d largest({.output_size = 2});
  EXPECT_EQ(values(largest, x), (std::vector<float>{5, 6, 8, 9}));
  EXPECT_EQ(largest.describe(), "AdaptiveMaxPool2d(2)");
  EXPECT_EQ(bins.parameter_count(), 0);
  EXPECT_THROW(bins(Variable(Tensor::zeros({3, 3}))), ShapeError);
  EXPECT_THROW(max(Variable(Tensor::zeros({1, 0, 3, 1}))), ShapeError);
}

TEST(UpsampleLayer, Resizes) {
  const Variable x(Tensor::from<float>({0, 4}, {1, 1, 2, 1}));
  Upsample nearest({.scale_factor = 2});
  EXPECT_EQ(values(nearest, x), (std::vector<float>{0, 0, 4, 4, 0, 0, 4, 4}));
  EXPECT_EQ(nearest.describe(), "Upsample(scale 2, nearest)");
  Upsample linear({.size = {1, 3}, .mode = Interpolation::bilinear, .align_corners = true});
  EXPECT_EQ(values(linear, x), (std::vector<float>{0, 2, 4}));
  EXPECT_EQ(linear.describe(), "Upsample(1 x 3, bilinear, align_corners)");
  EXPECT_THROW(Upsample({}), ShapeError);
  EXPECT_THROW(Upsample({.size = 2, .align_corners = true}), ShapeError);
}

}   // namespace
}   // namespace fovea::nn
