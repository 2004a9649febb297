// What torch.save wrote, read without Python: new.pth (zip) and legacy.pth by make_pytorch_files.py, whole and damaged.
#include "tensor/pytorch_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tensor/pickle.h"
#include "tests/temporary_folder.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

fs::path fixture(const std::string& name) { return fs::path(FOVEA_SOURCE_DIR) / "tests/tensor" / name; }

class PyTorchFileTest : public testing::TestWithParam<const char*> {
 protected:
  static std::string content() {
    std::ifstream in(fixture(GetParam()), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  fs::path write(const std::string& bytes) const {
    const fs::path path = folder_.path() / "a.pth";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  TemporaryFolder folder_;
};

TEST_P(PyTorchFileTest, HoldsWhatWasSaved) {
  const PyTorchFile file = read_pytorch_file(fixture(GetParam()));
  EXPECT_TRUE(is_pytorch_file(fixture(GetParam())));
  std::vector<double> a(12);
  for (std::size_t i = 0; i < 12; ++i) a[i] = static_cast<double>(i) / 4;
  const auto expect = [&](const std::string& name, const Shape& shape, DType dtype, const std::vector<double>& values) {
    const Tensor* t = file.tensors.find("state_dict." + name);
    ASSERT_NE(t, nullptr) << name;
    EXPECT_EQ(t->shape(), shape) << name;
    EXPECT_EQ(t->dtype(), dtype) << name;
    EXPECT_EQ(t->to_vector<double>(), values) << name;
  };
  expect("w", {3, 4}, DType::f32, a);
  expect("parameter", {3, 4}, DType::f32, a);
  expect("half", {3, 4}, DType::f32, a);
  expect("bf16", {3, 4}, DType::bf16, a);
  expect("transposed", {4, 3}, DType::f32, {0, 1, 2, 0.25, 1.25, 2.25, 0.5, 1.5, 2.5, 0.75, 1.75, 2.75});
  expect("strided", {2, 2}, DType::f32, {1, 1.5, 2, 2.5});
  expect("number", {}, DType::i64, {5});
  expect("empty", {0, 3}, DType::f32, {});
  expect("flags", {2}, DType::i64, {1, 0});
  expect("short", {2}, DType::i64, {-3, 7});
  ASSERT_NE(file.tensors.find("optimizer.state.0.exp_avg"), nullptr);
  EXPECT_EQ(file.tensors.find("optimizer.state.0.exp_avg")->dtype(), DType::f64);
  EXPECT_EQ(file.tensors.tensors.size(), 11u);
  EXPECT_TRUE(file.ignored.contains("argparse.Namespace"));   // mentioned, never made
}

TEST_P(PyTorchFileTest, EveryCutIsAnErrorThatNamesTheFile) {
  const std::string whole = content();
  for (std::size_t bytes = 0; bytes < whole.size(); bytes += bytes < 64 ? 1 : 37) {
    const fs::path path = write(whole.substr(0, bytes));
    try {
      read_pytorch_file(path);
      FAIL() << "read " << bytes << " of " << whole.size() << " bytes";
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find(path.string()), 0u) << e.what();
    }
  }
}

TEST_P(PyTorchFileTest, ADamagedByteIsAnErrorOrAFile) {
  const std::string whole = content();
  for (std::size_t at = 0; at < whole.size(); at += 11) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    try {
      const PyTorchFile file = read_pytorch_file(write(damaged));
      std::size_t bytes = 0;
      for (const auto& [name, t] : file.tensors.tensors) bytes += t.bytes();
      EXPECT_LE(bytes, 16 * whole.size() + (1 << 20)) << at;
    } catch (const Error&) {
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, PyTorchFileTest, testing::Values("new.pth", "legacy.pth"),
                         [](const auto& form) { return std::string(form.param).substr(0, std::string(form.param).find('.')); });

// A dictionary that holds the last one twice, 40 times over: 2^40 entries, were they walked.
TEST(PyTorchWriter, ComesBackAsItWas) {
  TensorFile file;
  file.tensors = {{"layer.weight", Tensor::randn({3, 2, 5}, RandomKey{1})},
                  {"d", Tensor::randn({2}, RandomKey{2}, DType::f64)},
                  {"half", Tensor::randn({7}, RandomKey{3}).to(DType::bf16)},
                  {"steps", Tensor::full({}, 1e12, DType::i64)},
                  {"bytes", Tensor::full({300, 1}, 200, DType::u8)},
                  {"empty", Tensor::zeros({0, 3})},
                  {"\xc3\xa9", Tensor::zeros({1})}};
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "written.pth";
  write_pytorch_file(path, file);
  const PyTorchFile back = read_pytorch_file(path);
  EXPECT_TRUE(back.ignored.empty());
  ASSERT_EQ(back.tensors.tensors.size(), file.tensors.size());
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    const auto& [name, t] = back.tensors.tensors[i];
    EXPECT_EQ(name, file.tensors[i].first);
    EXPECT_EQ(t.shape(), file.tensors[i].second.shape());
    EXPECT_EQ(t.dtype(), file.tensors[i].second.dtype());
    EXPECT_EQ(t.to_vector<double>(), file.tensors[i].second.to_vector<double>());
  }
  const auto size = fs::file_size(path);
  write_pytorch_file(path, file);   // the same bytes
  EXPECT_EQ(fs::file_size(path), size);
  file.tensors.emplace_back("d", Tensor::zeros({1}));
  EXPECT_THROW(write_pytorch_file(path, file), Error);
  EXPECT_EQ(fs::file_size(path), size);   // the old file is still there
  EXPECT_THROW(write_pytorch_file("/nowhere/x.pth", back.tensors), Error);
}

TEST(Pickle, EntriesThatNameEachOtherAreCounted) {
  std::string program = "\x80\x02}q";
  program += '\0';
  for (char i = 1; i < 40; ++i) {
    program += "}q";
    program += i;
    for (const char* key : {"a", "b"}) {
      program += "X";
      program += std::string("\x01\x00\x00\x00", 4) + key + "h";
      program += static_cast<char>(i - 1);
      program += "s";
    }
  }
  program += ".";
  EXPECT_EQ(pickle::read(program).top->pairs.size(), 2u);   // the values themselves are few
}

TEST(Pickle, UnknownInstructionsAndEmptyStacksAreErrors) {
  for (const std::string program : {"", "\x80\x02", "\x80\x02.", "\x80\x02t.", "\x80\x02R.", "\x80\x02\xff.", "\x80\x02h\x05."})
    EXPECT_THROW(pickle::read(program), Error);
}

}   // namespace
}   // namespace fovea
