// tensor.h: values. A Tensor is a shape, a dtype, a device and a share of some memory; it knows nothing of gradients.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tensor/allocator.h"
#include "tensor/dtype.h"
#include "tensor/error.h"
#include "tensor/random.h"
#include "tensor/shape.h"

namespace fovea {

/// Where this thread's tensors are made when nobody says where: the CPU, or what a DefaultDevice that lives names.
Device default_device();
class DefaultDevice {
 public:
  explicit DefaultDevice(Device device);
  ~DefaultDevice();
  DefaultDevice(const DefaultDevice&) = delete;
  DefaultDevice& operator=(const DefaultDevice&) = delete;

 private:
  Device previous_;
};

/// Always contiguous, row-major, channels last. Copying a Tensor shares its memory (as in every framework); clone() copies it.
/// reshape and slice are views; everything else makes new memory. On Device::meta there is none: filling and copying to there do nothing,
/// asking for values throws ShapeError. On Device::cuda everything is queued, in order, and returns; asking for values waits for the device.
class Tensor {
 public:
  Tensor() = default;                                                                             // undefined
  static Tensor empty(Shape shape, DType dtype = DType::f32, Device device = default_device());   // not initialised
  static Tensor zeros(Shape shape, DType dtype = DType::f32, Device device = default_device());
  static Tensor full(Shape shape, double value, DType dtype = DType::f32, Device device = default_device());
  static Tensor empty_like(const Tensor& t) { return empty(t.shape(), t.dtype(), t.device()); }
  static Tensor zeros_like(const Tensor& t) { return zeros(t.shape(), t.dtype(), t.device()); }
  /// Values in row-major order; throws ShapeError when their number is not the shape's.
  template <class T> static Tensor from(const std::vector<T>& values, Shape shape, Device device = default_device());
  /// N(0, 1) and U[0, 1) from Philox, the same on every device; float32 is the rounded double.
  static Tensor randn(Shape shape, RandomKey key, DType dtype = DType::f32, Device device = default_device());
  static Tensor rand(Shape shape, RandomKey key, DType dtype = DType::f32, Device device = default_device());

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  std::int64_t dim(int i) const { return shape_.dim(i); }
  std::int64_t elements() const { return shape_.elements(); }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }

  /// Throws ShapeError when T is not the dtype. On Device::cuda it points to the device's memory, for kernels alone.
  template <class T> T* data();
  template <class T> const T* data() const;
  void* raw();
  const void* raw() const;
  double item() const;                                   // the only element, as double; throws unless there is exactly one
  template <class T> std::vector<T> to_vector() const;   // converts

  Tensor reshape(Shape shape) const;                          // a view; one extent may be -1: what is left
  Tensor slice(std::int64_t begin, std::int64_t end) const;   // a view of rows begin..end-1 of the first axis
  Tensor clone() const;
  Tensor clone_on_host() const;     // clone(), but of a tensor on Device::cuda a copy on the CPU
  Tensor to(DType dtype) const;     // itself when it is that already. On Device::cuda others than float32 <-> bfloat16 go through the host
  Tensor to(Device device) const;   // reference <-> cpu shares the memory, to and from cuda copies; meta forgets the values
  Tensor host() const;              // itself, or a copy on the CPU of one on Device::cuda
  void fill(double value);
  void copy_from(const Tensor& t);   // same shape and dtype, any device with values; copies the bytes

  /// Nobody else holds this memory, so an operation may write its result there.
  bool unique() const { return storage_ && storage_.use_count() == 1; }
  bool shares_storage(const Tensor& t) const { return storage_ && storage_ == t.storage_; }

 private:
  std::shared_ptr<Storage> storage_;
  std::byte* bytes_ = nullptr;   // into *storage_; null on meta
  Shape shape_;
  DType dtype_ = DType::f32;
  Device device_ = Device::cpu;
};

/// Workspace for a kernel, where the kernel runs: memory that lives for one call. Empty sizes give null.
class Workspace {
 public:
  Workspace(kernels::Reference, std::size_t bytes) : Workspace(bytes, Device::cpu) {}
  Workspace(kernels::Cpu, std::size_t bytes) : Workspace(bytes, Device::cpu) {}
  Workspace(kernels::Cuda, std::size_t bytes) : Workspace(bytes, Device::cuda) {}
  void* data() const { return storage_ ? storage_->data() : nullptr; }

 private:
  Workspace(std::size_t bytes, Device device);

  std::shared_ptr<Storage> storage_;
};

}   // namespace fovea
