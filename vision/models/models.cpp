#include "vision/models/models.h"

#include "vision/models/resnet.h"
#include "vision/models/resnet_cifar.h"
#include "vision/text.h"

namespace fovea::vision {
namespace {

template <const ResNetConfig& config> std::unique_ptr<Classifier> resnet(const ModelOptions& o) {
  return std::make_unique<ResNet>(config, o);
}

template <const CifarResNetConfig& config> std::unique_ptr<Classifier> resnet_cifar(const ModelOptions& o) {
  return std::make_unique<CifarResNet>(config, o);
}

constexpr const char* kHe2016 = "He et al. 2016, Deep Residual Learning for Image Recognition, arXiv:1512.03385";

}   // namespace

const std::vector<ModelEntry>& models() {
  static const std::vector<ModelEntry> table = {
      {"resnet8_mnist", "residual network for 28x28 images: stem and 3 blocks of 16, 32, 64 channels", kHe2016, resnet<kResNet8Mnist>},
      {"resnet18", "residual network of 18 layers for images of about 224x224", kHe2016, resnet<kResNet18>},
      {"resnet34", "residual network of 34 layers for images of about 224x224", kHe2016, resnet<kResNet34>},
      {"resnet20_he_cifar", "residual network of 20 layers for 32x32 images, shortcuts without parameters", kHe2016,
       resnet_cifar<kResNet20HeCifar>},
      {"resnet32_he_cifar", "residual network of 32 layers for 32x32 images, shortcuts without parameters", kHe2016,
       resnet_cifar<kResNet32HeCifar>},
      {"resnet44_he_cifar", "residual network of 44 layers for 32x32 images, shortcuts without parameters", kHe2016,
       resnet_cifar<kResNet44HeCifar>},
      {"resnet56_he_cifar", "residual network of 56 layers for 32x32 images, shortcuts without parameters", kHe2016,
       resnet_cifar<kResNet56HeCifar>},
      {"resnet110_he_cifar", "residual network of 110 layers for 32x32 images, shortcuts without parameters", kHe2016,
       resnet_cifar<kResNet110HeCifar>},
  };
  return table;
}

std::unique_ptr<Classifier> build(const std::string& name, const ModelOptions& o) {
  require(o.classes >= 1 && o.channels >= 1, name, ": expected at least one class and channel, got ", o.classes, " classes, ", o.channels,
          " channels");
  std::vector<std::string> known;
  for (const ModelEntry& m : models()) {
    if (m.name == name) return m.make(o);
    known.push_back(m.name);
  }
  throw Error("unknown model \"" + name + "\"" + did_you_mean(name, known));
}

}   // namespace fovea::vision
