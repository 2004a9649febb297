// Models: names, shapes and counts equal the paper's and torchvision's; logits equal PyTorch's.
#include "vision/models/models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <sstream>

#include "autograd/activation.h"
#include "autograd/dot.h"
#include "nn/conv2d.h"
#include "nn/state.h"
#include "vision/models/resnet_cifar.h"

namespace fovea::vision {
namespace {

Variable image(Shape shape) { return Variable(Tensor::randn(shape, RandomKey{.seed = 3})); }

/// The output shape of the named modules, from hooks. Only modules that no fusion passes over: whole stages, pooling, classifier.
std::map<std::string, Shape> shapes(Classifier& net, const Variable& x) {
  std::map<std::string, Shape> seen;
  std::vector<nn::Module::HookHandle> handles;
  for (const auto& child : net.children())
    if (child->name() != "conv1" && child->name() != "bn1")
      handles.push_back(child->on_forward([&](const nn::Module& m, const Variable&, const Variable& y) { seen[m.path()] = y.shape(); }));
  const NoGrad no_grad;
  net.eval();
  seen["logits"] = net(x).shape();
  seen["features"] = net.features(x).shape();
  return seen;
}

TEST(Models, ResNetStagesHaveTheShapesOfTable1) {
  for (const char* name : {"resnet18", "resnet34"}) {
    const auto net = build(name, {.classes = 7});
    EXPECT_EQ(shapes(*net, image({1, 224, 224, 3})), (std::map<std::string, Shape>{{"maxpool", {1, 56, 56, 64}},
                                                                                   {"layer1", {1, 56, 56, 64}},
                                                                                   {"layer2", {1, 28, 28, 128}},
                                                                                   {"layer3", {1, 14, 14, 256}},
                                                                                   {"layer4", {1, 7, 7, 512}},
                                                                                   {"avgpool", {1, 512}},
                                                                                   {"features", {1, 512}},
                                                                                   {"fc", {1, 7}},
                                                                                   {"logits", {1, 7}}}))
        << name;
  }
}

TEST(Models, ResNet8StagesAreSmall) {
  const auto net = build("resnet8_mnist", {.channels = 1});
  EXPECT_EQ(shapes(*net, image({2, 28, 28, 1})), (std::map<std::string, Shape>{{"layer1", {2, 14, 14, 16}},
                                                                               {"layer2", {2, 7, 7, 32}},
                                                                               {"layer3", {2, 4, 4, 64}},
                                                                               {"avgpool", {2, 64}},
                                                                               {"features", {2, 64}},
                                                                               {"fc", {2, 10}},
                                                                               {"logits", {2, 10}}}));
}

TEST(Models, CifarResNetStagesHaveTheShapesOfSection42) {
  const auto net = build("resnet20_he_cifar");
  EXPECT_EQ(shapes(*net, image({2, 32, 32, 3})), (std::map<std::string, Shape>{{"layer1", {2, 32, 32, 16}},
                                                                               {"layer2", {2, 16, 16, 32}},
                                                                               {"layer3", {2, 8, 8, 64}},
                                                                               {"avgpool", {2, 64}},
                                                                               {"features", {2, 64}},
                                                                               {"fc", {2, 10}},
                                                                               {"logits", {2, 10}}}));
}

TEST(Models, TheIdentityShortcutTakesEverySecondPixelAndAddsZeros) {
  const Variable x = image({1, 3, 5, 2});
  const Tensor y = identity_shortcut(x, 5, 2).value();
  ASSERT_EQ(y.shape(), Shape({1, 2, 3, 5}));
  for (std::int64_t r = 0; r < 2; ++r)
    for (std::int64_t c = 0; c < 3; ++c)
      for (std::int64_t k = 0; k < 5; ++k)
        EXPECT_EQ(y.data<float>()[(r * 3 + c) * 5 + k], k < 2 ? x.value().data<float>()[(2 * r * 5 + 2 * c) * 2 + k] : 0.f);
}

// Huang et al. 2016, Eq. (4) with p_L = 0.9 and L = 9. A network without shortcuts has nothing to skip.
TEST(Models, CifarResNetsDropTheirBlocksAsHuangSays) {
  std::string found;
  build("resnet20_he_cifar", {.stochastic_depth = 0.9})->apply([&](nn::Module& m) {
    if (m.name() == "drop_path") found += m.describe() + "\n";
  });
  std::string expected;
  for (int l = 1; l <= 9; ++l) expected += "StochasticDepth(0." + std::to_string(l) + ", row)\n";
  EXPECT_EQ(found, expected);
  EXPECT_THROW(build("plain20_he_cifar", {.stochastic_depth = 0.5}), ShapeError);
}

TEST(Models, ACifarBlockThatIsDroppedIsItsShortcut) {
  const Variable x = image({3, 5, 7, 2});
  IdentityBlock block({.in = 2, .out = 4, .stride = 2, .drop_path = 1});
  EXPECT_EQ(block(x).value().to_vector<float>(), relu(identity_shortcut(x, 4, 2)).value().to_vector<float>());
  // In evaluation nothing is dropped: as without the option, which has the shortcut and the ReLU in one kernel.
  IdentityBlock whole({.in = 2, .out = 4, .stride = 2});
  nn::load_state_dict(whole, nn::state_dict(block));
  block.eval(), whole.eval();
  const auto y = block(x).value().to_vector<float>(), expected = whole(x).value().to_vector<float>();
  ASSERT_EQ(y.size(), expected.size());
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], expected[i], 1e-5);
}

// The formula of resnet_logits.py.
Tensor formula(const Shape& shape, std::int64_t entry) {
  Tensor t = Tensor::empty(shape, DType::f64, Device::reference);
  double* x = t.data<double>();
  for (std::int64_t i = 0, n = t.elements(); i < n; ++i)
    x[i] = static_cast<double>((i * i * 31 + i * 7 + entry * 101 + i / 13 * entry) % 1009) / 1009 - 0.5;
  return t;
}

void scale_and_shift(Tensor& t, double factor, double offset) {
  double* x = t.data<double>();
  for (std::int64_t i = 0, n = t.elements(); i < n; ++i) x[i] = factor * x[i] + offset;
}

std::unique_ptr<Classifier> resnet18_from_formula() {
  auto net = build("resnet18", {.classes = 10});
  TensorFile file = nn::state_dict(*net);
  std::int64_t entry = 0;
  for (auto& [name, t] : file.tensors) {
    if (t.dtype() == DType::i64) {
      ++entry;
      continue;
    }
    t = formula(t.shape(), entry++);
    const bool around_one = name.ends_with("running_var") || (t.rank() == 1 && name.ends_with("weight"));
    if (t.rank() >= 2)
      scale_and_shift(t, std::sqrt(24. / static_cast<double>(t.elements() / t.dim(0))), 0);
    else
      scale_and_shift(t, 0.4, around_one ? 1 : 0);
  }
  EXPECT_TRUE(nn::load_state_dict(*net, file).complete());
  return net;
}

/// The image of the formula, from (N, C, H, W) to (N, H, W, C).
Tensor image_from_formula() {
  const std::int64_t N = 2, C = 3, H = 40, W = 48;
  const Tensor nchw = formula({N, C, H, W}, 200);
  Tensor x = Tensor::empty({N, H, W, C}, DType::f64, Device::reference);
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t c = 0; c < C; ++c)
      for (std::int64_t p = 0; p < H * W; ++p) x.data<double>()[(n * H * W + p) * C + c] = 4 * nchw.data<double>()[(n * C + c) * H * W + p];
  return x;
}

constexpr double kLogits[2][2][10] = {   // evaluation, training; from resnet_logits.py
    {{-45.61089099, 10.05042979, -14.30604972, 41.29972193, 44.54154078, -25.69228343, -32.6075882, 4.914127455, 0.7301331753,
      0.3558697385},
     {-42.26639437, 9.79815079, -19.47366953, 35.09211938, 45.63641655, -29.61802019, -29.86955697, 4.527729541, -1.793089921,
      -3.562295024}},
    {{-2.105060607, -1.847234752, -0.2126751807, 0.4231318879, 2.343180908, -0.2979119827, 0.2587847352, 1.53001059, -1.969786409,
      -0.7856324473},
     {-2.71039554, 0.6911963613, -1.333791782, 2.22306911, 1.408377704, -0.6876495019, 0.02691684548, 0.1046904552, -1.904835344,
      -1.498827572}}};

/// The largest difference from PyTorch, relative to the largest logit.
double difference(Device device, bool training) {
  const auto net = resnet18_from_formula();
  const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
  net->to(dtype, device);
  net->train(training);
  const Variable x(image_from_formula().to(dtype).to(device));
  const NoGrad no_grad;
  const std::vector<double> y = (*net)(x).value().to_vector<double>();
  double worst = 0, largest = 0;
  for (int i = 0; i < 20; ++i) {
    const double expected = kLogits[training][i / 10][i % 10];
    worst = std::max(worst, std::abs(y[static_cast<std::size_t>(i)] - expected));
    largest = std::max(largest, std::abs(expected));
  }
  return worst / largest;
}

// The weights in double are float32's here (parameters are made in it), a relative 3e-8 each; their errors average out over the sums.
TEST(Models, ResNet18LogitsEqualPyTorchs) {
  EXPECT_LE(difference(Device::reference, false), 1e-6);
  EXPECT_LE(difference(Device::cpu, false), 1e-5);
}
// Eight values a channel in the last stage: dividing by their small deviations makes errors larger.
TEST(Models, ResNet18LogitsEqualPyTorchsInTraining) {
  EXPECT_LE(difference(Device::reference, true), 1e-6);
  EXPECT_LE(difference(Device::cpu, true), 1e-4);
}

TEST(Models, FeaturesAreWhatTheClassifierSees) {
  const auto net = build("resnet8_mnist", {.classes = 3, .channels = 1});
  net->eval();
  const Variable x = image({2, 28, 28, 1});
  Variable input;
  const auto handle = net->children().back()->on_forward([&](const nn::Module&, const Variable& in, const Variable&) { input = in; });
  (*net)(x);
  EXPECT_EQ(input.value().to_vector<float>(), net->features(x).value().to_vector<float>());
}

TEST(Models, ResidualNetworksRunBothWaysAndGiveEveryParameterAGradient) {
  for (const std::string name_of_model :
       {"resnet8_mnist", "resnet18", "resnet34", "resnet50", "resnet18_d", "se_resnet18", "resnet20_he_cifar", "resnet32_he_cifar",
        "resnet44_he_cifar", "resnet56_he_cifar", "resnet110_he_cifar"}) {
    const auto net = build(name_of_model, {.classes = 4, .channels = 2});
    const Variable y = (*net)(image({2, 33, 35, 2}));   // odd: every stage rounds up
    ASSERT_EQ(y.shape(), (Shape{2, 4})) << name_of_model;
    dot(y, Tensor::randn({2, 4}, RandomKey{.seed = 1})).backward();
    for (const auto& [name, p] : net->parameters()) {
      ASSERT_TRUE(p->value.has_grad()) << name_of_model << " " << name;
      double sum = 0;
      for (const double v : p->value.grad().to_vector<double>()) sum += std::abs(v);
      EXPECT_GT(sum, 0) << name_of_model << " " << name;
      EXPECT_TRUE(std::isfinite(sum)) << name_of_model << " " << name;
    }
  }
}

TEST(Models, ErrorsNameTheLayer) {
  const auto net = build("resnet8_mnist");
  try {
    (*net)(image({2, 28, 28, 1}));
    FAIL() << "no exception";
  } catch (const ShapeError& e) {
    EXPECT_STREQ(e.what(), "conv1: expected x with 3 channels, got (2, 28, 28, 1)");
  }
}

std::string message_of_build(const std::string& name, const ModelOptions& o) {
  try {
    build(name, o);
  } catch (const Error& e) {
    return e.what();
  }
  return "no Error";
}

TEST(Models, AnUnknownNameGetsTheNearestOnes) {
  EXPECT_EQ(message_of_build("resnet81_mnist", {}), "unknown model \"resnet81_mnist\" (did you mean resnet8_mnist?)");
  EXPECT_EQ(message_of_build("resnet19", {}), "unknown model \"resnet19\" (did you mean resnet18, resnet34 or resnet50?)");
  EXPECT_EQ(message_of_build("transformer", {}), "unknown model \"transformer\"");
  EXPECT_EQ(message_of_build("resnet18", {.classes = 0}), "resnet18: expected at least one class and channel, got 0 classes, 3 channels");
}

TEST(Models, TreeShowsTheNetwork) {
  const std::string tree = build("resnet8_mnist", {.channels = 1})->tree();
  EXPECT_EQ(tree.rfind("resnet8_mnist ", 0), 0u) << tree;
  EXPECT_NE(tree.find(" 77,754\n"), std::string::npos) << tree;
  EXPECT_NE(tree.find("    0: BasicBlock(16 -> 32, stride 2) "), std::string::npos) << tree;
}

/// Root mean square.
double rms(const Variable& v) {
  double sum = 0;
  for (const double w : v.value().to_vector<double>()) sum += w * w;
  return std::sqrt(sum / static_cast<double>(v.value().elements()));
}

TEST(Models, AlexNetAndVggStartAsTheirPapersSay) {
  manual_seed(1);
  const auto alexnet = build("alexnet_2012");
  std::vector<double> biases;
  for (const auto& [name, p] : alexnet->parameters()) {
    if (name.ends_with("weight"))
      EXPECT_NEAR(rms(p->value), 0.01, 2e-4) << name;
    else
      biases.push_back(p->value.value().to_vector<double>().back());
  }
  EXPECT_EQ(biases, (std::vector<double>{0, 1, 0, 1, 1, 1, 1, 0}));   // five convolutions, three linear layers
  const auto vgg = build("vgg11");
  for (const auto& [name, p] : vgg->parameters())
    if (name.ends_with("bias"))
      EXPECT_EQ(rms(p->value), 0) << name;
    else if (name.starts_with("classifier"))
      EXPECT_NEAR(rms(p->value), 0.01, 2e-4) << name;
    else   // He: 2 / fan_out
      EXPECT_NEAR(rms(p->value), std::sqrt(2. / static_cast<double>(9 * p->value.dim(0))), 2e-3) << name;
}

}   // namespace
}   // namespace fovea::vision
