// device.h: what the framework asks of a CUDA device besides kernels: memory, copies, a stream, events, graphs. It is an interface, so that
// nothing above kernels/ includes the toolkit, and a program without CUDA needs a stand-in for one function of it, cuda_device().
#pragma once

#include <cstddef>
#include <string>

#include "kernels/backend.h"

struct CUevent_st;
struct CUgraphExec_st;

namespace fovea::kernels {

struct DeviceFacts {
  std::string name;           // "NVIDIA H200"
  int major = 0, minor = 0;   // compute capability
  std::size_t memory = 0;     // bytes
  bool cublas = false;        // does this program have it: Cuda::cublas
  bool emulated = false;      // threads of this computer that behave as a card does: for tests, never timed
};

/// "Asynchronous": queued on the stream when the call returns. Every call throws std::runtime_error with what the toolkit says is wrong.
class CudaDevice {
 public:
  virtual ~CudaDevice() = default;
  virtual const DeviceFacts& facts() const = 0;
  virtual std::size_t free_memory() = 0;   // bytes

  virtual void* allocate(std::size_t bytes) = 0;   // null when there is no more
  virtual void release(void* p) = 0;               // waits for all that is queued
  /// Host memory from which uploads are asynchronous.
  virtual void* allocate_pinned(std::size_t bytes) = 0;
  virtual void release_pinned(void* p) = 0;

  virtual void upload(Cuda be, void* to, const void* pinned, std::size_t bytes) = 0;   // asynchronous
  virtual void copy(Cuda be, void* to, const void* from, std::size_t bytes) = 0;       // within the device, asynchronous
  virtual void download(Cuda be, void* to, const void* from, std::size_t bytes) = 0;   // waits for the stream

  virtual Cuda make_stream() = 0;
  virtual void wait(Cuda be) = 0;   // for all that is queued on its stream

  virtual CUevent_st* make_event() = 0;
  virtual void record(CUevent_st* event, Cuda be) = 0;   // the event is now this place in the stream
  virtual bool reached(CUevent_st* event) = 0;           // has the stream come there?
  virtual void wait(CUevent_st* event) = 0;              // until it has
  virtual void destroy(CUevent_st* event) = 0;

  /// From here on, what is queued on the stream is not done but written down.
  virtual void begin_graph(Cuda be) = 0;
  virtual CUgraphExec_st* end_graph(Cuda be) = 0;
  virtual bool in_graph(Cuda be) = 0;
  virtual void launch(CUgraphExec_st* graph, Cuda be) = 0;   // all of it, asynchronous
  virtual void destroy(CUgraphExec_st* graph) = 0;
};

/// The first device of this computer. Throws std::runtime_error, one sentence: no such device, or a program that was built without CUDA.
CudaDevice& cuda_device(Cuda);

}   // namespace fovea::kernels
