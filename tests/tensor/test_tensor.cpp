// Making, viewing, copying and converting tensors.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tensor/on_backend.h"
#include "tensor/tensor.h"

namespace fovea {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr DType kAll[] = {DType::f32, DType::f64, DType::bf16, DType::i64, DType::u8};

TEST(Tensor, MakesValuesOfEveryDtype) {
  for (const DType t : kAll) {
    const Tensor zero = Tensor::zeros({2, 3}, t), seven = Tensor::full({2, 3}, 7, t, Device::reference);
    EXPECT_EQ(zero.bytes(), 6 * size_of(t));
    EXPECT_EQ(zero.to_vector<double>(), std::vector<double>(6, 0.0)) << name_of(t);
    EXPECT_EQ(seven.to_vector<std::int64_t>(), std::vector<std::int64_t>(6, 7)) << name_of(t);
    EXPECT_EQ(seven.device(), Device::reference);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(zero.raw()) % 64, 0u);
  }
  const Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(x.data<float>()[5], 6.f);
  EXPECT_THROW(Tensor::from<float>({1, 2}, {3}), ShapeError);
  EXPECT_THROW(x.data<double>(), ShapeError);
  EXPECT_THROW(Tensor().data<float>(), ShapeError);
  EXPECT_FALSE(Tensor().defined());
  const Tensor none = Tensor::empty({0, 3});
  EXPECT_TRUE(none.defined());
  EXPECT_TRUE(none.to_vector<float>().empty());
}

TEST(Tensor, Item) {
  EXPECT_EQ(Tensor::full({}, 2.5).item(), 2.5);
  EXPECT_EQ(Tensor::full({1, 1}, 200, DType::u8).item(), 200);
  EXPECT_THROW(Tensor::zeros({2}).item(), ShapeError);
  EXPECT_THROW(Tensor().item(), ShapeError);
}

TEST(Tensor, ReshapeIsAView) {
  Tensor x = Tensor::from<float>({0, 1, 2, 3, 4, 5}, {2, 3});
  Tensor y = x.reshape({3, -1});
  EXPECT_EQ(y.shape(), (Shape{3, 2}));
  EXPECT_TRUE(y.shares_storage(x));
  y.data<float>()[5] = 9;
  EXPECT_EQ(x.data<float>()[5], 9.f);
  EXPECT_EQ(x.reshape({-1}).shape(), (Shape{6}));
  EXPECT_EQ(Tensor::zeros({0, 4}).reshape({-1, 2}).shape(), (Shape{0, 2}));
  EXPECT_EQ(Tensor::full({1}, 3).reshape({}).item(), 3);
  EXPECT_THROW(x.reshape({4}), ShapeError);
  EXPECT_THROW(x.reshape({4, -1}), ShapeError);
  EXPECT_THROW(Tensor::zeros({0, 4}).reshape({0, -1}), ShapeError);   // any number would do
  EXPECT_THROW(Tensor::empty({-1, 2}), ShapeError);
}

TEST(Tensor, SliceIsAViewOfRows) {
  const Tensor x = Tensor::from<std::int64_t>({0, 1, 2, 3, 4, 5, 6, 7}, {4, 2});
  const Tensor y = x.slice(1, 3);
  EXPECT_EQ(y.shape(), (Shape{2, 2}));
  EXPECT_EQ(y.to_vector<std::int64_t>(), (std::vector<std::int64_t>{2, 3, 4, 5}));
  EXPECT_EQ(y.slice(1, 2).to_vector<std::int64_t>(), (std::vector<std::int64_t>{4, 5}));   // offsets add up
  EXPECT_TRUE(y.shares_storage(x));
  EXPECT_EQ(x.slice(4, 4).elements(), 0);
  EXPECT_THROW(x.slice(2, 5), ShapeError);
  EXPECT_THROW(x.slice(3, 2), ShapeError);
  EXPECT_THROW(x.slice(-1, 2), ShapeError);
  EXPECT_THROW(Tensor::full({}, 1).slice(0, 1), ShapeError);
}

TEST(Tensor, CopiesShareAndClonesDoNot) {
  Tensor x = Tensor::full({3}, 1);
  EXPECT_TRUE(x.unique());
  Tensor shared = x, copy = x.clone();
  EXPECT_FALSE(x.unique());
  EXPECT_TRUE(copy.unique());
  shared.fill(5);
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{5, 5, 5}));
  EXPECT_EQ(copy.to_vector<float>(), (std::vector<float>{1, 1, 1}));
  copy.copy_from(x);
  EXPECT_EQ(copy.to_vector<float>(), (std::vector<float>{5, 5, 5}));
  EXPECT_THROW(copy.copy_from(Tensor::zeros({4})), ShapeError);
  EXPECT_THROW(copy.copy_from(Tensor::zeros({3}, DType::f64)), ShapeError);
  EXPECT_FALSE(Tensor().unique());
}

TEST(Tensor, DevicesShareMemory) {
  const Tensor x = Tensor::full({2}, 4), y = x.to(Device::reference);
  EXPECT_EQ(y.device(), Device::reference);
  EXPECT_TRUE(y.shares_storage(x));
}

TEST(Tensor, ConvertsBetweenAllDtypes) {
  for (const DType from : kAll)
    for (const DType to : kAll) {   // small whole numbers are exact in all of them
      const Tensor x = Tensor::from<std::uint8_t>({0, 1, 2, 127, 128}, {5}).to(from);
      EXPECT_EQ(x.to(to).dtype(), to);
      EXPECT_EQ(x.to(to).to_vector<double>(), (std::vector<double>{0, 1, 2, 127, 128})) << name_of(from) << " to " << name_of(to);
    }
  const Tensor x = Tensor::zeros({2});
  EXPECT_TRUE(x.to(DType::f32).shares_storage(x));
}

TEST(Tensor, RoundsToNearestEven) {
  // bfloat16 has 8 bits: between 1 and 2 the step is 2^-7. A tie goes to the even neighbour.
  const std::vector<float> x{1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 1 + 0x1p-8f + 0x1p-20f, -1 - 0x1p-8f, 3.393e38f, kInfinity, 0x1p-133f};
  const std::vector<float> expected{1, 1 + 0x1p-6f, 1 + 0x1p-7f, -1, 3.3895313892515355e38f, kInfinity, 0x1p-133f};
  EXPECT_EQ(Tensor::from<float>(x, {7}).to(DType::bf16).to_vector<float>(), expected);
  EXPECT_TRUE(std::isnan(Tensor::full({}, NAN).to(DType::bf16).item()));
  // From double at once: rounding to float first would make these ties, and lose the last bit that decides.
  const Tensor close = Tensor::from<double>({1 + 0x1p-8 + 0x1p-40, -1 - 0x1p-8 - 0x1p-40, 1 + 3 * 0x1p-8 - 0x1p-40, 1e300}, {4});
  EXPECT_EQ(close.to(DType::bf16).to_vector<double>(), (std::vector<double>{1 + 0x1p-7, -1 - 0x1p-7, 1 + 0x1p-7, kInfinity}));
  EXPECT_EQ(Tensor::from<std::int64_t>({257, 259, (1LL << 40) + 1}, {3}).to(DType::bf16).to_vector<double>(),
            (std::vector<double>{256, 260, 0x1p40}));
}

TEST(Tensor, SaturatesToIntegers) {
  const Tensor x = Tensor::from<float>({-3.7f, 2.9f, 300.f, kInfinity, -kInfinity, NAN}, {6});
  EXPECT_EQ(x.to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{0, 2, 255, 255, 0, 0}));
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max(), kMin = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(x.to_vector<std::int64_t>(), (std::vector<std::int64_t>{-3, 2, 300, kMax, kMin, 0}));
  EXPECT_EQ(Tensor::from<std::int64_t>({-1, 256, 17}, {3}).to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{0, 255, 17}));
}

TEST(Tensor, RefusesAbsurdSizes) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 48;
  EXPECT_THROW(Tensor::empty({kHuge}, DType::u8), Error);
  EXPECT_THROW(Tensor::zeros({kHuge, 1 << 14}, DType::f64), Error);   // 2^65 bytes would wrap to few
}

TEST(OnBackend, NamesTheOpAndTheDtypes) {
  const auto run = [](const Tensor& x) { on_backend("softmax", x, []<class T>(auto) {}); };
  EXPECT_NO_THROW(run(Tensor::zeros({1}, DType::bf16)));
  EXPECT_NO_THROW(run(Tensor::zeros({1}, DType::f64, Device::reference)));
  try {
    run(Tensor::zeros({1}, DType::f64));
    FAIL();
  } catch (const ShapeError& e) {
    EXPECT_STREQ(e.what(), "softmax: float64 is not supported on device cpu (float32, bfloat16)");
  }
}

}   // namespace
}   // namespace fovea
