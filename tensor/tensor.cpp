// tensor.cpp: making, viewing, copying and converting values.
#include "tensor/tensor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/convert.h"
#include "kernels/fill.h"
#include "kernels/parallel.h"
#include "kernels/random_fill.h"
#include "tensor/on_backend.h"

namespace fovea {

namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 47;   // bytes
constexpr std::int64_t kChunk = std::int64_t{1} << 14;     // elements that one thread works on at a time

/// f.operator()<T>() with the type of a dtype.
template <class F> decltype(auto) with_type(DType t, F&& f) {
  switch (t) {
    case DType::f32: return f.template operator()<float>();
    case DType::f64: return f.template operator()<double>();
    case DType::bf16: return f.template operator()<bfloat16>();
    case DType::i64: return f.template operator()<std::int64_t>();
    case DType::u8: break;
  }
  return f.template operator()<std::uint8_t>();
}

template <class T> constexpr bool is_floating = std::is_floating_point_v<T> || std::is_same_v<T, bfloat16>;

/// Towards zero, saturated; NaN becomes 0.
template <class To> To to_integer(double x) {
  constexpr To kMin = std::numeric_limits<To>::min(), kMax = std::numeric_limits<To>::max();
  if (std::isnan(x)) return 0;
  if (x <= static_cast<double>(kMin)) return kMin;
  if (x >= static_cast<double>(kMax)) return kMax;   // 2^63 for int64: every double below it fits
  return static_cast<To>(x);
}

/// y = x. To floating point: round to nearest even. To integers: saturated.
template <class From, class To> void convert(const From* x, To* y, std::int64_t n) {
  if constexpr (std::is_same_v<From, To>) {
    std::copy_n(x, n, y);
  } else if constexpr (is_floating<From> && is_floating<To>) {
    kernels::convert(kernels::Cpu{}, x, y, n);
  } else if constexpr (is_floating<From>) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = to_integer<To>(static_cast<double>(x[i]));
  } else if constexpr (std::is_same_v<To, bfloat16>) {
    for (std::int64_t i = 0; i < n; ++i) {
      const double wide = static_cast<double>(x[i]);
      kernels::convert(kernels::Cpu{}, &wide, y + i, 1);
    }
  } else if constexpr (is_floating<To>) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<To>(x[i]);
  } else {
    constexpr std::int64_t kMin = std::numeric_limits<To>::min(), kMax = std::numeric_limits<To>::max();
    for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<To>(std::clamp<std::int64_t>(x[i], kMin, kMax));
  }
}

template <class T> T from_double(double x) {
  T y;
  convert(&x, &y, 1);
  return y;
}

/// f(begin, end) over chunks of [0, n), on the pool.
template <class F> void for_chunks(std::int64_t n, F&& f) {
  kernels::parallel_for((n + kChunk - 1) / kChunk, [&](std::int64_t i) { f(i * kChunk, std::min(n, (i + 1) * kChunk)); });
}

thread_local Device made_on = Device::cpu;

}   // namespace

Device default_device() { return made_on; }
DefaultDevice::DefaultDevice(Device device) : previous_(std::exchange(made_on, device)) {}
DefaultDevice::~DefaultDevice() { made_on = previous_; }

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  const std::int64_t elements = shape.elements();
  if (elements > kLargest / static_cast<std::int64_t>(size_of(dtype)))
    throw Error(detail::join("memory: expected at most 2^47 bytes, got shape ", shape, " of ", name_of(dtype)));
  Tensor t;
  t.storage_ = allocate(static_cast<std::size_t>(elements) * size_of(dtype), device);
  t.bytes_ = static_cast<std::byte*>(t.storage_->data());
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.device_ = device;
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) { return full(shape, 0, dtype, device); }

Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  t.fill(value);
  return t;
}

template <class T> Tensor Tensor::from(const std::vector<T>& values, Shape shape, Device device) {
  require(static_cast<std::int64_t>(values.size()) == shape.elements(), "tensor: expected ", shape.elements(), " values for shape ", shape,
          ", got ", values.size());
  if (device == Device::cuda) return from(values, shape, Device::cpu).to(device);
  Tensor t = empty(shape, dtype_of<T>, device);
  if (device != Device::meta) std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

Tensor Tensor::randn(Shape shape, RandomKey key, DType dtype, Device device) {
  if (device == Device::cuda) return randn(shape, key, dtype, Device::cpu).to(device);
  Tensor t = empty(shape, dtype, device);
  with_type(dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) throw ShapeError(detail::join("randn: expected a floating-point dtype, got ", name_of(dtype)));
    if (device == Device::meta) return;
    T* y = t.data<T>();
    if constexpr (std::is_same_v<T, float>) return kernels::fill_normal(kernels::Cpu{}, y, t.elements(), 1, {key.seed, key.stream});
    for_chunks(t.elements(), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) y[i] = from_double<T>(key.normal(static_cast<std::uint64_t>(i)));
    });
  });
  return t;
}

Tensor Tensor::rand(Shape shape, RandomKey key, DType dtype, Device device) {
  if (device == Device::cuda) return rand(shape, key, dtype, Device::cpu).to(device);
  Tensor t = empty(shape, dtype, device);
  with_type(dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) throw ShapeError(detail::join("rand: expected a floating-point dtype, got ", name_of(dtype)));
    if (device == Device::meta) return;
    // The largest number below 1: rounding to fewer bits must not give 1 itself.
    const double last = std::is_same_v<T, float> ? 1 - 0x1p-24 : std::is_same_v<T, bfloat16> ? 1 - 0x1p-8 : 1;
    T* y = t.data<T>();
    for_chunks(t.elements(), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) y[i] = from_double<T>(std::min(key.uniform_f64(static_cast<std::uint64_t>(i)), last));
    });
  });
  return t;
}

template <class T> T* Tensor::data() { return const_cast<T*>(std::as_const(*this).data<T>()); }

template <class T> const T* Tensor::data() const {
  require(defined(), "tensor: expected a tensor of ", name_of(dtype_of<T>), ", got an undefined one");
  require(dtype_ == dtype_of<T>, "tensor: expected ", name_of(dtype_of<T>), ", got ", name_of(dtype_), " of shape ", shape_);
  return reinterpret_cast<const T*>(raw());
}

void* Tensor::raw() { return const_cast<void*>(std::as_const(*this).raw()); }

const void* Tensor::raw() const {
  require(device_ != Device::meta || !defined(), "tensor: expected one with values, got ", shape_, " on meta, a shape alone");
  return bytes_;
}

double Tensor::item() const {
  require(defined(), "item: expected one element, got an undefined tensor");
  require(elements() == 1, "item: expected one element, got ", shape_);
  return to_vector<double>()[0];
}

template <class T> std::vector<T> Tensor::to_vector() const {
  if (!defined()) return {};
  if (device_ == Device::cuda) return host().to_vector<T>();
  std::vector<T> values(static_cast<std::size_t>(elements()));
  with_type(dtype_, [&]<class From>() { convert(data<From>(), values.data(), elements()); });
  return values;
}

Tensor Tensor::reshape(Shape shape) const {
  require(defined(), "reshape: expected a tensor, got an undefined one");
  std::int64_t known = 1;
  int unknown = -1;
  std::array<std::int64_t, Shape::kMaxRank> dims{};
  for (int i = 0; i < shape.rank(); ++i) {
    dims[static_cast<std::size_t>(i)] = shape.dim(i);
    if (shape.dim(i) == -1)
      unknown = i;
    else
      known *= shape.dim(i);
  }
  Tensor view = *this;
  if (unknown >= 0) {
    require(known > 0 && elements() % known == 0, "reshape: expected a shape of ", elements(), " elements for ", shape_, ", got ", shape);
    dims[static_cast<std::size_t>(unknown)] = elements() / known;
    view.shape_ = Shape(std::span<const std::int64_t>(dims.data(), static_cast<std::size_t>(shape.rank())));
  } else {
    require(known == elements(), "reshape: expected a shape of ", elements(), " elements for ", shape_, ", got ", shape);
    view.shape_ = shape;
  }
  return view;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
  require(defined(), "slice: expected a tensor of rank at least 1, got an undefined one");
  require(rank() >= 1, "slice: expected a tensor of rank at least 1, got ", shape_);
  require(0 <= begin && begin <= end && end <= dim(0), "slice: expected 0 <= begin <= end <= ", dim(0), ", got ", begin, " and ", end);
  std::array<std::int64_t, Shape::kMaxRank> dims{};
  std::ranges::copy(shape_.dims(), dims.begin());
  dims[0] = 1;
  const std::span<const std::int64_t> row(dims.data(), static_cast<std::size_t>(rank()));
  Tensor view = *this;
  if (bytes_) view.bytes_ += static_cast<std::size_t>(begin * Shape(row).elements()) * size_of(dtype_);
  dims[0] = end - begin;
  view.shape_ = Shape(row);
  return view;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor copy = empty_like(*this);
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::to(DType dtype) const {
  if (!defined() || dtype == dtype_) return *this;
  const bool on_gpu = device_ == Device::cuda, narrow = dtype_ == DType::f32 && dtype == DType::bf16,
             widen = dtype_ == DType::bf16 && dtype == DType::f32;
  if (on_gpu && !narrow && !widen) return host().to(dtype).to(device_);
  Tensor y = empty(shape_, dtype, device_);
  if (device_ == Device::meta) return y;
  if (on_gpu && narrow) return kernels::convert(cuda(), data<float>(), y.data<bfloat16>(), elements()), y;
  if (on_gpu) return kernels::convert(cuda(), data<bfloat16>(), y.data<float>(), elements()), y;
  with_type(dtype_, [&]<class From>() { with_type(dtype, [&]<class To>() { convert(data<From>(), y.data<To>(), elements()); }); });
  return y;
}

Tensor Tensor::to(Device device) const {
  if (!defined() || device == device_) return *this;
  if (device == Device::meta) return empty(shape_, dtype_, device);
  raw();   // throws on meta
  if (!on_host(device) || !on_host(device_)) {
    Tensor copy = empty(shape_, dtype_, device);
    copy.copy_from(*this);
    return copy;
  }
  Tensor view = *this;
  view.device_ = device;
  return view;
}

Tensor Tensor::clone_on_host() const { return device_ == Device::cuda ? host() : clone(); }

Tensor Tensor::host() const { return device_ == Device::cuda ? to(Device::cpu) : *this; }

void Tensor::fill(double value) {
  require(defined(), "fill: expected a tensor, got an undefined one");
  with_type(dtype_, [&]<class T>() {
    const T element = from_double<T>(value);
    on_bytes(*this, [&](auto be, std::size_t size) { kernels::fill(be, raw(), elements(), &element, size); });
  });
}

void Tensor::copy_from(const Tensor& t) {
  require(defined() && t.defined() && t.shape_ == shape_ && t.dtype_ == dtype_, "copy: expected ", name_of(dtype_), " of shape ", shape_,
          ", got ", t.defined() ? name_of(t.dtype_) : "undefined", " of shape ", t.shape_);
  if (device_ == Device::meta) return;
  const void* from = t.raw();
  if (on_host(device_) && on_host(t.device_)) return void(std::memmove(bytes_, from, bytes()));
  if (bytes() == 0) return;
  if (on_host(t.device_)) return upload(bytes_, from, bytes());
  if (on_host(device_)) return cuda_device().download(cuda(), bytes_, from, bytes());
  cuda_device().copy(cuda(), bytes_, from, bytes());
}

Workspace::Workspace(std::size_t bytes, Device device) {
  if (bytes == 0) return;
  const MemoryTag tag("workspace");
  storage_ = allocate(bytes, device);
}

#define FOVEA_INSTANTIATE(T)                                             \
  template Tensor Tensor::from<T>(const std::vector<T>&, Shape, Device); \
  template T* Tensor::data<T>();                                         \
  template const T* Tensor::data<T>() const;                             \
  template std::vector<T> Tensor::to_vector<T>() const;
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
FOVEA_INSTANTIATE(bfloat16)
FOVEA_INSTANTIATE(std::int64_t)
FOVEA_INSTANTIATE(std::uint8_t)
#undef FOVEA_INSTANTIATE

}   // namespace fovea
