// Reductions on the device: exact on small integers, close to Reference on any numbers, the same bits under every schedule and wherever
// the array starts.
#include "kernels/reduce.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaReduce : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaReduce, Types);

std::int64_t elements(AxisShape s) { return s.outer * s.axis * s.inner; }
std::int64_t outputs(AxisShape s) { return s.outer * s.inner; }

/// -3 .. 3, so that sums of products are exact.
template <class T> std::vector<T> integers(std::int64_t n, std::uint64_t seed) {
  std::vector<T> v = spread<T>(n, seed);
  for (T& x : v) x = T(std::round(3 * float(x)));
  return v;
}

/// Both walks: rows of less than a warp, one past a warp, two and three slices; columns of one thread, one past a block's width and more
/// than a tile deep; nothing to sum, and nothing at all.
constexpr AxisShape kShapes[] = {{1, 1, 1},  {3, 5, 1},  {5, 33, 1},    {2, 4097, 1}, {40, 7, 1}, {1, 7, 3},
                                 {2, 33, 5}, {3, 4, 33}, {1, 300, 130}, {2, 0, 3},    {2, 0, 1},  {0, 3, 2}};

struct SumOf {
  template <class B, class T, class A> static void run(B be, const T* x, const T*, const A*, A f, A* y, AxisShape s, bool add, void* w) {
    sum_axis(be, x, f, y, s, add, w);
  }
};
struct DotOf {
  template <class B, class T, class A> static void run(B be, const T* x, const T* z, const A*, A f, A* y, AxisShape s, bool add, void* w) {
    dot_axis(be, x, z, f, y, s, add, w);
  }
};
struct DeviationOf {
  template <class B, class T, class A> static void run(B be, const T* x, const T*, const A* mean, A f, A* y, AxisShape s, bool, void* w) {
    deviation_axis(be, x, mean, f, y, s, w);
  }
};

template <class Op, class T>
void check(AxisShape s, const std::vector<T>& x, const std::vector<T>& z, const std::vector<float>& mean, float factor, bool accumulate,
           double tolerance) {
  SCOPED_TRACE(testing::Message() << s.outer << " x " << s.axis << " x " << s.inner << " accumulate " << accumulate);
  const std::vector<float> start = integers<float>(outputs(s), 9);
  const std::vector<float> got = same_on_every_schedule<float>(
      [&] {
        DeviceArray<T> x_device(x), z_device(z);
        DeviceArray<float> mean_device(mean), y(start);
        DeviceArray<char> workspace(reduce_workspace_bytes<T>(Cuda{}, s));
        Op::run(Cuda{}, static_cast<const T*>(x_device.data()), static_cast<const T*>(z_device.data()),
                static_cast<const float*>(mean_device.data()), factor, y.data(), s, accumulate, workspace.data());
        y.expect_guards_untouched();
        workspace.expect_guards_untouched();
        return y.host();
      },
      s.inner != 130);
  const std::vector<double> x_exact = as<double>(x), z_exact = as<double>(z), mean_exact = as<double>(mean);
  std::vector<double> want = as<double>(start);
  Op::run(Reference{}, x_exact.data(), z_exact.data(), mean_exact.data(), double(factor), want.data(), s, accumulate, nullptr);
  expect_close(got, want, tolerance > 0 ? 0x1p-24 : 0, tolerance * double(s.axis));
}

TYPED_TEST(CudaReduce, SumsOfIntegersAreExact) {
  using T = TypeParam;
  for (AxisShape s : kShapes)
    for (bool accumulate : {false, true}) {
      const std::vector<T> x = integers<T>(elements(s), 1), z = integers<T>(elements(s), 2);
      const std::vector<float> mean = integers<float>(outputs(s), 3);
      check<SumOf, T>(s, x, z, mean, 0.5f, accumulate, 0);
      if (accumulate) check<DotOf, T>(s, x, z, mean, 2, true, 0);
      if (!accumulate) check<DeviationOf, T>(s, x, z, mean, 0.25f, false, 0);
    }
}

TYPED_TEST(CudaReduce, SumsOfAnythingAreClose) {
  using T = TypeParam;
  for (AxisShape s : {AxisShape{3, 100, 1}, {2, 3000, 1}, {1, 300, 35}}) {
    const std::vector<T> x = spread<T>(elements(s), 1), z = spread<T>(elements(s), 2);
    const std::vector<float> mean = spread<float>(outputs(s), 3);
    // A chain has at most 32 links and the tree above it 8; a deviation rounds twice more, and is at most 4.
    check<SumOf, T>(s, x, z, mean, 1, false, 40 * 0x1p-24);
    check<DotOf, T>(s, x, z, mean, 1, false, 41 * 0x1p-24);
    check<DeviationOf, T>(s, x, z, mean, 1, false, 4 * 43 * 0x1p-24);
  }
}

TYPED_TEST(CudaReduce, WhereAnArrayStartsChangesNoBit) {
  using T = TypeParam;
  for (AxisShape s : {AxisShape{2, 3000, 1}, {1, 300, 64}}) {
    const std::vector<T> x = spread<T>(elements(s), 1);
    const auto run = [&](int shift) {
      std::vector<T> shifted(std::size_t(shift), T(0.f));
      shifted.insert(shifted.end(), x.begin(), x.end());
      DeviceArray<T> x_device(shifted);
      DeviceArray<float> y(std::size_t(outputs(s)));
      DeviceArray<char> workspace(reduce_workspace_bytes<T>(Cuda{}, s));
      sum_axis(Cuda{}, static_cast<const T*>(x_device.data() + shift), 1.f, y.data(), s, false, workspace.data());
      return y.host();
    };
    EXPECT_EQ(hash_of(run(0)), hash_of(run(1)));
  }
}

TYPED_TEST(CudaReduce, MaximaAreTheReferences) {
  using T = TypeParam;
  for (AxisShape s : {AxisShape{1, 1, 1}, {3, 5, 1}, {5, 33, 1}, {2, 2100, 1}, {2, 33, 5}, {1, 300, 130}, {0, 3, 2}}) {
    std::vector<T> x = integers<T>(elements(s), 1);   // with many equal maxima
    if (elements(s) > 10) x[3] = T(NAN), x[8] = T(-INFINITY);
    const std::vector<T> dy = spread<T>(outputs(s), 2), dx = spread<T>(elements(s), 3);
    std::vector<double> x_exact = as<double>(x), y_exact(std::size_t(outputs(s))), want = as<double>(dx), dy_exact = as<double>(dy);
    max_axis(Reference{}, static_cast<const double*>(x_exact.data()), y_exact.data(), s);
    for (bool accumulate : {false, true}) {
      std::vector<T> y;
      const std::vector<T> got = same_on_every_schedule<T>(
          [&] {
            DeviceArray<T> x_device(x), dy_device(dy), dx_device(dx), y_device(std::size_t(outputs(s)));
            DeviceArray<char> workspace(max_axis_workspace_bytes<T>(Cuda{}, s));
            max_axis(Cuda{}, static_cast<const T*>(x_device.data()), y_device.data(), s);
            max_axis_backward(Cuda{}, static_cast<const T*>(x_device.data()), static_cast<const T*>(y_device.data()),
                              static_cast<const T*>(dy_device.data()), dx_device.data(), s, accumulate, workspace.data());
            dx_device.expect_guards_untouched();
            y = y_device.host();
            return dx_device.host();
          },
          true);
      expect_close(y, y_exact, 0, 0, "maximum");
      want = as<double>(dx);
      max_axis_backward(Reference{}, static_cast<const double*>(x_exact.data()), static_cast<const double*>(y_exact.data()),
                        static_cast<const double*>(dy_exact.data()), want.data(), s, accumulate, nullptr);
      expect_close(got, want, 2 * unit_roundoff<T>, 0x1p-23, "gradient");   // a quotient, a sum, and the rounding to T
    }
  }
}

TYPED_TEST(CudaReduce, DeviationBackwardIsTheReference) {
  using T = TypeParam;
  for (AxisShape s : {AxisShape{3, 5, 1}, {5, 33, 1}, {2, 1100, 1}, {2, 33, 5}, {2, 40, 64}, {1, 0, 4}})
    for (bool accumulate : {false, true}) {
      const std::vector<T> x = spread<T>(elements(s), 1), dx = spread<T>(elements(s), 2);
      const std::vector<float> mean = spread<float>(outputs(s), 3), dy = spread<float>(outputs(s), 4);
      const std::vector<T> got = same_on_every_schedule<T>(
          [&] {
            DeviceArray<T> x_device(x), dx_device(dx);
            DeviceArray<float> mean_device(mean), dy_device(dy);
            deviation_axis_backward(Cuda{}, static_cast<const T*>(x_device.data()), static_cast<const float*>(mean_device.data()),
                                    static_cast<const float*>(dy_device.data()), 0.5f, dx_device.data(), s, accumulate);
            dx_device.expect_guards_untouched();
            return dx_device.host();
          },
          true);
      const std::vector<double> x_exact = as<double>(x), mean_exact = as<double>(mean), dy_exact = as<double>(dy);
      std::vector<double> want = as<double>(dx);
      deviation_axis_backward(Reference{}, x_exact.data(), mean_exact.data(), dy_exact.data(), 0.5, want.data(), s, accumulate);
      expect_close(got, want, unit_roundoff<T>, 8 * 0x1p-24);   // three roundings of values up to 2
    }
}

TYPED_TEST(CudaReduce, BytesAreTheContracts) {
  using T = TypeParam;
  for (AxisShape s : {AxisShape{8, 4096, 1}, {64, 256, 1}, {1, 1024, 64}, {2, 49, 512}}) {
    const std::string size = "(" + std::to_string(s.outer) + ", " + std::to_string(s.axis) + ", " + std::to_string(s.inner) + ")";
    DeviceArray<T> x(spread<T>(elements(s), 1)), z(spread<T>(elements(s), 2)), largest(std::size_t(outputs(s)));
    DeviceArray<float> y(std::size_t(outputs(s)));
    DeviceArray<char> workspace(reduce_workspace_bytes<T>(Cuda{}, s));
    const std::size_t bytes = std::size_t(elements(s)) * sizeof(T), out = std::size_t(outputs(s)) * sizeof(float);
    expect_traffic(
        bytes + out, [&] { sum_axis(Cuda{}, static_cast<const T*>(x.data()), 1.f, y.data(), s, false, workspace.data()); }, "sum " + size);
    expect_traffic(
        2 * bytes + out,
        [&] {
          dot_axis(Cuda{}, static_cast<const T*>(x.data()), static_cast<const T*>(z.data()), 1.f, y.data(), s, false, workspace.data());
        },
        "dot product " + size);
    expect_traffic(
        bytes + std::size_t(outputs(s)) * sizeof(T), [&] { max_axis<T>(Cuda{}, x.data(), largest.data(), s); }, "maximum " + size);
  }
}

#ifdef FOVEA_CUDA_EMULATED
// An output's mean and dy are asked for once with every 16 bytes of its elements, or beside each element; from a cache.
TYPED_TEST(CudaReduce, GradientsMoveWhatMustMove) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  for (AxisShape s : {AxisShape{8, 4096, 1}, {1, 1024, 64}, {2, 49, 512}}) {
    DeviceArray<T> x(spread<T>(elements(s), 1)), dx(std::size_t(elements(s)));
    DeviceArray<float> mean(spread<float>(outputs(s), 2)), dy(spread<float>(outputs(s), 3));
    const auto launches = launches_of(
        [&] { deviation_axis_backward<T>(Cuda{}, x.data(), mean.data(), dy.data(), 1.f, dx.data(), s, false); },
        "squared deviation, gradient (" + std::to_string(s.outer) + ", " + std::to_string(s.axis) + ", " + std::to_string(s.inner) + ")");
    ASSERT_EQ(launches.size(), 1u);
    const double bytes = 2. * double(sizeof(T)) * double(elements(s)), cached = s.inner == 1 ? bytes / 4 : 8. * double(elements(s));
    expect_bytes(launches[0], bytes, cached, 1.1);
    // The eight floats beside 16 bytes of bfloat16 are two accesses to the same sectors.
    EXPECT_LE(32. * double(launches[0].global_load_sectors), (std::is_same_v<T, float> ? 1.1 : 2.) * (bytes / 2 + cached));
  }
}
#endif

}   // namespace
}   // namespace fovea::kernels
