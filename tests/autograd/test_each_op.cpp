// test_each_op.cpp: every op that a test file of this folder lists as an OpCase: its shape without values; its gradient against central differences in double on
// Reference; whole (output and gradients) Cpu against Reference in float32 and bfloat16; the same bits for any number of threads; and where there
// is a GPU, real or emulated, Cuda against Reference, twice with the same bits.
#include <cstring>

#include "autograd/gradcheck.h"
#include "kernels/parallel.h"
#include "tensor/cuda.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

TEST_P(EachOp, GradientMatchesCentralDifferences) { EXPECT_EQ(gradcheck(GetParam().run, random_inputs(GetParam())), ""); }

/// On Device::meta an op gives the shape and dtype that it gives on the CPU, and its graph holds as much memory.
TEST_P(EachOp, OnMetaShapesAndMemoryAreThoseOfTheCpu) {
  const OpCase& c = GetParam();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Shape shape;
    DType given = DType::u8;
    std::size_t kept = 0;
    for (const Device device : {Device::cpu, Device::meta}) {
      const DefaultDevice where(device);
      Inputs in;
      for (std::size_t i = 0; i < c.inputs.size(); ++i) {
        const bool activation = std::find(c.activations.begin(), c.activations.end(), i) != c.activations.end();
        in.emplace_back(Tensor::randn(c.inputs[i], RandomKey{7, i}, activation ? dtype : acc_dtype(dtype)), true);
      }
      c.run(in);   // what an op makes once (a table of resampling weights, a parameter rounded to bfloat16) is there now
      const std::size_t before = memory_statistics(device).in_use;
      const Variable y = c.run(in);
      if (device == Device::cpu) {
        shape = y.shape(), given = y.dtype(), kept = memory_statistics(device).in_use - before;
      } else {
        EXPECT_EQ(y.shape(), shape) << name_of(dtype);
        EXPECT_EQ(y.dtype(), given) << name_of(dtype);
        EXPECT_EQ(memory_statistics(device).in_use - before, kept) << name_of(dtype);
        EXPECT_THROW(y.value().to_vector<float>(), ShapeError);
      }
    }
  }
}

TEST_P(EachOp, CpuMatchesReferenceInFloat32) {
  const OpCase& c = GetParam();
  expect_same_results(run_op(c, random_inputs(c), {}, DType::f32, Device::cpu, DType::f32),
                      run_op(c, random_inputs(c), {}, DType::f64, Device::reference, DType::f32), c.f32, "");
}

TEST_P(EachOp, CpuMatchesReferenceInBfloat16) {
  const OpCase& c = GetParam();
  expect_same_results(run_op(c, random_inputs(c), {}, DType::bf16, Device::cpu, DType::bf16),
                      run_op(c, random_inputs(c), {}, DType::f64, Device::reference, DType::bf16), c.bf16, "");
}

/// Fewer sums are in double there, and a bfloat16 product is one of the tensor core's: the bounds are the same.
TEST_P(EachOp, CudaMatchesReference) {
  if (!cuda_available()) GTEST_SKIP() << "no GPU";
  const OpCase& c = GetParam();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::vector<Tensor> first = run_op(c, random_inputs(c), {}, dtype, Device::cuda, dtype);
    expect_same_results(first, run_op(c, random_inputs(c), {}, DType::f64, Device::reference, dtype), dtype == DType::f32 ? c.f32 : c.bf16,
                        name_of(dtype));
    const std::vector<Tensor> second = run_op(c, random_inputs(c), {}, dtype, Device::cuda, dtype);
    for (std::size_t i = 0; i < first.size(); ++i)
      if (first[i].defined()) {
        EXPECT_EQ(std::memcmp(first[i].host().raw(), second[i].host().raw(), first[i].bytes()), 0) << "result " << i;
      }
  }
}

TEST_P(EachOp, SameBitsForAnyNumberOfThreads) {
  const OpCase& c = GetParam();
  const int before = kernels::threads();
  std::vector<Tensor> one;
  for (const int threads : {1, 2, 3, 7}) {
    kernels::set_threads(threads);
    const std::vector<Tensor> results = run_op(c, random_inputs(c), {}, DType::f32, Device::cpu, DType::f32);
    if (threads == 1) one = results;
    for (std::size_t i = 0; i < one.size(); ++i)
      if (one[i].defined()) {
        EXPECT_EQ(std::memcmp(results[i].raw(), one[i].raw(), one[i].bytes()), 0) << threads << " threads, result " << i;
      }
  }
  kernels::set_threads(before);
}

}   // namespace
}   // namespace fovea
