// With the same weights the networks give the logits that PyTorch gives. The other half of this file is tests/parity/model_logits.py.
#include "tensor/safetensors.h"
#include "tests/vision/model_formula.h"

namespace fovea::vision {
namespace {

const TensorFile& stored() {
  static const TensorFile file = read_safetensors(FOVEA_SOURCE_DIR "/tests/parity/model_logits.safetensors");
  return file;
}

class ModelLogits : public testing::TestWithParam<std::string> {};

// float32 here, float64 there: most are 1e-6 away. The tanh form of GELU would move ConvNeXt's logits by some 1e-4 (test_model_mistakes.cpp).
TEST_P(ModelLogits, EqualPyTorchs) {
  const std::string& key = GetParam();
  const std::size_t at = key.find('@');
  const std::int64_t size = std::stoll(key.substr(at + 1));
  const auto net = empty_network(key.substr(0, at), size);
  fill(*net, stored().find(key + ".exponents"));
  net->eval();
  const NoGrad no_grad;
  const double error =
      relative_difference((*net)(Variable(picture(size, 1, model(key.substr(0, at)).channels))).value(), *stored().find(key));
  EXPECT_LE(error, 1e-5) << key;
  RecordProperty("error", detail::join(error));
}

TEST(StoredLogits, AreThereForEveryNetwork) {
  for (const ModelEntry& m : models()) {
    const bool found =
        std::any_of(stored().tensors.begin(), stored().tensors.end(), [&](const auto& t) { return t.first.starts_with(m.name + "@"); });
    EXPECT_EQ(found, m.name != "resnet8_mnist") << m.name;   // which is ours alone: test_parity.cpp trains it beside PyTorch
  }
}

/// Of more than 150 million parameters.
bool large_network(const std::string& name) {
  return name.starts_with("vit_l") || name.starts_with("swin_l") || name.starts_with("convnext_large") ||
         name.starts_with("convnext_xlarge");
}

/// Networks of up to 150 million parameters, or the others, whose tests are called Large and have the label `slow`.
std::vector<std::string> keys(bool large) {
  std::vector<std::string> names;
  for (const auto& [name, t] : stored().tensors)
    if (!name.ends_with(".exponents") && large_network(name) == large) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Published, ModelLogits, testing::ValuesIn(keys(false)), test_name);
INSTANTIATE_TEST_SUITE_P(Large, ModelLogits, testing::ValuesIn(keys(true)), test_name);

}   // namespace
}   // namespace fovea::vision
