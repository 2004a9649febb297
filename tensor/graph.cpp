#include "tensor/graph.h"

#include <exception>
#include <utility>

#include "tensor/cuda.h"
#include "tensor/error.h"
#include "tensor/tensor.h"

namespace fovea {

namespace {

struct Recording {
  std::vector<std::function<void()>>* each_launch;
  const std::uint64_t* advance;
};
Recording* current = nullptr;   // graphs are recorded by one thread, as all work of the GPU is queued by one

/// One counter for all graphs: each launch writes it before its kernels read it.
Tensor& counter() {
  static Tensor& t = *new Tensor(Tensor::zeros({1}, DType::i64, Device::cuda));
  return t;
}

}   // namespace

bool CudaGraph::recording() { return current != nullptr; }
void CudaGraph::each_launch(std::function<void()> f) { current ? current->each_launch->push_back(std::move(f)) : f(); }
const std::uint64_t* random_advance() { return current ? current->advance : nullptr; }

CudaGraph::CudaGraph(const std::function<void()>& record) : before_(default_generator()) {
  require(!current, "graph: expected none to be recorded within another");
  kernels::CudaDevice& device = cuda_device();
  Recording recording{&each_launch_, reinterpret_cast<const std::uint64_t*>(counter().raw())};
  std::exception_ptr failure;
  device.begin_graph(cuda());
  memory_.open();
  current = &recording;
  try {
    record();
  } catch (...) {
    failure = std::current_exception();
  }
  current = nullptr;
  memory_.close();
  try {
    graph_ = device.end_graph(cuda());
  } catch (...) {
    if (!failure) throw;
  }
  keys_ = default_generator().used() - before_.used();
  default_generator() = before_;   // nothing has been drawn yet: launch() does
  if (failure) {
    if (graph_) device.destroy(graph_);
    std::rethrow_exception(failure);
  }
}

CudaGraph::~CudaGraph() {
  try {
    cuda_device().destroy(graph_);
  } catch (const std::exception&) {   // after a kernel's mistake every call fails
  }
}

void CudaGraph::launch() {
  Generator& generator = default_generator();
  if (generator.seed() != before_.seed())
    throw Error(
        detail::join("graph: expected random numbers of seed ", before_.seed(), ", with which it was recorded, got ", generator.seed()));
  if (keys_ > 0) {
    counter().copy_from(Tensor::from<std::int64_t>({static_cast<std::int64_t>(generator.used() - before_.used())}, {1}, Device::cpu));
    generator.set_state(generator.seed(), generator.used() + keys_);
  }
  cuda_device().launch(graph_, cuda());
  for (const auto& f : each_launch_) f();
}

}   // namespace fovea
