// published.cpp: the accuracy that others report. Of several weights for one network those of the plainest training, which come nearest to
// the paper: newer ones of torchvision reach four points more in the same ResNet-50.
#include "vision/weights/published.h"

#include "vision/models/models.h"

namespace fovea::vision {

namespace {

/// Names of published weights, the plainest training first, and whose they are.
constexpr struct {
  const char *name, *of;
} kPlainest[] = {
    {"IMAGENET1K_V1", "torchvision IMAGENET1K_V1"},
    {"mmpretrain", "mmpretrain"},
    {"fb_in1k", "timm fb_in1k, the authors' weights"},
    {"ra2_in1k", "timm ra2_in1k"},
};

constexpr const char* kMobileNet = "Howard et al. 2017, Table 6";
constexpr const char* kFromMore = "mmpretrain, trained on ImageNet-21k first";
constexpr const char* kCifar = "CIFAR-10: He et al. 2016, Table 6";

/// Those without a file in the table of published weights, or with a plainer result than any there.
constexpr struct {
  const char* model;
  double top1;
  const char* of;
} kOthers[] = {
    {"alexnet_2012", 59.3, "Krizhevsky et al. 2012, Table 2, one network"},
    {"resnet50_v1_original", 75.3, "the authors' weights, 2015"},
    {"se_resnext50_32x4d", 79.916, "timm gluon_in1k"},
    {"mobilenet_v1_1.25", 76.92, "timm ra4_e3600_r224_in1k"},
    {"mobilenet_v1_1.0", 70.6, kMobileNet},
    {"mobilenet_v1_0.75", 68.4, kMobileNet},
    {"mobilenet_v1_0.5", 63.7, kMobileNet},
    {"mobilenet_v1_0.25", 50.6, kMobileNet},
    {"mobilenet_v2_1.4", 74.7, "Sandler et al. 2018, Table 4"},
    {"mobilenet_v2_0.5", 65.928, "timm lamb_in1k"},
    {"swin_l", 86.24, kFromMore},
    {"convnext_xlarge", 86.97, kFromMore},
    {"vit_small_p32", 76.01, "timm augreg_in21k_ft_in1k"},
    {"resnet20_he_cifar", 91.25, kCifar},
    {"resnet32_he_cifar", 92.49, kCifar},
    {"resnet44_he_cifar", 92.83, kCifar},
    {"resnet56_he_cifar", 93.03, kCifar},
    {"resnet110_he_cifar", 93.57, kCifar},
    {"lenet5", 99.05, "MNIST: LeCun et al. 1998, section III.B"},
};

}   // namespace

std::optional<PublishedAccuracy> published_accuracy(const std::string& model) {
  for (const auto& row : kOthers)
    if (row.model == model) return PublishedAccuracy{.top1 = row.top1, .of = row.of};
  for (const auto& [name, of] : kPlainest)
    for (const PublishedWeights& weights : published_weights())
      if (weights.model == model && weights.name == name) return PublishedAccuracy{.top1 = weights.top1, .of = of};
  return {};
}

}   // namespace fovea::vision
