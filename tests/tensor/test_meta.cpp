// Device::meta: tensors that are a shape alone.
#include <gtest/gtest.h>

#include "tensor/on_backend.h"
#include "tensor/tensor.h"

namespace fovea {
namespace {

std::size_t on_meta() { return memory_statistics(Device::meta).in_use; }

TEST(Meta, MakingMovingAndViewingTakesNoMemory) {
  const std::size_t real = memory_statistics().in_use, before = on_meta();
  const Shape large{1 << 20, 1 << 20};   // 4 TiB
  {
    Tensor t = Tensor::zeros(large, DType::f32, Device::meta);
    EXPECT_EQ(on_meta() - before, std::size_t{1} << 42);
    EXPECT_EQ(t.reshape({1 << 10, -1}).shape(), (Shape{1 << 10, 1 << 30}));
    EXPECT_EQ(t.slice(3, 1 << 10).shape(), (Shape{1021, 1 << 20}));
    EXPECT_EQ(on_meta() - before, std::size_t{1} << 42);   // views share it
    EXPECT_EQ(t.to(DType::bf16).dtype(), DType::bf16);
    EXPECT_EQ(t.clone().shape(), large);
    t.fill(3), t.copy_from(Tensor::full(large, 1, DType::f32, Device::meta));
    for (const Tensor& x :
         {Tensor::randn(large, RandomKey{}, DType::f64, Device::meta), Tensor::rand(large, RandomKey{}, DType::f32, Device::meta)})
      EXPECT_EQ(x.device(), Device::meta);
  }
  EXPECT_EQ(on_meta(), before);
  EXPECT_EQ(memory_statistics().in_use, real);
}

TEST(Meta, ValuesAreAnError) {
  const Tensor t = Tensor::empty({2, 3}, DType::f32, Device::meta), one = Tensor::full({}, 1, DType::f32, Device::meta);
  EXPECT_THROW(t.data<float>(), ShapeError);
  EXPECT_THROW(t.raw(), ShapeError);
  EXPECT_THROW(t.to_vector<float>(), ShapeError);
  EXPECT_THROW(one.item(), ShapeError);
  EXPECT_THROW(t.to(Device::cpu), ShapeError);
  EXPECT_THROW(Tensor::zeros({2, 3}).copy_from(t), ShapeError);
  try {
    t.raw();
  } catch (const ShapeError& e) {
    EXPECT_STREQ(e.what(), "tensor: expected one with values, got (2, 3) on meta, a shape alone");
  }
  on_backend("op", t, []<class T>(auto) { FAIL() << "there is nothing to compute"; });
  on_bytes(t, [](auto, std::size_t) { FAIL() << "there is nothing to move"; });
}

TEST(Meta, ValuesAreForgottenOnTheWayThere) {
  const Tensor t = Tensor::from<float>({1, 2}, {2}).to(Device::meta);
  EXPECT_EQ(t.shape(), Shape{2});
  EXPECT_EQ(t.device(), Device::meta);
  Tensor u = t;
  u.copy_from(Tensor::zeros({2}));
  EXPECT_THROW(u.copy_from(Tensor::zeros({3})), ShapeError);
}

TEST(Meta, TheDefaultDeviceIsAnyonesAndNests) {
  EXPECT_EQ(Tensor::zeros({1}).device(), Device::cpu);
  {
    const DefaultDevice meta(Device::meta);
    EXPECT_EQ(Tensor::from<float>({1}, {1}).device(), Device::meta);
    EXPECT_EQ(Tensor::zeros({1}, DType::f32, Device::cpu).device(), Device::cpu);
    const DefaultDevice reference(Device::reference);
    EXPECT_EQ(Tensor::zeros({1}).device(), Device::reference);
  }
  EXPECT_EQ(Tensor::zeros({1}).device(), Device::cpu);
}

TEST(Meta, MemoryIsCountedAsTheAllocatorWouldAndByOwner) {
  const auto of = [](const char* owner) {
    const auto tags = memory_statistics(Device::meta).by_tag;
    const auto found = tags.find(owner);
    return found == tags.end() ? 0 : found->second;
  };
  for (const std::int64_t n : {0, 1, 15, 17, 1000, 1023, 100000, 5000000}) {
    std::size_t real = memory_statistics().in_use, meta = on_meta();
    const Tensor a = Tensor::empty({n}), b = Tensor::empty({n}, DType::f32, Device::meta);
    EXPECT_EQ(memory_statistics().in_use - real, on_meta() - meta) << n;
  }
  Tensor kept;
  {
    const MemoryTag tag("tagged");
    const Tensor a = Tensor::empty({16}, DType::f32, Device::meta);
    EXPECT_EQ(of("tagged"), 64u);
    const MetaOwner owner("owned");
    const MemoryTag inner("inner");   // passed over
    kept = Tensor::empty({16}, DType::f32, Device::meta);
    const Tensor real = Tensor::empty({16});
    EXPECT_EQ(of("owned"), 64u);
    EXPECT_EQ(of("inner"), 0u);
    EXPECT_EQ(memory_statistics().by_tag.at("inner"), 64u);
  }
  EXPECT_EQ(of("tagged"), 0u);
  EXPECT_EQ(of("owned"), 64u);
  reset_peak_memory(Device::meta);
  const std::size_t now = on_meta();
  { const Tensor a = Tensor::empty({160}, DType::f32, Device::meta); }
  EXPECT_EQ(memory_statistics(Device::meta).peak, now + 640);
}

}   // namespace
}   // namespace fovea
