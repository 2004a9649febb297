// published.cpp: the accuracy that others report. Of several weights for one network those of the plainest training, which come nearest to
// the paper: newer ones of torchvision reach four points more in the same ResNet-50.
#include "vision/models/models.h"

namespace fovea::vision {

namespace {

constexpr const char* kTorchvision = "torchvision IMAGENET1K_V1";
constexpr const char* kMmpretrain = "mmpretrain 8xb32_in1k";
constexpr const char* kMobileNet = "Howard et al. 2017, Table 6";
constexpr const char* kDeiT = "timm fb_in1k, the authors' weights";
constexpr const char* kCifar = "CIFAR-10: He et al. 2016, Table 6";

constexpr struct {
  const char* model;
  double top1;
  const char* of;
} kPublished[] = {
    {"alexnet", 56.522, kTorchvision},
    {"vgg11", 69.02, kTorchvision},
    {"vgg11_bn", 70.37, kTorchvision},
    {"vgg13", 69.928, kTorchvision},
    {"vgg13_bn", 71.586, kTorchvision},
    {"vgg16", 71.592, kTorchvision},
    {"vgg16_bn", 73.36, kTorchvision},
    {"vgg19", 72.376, kTorchvision},
    {"vgg19_bn", 74.218, kTorchvision},
    {"googlenet", 69.778, kTorchvision},
    {"resnet18", 69.758, kTorchvision},
    {"resnet34", 73.314, kTorchvision},
    {"resnet50", 76.13, kTorchvision},
    {"resnet101", 77.374, kTorchvision},
    {"resnet152", 78.312, kTorchvision},
    {"wide_resnet50_2", 78.468, kTorchvision},
    {"wide_resnet101_2", 78.848, kTorchvision},
    {"resnext50_32x4d", 77.618, kTorchvision},
    {"resnext101_32x8d", 79.312, kTorchvision},
    {"resnext101_64x4d", 83.246, kTorchvision},
    {"mobilenet_v2", 71.878, kTorchvision},
    {"mobilenet_v3_small", 67.668, kTorchvision},
    {"mobilenet_v3_large", 74.042, kTorchvision},
    {"efficientnet_b0", 77.692, kTorchvision},
    {"efficientnet_b1", 78.642, kTorchvision},
    {"efficientnet_b2", 80.608, kTorchvision},
    {"efficientnet_b3", 82.008, kTorchvision},
    {"efficientnet_b4", 83.384, kTorchvision},
    {"efficientnet_b5", 83.444, kTorchvision},
    {"efficientnet_b6", 84.008, kTorchvision},
    {"efficientnet_b7", 84.122, kTorchvision},
    {"vit_b_16", 81.072, kTorchvision},
    {"vit_b_32", 75.912, kTorchvision},
    {"vit_l_16", 79.662, kTorchvision},
    {"vit_l_32", 76.972, kTorchvision},
    {"swin_t", 81.474, kTorchvision},
    {"swin_s", 83.196, kTorchvision},
    {"swin_b", 83.582, kTorchvision},
    {"convnext_tiny", 82.52, kTorchvision},
    {"convnext_small", 83.616, kTorchvision},
    {"convnext_base", 84.062, kTorchvision},
    {"convnext_large", 84.414, kTorchvision},
    {"alexnet_2012", 59.3, "Krizhevsky et al. 2012, Table 2, one network"},
    {"resnet50_v1_original", 75.3, "the authors' weights, 2015"},
    {"resnext101_32x4d", 78.61, kMmpretrain},
    {"resnet50_c", 77.01, kMmpretrain},
    {"resnet101_c", 78.3, kMmpretrain},
    {"resnet50_d", 77.54, kMmpretrain},
    {"resnet101_d", 78.93, kMmpretrain},
    {"resnet152_d", 79.41, kMmpretrain},
    {"resnet18_d", 72.296, "timm ra2_in1k"},
    {"resnet34_d", 77.108, "timm ra2_in1k"},
    {"se_resnet50", 77.74, kMmpretrain},
    {"se_resnet101", 78.26, kMmpretrain},
    {"se_resnext50_32x4d", 79.916, "timm gluon_in1k"},
    {"mobilenet_v1_1.0", 70.6, kMobileNet},
    {"mobilenet_v1_0.75", 68.4, kMobileNet},
    {"mobilenet_v1_0.5", 63.7, kMobileNet},
    {"mobilenet_v1_0.25", 50.6, kMobileNet},
    {"vit_tiny_p16", 72.19, kDeiT},
    {"vit_small_p16", 79.856, kDeiT},
    {"vit_small_p32", 76.01, "timm augreg_in21k_ft_in1k"},
    {"deit_tiny_distilled_p16", 74.538, kDeiT},
    {"deit_small_distilled_p16", 81.204, kDeiT},
    {"deit_base_distilled_p16", 83.384, kDeiT},
    {"resnet20_he_cifar", 91.25, kCifar},
    {"resnet32_he_cifar", 92.49, kCifar},
    {"resnet44_he_cifar", 92.83, kCifar},
    {"resnet56_he_cifar", 93.03, kCifar},
    {"resnet110_he_cifar", 93.57, kCifar},
    {"lenet5", 99.05, "MNIST: LeCun et al. 1998, section III.B"},
};

}   // namespace

std::optional<PublishedAccuracy> published_accuracy(const std::string& model) {
  for (const auto& row : kPublished)
    if (row.model == model) return PublishedAccuracy{.top1 = row.top1, .of = row.of};
  return {};
}

}   // namespace fovea::vision
