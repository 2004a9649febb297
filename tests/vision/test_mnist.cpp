// The MNIST files in the repository, the IDX reader on every kind of damage, the order of an epoch.
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "tests/temporary_folder.h"
#include "vision/data/idx.h"
#include "vision/data/pictures.h"

namespace fovea::vision {
namespace {

namespace fs = std::filesystem;
const fs::path kMnist = fs::path(FOVEA_SOURCE_DIR) / "data/mnist";

/// A folder of its own for each test, removed at its end.
class MnistFiles : public testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  fs::path write_gzip(const std::string& name, const std::string& bytes) {
    const gzFile file = gzopen((folder_ / name).c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    return folder_ / name;
  }
  static std::string bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// The message that reading `path` ends in.
  static std::string error_of(const fs::path& path, int rank) {
    try {
      read_idx(path, rank);
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << "one line";
      return e.what();
    }
    return "no error";
  }
  static std::string idx(const std::vector<std::uint32_t>& dims, const std::string& values, int type = 8) {
    std::string s{'\0', '\0', static_cast<char>(type), static_cast<char>(dims.size())};
    for (const std::uint32_t d : dims)
      for (int shift = 24; shift >= 0; shift -= 8) s += static_cast<char>(d >> shift & 255);
    return s + values;
  }
  /// A small but well-formed MNIST: 5,003 training and 2 test pictures.
  void write_small_mnist() {
    std::string pixels(5003 * 784, '\0');
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<char>(i / 784 % 250);
    write("train-images-idx3-ubyte", idx({5003, 28, 28}, pixels));
    write("train-labels-idx1-ubyte", idx({5003}, std::string(5003, '\3')));
    write("t10k-images-idx3-ubyte", idx({2, 28, 28}, std::string(2 * 784, '\1')));
    write("t10k-labels-idx1-ubyte", idx({2}, "\4\5"));
  }
  std::string load_error() {
    try {
      load_mnist(folder_);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(Mnist, RepositoryHoldsTheRealFiles) {   // counts and pixels as read by Python's gzip and struct
  const DataSplits mnist = load_mnist(kMnist);
  EXPECT_EQ(mnist.name, "mnist");
  EXPECT_EQ(mnist.train.shape(0), (PictureShape{28, 28, 1}));
  EXPECT_EQ(mnist.train.size(), 55000);
  EXPECT_EQ(mnist.validation.size(), 5000);
  EXPECT_EQ(mnist.test.size(), 10000);
  EXPECT_EQ(mnist.test.classes(), 10);
  EXPECT_EQ(mnist.test.class_names()[9], "9");

  const auto first = [](const Pictures& s) { return std::vector<std::int64_t>(s.labels().begin(), s.labels().begin() + 10); };
  EXPECT_EQ(first(mnist.train), (std::vector<std::int64_t>{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}));
  EXPECT_EQ(first(mnist.test), (std::vector<std::int64_t>{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}));
  const auto histogram = [](const Pictures& s) {
    std::vector<std::int64_t> n(10);
    for (const auto label : s.labels()) ++n[static_cast<std::size_t>(label)];
    return n;
  };
  EXPECT_EQ(histogram(mnist.train), (std::vector<std::int64_t>{5434, 6212, 5465, 5622, 5343, 4963, 5436, 5702, 5357, 5466}));
  EXPECT_EQ(histogram(mnist.test), (std::vector<std::int64_t>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}));

  const auto x = mnist.train.picture(0).to_vector<std::int64_t>();
  EXPECT_EQ(std::vector<std::int64_t>(x.begin() + 151, x.begin() + 157), (std::vector<std::int64_t>{0, 3, 18, 18, 18, 126}));
  const auto sum = [](const Tensor& picture) {
    const auto p = picture.to_vector<std::int64_t>();
    return std::accumulate(p.begin(), p.end(), std::int64_t{0});
  };
  EXPECT_EQ(sum(mnist.train.picture(0)), 27525);
  EXPECT_EQ(sum(mnist.validation.picture(4999)), 20920);
  EXPECT_EQ(sum(mnist.test.picture(0)), 18454);
  ASSERT_EQ(mnist.mean.size(), 1u);
  EXPECT_FLOAT_EQ(mnist.mean[0], 0.13071675060933466f);
  EXPECT_FLOAT_EQ(mnist.std[0], 0.30819664165272775f);
}

TEST_F(MnistFiles, PlainAndGzipReadTheSame) {
  const std::string file = idx({2, 1, 3}, "abcdef");
  for (const auto& path : {write("plain", file), write_gzip("packed.gz", file)}) {
    const Tensor t = read_idx(path, 3);
    EXPECT_EQ(t.shape(), Shape({2, 1, 3}));
    EXPECT_EQ(t.to_vector<std::int64_t>(), (std::vector<std::int64_t>{'a', 'b', 'c', 'd', 'e', 'f'}));
  }
}

TEST_F(MnistFiles, EachDamageHasItsMessage) {
  const std::string good = idx({2, 1, 3}, "abcdef");
  EXPECT_EQ(error_of(folder_ / "none", 3), (folder_ / "none").string() + ": no such file");
  EXPECT_HAS(error_of(folder_, 3), "not a regular file");
  EXPECT_HAS(error_of(write("empty", ""), 3), "empty: truncated: expected an IDX header of 16 bytes, got 0");
  EXPECT_HAS(error_of(write("header", good.substr(0, 9)), 3), "truncated: expected an IDX header of 16 bytes, got 9");
  EXPECT_HAS(error_of(write("magic", "PK\3\4" + good), 3), "not an IDX file: expected magic 0x00000803, got 0x504b0304");
  EXPECT_HAS(error_of(write("type", idx({2, 1, 3}, "abcdef", 0x0d)), 3), "expected IDX type 0x08 (uint8), got 0x0d");
  EXPECT_HAS(error_of(write("rank", idx({6}, "abcdef")), 3), "expected 3 dimensions (magic 0x00000803), got 1 (magic 0x00000801)");
  EXPECT_HAS(error_of(write("short", good.substr(0, 20)), 3), "short: truncated: expected 6 bytes of pixels, got 4");
  EXPECT_HAS(error_of(write_gzip("short.gz", good.substr(0, 20)), 3), "short.gz: truncated: expected 6 bytes of pixels, got 4");
  EXPECT_HAS(error_of(write("labels", idx({6}, "ab")), 1), "truncated: expected 6 bytes of labels, got 2");
  EXPECT_HAS(error_of(write("long", good + "g"), 3), "expected 6 bytes of pixels, got more");
  EXPECT_HAS(error_of(write_gzip("long.gz", good + "g"), 3), "expected 6 bytes of pixels, got more");
  // What a header claims takes no memory: 4 GiB in a file of 22 bytes, and more values than 64 bits hold.
  EXPECT_HAS(error_of(write("claims", idx({65536, 256, 256}, "abcdef")), 3), "truncated: expected 4294967296 bytes of pixels, got 6");
  EXPECT_HAS(error_of(write("absurd", idx({0xffffffff, 0xffffffff, 0xffffffff}, "abcdef")), 3), "absurd dimensions: expected at most");
}

TEST_F(MnistFiles, DamagedGzip) {
  std::string file(4000, '\0');
  std::uint32_t seed = 1;
  for (char& c : file) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);   // does not compress: each byte matters
  const std::string good = bytes_of(write_gzip("good.gz", idx({4000}, file)));
  EXPECT_EQ(read_idx(folder_ / "good.gz", 1).dim(0), 4000);

  EXPECT_HAS(error_of(write("cut.gz", good.substr(0, good.size() / 2)), 1), "truncated: expected 4000 bytes of labels, got ");
  EXPECT_HAS(error_of(write("tail.gz", good.substr(0, good.size() - 5)), 1), "truncated: the gzip stream ends before its checksum");
  std::string bad = good;
  bad[good.size() / 2] = static_cast<char>(bad[good.size() / 2] ^ 0x10);
  EXPECT_HAS(error_of(write("bad.gz", bad), 1), "bad.gz: corrupted gzip data: incorrect data check");
  bad = good;
  bad[3] = '\xff';   // reserved flags
  EXPECT_HAS(error_of(write("flags.gz", bad), 1), "corrupted gzip data: unknown header flags set");
}

TEST_F(MnistFiles, LoadChecksThatTheFilesAgree) {
  write_small_mnist();
  EXPECT_EQ(load_error(), "no error");
  const DataSplits small = load_mnist(folder_);
  EXPECT_EQ(small.train.size(), 3);   // pictures of all 0, 1 and 2: mean 1 / 255, std sqrt(2/3) / 255
  EXPECT_FLOAT_EQ(small.mean[0], 1.f / 255);
  EXPECT_FLOAT_EQ(small.std[0], 0.8164966f / 255);
  EXPECT_EQ(small.validation.picture(0).data<std::uint8_t>()[0], 3);

  write("t10k-labels-idx1-ubyte", idx({2}, "\4\xa"));
  EXPECT_HAS(load_error(), "t10k-labels-idx1-ubyte: expected labels 0 to 9, got 10 at position 1");
  write("t10k-labels-idx1-ubyte", idx({3}, "\4\5\6"));
  EXPECT_HAS(load_error(), "t10k-labels-idx1-ubyte: expected 2 labels, one for each picture in t10k-images-idx3-ubyte, got 3");
  write("t10k-images-idx3-ubyte", idx({2, 28, 14}, std::string(2 * 392, '\1')));
  EXPECT_HAS(load_error(), "expected pictures of 28 x 28 pixels, got 28 x 14");
  fs::remove(folder_ / "t10k-images-idx3-ubyte");
  EXPECT_EQ(load_error(),
            folder_.string() + ": expected t10k-images-idx3-ubyte.gz or t10k-images-idx3-ubyte in this folder, found neither");
  write("train-images-idx3-ubyte", idx({10, 28, 28}, std::string(10 * 784, '\1')));
  write("train-labels-idx1-ubyte", idx({10}, std::string(10, '\1')));
  EXPECT_HAS(load_error(), "expected more than 5000 training pictures");
  EXPECT_THROW(load_mnist(folder_ / "nowhere"), Error);
}

TEST(EpochOrder, IsARepeatablePermutation) {
  for (const std::int64_t n : {0, 1, 2, 7, 1000}) {
    auto order = epoch_order(n, {.seed = 3}, 5);
    EXPECT_EQ(order, epoch_order(n, {.seed = 3}, 5));
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < n; ++i) ASSERT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_NE(epoch_order(100, {.seed = 3}, 5), epoch_order(100, {.seed = 3}, 6));
  EXPECT_NE(epoch_order(100, {.seed = 3}, 5), epoch_order(100, {.seed = 4}, 5));
}

TEST(EpochOrder, EveryOrderIsEquallyLikely) {
  // 6,000 orders of 3: each of the 6 about 1000 times; 5 standard deviations are 5 sqrt(6000 * 1/6 * 5/6) = 144.
  std::vector<int> seen(27);
  for (std::uint64_t epoch = 0; epoch < 6000; ++epoch) {
    const auto o = epoch_order(3, {.seed = 1}, epoch);
    ++seen[static_cast<std::size_t>(o[0] * 9 + o[1] * 3 + o[2])];
  }
  for (const int n : seen)
    if (n) {
      EXPECT_NEAR(n, 1000, 144);
    }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 0), 21);
}

}   // namespace
}   // namespace fovea::vision
