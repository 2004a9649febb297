// In training mode, with the batch's statistics, every parameter's gradient equals PyTorch's: its norm, and its product with a fixed direction. The
// other half of this file is tests/parity/model_gradients.py.
#include "autograd/arithmetic.h"
#include "autograd/dot.h"
#include "tensor/safetensors.h"
#include "tests/vision/model_formula.h"

namespace fovea::vision {
namespace {

const TensorFile& stored() {
  static const TensorFile file = read_safetensors(FOVEA_SOURCE_DIR "/tests/parity/model_gradients.safetensors");
  return file;
}

double product(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

class ModelGradients : public testing::TestWithParam<std::string> {};

TEST_P(ModelGradients, EqualPyTorchs) {
  const std::string& key = GetParam();
  const std::size_t at = key.find('@');
  const std::int64_t size = std::stoll(key.substr(at + 1));
  const auto net = empty_network(key.substr(0, at), size, {.auxiliary_heads = key.starts_with("googlenet"), .dropout = 0});
  fill(*net);
  const Variable y = (*net)(Variable(picture(size, 4)));
  EXPECT_LE(relative_difference(y.value(), *stored().find(key + ".logits")), 1e-4);
  const auto direction = [](int i, const Variable& v) { return fixed_numbers("direction" + std::to_string(i), v.shape()); };
  Variable loss = dot(y, direction(0, y));
  int heads = 1;
  for (const auto& head : net->take_auxiliary()) {
    loss = loss + dot(head.logits, direction(heads, head.logits));
    ++heads;
  }
  loss.backward();

  std::map<std::string, nn::Module::Parameter*> parameters;   // by name, as they are stored
  for (const auto& [name, p] : net->parameters()) parameters[name] = p;
  const Tensor& rows = *stored().find(key);   // norm, product
  ASSERT_EQ(rows.dim(0), std::ssize(parameters));
  const double* expected = rows.data<double>();
  double largest = 0, worst = 0;
  for (std::int64_t i = 0; i < rows.dim(0); ++i) largest = std::max(largest, expected[2 * i]);
  for (const auto& [name, p] : parameters) {
    ASSERT_TRUE(p->value.has_grad()) << name;
    const Tensor grad = nn::to_disk(p->value.grad(), p->layout);
    const double scale = std::max(expected[0], 1e-4 * largest);
    const double norm_error = std::abs(std::sqrt(product(grad, grad)) - expected[0]) / scale;
    const double product_error = std::abs(product(grad, fixed_numbers("gradient." + name, grad.shape())) - expected[1]) / scale;
    EXPECT_LE(norm_error, 1e-3) << name;
    EXPECT_LE(product_error, 1e-3) << name;
    worst = std::max({worst, norm_error, product_error});
    expected += 2;
  }
  RecordProperty("error", std::to_string(worst));
}

std::vector<std::string> keys() {
  std::vector<std::string> names;
  for (const auto& [name, t] : stored().tensors)
    if (!name.ends_with(".logits")) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(OneOfEachFamily, ModelGradients, testing::ValuesIn(keys()), test_name);

}   // namespace
}   // namespace fovea::vision
