// With the same weights the networks give the logits that PyTorch gives. The other half of this file is tests/parity/model_logits.py.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/init.h"
#include "nn/state.h"
#include "vision/models/models.h"

namespace fovea::vision {
namespace {

/// Multiples of 2^-16 in [-1/2, 1/2), times `factor`, plus `offset`: MurmurHash3's finaliser of (FNV-1a of the name, index).
Tensor numbers(const std::string& name, const Shape& shape, double factor, double offset = 0) {
  std::uint32_t seed = 0x811C9DC5u;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x01000193u;
  Tensor t = Tensor::empty(shape);
  float* out = t.data<float>();
  for (std::int64_t i = 0, n = t.elements(); i < n; ++i) {
    std::uint32_t h = static_cast<std::uint32_t>(i) + 1 + seed;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h ^= h >> 16;
    out[i] = static_cast<float>(offset + factor * ((h >> 16) / 65536. - 0.5));
  }
  return t;
}

/// Through a state dictionary, so that the numbers are in PyTorch's order: (out, in, height, width).
void fill(nn::Module& net) {
  TensorFile file = nn::state_dict(net);
  for (auto& [name, t] : file.tensors) {
    if (t.dtype() == DType::i64) continue;
    if (t.rank() == 2 || t.rank() == 4)
      t = numbers(name, t.shape(), std::sqrt(24. / static_cast<double>(t.elements() / t.dim(0))));
    else if (name.ends_with("running_var") || (t.rank() == 1 && name.ends_with("weight")))
      t = numbers(name, t.shape(), 0.4, 1);
    else
      t = numbers(name, t.shape(), t.rank() == 1 ? 0.4 : 1);
  }
  ASSERT_TRUE(nn::load_state_dict(net, file).complete());
}

/// (1, 3, size, size) in PyTorch, here (1, size, size, 3).
Tensor picture(std::int64_t size) {
  const Tensor nchw = numbers("x", {3, size * size}, 4);
  Tensor x = Tensor::empty({1, size, size, 3});
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t p = 0; p < size * size; ++p) x.data<float>()[p * 3 + c] = nchw.data<float>()[c * size * size + p];
  return x;
}

const TensorFile& stored() {
  static const TensorFile file = read_safetensors(FOVEA_SOURCE_DIR "/tests/parity/model_logits.safetensors");
  return file;
}

class ModelLogits : public testing::TestWithParam<std::string> {};

// float32 here, float64 there; errors grow with depth, most where batch norm or attention amplifies.
TEST_P(ModelLogits, EqualPyTorchs) {
  const std::string& key = GetParam();
  const std::size_t at = key.find('@');
  const auto net = [&] {
    const nn::NoInit no_init;   // fill() comes next
    return build(key.substr(0, at), {.classes = 10});
  }();
  fill(*net);
  net->eval();
  const NoGrad no_grad;
  const auto y = (*net)(Variable(picture(std::stoll(key.substr(at + 1))))).value().to_vector<double>();
  const auto expected = stored().find(key)->to_vector<double>();
  ASSERT_EQ(y.size(), expected.size());
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    worst = std::max(worst, std::abs(y[i] - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  // Layer norms amplify less than batch norms with arbitrary statistics; the tanh form of GELU moves ConvNeXt's logits by 8e-5.
  const bool layer_norms = key.starts_with("vit") || key.starts_with("deit") || key.starts_with("convnext");
  EXPECT_LE(worst / largest, layer_norms ? 2e-5 : 1e-4) << key;
  RecordProperty("error", std::to_string(worst / largest));
}

std::vector<std::string> keys() {
  std::vector<std::string> names;
  for (const auto& [name, t] : stored().tensors) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Published, ModelLogits, testing::ValuesIn(keys()), [](const auto& p) {
  std::string name = p.param;
  for (char& c : name)
    if (c == '@' || c == '.') c = '_';
  return name;
});

}   // namespace
}   // namespace fovea::vision
