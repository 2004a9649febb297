// Device::cuda: values go there and come back, memory is counted and runs out with a message, and a program without CUDA says so. On the emulated
// device (test_tensor_emulated) streams are as late as they may be: a host that does not wait where it must finds other numbers.
#include "tensor/cuda.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tensor/graph.h"
#include "tensor/on_backend.h"
#include "tensor/tensor.h"

namespace fovea {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(WithoutAGpu, OneSentenceSaysSo) {
  if (cuda_available()) GTEST_SKIP() << "there is one";
  const std::string message = message_of([] { Tensor::zeros({3}, DType::f32, Device::cuda); });
  EXPECT_EQ(message.find("device cuda: "), 0u) << message;
  EXPECT_TRUE(message.find("built without CUDA") != std::string::npos || message.find("no CUDA device") != std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(memory_statistics(Device::cuda).in_use, 0u);
}

class CudaTensor : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no GPU";
  }
};

template <class T> void go_and_come_back() {
  for (const std::int64_t n : {0, 1, 33, 5000}) {
    std::vector<T> values;
    for (std::int64_t i = 0; i < n; ++i) values.push_back(T(i % 100 + 1));
    const Tensor host = Tensor::from(values, {n}), there = host.to(Device::cuda);
    EXPECT_EQ(there.device(), Device::cuda);
    EXPECT_EQ(there.to_vector<T>(), values);
    EXPECT_EQ(there.host().to_vector<T>(), values);
    EXPECT_EQ(there.to(Device::reference).device(), Device::reference);
    const Tensor made = Tensor::from(values, {n}, Device::cuda);
    EXPECT_EQ(made.clone().template to_vector<T>(), values);
    EXPECT_FALSE(there.host().shares_storage(there));
    EXPECT_TRUE(host.host().shares_storage(host));
    if (n < 2) continue;
    const Tensor part = there.slice(1, n);   // begins where no vector does
    EXPECT_EQ(part.to_vector<T>(), std::vector<T>(values.begin() + 1, values.end()));
    Tensor filled = there.clone().slice(1, n);
    filled.fill(3);
    EXPECT_EQ(filled.to_vector<T>(), std::vector<T>(values.size() - 1, T(3)));
  }
}
TEST_F(CudaTensor, ValuesGoThereAndComeBack) {
  go_and_come_back<float>();
  go_and_come_back<double>();
  go_and_come_back<bfloat16>();
  go_and_come_back<std::int64_t>();
  go_and_come_back<std::uint8_t>();
}

TEST_F(CudaTensor, AreMadeAsOnTheHost) {
  const DefaultDevice where(Device::cuda);
  EXPECT_EQ(Tensor::zeros({5}).to_vector<float>(), std::vector<float>(5, 0));
  EXPECT_EQ(Tensor::full({5}, -2.5, DType::bf16).to_vector<float>(), std::vector<float>(5, -2.5));
  EXPECT_EQ(Tensor::full({}, 7, DType::i64).item(), 7);
  const RandomKey key{.seed = 3};
  EXPECT_EQ(Tensor::randn({100}, key).to_vector<float>(), Tensor::randn({100}, key, DType::f32, Device::cpu).to_vector<float>());
  EXPECT_EQ(Tensor::rand({100}, key, DType::bf16).to_vector<float>(),
            Tensor::rand({100}, key, DType::bf16, Device::cpu).to_vector<float>());
}

TEST_F(CudaTensor, ConvertsAsTheHostDoes) {
  const Tensor x = Tensor::randn({1001}, RandomKey{.seed = 1}, DType::f32, Device::cpu);
  for (const DType to : {DType::f32, DType::bf16, DType::f64, DType::i64, DType::u8}) {
    const Tensor there = x.to(Device::cuda).to(to);
    EXPECT_EQ(there.device(), Device::cuda);
    EXPECT_EQ(there.to_vector<double>(), x.to(to).to_vector<double>()) << name_of(to);
  }
  EXPECT_EQ(x.to(DType::bf16).to(Device::cuda).to(DType::f32).to_vector<float>(), x.to(DType::bf16).to_vector<float>());
}

TEST_F(CudaTensor, CopyFromTakesValuesFromAnywhere) {
  const std::vector<float> values{1, 2, 3, 4, 5};
  const Tensor host = Tensor::from(values, {5});
  for (const Device from : {Device::cpu, Device::cuda})
    for (const Device to : {Device::reference, Device::cuda}) {
      Tensor y = Tensor::zeros({5}, DType::f32, to);
      y.copy_from(host.to(from));
      EXPECT_EQ(y.to_vector<float>(), values);
    }
}

/// More uploads than there are buffers, from memory that changes at once, and more bytes than one buffer has.
TEST_F(CudaTensor, UploadsMayBeFollowedByOtherValuesAtOnce) {
  std::vector<Tensor> there;
  Tensor host = Tensor::empty({1000}, DType::i64, Device::cpu);
  for (int i = 0; i < 11; ++i) {
    host.fill(i);
    there.push_back(host.to(Device::cuda));
  }
  for (int i = 0; i < 11; ++i) EXPECT_EQ(there[std::size_t(i)].to_vector<std::int64_t>(), std::vector<std::int64_t>(1000, i));
  const std::int64_t n = 9 * std::int64_t(kMiB);
  Tensor large = Tensor::zeros({n}, DType::i64, Device::cpu);
  large.data<std::int64_t>()[n - 1] = 5;
  const Tensor copy = large.to(Device::cuda);
  large.fill(8);
  EXPECT_EQ(copy.slice(n - 1, n).item(), 5);
  EXPECT_EQ(copy.slice(0, 1).item(), 0);
}

TEST_F(CudaTensor, OtherDtypesAreRefusedByName) {
  const Tensor x = Tensor::zeros({3}, DType::f64, Device::cuda);
  EXPECT_NE(message_of([&] {
              on_backend("softmax", x, [&]<class T>(auto) {});
            }).find("softmax: float64 is not supported on device cuda (float32, bfloat16)"),
            std::string::npos);
}

TEST_F(CudaTensor, MemoryIsKeptAndCountedByTag) {
  const std::size_t before = memory_statistics(Device::cuda).in_use;
  const MemoryTag tag("here");
  {
    const Tensor a = Tensor::empty({1000}, DType::f32, Device::cuda);
    EXPECT_EQ(memory_in_use("here", Device::cuda), 4096u);
    EXPECT_EQ(memory_statistics(Device::cuda).in_use, before + 4096);
    EXPECT_NE(memory_table(Device::cuda).find("here"), std::string::npos);
    EXPECT_EQ(memory_in_use("here", Device::cpu), 0u);
  }
  EXPECT_EQ(memory_in_use("here", Device::cuda), 0u);
  if (memory_statistics(Device::cuda).cached == 0) GTEST_SKIP() << "the device is asked for every block";
  const std::size_t calls = memory_statistics(Device::cuda).from_system;
  Tensor::empty({1000}, DType::f32, Device::cuda);
  EXPECT_EQ(memory_statistics(Device::cuda).from_system, calls);
  release_cached_memory(Device::cuda);
  EXPECT_EQ(memory_statistics(Device::cuda).cached, 0u);
}

TEST_F(CudaTensor, TheEndOfMemoryIsAnErrorWithTheTableAndOneGoesOn) {
  const MemoryTag tag("hungry");
  const Tensor kept = Tensor::full({1000}, 3, DType::f32, Device::cuda);
  const std::size_t too_much = cuda_device().facts().memory;
  Tensor::empty({2000}, DType::f32, Device::cuda);   // is cached now, unless the device is asked for every block
  const std::string message = message_of([&] { Tensor::empty({static_cast<std::int64_t>(too_much)}, DType::u8, Device::cuda); });
  for (const char* part : {"out of memory on cuda: asked for ", " held; ", "given back in vain", "are free", "hungry", "in use", "cached"})
    EXPECT_NE(message.find(part), std::string::npos) << part << " is missing in:\n" << message;
  EXPECT_EQ(memory_statistics(Device::cuda).cached, 0u);
  EXPECT_EQ(kept.to_vector<float>(), std::vector<float>(1000, 3));
  EXPECT_EQ(Tensor::full({1000}, 4, DType::f32, Device::cuda).to_vector<float>(), std::vector<float>(1000, 4));
}

TEST_F(CudaTensor, AGraphDoesAgainWhatWasRecorded) {
  Tensor x = Tensor::full({1000}, 1, DType::f32, Device::cuda), inside;
  std::int64_t launches = 0;
  CudaGraph graph([&] {
    EXPECT_TRUE(CudaGraph::recording());
    inside = x.clone();
    Tensor::full({1000}, 7, DType::f32, Device::cuda);   // its memory is the graph's, although nobody holds it
    CudaGraph::each_launch([&] { ++launches; });
  });
  EXPECT_FALSE(CudaGraph::recording());
  EXPECT_EQ(launches, 0);
  std::vector<Tensor> others;
  for (int i = 0; i < 4; ++i) others.push_back(Tensor::full({1000}, 3, DType::f32, Device::cuda));
  for (const double value : {2., 4.}) {
    x.fill(value);
    graph.launch();
    EXPECT_EQ(inside.to_vector<float>(), std::vector<float>(1000, static_cast<float>(value)));
  }
  EXPECT_EQ(launches, 2);
  for (const Tensor& t : others) EXPECT_EQ(t.to_vector<float>(), std::vector<float>(1000, 3));
}

TEST_F(CudaTensor, MemoryOfAGraphIsEverybodysAfterIt) {
  {
    const CudaGraph first([] {});
  }   // what all graphs share stays
  Tensor held;
  const std::size_t before = memory_statistics(Device::cuda).in_use;
  {
    CudaGraph graph([&] { held = Tensor::full({3000}, 5, DType::f32, Device::cuda); });
    graph.launch();
  }
  EXPECT_EQ(held.to_vector<float>(), std::vector<float>(3000, 5));
  held = Tensor();
  EXPECT_EQ(memory_statistics(Device::cuda).in_use, before);
  release_cached_memory(Device::cuda);
  EXPECT_EQ(memory_statistics(Device::cuda).cached, 0u);
}

TEST_F(CudaTensor, ABlockOfAGraphIsForAllTensorsOfItsClass) {
  Tensor inside;
  CudaGraph graph([&] {
    Tensor::full({25}, 1, DType::f32, Device::cuda);
    inside = Tensor::full({31}, 2, DType::f32, Device::cuda);
  });
  graph.launch();
  EXPECT_EQ(inside.to_vector<float>(), std::vector<float>(31, 2));
}

TEST_F(CudaTensor, WhatAGraphCannotHoldIsAnErrorAndOneGoesOn) {
  const Tensor host = Tensor::full({10}, 1, DType::f32, Device::cpu);
  const std::string message = message_of([&] { CudaGraph graph([&] { host.to(Device::cuda); }); });
  EXPECT_NE(message.find("uploaded while a graph is recorded"), std::string::npos) << message;
  EXPECT_FALSE(CudaGraph::recording());
  EXPECT_EQ(host.to(Device::cuda).to_vector<float>(), std::vector<float>(10, 1));
  manual_seed(4);
  CudaGraph graph([] { default_generator().next(); });
  EXPECT_EQ(default_generator().used(), 0u);
  graph.launch();
  graph.launch();
  EXPECT_EQ(default_generator().used(), 2u);
  manual_seed(5);
  EXPECT_NE(message_of([&] { graph.launch(); }).find("seed 4"), std::string::npos);
}

}   // namespace
}   // namespace fovea
