// One network of every family learns six small pictures by heart.
#include <gtest/gtest.h>

#include "autograd/arithmetic.h"
#include "autograd/loss.h"
#include "optim/sgd.h"
#include "vision/models/models.h"

namespace fovea::vision {
namespace {

struct Learner {
  const char* name;
  double lr;
  int steps = 12;
};

class ModelTraining : public testing::TestWithParam<Learner> {};

TEST_P(ModelTraining, TheLossFalls) {
  manual_seed(1);
  const auto net = build(GetParam().name, {.classes = 3,
                                           .channels = 3,
                                           .small_images = true,
                                           .auxiliary_heads = model(GetParam().name).accepts.auxiliary_heads,
                                           .dropout = 0.});
  std::vector<Variable> parameters;
  for (auto& [name, p] : net->parameters()) parameters.push_back(p->value);
  optim::SGD sgd(parameters, {.lr = GetParam().lr, .momentum = 0.9});
  constexpr std::int64_t size = 32;
  const Variable x(Tensor::randn({6, size, size, 3}, RandomKey{.seed = 5}));
  const Tensor labels = Tensor::from(std::vector<std::int64_t>{0, 1, 2, 0, 1, 2}, {6});
  double first = 0, last = 0;
  for (int step = 0; step < GetParam().steps; ++step) {
    sgd.zero_grad();
    const Variable logits = (*net)(x);
    Variable loss = cross_entropy(logits, labels);
    last = loss.item();
    if (step == 0) first = last;
    for (const auto& side : net->take_auxiliary()) loss = loss + side.weight * cross_entropy(side.logits, labels);
    loss.backward();
    for (const auto& [name, p] : net->parameters()) ASSERT_TRUE(p->value.has_grad()) << name;
    sgd.step();
  }
  EXPECT_LT(last, 0.8 * first) << GetParam().name;
}

INSTANTIATE_TEST_SUITE_P(Families, ModelTraining,
                         testing::Values(Learner{"lenet5", 0.2}, Learner{"alexnet", 0.01, 40}, Learner{"vgg11_bn", 0.02, 30},
                                         Learner{"googlenet", 0.02}, Learner{"resnet18", 0.02}, Learner{"se_resnet18", 0.02},
                                         Learner{"resnet20_he_cifar", 0.05}, Learner{"plain20_he_cifar", 0.1},
                                         Learner{"mobilenet_v1_0.25", 0.03, 60}, Learner{"mobilenet_v2", 0.05, 40},
                                         Learner{"mobilenet_v3_small", 0.05}, Learner{"efficientnet_b0", 0.05},
                                         Learner{"vit_tiny_p16", 0.01}, Learner{"deit_tiny_distilled_p16", 0.01}, Learner{"swin_t", 0.01},
                                         Learner{"convnext_tiny", 0.02}),
                         [](const auto& p) {
                           std::string name = p.param.name;
                           for (char& c : name)
                             if (c == '.') c = '_';
                           return name;
                         });

}   // namespace
}   // namespace fovea::vision
