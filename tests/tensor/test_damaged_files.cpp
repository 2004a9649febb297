// Files that mean harm (make_damaged_files.py): each is refused with one line that names it, in little memory; nothing in them is ever run.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

#include "tensor/weight_file.h"

#ifdef __SANITIZE_ADDRESS__
/// Freed blocks are set aside, to catch who still uses them: by default 256 MiB of them, which would count here.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=32"; }
#endif

namespace fovea {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> damaged() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(FOVEA_SOURCE_DIR "/tests/tensor/damaged")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::int64_t peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

#ifdef __SANITIZE_THREAD__
constexpr std::int64_t kLittleMemory = 4 * 64;   // MiB; every byte has four of shadow here, which count
#else
constexpr std::int64_t kLittleMemory = 64;
#endif

class DamagedFile : public testing::TestWithParam<fs::path> {};

TEST_P(DamagedFile, IsRefusedInLittleMemory) {
  const fs::path path = GetParam();
  const std::string name = path.filename();
  const std::int64_t before = peak_megabytes();
  std::string error;
  try {
    const WeightFile file = read_weight_file(path);
    EXPECT_TRUE(name.starts_with("inert_")) << "accepted, with " << file.tensors.tensors.size() << " tensors";
    EXPECT_TRUE(file.ignored.contains("posix.system"));   // said, not done
  } catch (const Error& e) {
    error = e.what();
    EXPECT_NE(error.find(name), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    EXPECT_LE(error.size(), path.string().size() + 500) << error;
  }
  EXPECT_EQ(error.empty(), name.starts_with("inert_")) << error;
  EXPECT_LE(peak_megabytes() - before, kLittleMemory);
  EXPECT_FALSE(fs::exists("/tmp/fovea_was_here"));
}

INSTANTIATE_TEST_SUITE_P(Corpus, DamagedFile, testing::ValuesIn(damaged()), [](const auto& param) {
  std::string name = param.param.filename();
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
});

}   // namespace
}   // namespace fovea
