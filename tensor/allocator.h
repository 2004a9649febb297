// allocator.h: memory for tensors, the host's and a GPU's. Freed blocks are kept by size and given out again, so pages stay mapped, a training
// step allocates nothing from the system, and nobody waits for a GPU to free something; and every byte is counted under a tag, so that one can
// ask where memory went.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tensor/dtype.h"

namespace fovea {

/// A block of 64-byte-aligned memory; returns to its allocator when destroyed. On Device::meta only its size, counted but not there. A block of a
/// GPU may return while kernels that are queued still use it: whoever gets it next queues behind them.
class Storage {
 public:
  Storage(void* data, std::size_t bytes, std::size_t block_bytes, const char* tag, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return data_; }           // null on meta
  std::size_t bytes() const { return bytes_; }   // as asked for; the block may be larger

 private:
  void* data_;
  std::size_t bytes_, block_bytes_;
  const char* tag_;
  Device device_;
};

/// Bytes are those asked for, rounded up to the block that serves them.
struct MemoryStatistics {
  std::size_t in_use = 0;                      // held by living tensors
  std::size_t peak = 0;                        // the most that in_use was since the last reset_peak_memory()
  std::size_t cached = 0;                      // freed and kept for reuse
  std::size_t from_system = 0;                 // number of calls to the system's allocator so far
  std::map<std::string, std::size_t> by_tag;   // in_use, by the MemoryTag that was set when it was allocated
};

/// Thread-safe. Where there is no more, what is cached is given back and asked for again; then Error tells what was asked, held and cached, and
/// by which tags, and one can go on. FOVEA_ALLOCATOR=direct in the environment asks the system or the GPU for every block, so that memory
/// checkers see each one.
std::shared_ptr<Storage> allocate(std::size_t bytes, Device device = Device::cpu);
/// Of the memory that is there, or of the memory that the tensors on meta would take. There nothing is ever cached.
MemoryStatistics memory_statistics(Device device = Device::cpu);
/// Bytes in use under one tag, or by one owner on meta; 0 if nobody has used it.
std::size_t memory_in_use(std::string_view tag, Device device = Device::cpu);
void reset_peak_memory(Device device = Device::cpu);
void release_cached_memory(Device device = Device::cpu);
/// One line a tag, for humans.
std::string memory_table(Device device = Device::cpu);

/// Allocations of this thread are counted under `tag` (a string that outlives them) while this lives; they nest. Default "other".
class MemoryTag {
 public:
  explicit MemoryTag(const char* tag);
  ~MemoryTag();
  MemoryTag(const MemoryTag&) = delete;
  MemoryTag& operator=(const MemoryTag&) = delete;

 private:
  const char* previous_;
};
/// The same for tensors on meta, and stronger: the tags within are passed over. Tells which layer a network's memory belongs to.
class MetaOwner {
 public:
  explicit MetaOwner(const char* owner);
  ~MetaOwner();
  MetaOwner(const MetaOwner&) = delete;
  MetaOwner& operator=(const MetaOwner&) = delete;

 private:
  const char* previous_;
};

}   // namespace fovea
