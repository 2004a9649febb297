// allocator.cpp: blocks come in size classes; a freed block waits in its class's list for the next request of that class.
//
// Classes: eight steps between powers of two, so a block is at most 1/8 larger than asked for (or 63 bytes), and the shapes
// of a training step find the blocks of the step before. Blocks of 2 MiB and more are mapped by themselves, aligned to
// huge pages; smaller ones come from the C library; those of a GPU, each from its toolkit.
// What waits is bounded: in_use + cached stays below twice the most that was ever in use (at least kFloor). A request that would break this
// gets a block up to four times as large that waits: inference has many sizes, few at a time. If none does, all that waits is given back first, as
// after a change of batch size, when nobody will ask for the old blocks.
#include "tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tensor/cuda.h"
#include "tensor/error.h"
#include "tensor/memory_pool.h"

#if defined(__SANITIZE_ADDRESS__)
#define FOVEA_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FOVEA_ADDRESS_SANITIZER
#endif
#endif

namespace fovea {

namespace {

constexpr std::size_t kAlignment = 64;   // a cache line, and the widest vector
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kFloor = std::size_t{64} << 20;
constexpr std::size_t kLargest = std::size_t{1} << 47;   // what an x86-64 process can address

std::size_t size_class(std::size_t bytes) {
  bytes = std::max(bytes, kAlignment);
  const std::size_t step = std::max(kAlignment, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

/// Maps one huge page too many and cuts off what lies outside the alignment. Null when there is no memory.
void* map_aligned(std::size_t bytes) {
  void* mapped = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(mapped);
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + bytes, kHugePage - before);
  madvise(begin + before, bytes, MADV_HUGEPAGE);   // a wish: without huge pages it works as well
  return begin + before;
}

thread_local const char* current_tag = "other";
thread_local const char* current_owner = nullptr;

/// Who holds how much.
struct Count {
  std::map<std::string, std::size_t, std::less<>> by_tag;
  std::size_t in_use = 0, peak = 0;
  std::size_t most = 0;   // as peak, but never reset

  void add(std::size_t block, const char* tag) {
    in_use += block;
    peak = std::max(peak, in_use);
    most = std::max(most, in_use);
    const auto entry = by_tag.find(tag);
    if (entry == by_tag.end())
      by_tag.emplace(tag, block);
    else
      entry->second += block;
  }
  void remove(std::size_t block, const char* tag) {
    in_use -= block;
    by_tag.find(tag)->second -= block;
  }
  std::size_t of(std::string_view tag) const {
    const auto entry = by_tag.find(tag);
    return entry == by_tag.end() ? 0 : entry->second;
  }
  MemoryStatistics statistics() const {
    MemoryStatistics s{.in_use = in_use, .peak = peak, .by_tag = {}};
    for (const auto& [tag, bytes] : by_tag)
      if (bytes > 0) s.by_tag.emplace(tag, bytes);
    return s;
  }
};

/// The memory of tensors on meta.
struct Nowhere {
  std::mutex mutex;
  Count count;
  static Nowhere& instance() {
    static Nowhere* const nowhere = new Nowhere;   // never destroyed, as the allocator
    return *nowhere;
  }
};

std::string mebibytes(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

using FreeBlocks = std::unordered_map<std::size_t, std::vector<void*>>;   // by size class

/// Where blocks come from.
class Source {
 public:
  virtual ~Source() = default;
  /// Null when there is no more. direct: the exact size, so that a checker sees the first byte past it.
  virtual void* take(std::size_t bytes, std::size_t block, bool direct) = 0;
  virtual void give_back(void* data, std::size_t block, bool direct) = 0;
  /// For a message about the end of memory: "; 3.1 of 80.0 MiB are free", or nothing.
  virtual std::string what_is_left() { return ""; }
};

class Host final : public Source {
 public:
  void* take(std::size_t bytes, std::size_t block, bool direct) override {
    if (!direct && block >= kHugePage) return map_aligned(block);
    void* data = nullptr;
    return posix_memalign(&data, kAlignment, direct ? std::max<std::size_t>(bytes, 1) : block) == 0 ? data : nullptr;
  }
  void give_back(void* data, std::size_t block, bool direct) override {
    if (!direct && block >= kHugePage)
      munmap(data, block);
    else
      std::free(data);
  }
};

class Gpu final : public Source {
 public:
  void* take(std::size_t bytes, std::size_t block, bool direct) override {
    return cuda_device().allocate(direct ? std::max<std::size_t>(bytes, 1) : block);
  }
  /// Runs in destructors, also after a kernel's mistake, when every call fails: then the whole device is lost, and nobody misses this block.
  void give_back(void* data, std::size_t, bool) override {
    try {
      cuda_device().release(data);
    } catch (const std::exception&) {
    }
  }
  std::string what_is_left() override {
    return "; " + mebibytes(cuda_device().free_memory()) + " of the device's " + mebibytes(cuda_device().facts().memory) +
           " are free, the rest others may hold";
  }
};

class Allocator {
 public:
  Allocator(Device device, std::unique_ptr<Source> source) : device_(device), source_(std::move(source)) {
    const char* choice = std::getenv("FOVEA_ALLOCATOR");
    if (choice && std::strcmp(choice, "direct") == 0) direct_ = true;
#ifdef FOVEA_ADDRESS_SANITIZER
    direct_ = true;
#endif
  }
  /// Never destroyed: tensors in static variables may die after everything else.
  static Allocator& of(Device device) {
    static Allocator* const host = new Allocator(Device::cpu, std::make_unique<Host>());
    if (device != Device::cuda) return *host;
    static Allocator* const gpu = new Allocator(Device::cuda, std::make_unique<Gpu>());
    return *gpu;
  }

  std::shared_ptr<Storage> allocate(std::size_t bytes) {
    std::size_t block = size_class(std::min(bytes, kLargest));
    void* data = bytes <= kLargest ? take(bytes, block) : nullptr;
    if (!data)
      throw Error(detail::join("out of memory on ", name_of(device_), ": asked for ", mebibytes(bytes), " with ",
                               mebibytes(memory_statistics(device_).in_use), " held; ", mebibytes(given_back_),
                               " were cached and have been given back in vain", source_->what_is_left(), "\n", memory_table(device_)));
    return std::make_shared<Storage>(data, bytes, block, current_tag, device_);
  }

  void release(void* data, std::size_t block, const char* tag) {
    const std::lock_guard lock(mutex_);
    count_.remove(block, tag);
    if (const auto apart = set_apart_.find(data); apart != set_apart_.end()) {
      (*apart->second)[block].push_back(data);
      cached_ += block;
    } else {
      keep(data, block);
    }
  }

  void open(FreeBlocks* pool) {
    const std::lock_guard lock(mutex_);
    pool_ = pool;
  }
  /// Its blocks are everybody's again, and those that tensors still hold will be.
  void dissolve(FreeBlocks& pool) {
    const std::lock_guard lock(mutex_);
    std::erase_if(set_apart_, [&](const auto& apart) { return apart.second == &pool; });
    for (auto& [block, list] : pool)
      for (void* data : list) {
        cached_ -= block;
        keep(data, block);
      }
  }

  MemoryStatistics statistics() {
    const std::lock_guard lock(mutex_);
    MemoryStatistics s = count_.statistics();
    s.cached = cached_, s.from_system = from_system_;
    return s;
  }

  std::size_t in_use(std::string_view tag) {
    const std::lock_guard lock(mutex_);
    return count_.of(tag);
  }

  void reset_peak() {
    const std::lock_guard lock(mutex_);
    count_.peak = count_.in_use;
  }

  void release_cached() {
    const std::lock_guard lock(mutex_);
    give_back();
  }

 private:
  /// `block` becomes what it is in the end.
  void* take(std::size_t bytes, std::size_t& block) {
    const std::lock_guard lock(mutex_);
    void* data = pool_ ? reuse(*pool_, block) : nullptr;
    if (!data) data = reuse(free_, block);
    const bool much = count_.in_use + cached_ + block > std::max(kFloor, 2 * std::max(count_.most, count_.in_use + block));
    if (!data && much && !pool_)
      if (const std::size_t larger = larger_than(block); larger > 0) data = reuse(free_, block = larger);
    if (!data) {
      if (much && !pool_) give_back();
      data = from_system(pool_ ? block : bytes, block);   // of a pool any tensor of that class will take it
    }
    if (!data && !pool_) {
      given_back_ = cached_;
      give_back();
      data = from_system(bytes, block);
    }
    if (!data) return nullptr;
    if (pool_) set_apart_[data] = pool_;
    count_.add(block, current_tag);
    return data;
  }

  /// A free block of that class, or null.
  void* reuse(FreeBlocks& from, std::size_t block) {
    const auto list = from.find(block);
    if (list == from.end() || list->second.empty()) return nullptr;
    void* data = list->second.back();   // the last one freed: likeliest still in the cache
    list->second.pop_back();
    cached_ -= block;
    return data;
  }

  /// The smallest class of up to four times that size in which a block waits; 0 if there is none.
  std::size_t larger_than(std::size_t block) const {
    std::size_t best = 0;
    for (const auto& [size, list] : free_)
      if (!list.empty() && size > block && size <= 4 * block && (best == 0 || size < best)) best = size;
    return best;
  }

  void keep(void* data, std::size_t block) {
    if (direct_) return source_->give_back(data, block, direct_);
    free_[block].push_back(data);
    cached_ += block;
  }

  void* from_system(std::size_t bytes, std::size_t block) {
    ++from_system_;
    return source_->take(bytes, block, direct_);
  }

  void give_back() {
    for (auto& [block, list] : free_)
      for (void* data : list) {
        source_->give_back(data, block, direct_);
        cached_ -= block;
      }
    free_.clear();
  }

  const Device device_;
  const std::unique_ptr<Source> source_;
  std::mutex mutex_;
  bool direct_ = false;
  FreeBlocks free_;
  FreeBlocks* pool_ = nullptr;                         // the one that is open
  std::unordered_map<void*, FreeBlocks*> set_apart_;   // to which pool a block belongs, free or not
  Count count_;
  std::size_t cached_ = 0, from_system_ = 0;
  std::size_t given_back_ = 0;   // when there was no more, last time
};

}   // namespace

Storage::Storage(void* data, std::size_t bytes, std::size_t block_bytes, const char* tag, Device device)
    : data_(data), bytes_(bytes), block_bytes_(block_bytes), tag_(tag), device_(device) {}
Storage::~Storage() {
  if (device_ != Device::meta) {
    Allocator::of(device_).release(data_, block_bytes_, tag_);
    return;
  }
  Nowhere& nowhere = Nowhere::instance();
  const std::lock_guard lock(nowhere.mutex);
  nowhere.count.remove(block_bytes_, tag_);
}

std::shared_ptr<Storage> allocate(std::size_t bytes, Device device) {
  if (device != Device::meta) return Allocator::of(device).allocate(bytes);
  const char* const tag = current_owner ? current_owner : current_tag;
  auto storage = std::make_shared<Storage>(nullptr, bytes, size_class(bytes), tag, device);
  Nowhere& nowhere = Nowhere::instance();
  const std::lock_guard lock(nowhere.mutex);
  nowhere.count.add(size_class(bytes), tag);
  return storage;
}
MemoryStatistics memory_statistics(Device device) {
  if (device != Device::meta) return Allocator::of(device).statistics();
  const std::lock_guard lock(Nowhere::instance().mutex);
  return Nowhere::instance().count.statistics();
}
std::size_t memory_in_use(std::string_view tag, Device device) {
  if (device != Device::meta) return Allocator::of(device).in_use(tag);
  const std::lock_guard lock(Nowhere::instance().mutex);
  return Nowhere::instance().count.of(tag);
}
void reset_peak_memory(Device device) {
  if (device != Device::meta) return Allocator::of(device).reset_peak();
  const std::lock_guard lock(Nowhere::instance().mutex);
  Nowhere::instance().count.peak = Nowhere::instance().count.in_use;
}
void release_cached_memory(Device device) {
  if (device != Device::meta) Allocator::of(device).release_cached();
}

std::string memory_table(Device device) {
  const MemoryStatistics s = memory_statistics(device);
  std::string table;
  const auto line = [&](const std::string& name, std::size_t bytes) {
    const std::string size = mebibytes(bytes);
    table += std::string(size.size() < 16 ? 16 - size.size() : 0, ' ') + size + "  " + name + "\n";
  };
  for (const auto& [tag, bytes] : s.by_tag) line(tag, bytes);
  line("in use", s.in_use);
  line("peak", s.peak);
  line("cached", s.cached);
  return table;
}

struct MemoryPool::Blocks : FreeBlocks {};
MemoryPool::MemoryPool() : blocks_(std::make_unique<Blocks>()) {}
MemoryPool::~MemoryPool() { Allocator::of(Device::cuda).dissolve(*blocks_); }
void MemoryPool::open() { Allocator::of(Device::cuda).open(blocks_.get()); }
void MemoryPool::close() { Allocator::of(Device::cuda).open(nullptr); }

MemoryTag::MemoryTag(const char* tag) : previous_(std::exchange(current_tag, tag)) {}
MemoryTag::~MemoryTag() { current_tag = previous_; }
MetaOwner::MetaOwner(const char* owner) : previous_(std::exchange(current_owner, owner)) {}
MetaOwner::~MetaOwner() { current_owner = previous_; }

}   // namespace fovea
