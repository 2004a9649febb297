// Extents, axes and the limits that keep elements() from overflowing.
#include <gtest/gtest.h>

#include "tensor/error.h"
#include "tensor/shape.h"

namespace fovea {
namespace {

TEST(Shape, CountsAndPrints) {
  const Shape s{8, 14, 1, 256};
  EXPECT_EQ(s.rank(), 4);
  EXPECT_EQ(s.elements(), 8 * 14 * 256);
  EXPECT_EQ(s.dim(-1), 256);
  EXPECT_EQ(s[-4], 8);
  EXPECT_EQ(s.str(), "(8, 14, 1, 256)");
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ(Shape{}.str(), "()");
  EXPECT_EQ((Shape{3, 0, 5}).elements(), 0);
  EXPECT_EQ(s, (Shape{8, 14, 1, 256}));
  EXPECT_NE(s, (Shape{8, 14, 256}));
  EXPECT_NE((Shape{3}), (Shape{3, 1}));
}

TEST(Shape, RejectsWhatItCannotHold) {
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1}), ShapeError);
  EXPECT_THROW((Shape{2, -2}), ShapeError);
  EXPECT_THROW((Shape{-1, -1}), ShapeError);
  EXPECT_THROW((Shape{std::int64_t{1} << 40, std::int64_t{1} << 23}), ShapeError);
  EXPECT_THROW((Shape{std::int64_t{1} << 62, std::int64_t{1} << 62, 0}), ShapeError);   // 0 elements, but not every product on the way
  EXPECT_EQ((Shape{std::int64_t{1} << 40, std::int64_t{1} << 22}).elements(), std::int64_t{1} << 62);
  EXPECT_THROW((Shape{2, -1}).elements(), ShapeError);
  EXPECT_THROW((Shape{2, 3}).dim(2), ShapeError);
  EXPECT_THROW((Shape{2, 3}).dim(-3), ShapeError);
  EXPECT_THROW(Shape{}.dim(0), ShapeError);
}

}   // namespace
}   // namespace fovea
