// weight_files.cpp: files of weights with damage by chance. Whatever the bytes, read_weight_file gives tensors or throws Error: it does not
// crash, run forever or take memory without bound (the address space is limited here, and std::bad_alloc ends the program).
//
//   fuzz_weight_files ITERATIONS FILES... FOLDERS...     whole files, then folders of damaged ones; the same every time
//   clang++ -fsanitize=fuzzer,address -DFOVEA_LIBFUZZER ... gives libFuzzer's program instead
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "tensor/weight_file.h"

namespace {

/// True when it was read as a file.
bool try_file(const char* bytes, std::size_t size) {
  static const std::string path = (std::filesystem::temp_directory_path() / ("fovea_fuzz_" + std::to_string(getpid()))).string();
  std::ofstream(path, std::ios::binary).write(bytes, static_cast<std::streamsize>(size));
  bool read = false;
  try {
    const fovea::WeightFile file = fovea::read_weight_file(path);
    std::size_t total = 0;
    for (const auto& [name, tensor] : file.tensors.tensors) total += tensor.bytes();
    if (total > 16 * size + (1 << 20)) std::fprintf(stderr, "%zu bytes of tensors from a file of %zu\n", total, size), std::abort();
    read = true;
  } catch (const fovea::Error&) {
  }
  std::filesystem::remove(path);
  return read;
}

}   // namespace

#ifdef FOVEA_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  try_file(reinterpret_cast<const char*>(data), size);
  return 0;
}
#else

namespace {

using Random = std::mt19937_64;   // its numbers are the same everywhere, unlike those of the distributions

/// Half of the time from one of the first `whole` seeds: damaged ones are refused early.
std::string mutated(const std::vector<std::string>& seeds, std::size_t whole, Random& random) {
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random() % n); };
  std::string s = seeds[below(below(2) ? whole : seeds.size())];
  for (std::size_t changes = 1 + below(4); changes > 0 && !s.empty(); --changes) {
    const std::size_t at = below(s.size()), n = std::min(1 + below(16), s.size() - at);
    switch (below(8)) {
      case 0: s[at] = static_cast<char>(s[at] ^ (1 << below(8))); break;
      case 1: s[at] = static_cast<char>(random()); break;
      case 2: s.resize(at); break;
      case 3: s.erase(at, n); break;
      case 4: s.insert(at, s.substr(below(s.size()), 1 + below(64))); break;
      case 5: {   // a number at the edge of its type
        constexpr std::uint64_t edges[] = {0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, ~std::uint64_t{0}};
        const std::uint64_t edge = edges[below(std::size(edges))];
        const std::size_t bytes = std::min(std::size_t{1} << below(4), s.size() - at);
        std::copy_n(reinterpret_cast<const char*>(&edge), bytes, s.data() + at);
        break;
      }
      case 6: {   // a piece of another seed
        const std::string& other = seeds[below(seeds.size())];
        if (!other.empty()) s.insert(at, other.substr(below(other.size()), 1 + below(200)));
        break;
      }
      case 7:   // digits of a JSON header, instructions of a pickle
        s[at] = "0123456789[]{}\",:.ceRbtuq("[below(26)];
        break;
    }
  }
  return s;
}

}   // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: %s ITERATIONS FILES... FOLDERS...\n", argv[0]), 2;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const rlimit limit{.rlim_cur = rlim_t{2} << 30, .rlim_max = rlim_t{2} << 30};
  setrlimit(RLIMIT_AS, &limit);
#endif
  std::vector<std::string> seeds;
  const auto add = [&](const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  };
  for (int i = 2; i < argc; ++i) {
    if (std::filesystem::is_directory(argv[i])) {
      std::vector<std::filesystem::path> paths;
      for (const auto& entry : std::filesystem::directory_iterator(argv[i])) paths.push_back(entry.path());
      std::sort(paths.begin(), paths.end());
      for (const auto& path : paths) add(path);
    } else {
      add(argv[i]);
    }
  }
  const auto whole =
      static_cast<std::size_t>(std::count_if(argv + 2, argv + argc, [](const char* a) { return !std::filesystem::is_directory(a); }));
  if (whole == 0 || std::filesystem::is_directory(argv[2])) return std::fprintf(stderr, "expected whole files in front of folders\n"), 2;
  Random random(1);
  const long iterations = std::atol(argv[1]);
  long read = 0;
  for (long i = 0; i < iterations; ++i) {
    const std::string bytes = mutated(seeds, whole, random);
    read += try_file(bytes.data(), bytes.size());
  }
  std::printf("%ld files, %ld read, %ld refused\n", iterations, read, iterations - read);
  return read > 0 && read < iterations ? 0 : 1;   // both must occur, or nothing was tried
}
#endif
