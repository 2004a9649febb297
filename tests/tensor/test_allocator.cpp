// Reuse, accounting by tag, the bound on what is kept, several threads, and the end of memory.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "tensor/allocator.h"
#include "tensor/error.h"
#include "tensor/tensor.h"

namespace fovea {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

/// FOVEA_ALLOCATOR=direct and address-sanitizer builds keep nothing.
bool caches() {
  release_cached_memory();
  allocate(64);
  return memory_statistics().cached > 0;
}

std::size_t under(const char* tag) {
  const auto by_tag = memory_statistics().by_tag;
  const auto found = by_tag.find(tag);
  return found == by_tag.end() ? 0 : found->second;
}

TEST(Allocator, GivesFreedBlocksAgain) {
  if (!caches()) GTEST_SKIP() << "the allocator asks the system for every block";
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{1000}, 3 * kMiB + 5}) {
    const void* first = allocate(bytes)->data();
    const std::size_t calls = memory_statistics().from_system;
    const auto again = allocate(bytes);
    EXPECT_EQ(again->data(), first);
    EXPECT_EQ(again->bytes(), bytes);
    EXPECT_EQ(memory_statistics().from_system, calls);
  }
}

TEST(Allocator, BlocksAreAlignedAndAtMostAnEighthLarger) {
  for (std::size_t bytes = 0; bytes < 40 * kMiB; bytes = bytes * 5 / 4 + 1) {
    const std::size_t before = memory_statistics().in_use;
    const auto block = allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block->data()) % 64, 0u);
    const std::size_t size = memory_statistics().in_use - before;
    EXPECT_GE(size, bytes);
    EXPECT_LE(size, std::max(bytes + 64, bytes + bytes / 8));
    if (bytes > 0) std::memset(block->data(), 1, bytes);   // it is really there, to the last byte
  }
}

TEST(Allocator, CountsByTagExactly) {
  const std::size_t in_use = memory_statistics().in_use, other = under("other");
  {
    const auto untagged = allocate(128);
    EXPECT_EQ(under("other"), other + 128);
    const MemoryTag outer("outer");
    const auto a = allocate(1024);
    std::shared_ptr<Storage> b;
    {
      const MemoryTag inner("inner");
      b = allocate(4096);
    }
    const auto c = allocate(64);
    EXPECT_EQ(under("outer"), 1024u + 64);
    EXPECT_EQ(under("inner"), 4096u);
    EXPECT_EQ(memory_statistics().in_use, in_use + 128 + 1024 + 4096 + 64);
    EXPECT_NE(memory_table().find("inner"), std::string::npos);
    std::thread([] {
      EXPECT_EQ(under("outer"), 1024u + 64);
      const auto d = allocate(64);
      EXPECT_EQ(under("outer"), 1024u + 64);
    }).join();
    b.reset();   // counted where it was made, wherever it ends
    EXPECT_EQ(under("inner"), 0u);
  }
  EXPECT_EQ(under("outer"), 0u);
  EXPECT_EQ(memory_statistics().in_use, in_use);
}

TEST(Allocator, PeakSinceReset) {
  const auto kept = allocate(kMiB);
  reset_peak_memory();
  const std::size_t in_use = memory_statistics().in_use;
  EXPECT_EQ(memory_statistics().peak, in_use);
  allocate(2 * kMiB);
  EXPECT_EQ(memory_statistics().peak, in_use + 2 * kMiB);
  EXPECT_EQ(memory_statistics().in_use, in_use);
}

TEST(Allocator, WhatIsKeptIsBounded) {
  if (!caches()) GTEST_SKIP() << "the allocator asks the system for every block";
  // A hundred classes used one after another: kept all, they would sum to more than 2 GiB.
  for (std::size_t i = 0; i < 100; ++i) {
    allocate((8 + i / 2) * kMiB + i * 300'000);
    const auto s = memory_statistics();
    EXPECT_LE(s.in_use + s.cached, 2 * (58 + 32) * kMiB);
  }
  release_cached_memory();
  EXPECT_EQ(memory_statistics().cached, 0u);
}

/// As in inference: many sizes, one at a time, together more than may wait.
TEST(Allocator, ALargerBlockServesBeforeTheSystemIsAsked) {
  if (!caches()) GTEST_SKIP() << "the allocator asks the system for every block";
  const auto pass = [] {
    const std::size_t before = memory_statistics().from_system;
    for (std::size_t mebibytes = 500; mebibytes < 1000; mebibytes += 60) allocate(mebibytes * kMiB);
    return memory_statistics().from_system - before;
  };
  pass(), pass(), pass();   // what is too small for the largest has been given back
  EXPECT_EQ(pass(), 0u);
  release_cached_memory();
}

TEST(Allocator, ManyThreads) {
  const std::size_t in_use = memory_statistics().in_use;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      const MemoryTag tag(t % 2 ? "odd" : "even");
      std::vector<std::shared_ptr<Storage>> held(7);
      for (std::size_t i = 0; i < 2000; ++i) {
        auto& slot = held[i % held.size()];
        slot = allocate(100 + i * 37 % 5000);
        std::memset(slot->data(), t, slot->bytes());
        const auto* bytes =
            static_cast<const unsigned char*>(held[(i * 3) % held.size()] ? held[(i * 3) % held.size()]->data() : slot->data());
        if (bytes[50] != t) ADD_FAILURE() << "a block was given to two threads";
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(memory_statistics().in_use, in_use);
  EXPECT_EQ(under("odd") + under("even"), 0u);
}

TEST(Allocator, TheEndOfMemoryIsAnErrorWithTheTable) {
  const MemoryTag tag("hungry");
  const auto kept = allocate(kMiB);
  for (const std::size_t bytes : {std::size_t{1} << 48, ~std::size_t{0}}) {
    try {
      allocate(bytes);
      FAIL() << "2^48 bytes cannot be had";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("hungry"), std::string::npos) << e.what();
    }
  }
  if (caches()) {   // an address sanitizer ends the program instead
    EXPECT_THROW(allocate(std::size_t{1} << 47), Error);
    EXPECT_EQ(memory_statistics().cached, 0u) << "the cache was not given back before giving up";
  }
  EXPECT_NO_THROW(allocate(kMiB));
}

Tensor outlives_main = Tensor::full({3}, 1);   // destroyed after main: must not meet a dead allocator

}   // namespace
}   // namespace fovea
