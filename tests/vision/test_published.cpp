// The table of published weights, the hash in their names, and how a name becomes a file without a network.
#include "vision/weights/published.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "tensor/error.h"
#include "tests/temporary_folder.h"
#include "vision/models/models.h"
#include "vision/weights/sha256.h"

namespace fovea::vision {
namespace {

namespace fs = std::filesystem;

TEST(Sha256, PublishedVectors) {   // FIPS 180-4 examples, and NIST's vector of a million letters
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  Sha256 pieces;   // in any pieces
  const std::string text(1'000'000, 'a');
  for (std::size_t at = 0, n = 1; at < text.size(); at += n, n = n * 3 % 1009 + 1) pieces.add(text.data(), std::min(n, text.size() - at));
  EXPECT_EQ(pieces.hex(), sha256(text));
}

TEST(Published, EveryRowIsOfAModelAndHasItsHash) {
  std::set<std::string> models, seen;
  for (const ModelEntry& m : vision::models()) models.insert(m.name);
  for (const PublishedWeights& w : published_weights()) {
    EXPECT_TRUE(models.contains(w.model)) << w.model;
    EXPECT_TRUE(seen.insert(w.model + "." + w.name).second) << w.model << "." << w.name;
    EXPECT_GE(w.digits().size(), 8u) << w.file();
    EXPECT_EQ(w.digits().find_first_not_of("0123456789abcdef"), std::string::npos) << w.file();
    EXPECT_GE(w.resize, w.crop) << w.file();
    EXPECT_TRUE(w.top1 > 50 && w.top1 < 90) << w.file();
    EXPECT_TRUE(w.address.starts_with("https://")) << w.address;
  }
  const PublishedWeights* best = find_published("resnet50");
  ASSERT_NE(best, nullptr);
  EXPECT_EQ(best->name, "IMAGENET1K_V2");
  EXPECT_EQ(best->file(), "resnet50-11ad3fa6.pth");
  EXPECT_EQ(best->digits(), "11ad3fa6");
  EXPECT_EQ(find_published("ResNet50.imagenet1k_v1")->file(), "resnet50-0676ba61.pth");
  EXPECT_EQ(find_published("resnet50-0676ba61.pth")->name, "IMAGENET1K_V1");
  EXPECT_EQ(find_published("resnet500"), nullptr);
  EXPECT_EQ(find_published("googlenet")->mean, (std::vector<float>{0.5f, 0.5f, 0.5f}));
}

TEST(Published, ClassesHaveDifferentNames) {
  const auto& names = imagenet_classes();
  EXPECT_EQ(names.size(), 1000u);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 1000u);
  EXPECT_EQ(names[0], "tench");
  EXPECT_EQ(names[207], "golden retriever");
  EXPECT_EQ(names[999], "toilet tissue");
}

/// Caches in an empty folder, and programs in another that stand for curl.
class Fetch : public testing::Test {
 protected:
  Fetch() {
    for (const char* part : {"own", "torch/hub/checkpoints", "bin"}) fs::create_directories(folder_ / part);
    setenv("FOVEA_CACHE", (folder_ / "own").c_str(), 1);
    setenv("TORCH_HOME", (folder_ / "torch").c_str(), 1);
    setenv("PATH", (folder_ / "bin").c_str(), 1);
    const std::string digits = sha256(content_).substr(0, 8);
    weights_ = {.model = "net",
                .name = "V1",
                .address = "https://nowhere.example/net-" + digits + ".pth",
                .resize = 256,
                .crop = 224,
                .filter = ResizeFilter::bilinear,
                .mean = {},
                .std = {},
                .top1 = 70};
  }
  ~Fetch() override {
    setenv("PATH", path_.c_str(), 1);
    unsetenv("FOVEA_CACHE");
    unsetenv("TORCH_HOME");
  }
  static void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
  /// A curl that writes `text` where it is told to, and exits with `code`.
  void curl(const std::string& text, int code) {
    const fs::path program = folder_ / "bin/curl";
    write(program, "#!/bin/sh\nwhile [ $# -gt 1 ]; do [ \"$1\" = --output ] && out=$2; shift; done\nprintf %s '" + text +
                       "' > \"$out\"\nexit " + std::to_string(code) + "\n");
    fs::permissions(program, fs::perms::owner_all);
  }
  std::string error() {
    try {
      fetch(weights_, null_);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_ / "own"), fs::directory_iterator()));
  }

  const std::string content_ = "weights";
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  const std::string path_ = std::getenv("PATH");
  PublishedWeights weights_;
  std::FILE* null_ = std::fopen("/dev/null", "w");
};

TEST_F(Fetch, FindsThemInBothCaches) {
  write(folder_ / "torch/hub/checkpoints" / weights_.file(), content_);
  EXPECT_EQ(fetch(weights_, null_), folder_ / "torch/hub/checkpoints" / weights_.file());
  write(folder_ / "own" / weights_.file(), content_);
  EXPECT_EQ(fetch(weights_, null_), folder_ / "own" / weights_.file());
}

TEST_F(Fetch, RefusesAFileOfAnotherHash) {
  write(folder_ / "own" / weights_.file(), "other weights");
  EXPECT_NE(error().find("damaged: its SHA-256 begins with"), std::string::npos) << error();
}

TEST_F(Fetch, WithoutANetworkSaysWhichFileToPutWhere) {
  EXPECT_NE(error().find("neither curl nor wget is installed; download https://nowhere.example/net-"), std::string::npos) << error();
  curl("", 6);
  EXPECT_NE(error().find("could not be fetched; download https://"), std::string::npos) << error();
  EXPECT_NE(error().find((folder_ / "own").string()), std::string::npos) << error();
  EXPECT_EQ(error().find('\n'), std::string::npos);
  EXPECT_EQ(files(), 0u);
}

TEST_F(Fetch, DownloadsVerifiesAndRenames) {
  curl("half", 0);
  EXPECT_NE(error().find("damaged"), std::string::npos) << error();
  EXPECT_EQ(files(), 0u);
  curl(content_, 0);
  EXPECT_EQ(fetch(weights_, null_), folder_ / "own" / weights_.file());
  EXPECT_EQ(files(), 1u);
}

}   // namespace
}   // namespace fovea::vision
