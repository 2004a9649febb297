// memory_pool.h: memory of the GPU for the tensors of a recorded graph, which are written again whenever it is launched.
#pragma once

#include <memory>

namespace fovea {

/// While it is open, tensors on Device::cuda are made in it; what they give back is for others made in it, and nobody else. When it is destroyed,
/// all of it is everybody's. One is open at a time, and nothing is given back to the device meanwhile.
class MemoryPool {
 public:
  MemoryPool();
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;
  void open();
  void close();

 private:
  struct Blocks;   // allocator.cpp
  std::unique_ptr<Blocks> blocks_;
};

}   // namespace fovea
