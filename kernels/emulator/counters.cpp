// counters.cpp: from a log of single accesses to sectors and wavefronts.
#include "kernels/emulator/counters.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "kernels/emulator/block.h"

namespace fovea::emulator {
namespace {

constexpr std::uintptr_t kSector = 32, kBank = 4, kBanks = 32;

/// Shared memory serves 32 words of 4 bytes, one from each bank, in one wavefront; the same word to many lanes counts once. Accesses of
/// 8 bytes are served half a warp at a time, those of 16 a quarter: CUDA C++ Programming Guide, "Shared Memory" of each architecture.
struct Wavefronts {
  int served = 0, ideal = 0;
};
Wavefronts wavefronts(std::vector<std::pair<int, std::uintptr_t>>& lanes, std::size_t bytes) {
  const int together = bytes <= 4 ? 32 : static_cast<int>(128 / bytes);   // lanes
  Wavefronts w;
  for (int first = 0; first < kWarp; first += together) {
    std::vector<std::uintptr_t> words;
    for (auto [lane, address] : lanes)
      if (lane >= first && lane < first + together)
        for (std::uintptr_t a = address / kBank; a <= (address + bytes - 1) / kBank; ++a) words.push_back(a);
    if (words.empty()) continue;
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    std::array<int, kBanks> in_bank{};
    for (std::uintptr_t word : words) ++in_bank[word % kBanks];
    w.served += *std::max_element(in_bank.begin(), in_bank.end());
    w.ideal += static_cast<int>((words.size() + kBanks - 1) / kBanks);
  }
  return w;
}

}   // namespace

void AccessLog::flush(Counters& c) {
  const auto warp = [](const Entry& e) { return e.thread / kWarp; };
  // The n-th time that a thread passes an instruction ...
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.site, a.thread, a.order) < std::tie(b.site, b.thread, b.order); });
  for (std::size_t i = 0, n = 0; i < entries_.size(); ++i) {
    n = i > 0 && entries_[i].site == entries_[i - 1].site && entries_[i].thread == entries_[i - 1].thread ? n + 1 : 0;
    entries_[i].order = static_cast<std::uint32_t>(n);
  }
  // ... goes with the n-th time of the other lanes.
  std::sort(entries_.begin(), entries_.end(), [&](const Entry& a, const Entry& b) {
    return std::tuple(a.site, warp(a), a.order, a.thread) < std::tuple(b.site, warp(b), b.order, b.thread);
  });
  std::vector<std::pair<int, std::uintptr_t>> lanes;
  std::vector<std::uintptr_t> sectors;
  for (std::size_t i = 0; i < entries_.size();) {
    const Entry& first = entries_[i];
    lanes.clear();
    sectors.clear();
    for (; i < entries_.size(); ++i) {
      const Entry& e = entries_[i];
      if (e.site != first.site || warp(e) != warp(first) || e.order != first.order || e.space != first.space || e.write != first.write)
        break;
      lanes.emplace_back(e.thread % kWarp, e.address);
      for (std::uintptr_t s = e.address / kSector; s <= (e.address + e.bytes - 1) / kSector; ++s) sectors.push_back(s);
    }
    if (first.space == Space::shared) {
      const Wavefronts w = wavefronts(lanes, first.bytes);
      c.shared_wavefronts += w.served;
      c.shared_ideal_wavefronts += w.ideal;
    } else {
      std::sort(sectors.begin(), sectors.end());
      const auto distinct = std::unique(sectors.begin(), sectors.end()) - sectors.begin();
      (first.write ? c.global_store_sectors : c.global_load_sectors) += distinct;
      (first.write ? c.global_store_bytes : c.global_load_bytes) += lanes.size() * first.bytes;
    }
  }
  entries_.clear();
}

}   // namespace fovea::emulator
