// graph.h: work of the GPU that is written down once and then queued again with one call, where every kernel by itself would cost the host some
// microseconds: the forward and backward pass of a training step.
//
//   CudaGraph graph([&] { loss = f(images, labels); backward(loss); });   // nothing is done yet
//   images.copy_from(batch);  graph.launch();                             // once for every step
//
// A replay reads and writes the same memory, so what changes from step to step has to be the content of memory: tensors that are there before
// (images, labels, parameters), and random keys, which kernels read from a counter on the device. What is uploaded while a graph is recorded is
// an error; tensors made meanwhile belong to the graph and hold what its latest launch wrote.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/memory_pool.h"
#include "tensor/random.h"

struct CUgraphExec_st;

namespace fovea {

class CudaGraph {
 public:
  /// Throws what `record` throws. It may read no value of the device.
  explicit CudaGraph(const std::function<void()>& record);
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  /// Queues all of it, draws as many keys from default_generator() as recording did, and calls what each_launch() was given. Masks are those of
  /// an eager run. Throws Error when the generator has another seed than it had.
  void launch();

  static bool recording();
  /// f(), or while a graph is recorded, whenever it is launched: for what the host counts.
  static void each_launch(std::function<void()> f);

 private:
  CUgraphExec_st* graph_ = nullptr;
  MemoryPool memory_;   // of the tensors inside
  Generator before_;    // as recording found it
  std::uint64_t keys_ = 0;
  std::vector<std::function<void()>> each_launch_;
};

/// While a graph is recorded, where its launches put how far the generator has gone since: PhiloxKey::advance. Otherwise null.
const std::uint64_t* random_advance();

}   // namespace fovea
