// Files of the format's own library, files of ours, hostile files, and full disks.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

#include "tensor/safetensors.h"
#include "tests/temporary_folder.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

class Safetensors : public testing::Test {
 protected:
  fs::path write(const std::string& bytes) const {
    std::ofstream(folder / "x", std::ios::binary) << bytes;
    return folder / "x";
  }
  /// A file of this header and so many bytes of data.
  fs::path write(const std::string& header, std::size_t data_bytes) const {
    const std::uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return write(bytes + header + std::string(data_bytes, '\1'));
  }
  void expect_error(const std::string& header, std::size_t data_bytes, const std::string& part) const {
    const fs::path path = write(header, data_bytes);
    try {
      read_safetensors(path);
      ADD_FAILURE() << "accepted " << header;
    } catch (const Error& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with(path.string())) << e.what();
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << header << "\n" << e.what();
    }
  }
  static std::string content(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  const TemporaryFolder temporary_;
  const fs::path folder = temporary_.path();
};

TensorFile example() {
  TensorFile file;
  file.metadata = {{"model", "resnet20"}, {"classes", "zero\n\"one\" größe"}};
  file.tensors = {{"layer1.0.conv1.weight", Tensor::randn({3, 3, 2, 5}, {.seed = 1})},
                  {"u8", Tensor::from<std::uint8_t>({1, 2, 255}, {3})},
                  {"num_batches_tracked", Tensor::full({}, 1 << 20, DType::i64)},
                  {"bf16", Tensor::randn({7}, {.seed = 2}, DType::bf16)},
                  {"none", Tensor::zeros({0, 3})},
                  {"f64", Tensor::randn({2, 2}, {.seed = 3}, DType::f64)}};
  return file;
}

void expect_equal(const TensorFile& a, const TensorFile& b) {
  EXPECT_EQ(a.metadata, b.metadata);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, x] : a.tensors) {
    const Tensor* y = b.find(name);
    ASSERT_TRUE(y) << name;
    ASSERT_EQ(x.dtype(), y->dtype());
    ASSERT_EQ(x.shape(), y->shape());
    EXPECT_EQ(std::memcmp(x.raw(), y->raw(), x.bytes()), 0) << name;
  }
}

// Written by make_fixture.py with the safetensors package.
TEST_F(Safetensors, ReadsAPublishedFile) {
  const TensorFile file = read_safetensors(FOVEA_SOURCE_DIR "/tests/tensor/published.safetensors");
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"format", "pt"}, {"name", "größe"}}));
  ASSERT_EQ(file.tensors.size(), 8u);
  EXPECT_EQ(file.find("f32")->shape(), (Shape{2, 3}));
  EXPECT_EQ(file.find("f32")->to_vector<float>(), (std::vector<float>{1.5, -2, 3.25, 0, 1e-30f, 1e30f}));
  EXPECT_EQ(file.find("f64")->item(), 3.141592653589793);
  EXPECT_EQ(file.find("bf16")->dtype(), DType::bf16);
  EXPECT_EQ(file.find("bf16")->to_vector<float>(), (std::vector<float>{1, -0.5, 3}));
  EXPECT_EQ(file.find("f16")->dtype(), DType::f32);
  EXPECT_EQ(file.find("f16")->to_vector<float>(), (std::vector<float>{1, -2.5, 65504, 0x1p-24f, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(file.find("i64")->rank(), 0);
  EXPECT_EQ(file.find("i64")->to_vector<std::int64_t>(), (std::vector<std::int64_t>{-(std::int64_t{1} << 40)}));
  EXPECT_EQ(file.find("i32")->shape(), (Shape{2, 1}));
  EXPECT_EQ(file.find("i32")->to_vector<std::int64_t>(), (std::vector<std::int64_t>{7, -8}));
  EXPECT_EQ(file.find("u8")->to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{0, 128, 255}));
  EXPECT_EQ(file.find("none")->shape(), (Shape{0, 4}));
  EXPECT_EQ(file.find("absent"), nullptr);
}

TEST_F(Safetensors, WritesTheFormatByteForByte) {
  TensorFile file;
  file.metadata = {{"b", "2"}, {"a", "1"}};
  file.tensors = {{"z", Tensor::from<float>({1, -2}, {2, 1})}, {"a", Tensor::from<std::uint8_t>({9}, {})}};
  write_safetensors(folder / "y", file);
  std::string header = R"({"__metadata__":{"a":"1","b":"2"},"z":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                       R"("a":{"dtype":"U8","shape":[],"data_offsets":[8,9]}})";
  while (header.size() % 8 != 0) header += ' ';
  EXPECT_EQ(content(folder / "y"), std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header +
                                       std::string("\0\0\x80\x3f\0\0\0\xc0\x09", 9));
  EXPECT_FALSE(fs::exists(folder / "y.tmp"));
}

TEST_F(Safetensors, ComesBackAsItWas) {
  const TensorFile file = example();
  write_safetensors(folder / "y", file);
  const TensorFile back = read_safetensors(folder / "y");
  expect_equal(file, back);
  for (std::size_t i = 0; i < file.tensors.size(); ++i)
    EXPECT_EQ(file.tensors[i].first, back.tensors[i].first) << "in the order of the data";
  write_safetensors(folder / "z", back);
  EXPECT_EQ(content(folder / "y"), content(folder / "z"));
  write_safetensors(folder / "z", {});
  EXPECT_TRUE(read_safetensors(folder / "z").tensors.empty());
}

TEST_F(Safetensors, RejectsHostileHeaders) {
  const auto entry = [](const char* dtype, const char* shape, const char* offsets) {
    return std::string(R"({"w":{"dtype":")") + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  EXPECT_NO_THROW(read_safetensors(write(entry("F32", "[2,3]", "[0,24]"), 24)));
  EXPECT_NO_THROW(read_safetensors(write(entry("F32", "[2,3]", "[0,24]") + "   ", 24)));
  expect_error(entry("F32", "[2,3]", "[0,24]"), 23, "\"w\": expected data_offsets within the 23 bytes");
  expect_error(entry("F32", "[2,3]", "[0,24]"), 25, "expected 24 bytes of data, got 25");
  expect_error(entry("F32", "[2,3]", "[0,20]"), 20, "\"w\": expected 4 bytes for each element of (2, 3), got 20");
  expect_error(entry("F32", "[2,3]", "[1,25]"), 25, "at offset 0, got 1");
  expect_error(entry("F32", "[2,3]", "[24,0]"), 24, "24..0");
  expect_error(entry("F32", "[2,3]", "[0]"), 24, "two whole numbers");
  expect_error(entry("F32", "[2,3]", "[0,24.0]"), 24, "two whole numbers");
  expect_error(entry("F32", "[2,3]", "[0,99999999999999999999999]"), 24, "two whole numbers");
  expect_error(entry("F32", "[-2,-3]", "[0,24]"), 24, "shape of whole numbers");
  expect_error(entry("F32", "6", "[0,24]"), 24, "shape of whole numbers");
  expect_error(entry("F32", "[1,1,1,1,1,1,6]", "[0,24]"), 24, "at most 6 axes");
  expect_error(entry("F64", "[4294967296,4294967296]", "[0,24]"), 24, "2^62");
  expect_error(entry("F64", "[2305843009213693952]", "[0,0]"), 0, "8 bytes for each");   // 2^61 * 8 = 2^64 wraps to 0
  expect_error(entry("F32", "[18446744073709551615]", "[0,24]"), 24, "too large");
  expect_error(entry("F8_E4M3", "[24]", "[0,24]"), 24, "dtype F8_E4M3 is not supported");
  expect_error(R"({"w":{"shape":[1],"data_offsets":[0,1]}})", 1, "\"w\": expected a dtype");
  expect_error(R"({"w":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", 1, "\"w\": expected a dtype");
  expect_error(R"({"w":{"dtype":"U8","data_offsets":[0,1]}})", 1, "\"w\": expected a shape");
  expect_error(R"({"w":5})", 0, "\"w\": expected an object");
  expect_error(R"({"__metadata__":5})", 0, "__metadata__: expected an object");
  expect_error(R"({"__metadata__":{"a":5}})", 0, "\"a\": expected a string");
  expect_error(R"({"__metadata__":{"a":"1","a":"2"}})", 0, "\"a\" appears twice");
  const std::string one = R"("w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  expect_error("{" + one + "," + one + "}", 1, "\"w\" appears twice");
  expect_error("{" + one + R"(,"v":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "overlap or gap");
  expect_error("{" + one + R"(,"v":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})", 3, "overlap or gap");
  expect_error(R"({"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "\"dtype\" appears twice");
  expect_error("[]", 0, "JSON object");
  expect_error(" {}", 0, "JSON object");
  expect_error("", 0, "JSON object");
  expect_error("{} x", 0, "malformed");
  expect_error("{\"\xff\":{}}", 0, "malformed");
  expect_error("{\"a\":" + std::string(100000, '['), 0, "too deeply");
  expect_error("{\"" + std::string(100000, 'a'), 0, "malformed");
}

TEST_F(Safetensors, RejectsWhatIsNoFile) {
  EXPECT_THROW(read_safetensors(folder / "absent"), Error);
  EXPECT_THROW(read_safetensors(folder), Error);
  EXPECT_THROW(read_safetensors("/dev/null"), Error);
  EXPECT_THROW(read_safetensors(write("")), Error);
  EXPECT_THROW(read_safetensors(write("1234567")), Error);
  EXPECT_THROW(read_safetensors(write(std::string(8, '\xff'))), Error);                  // a header of 2^64 - 1 bytes
  EXPECT_THROW(read_safetensors(write(std::string("\0\0\0\0\1\0\0\0{}", 10))), Error);   // of 4 GiB
  try {
    read_safetensors(write(std::string("\0\0\0\2\0\0\0\0{}", 10)));   // of 32 MiB, in a file of 10 bytes
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("truncated"), std::string::npos) << e.what();
  }
}

TEST_F(Safetensors, SurvivesEveryTruncationAndFlip) {
  const fs::path path = folder / "y";
  write_safetensors(path, example());
  const std::string good = content(path);
  const int file = open(path.c_str(), O_RDWR);
  ASSERT_GE(file, 0);
  int accepted = 0;
  const std::size_t before = memory_statistics().in_use;
  for (std::size_t i = 0; i < good.size(); ++i)
    for (const int flip : {0x01, 0x10, 0xff}) {
      const char bad = static_cast<char>(good[i] ^ flip);
      ASSERT_EQ(pwrite(file, &bad, 1, static_cast<off_t>(i)), 1);
      reset_peak_memory();
      try {
        read_safetensors(path);
        ++accepted;   // a number or a name has changed
      } catch (const Error&) {
      }
      ASSERT_LT(memory_statistics().peak - before, 8 * good.size());
      ASSERT_EQ(pwrite(file, &good[i], 1, static_cast<off_t>(i)), 1);
    }
  EXPECT_GT(accepted, 0);
  EXPECT_EQ(content(path), good);
  ASSERT_EQ(pwrite(file, "x", 1, static_cast<off_t>(good.size())), 1);
  EXPECT_THROW(read_safetensors(path), Error);
  for (std::size_t length = good.size(); length-- > 0;) {
    ASSERT_EQ(ftruncate(file, static_cast<off_t>(length)), 0);
    EXPECT_THROW(read_safetensors(path), Error) << length;
  }
  close(file);
}

TEST_F(Safetensors, RefusesToWriteWhatCannotBeRead) {
  const Tensor x = Tensor::zeros({1});
  for (const TensorFile& file : {TensorFile{{{"a", x}, {"a", x}}, {}}, TensorFile{{{"__metadata__", x}}, {}},
                                 TensorFile{{{"a", Tensor()}}, {}}, TensorFile{{{"\xff", x}}, {}}}) {
    EXPECT_THROW(write_safetensors(folder / "y", file), Error);
    EXPECT_TRUE(fs::is_empty(folder));
  }
}

TEST_F(Safetensors, AFullDiskLeavesTheOldFile) {
  write_safetensors(folder / "y", example());
  const std::string old = content(folder / "y");
  // A limit on the size of files fails a write half-way, as a full disk does; with the signal ignored the call reports it.
  rlimit limit{}, small{};
  getrlimit(RLIMIT_FSIZE, &limit);
  small = limit;
  small.rlim_cur = 1000;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  TensorFile file;
  file.tensors = {{"large", Tensor::zeros({1000})}};
  std::string message;
  try {
    write_safetensors(folder / "y", file);
  } catch (const Error& e) {
    message = e.what();
  }
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(message.starts_with((folder / "y").string() + ": cannot write: ")) << message;
  EXPECT_EQ(content(folder / "y"), old);
  EXPECT_FALSE(fs::exists(folder / "y.tmp"));
}

TEST_F(Safetensors, UnwritablePlaces) {
  EXPECT_THROW(write_safetensors(folder / "absent" / "y", example()), Error);
  EXPECT_THROW(write_safetensors(folder, example()), Error);   // a folder
  EXPECT_TRUE(fs::is_empty(folder));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);   // stands for a device such as /dev/null: a rename would replace it
  EXPECT_THROW(write_file_atomically(folder / "pipe", "x"), Error);
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
  std::ofstream(folder / "y.tmp") << "left over from a killed run, and longer than what follows";
  write_file_atomically(folder / "y", "ab");
  write_file_atomically(folder / "y", "c");
  EXPECT_EQ(content(folder / "y"), "c");
}

}   // namespace
}   // namespace fovea
