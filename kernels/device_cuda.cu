// device_cuda.cu: the interface of device.h, a call of the runtime for each.
#include "kernels/device.h"

#include "kernels/cuda.h"

namespace fovea::kernels {
namespace {

class Toolkit final : public CudaDevice {
 public:
  Toolkit() {
    int count = 0;
    if (const cudaError_t e = cudaGetDeviceCount(&count); e != cudaSuccess || count == 0)
      throw std::runtime_error(std::string("no CUDA device: ") + (e != cudaSuccess ? cudaGetErrorString(e) : "the driver finds none"));
    check_cuda(cudaSetDevice(0), "cudaSetDevice");
    cudaDeviceProp p;
    check_cuda(cudaGetDeviceProperties(&p, 0), "cudaGetDeviceProperties");
    if (p.major < 8)
      throw std::runtime_error("no CUDA device: " + std::string(p.name) + " has compute capability " + std::to_string(p.major) + "." +
                               std::to_string(p.minor) + ", and kernels need 8.0");
    facts_ = {.name = p.name, .major = p.major, .minor = p.minor, .memory = p.totalGlobalMem};
#ifdef FOVEA_CUBLAS
    facts_.cublas = true;
#endif
#ifdef FOVEA_CUDA_EMULATED
    facts_.emulated = true;
#endif
  }
  const DeviceFacts& facts() const override { return facts_; }
  std::size_t free_memory() override {
    std::size_t free = 0, total = 0;
    check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return free;
  }

  void* allocate(std::size_t bytes) override {
    void* p = nullptr;
    const cudaError_t e = cudaMalloc(&p, bytes);
    if (e == cudaErrorMemoryAllocation) {
      cudaGetLastError();   // forgotten, or the next launch would report it
      return nullptr;
    }
    check_cuda(e, "cudaMalloc");
    return p;
  }
  void release(void* p) override { check_cuda(cudaFree(p), "cudaFree"); }
  void* allocate_pinned(std::size_t bytes) override {
    void* p = nullptr;
    check_cuda(cudaMallocHost(&p, bytes), "cudaMallocHost");
    return p;
  }
  void release_pinned(void* p) override { check_cuda(cudaFreeHost(p), "cudaFreeHost"); }

  void upload(Cuda be, void* to, const void* pinned, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, be.stream), "upload");
  }
  void copy(Cuda be, void* to, const void* from, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, be.stream), "copy");
  }
  void download(Cuda be, void* to, const void* from, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, be.stream), "download");
    wait(be);
  }

  Cuda make_stream() override {
    Cuda be;
    check_cuda(cudaStreamCreateWithFlags(&be.stream, cudaStreamNonBlocking), "cudaStreamCreate");
    return be;
  }
  void wait(Cuda be) override { check_cuda(cudaStreamSynchronize(be.stream), "cudaStreamSynchronize"); }

  CUevent_st* make_event() override {
    cudaEvent_t event = nullptr;
    check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    return event;
  }
  void record(CUevent_st* event, Cuda be) override { check_cuda(cudaEventRecord(event, be.stream), "cudaEventRecord"); }
  bool reached(CUevent_st* event) override {
    const cudaError_t e = cudaEventQuery(event);
    if (e != cudaErrorNotReady) check_cuda(e, "cudaEventQuery");
    return e == cudaSuccess;
  }
  void wait(CUevent_st* event) override { check_cuda(cudaEventSynchronize(event), "cudaEventSynchronize"); }
  void destroy(CUevent_st* event) override { check_cuda(cudaEventDestroy(event), "cudaEventDestroy"); }

  // Relaxed: a graph's tensors may take memory from the device while it is recorded.
  void begin_graph(Cuda be) override { check_cuda(cudaStreamBeginCapture(be.stream, cudaStreamCaptureModeRelaxed), "begin_graph"); }
  CUgraphExec_st* end_graph(Cuda be) override {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t runnable = nullptr;
    check_cuda(cudaStreamEndCapture(be.stream, &graph), "end_graph");
    const cudaError_t e = cudaGraphInstantiate(&runnable, graph, 0);
    check_cuda(cudaGraphDestroy(graph), "cudaGraphDestroy");
    check_cuda(e, "cudaGraphInstantiate");
    return runnable;
  }
  bool in_graph(Cuda be) override {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check_cuda(cudaStreamIsCapturing(be.stream, &status), "cudaStreamIsCapturing");
    return status != cudaStreamCaptureStatusNone;
  }
  void launch(CUgraphExec_st* graph, Cuda be) override { check_cuda(cudaGraphLaunch(graph, be.stream), "cudaGraphLaunch"); }
  void destroy(CUgraphExec_st* graph) override { check_cuda(cudaGraphExecDestroy(graph), "cudaGraphExecDestroy"); }

 private:
  DeviceFacts facts_;
};

}   // namespace

CudaDevice& cuda_device(Cuda) {
  static CudaDevice& device = *new Toolkit;   // never destroyed: tensors in static variables may die after everything else
  return device;
}

}   // namespace fovea::kernels
