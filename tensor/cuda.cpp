// cuda.cpp: the device, its stream, and the pinned memory through which uploads go.
#include "tensor/cuda.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <string>

#include "tensor/error.h"

namespace fovea {

namespace {

/// A few pinned buffers, taken in turn. A copy of the GPU's reads one while the host fills the next, and a buffer is filled again only when its
/// last copy has ended.
class Staging {
 public:
  explicit Staging(kernels::CudaDevice& device) : device_(device) {}

  void upload(kernels::Cuda be, std::byte* to, const std::byte* from, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (device_.in_graph(be))
      throw Error("cuda: values of the host are uploaded while a graph is recorded: they would be the same in every replay");
    while (bytes > 0) {
      const std::size_t piece = std::min(bytes, kLargest);
      Buffer& buffer = buffers_[next_++ % buffers_.size()];
      if (buffer.event)
        device_.wait(buffer.event);
      else
        buffer.event = device_.make_event();
      if (buffer.bytes < piece) {
        if (buffer.data) device_.release_pinned(buffer.data);
        buffer.data = nullptr;
        buffer.bytes = std::max(piece, kSmallest);
        buffer.data = device_.allocate_pinned(buffer.bytes);
      }
      std::memcpy(buffer.data, from, piece);
      device_.upload(be, to, buffer.data, piece);
      device_.record(buffer.event, be);
      to += piece, from += piece, bytes -= piece;
    }
  }

 private:
  static constexpr std::size_t kSmallest = std::size_t{1} << 20, kLargest = std::size_t{64} << 20;
  struct Buffer {
    void* data = nullptr;
    std::size_t bytes = 0;
    CUevent_st* event = nullptr;   // after the last copy from it
  };
  kernels::CudaDevice& device_;
  std::mutex mutex_;
  std::array<Buffer, 8> buffers_;   // two steps ahead: each uploads pictures, their windows, labels and a graph's counter
  std::size_t next_ = 0;
};

struct Gpu {
  kernels::CudaDevice& device;
  kernels::Cuda stream;
  Staging staging;

  explicit Gpu(kernels::CudaDevice& d) : device(d), stream(d.make_stream()), staging(d) {}
  static Gpu& instance() {
    static Gpu& gpu = []() -> Gpu& {   // never destroyed: tensors in static variables may die after everything else
      try {
        return *new Gpu(kernels::cuda_device({}));
      } catch (const std::runtime_error& e) {
        throw Error(std::string("device cuda: ") + e.what());
      }
    }();
    return gpu;
  }
};

}   // namespace

bool cuda_available() {
  try {
    Gpu::instance();
    return true;
  } catch (const Error&) {
    return false;
  }
}
kernels::CudaDevice& cuda_device() { return Gpu::instance().device; }
kernels::Cuda cuda() { return Gpu::instance().stream; }
void allow_tf32(bool yes) { Gpu::instance().stream.tf32 = yes; }
void use_cublas(bool yes) {
  if (yes && !cuda_device().facts().cublas) throw Error("cuBLAS: this program was built without it (CMake's FOVEA_CUBLAS=ON builds it in)");
  Gpu::instance().stream.cublas = yes;
}
void cuda_synchronize() { cuda_device().wait(cuda()); }

void upload(void* to, const void* from, std::size_t bytes) {
  Gpu::instance().staging.upload(cuda(), static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes);
}

}   // namespace fovea
