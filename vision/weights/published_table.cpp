// published_table.cpp: a row for each published file. Sources: torchvision 0.29's, timm 1.0's and mmpretrain 1.2's own tables.
#include "vision/data/pictures.h"
#include "vision/weights/published.h"

namespace fovea::vision {
namespace {

constexpr const char *kTorchvision = "https://download.pytorch.org/models/", *kDeiT = "https://dl.fbaipublicfiles.com/deit/",
                     *kTimm = "https://github.com/rwightman/pytorch-image-models/releases/download/",
                     *kGluon = "https://github.com/rwightman/pytorch-pretrained-gluonresnet/releases/download/",
                     *kMM = "https://download.openmmlab.com/mmclassification/v0/";

enum class Normalization { imagenet, half };
/// torchvision's GoogLeNet was made for pixels from -1 to 1; there the network itself changes its input.
constexpr auto kHalf = Normalization::half;
constexpr auto bilinear = ResizeFilter::bilinear, bicubic = ResizeFilter::bicubic;

struct Row {
  const char *model, *name, *source, *file;
  int resize, crop;
  ResizeFilter filter;
  double top1;
  Normalization normalization = Normalization::imagenet;
};

// clang-format off
constexpr Row kRows[] = {
  {"alexnet", "IMAGENET1K_V1", kTorchvision, "alexnet-owt-7be5be79.pth", 256, 224, bilinear, 56.522},
  {"vgg11", "IMAGENET1K_V1", kTorchvision, "vgg11-8a719046.pth", 256, 224, bilinear, 69.02},
  {"vgg11_bn", "IMAGENET1K_V1", kTorchvision, "vgg11_bn-6002323d.pth", 256, 224, bilinear, 70.37},
  {"vgg13", "IMAGENET1K_V1", kTorchvision, "vgg13-19584684.pth", 256, 224, bilinear, 69.928},
  {"vgg13_bn", "IMAGENET1K_V1", kTorchvision, "vgg13_bn-abd245e5.pth", 256, 224, bilinear, 71.586},
  {"vgg16", "IMAGENET1K_V1", kTorchvision, "vgg16-397923af.pth", 256, 224, bilinear, 71.592},
  {"vgg16_bn", "IMAGENET1K_V1", kTorchvision, "vgg16_bn-6c64b313.pth", 256, 224, bilinear, 73.36},
  {"vgg19", "IMAGENET1K_V1", kTorchvision, "vgg19-dcbb9e9d.pth", 256, 224, bilinear, 72.376},
  {"vgg19_bn", "IMAGENET1K_V1", kTorchvision, "vgg19_bn-c79401a0.pth", 256, 224, bilinear, 74.218},
  {"googlenet", "IMAGENET1K_V1", kTorchvision, "googlenet-1378be20.pth", 256, 224, bilinear, 69.778, kHalf},
  {"resnet18", "IMAGENET1K_V1", kTorchvision, "resnet18-f37072fd.pth", 256, 224, bilinear, 69.758},
  {"resnet34", "IMAGENET1K_V1", kTorchvision, "resnet34-b627a593.pth", 256, 224, bilinear, 73.314},
  {"resnet50", "IMAGENET1K_V2", kTorchvision, "resnet50-11ad3fa6.pth", 232, 224, bilinear, 80.858},
  {"resnet50", "IMAGENET1K_V1", kTorchvision, "resnet50-0676ba61.pth", 256, 224, bilinear, 76.13},
  {"resnet101", "IMAGENET1K_V2", kTorchvision, "resnet101-cd907fc2.pth", 232, 224, bilinear, 81.886},
  {"resnet101", "IMAGENET1K_V1", kTorchvision, "resnet101-63fe2227.pth", 256, 224, bilinear, 77.374},
  {"resnet152", "IMAGENET1K_V2", kTorchvision, "resnet152-f82ba261.pth", 232, 224, bilinear, 82.284},
  {"resnet152", "IMAGENET1K_V1", kTorchvision, "resnet152-394f9c45.pth", 256, 224, bilinear, 78.312},
  {"wide_resnet50_2", "IMAGENET1K_V2", kTorchvision, "wide_resnet50_2-9ba9bcbe.pth", 232, 224, bilinear, 81.602},
  {"wide_resnet50_2", "IMAGENET1K_V1", kTorchvision, "wide_resnet50_2-95faca4d.pth", 256, 224, bilinear, 78.468},
  {"wide_resnet101_2", "IMAGENET1K_V2", kTorchvision, "wide_resnet101_2-d733dc28.pth", 232, 224, bilinear, 82.51},
  {"wide_resnet101_2", "IMAGENET1K_V1", kTorchvision, "wide_resnet101_2-32ee1156.pth", 256, 224, bilinear, 78.848},
  {"resnext50_32x4d", "IMAGENET1K_V2", kTorchvision, "resnext50_32x4d-1a0047aa.pth", 232, 224, bilinear, 81.198},
  {"resnext50_32x4d", "IMAGENET1K_V1", kTorchvision, "resnext50_32x4d-7cdf4587.pth", 256, 224, bilinear, 77.618},
  {"resnext101_32x8d", "IMAGENET1K_V2", kTorchvision, "resnext101_32x8d-110c445d.pth", 232, 224, bilinear, 82.834},
  {"resnext101_32x8d", "IMAGENET1K_V1", kTorchvision, "resnext101_32x8d-8ba56ff5.pth", 256, 224, bilinear, 79.312},
  {"resnext101_64x4d", "IMAGENET1K_V1", kTorchvision, "resnext101_64x4d-173b62eb.pth", 232, 224, bilinear, 83.246},
  {"mobilenet_v2", "IMAGENET1K_V2", kTorchvision, "mobilenet_v2-7ebf99e0.pth", 232, 224, bilinear, 72.154},
  {"mobilenet_v2", "IMAGENET1K_V1", kTorchvision, "mobilenet_v2-b0353104.pth", 256, 224, bilinear, 71.878},
  {"mobilenet_v2_1.4", "ra_in1k", kTimm, "v0.1-weights/mobilenetv2_140_ra-21a4e913.pth", 256, 224, bicubic, 76.528},
  {"mobilenet_v2_0.5", "lamb_in1k", kTimm, "v0.1-weights/mobilenetv2_050-3d30d450.pth", 256, 224, bicubic, 65.928},
  {"mobilenet_v3_small", "IMAGENET1K_V1", kTorchvision, "mobilenet_v3_small-047dcff4.pth", 256, 224, bilinear, 67.668},
  {"mobilenet_v3_large", "IMAGENET1K_V2", kTorchvision, "mobilenet_v3_large-5c1a4163.pth", 232, 224, bilinear, 75.274},
  {"mobilenet_v3_large", "IMAGENET1K_V1", kTorchvision, "mobilenet_v3_large-8738ca79.pth", 256, 224, bilinear, 74.042},
  {"efficientnet_b0", "IMAGENET1K_V1", kTorchvision, "efficientnet_b0_rwightman-7f5810bc.pth", 256, 224, bicubic, 77.692},
  {"efficientnet_b1", "IMAGENET1K_V2", kTorchvision, "efficientnet_b1-c27df63c.pth", 255, 240, bilinear, 79.838},
  {"efficientnet_b1", "IMAGENET1K_V1", kTorchvision, "efficientnet_b1_rwightman-bac287d4.pth", 256, 240, bicubic, 78.642},
  {"efficientnet_b2", "IMAGENET1K_V1", kTorchvision, "efficientnet_b2_rwightman-c35c1473.pth", 288, 288, bicubic, 80.608},
  {"efficientnet_b3", "IMAGENET1K_V1", kTorchvision, "efficientnet_b3_rwightman-b3899882.pth", 320, 300, bicubic, 82.008},
  {"efficientnet_b4", "IMAGENET1K_V1", kTorchvision, "efficientnet_b4_rwightman-23ab8bcd.pth", 384, 380, bicubic, 83.384},
  {"efficientnet_b5", "IMAGENET1K_V1", kTorchvision, "efficientnet_b5_lukemelas-1a07897c.pth", 456, 456, bicubic, 83.444},
  {"efficientnet_b6", "IMAGENET1K_V1", kTorchvision, "efficientnet_b6_lukemelas-24a108a5.pth", 528, 528, bicubic, 84.008},
  {"efficientnet_b7", "IMAGENET1K_V1", kTorchvision, "efficientnet_b7_lukemelas-c5b4e57e.pth", 600, 600, bicubic, 84.122},
  {"vit_b_16", "IMAGENET1K_V1", kTorchvision, "vit_b_16-c867db91.pth", 256, 224, bilinear, 81.072},
  {"vit_b_16", "IMAGENET1K_SWAG_E2E_V1", kTorchvision, "vit_b_16_swag-9ac1b537.pth", 384, 384, bicubic, 85.304},
  {"vit_b_16", "IMAGENET1K_SWAG_LINEAR_V1", kTorchvision, "vit_b_16_lc_swag-4e70ced5.pth", 224, 224, bicubic, 81.886},
  {"vit_b_32", "IMAGENET1K_V1", kTorchvision, "vit_b_32-d86f8d99.pth", 256, 224, bilinear, 75.912},
  {"vit_l_16", "IMAGENET1K_V1", kTorchvision, "vit_l_16-852ce7e3.pth", 242, 224, bilinear, 79.662},
  {"vit_l_16", "IMAGENET1K_SWAG_E2E_V1", kTorchvision, "vit_l_16_swag-4f3808c9.pth", 512, 512, bicubic, 88.064},
  {"vit_l_16", "IMAGENET1K_SWAG_LINEAR_V1", kTorchvision, "vit_l_16_lc_swag-4d563306.pth", 224, 224, bicubic, 85.146},
  {"vit_l_32", "IMAGENET1K_V1", kTorchvision, "vit_l_32-c7638314.pth", 256, 224, bilinear, 76.972},
  {"swin_t", "IMAGENET1K_V1", kTorchvision, "swin_t-704ceda3.pth", 232, 224, bicubic, 81.474},
  {"swin_s", "IMAGENET1K_V1", kTorchvision, "swin_s-5e29d889.pth", 246, 224, bicubic, 83.196},
  {"swin_b", "IMAGENET1K_V1", kTorchvision, "swin_b-68c6b09e.pth", 238, 224, bicubic, 83.582},
  {"convnext_tiny", "IMAGENET1K_V1", kTorchvision, "convnext_tiny-983f1562.pth", 236, 224, bilinear, 82.52},
  {"convnext_small", "IMAGENET1K_V1", kTorchvision, "convnext_small-0c510722.pth", 230, 224, bilinear, 83.616},
  {"convnext_base", "IMAGENET1K_V1", kTorchvision, "convnext_base-6075fbad.pth", 232, 224, bilinear, 84.062},
  {"convnext_large", "IMAGENET1K_V1", kTorchvision, "convnext_large-ea097f82.pth", 232, 224, bilinear, 84.414},
  {"vit_tiny_p16", "fb_in1k", kDeiT, "deit_tiny_patch16_224-a1311bcf.pth", 248, 224, bicubic, 72.19},
  {"vit_small_p16", "fb_in1k", kDeiT, "deit_small_patch16_224-cd65a155.pth", 248, 224, bicubic, 79.856},
  {"vit_b_16", "fb_in1k", kDeiT, "deit_base_patch16_224-b5f2ef4d.pth", 248, 224, bicubic, 81.98},
  {"deit_tiny_distilled_p16", "fb_in1k", kDeiT, "deit_tiny_distilled_patch16_224-b40b3cf7.pth", 248, 224, bicubic, 74.538},
  {"deit_small_distilled_p16", "fb_in1k", kDeiT, "deit_small_distilled_patch16_224-649709d9.pth", 248, 224, bicubic, 81.204},
  {"deit_base_distilled_p16", "fb_in1k", kDeiT, "deit_base_distilled_patch16_224-df68dfff.pth", 248, 224, bicubic, 83.384},
  {"resnet18_d", "ra2_in1k", kTimm, "v0.1-weights/resnet18d_ra2-48a79e06.pth", 256, 224, bicubic, 72.296},
  {"resnet34_d", "ra2_in1k", kTimm, "v0.1-weights/resnet34d_ra2-f8dcfcaf.pth", 256, 224, bicubic, 77.108},
  {"resnet50_d", "ra2_in1k", kTimm, "v0.1-weights/resnet50d_ra2-464e36ba.pth", 256, 224, bicubic, 80.546},
  {"resnet50_d", "a1_in1k", kTimm, "v0.1-rsb-weights/resnet50d_a1_0-e20cff14.pth", 235, 224, bicubic, 80.73},
  {"resnet101_d", "ra2_in1k", kTimm, "v0.1-weights/resnet101d_ra2-2803ffab.pth", 269, 256, bicubic, 82.254},
  {"resnet152_d", "ra2_in1k", kTimm, "v0.1-weights/resnet152d_ra2-5cac0439.pth", 269, 256, bicubic, 83.16},
  {"se_resnet50", "a1_in1k", kTimm, "v0.1-rsb-weights/seresnet50_a1_0-ffa00869.pth", 235, 224, bicubic, 80.012},
  {"se_resnet50", "ra2_in1k", kTimm, "v0.1-weights/seresnet50_ra_224-8efdb4bb.pth", 256, 224, bicubic, 80.26},
  {"se_resnext50_32x4d", "racm_in1k", kTimm, "v0.1-weights/seresnext50_32x4d_racm-a304a460.pth", 256, 224, bicubic, 81.268},
  {"resnet50_c", "gluon_in1k", kGluon, "v0.1/gluon_resnet50_v1c-48092f55.pth", 256, 224, bicubic, 78.016},
  {"resnet101_c", "gluon_in1k", kGluon, "v0.1/gluon_resnet101_v1c-1f26822a.pth", 256, 224, bicubic, 79.542},
  {"resnet50_d", "mmpretrain", kMM, "resnet/resnetv1d50_b32x8_imagenet_20210531-db14775a.pth", 256, 224, bilinear, 77.54},
  {"resnet101_d", "mmpretrain", kMM, "resnet/resnetv1d101_b32x8_imagenet_20210531-6e13bcd3.pth", 256, 224, bilinear, 78.93},
  {"resnet152_d", "mmpretrain", kMM, "resnet/resnetv1d152_b32x8_imagenet_20210531-278cf22a.pth", 256, 224, bilinear, 79.41},
  {"resnet50_c", "mmpretrain", kMM, "resnet/resnetv1c50_8xb32_in1k_20220214-3343eccd.pth", 256, 224, bilinear, 77.01},
  {"resnet101_c", "mmpretrain", kMM, "resnet/resnetv1c101_8xb32_in1k_20220214-434fe45f.pth", 256, 224, bilinear, 78.3},
  {"resnext101_32x4d", "mmpretrain", kMM, "resnext/resnext101_32x4d_b32x8_imagenet_20210506-e0fa3dd5.pth", 256, 224, bilinear, 78.61},
  {"resnext152_32x4d", "mmpretrain", kMM, "resnext/resnext152_32x4d_b32x8_imagenet_20210524-927787be.pth", 256, 224, bilinear, 78.88},
  {"se_resnet50", "mmpretrain", kMM, "se-resnet/se-resnet50_batch256_imagenet_20200804-ae206104.pth", 256, 224, bilinear, 77.74},
  {"se_resnet101", "mmpretrain", kMM, "se-resnet/se-resnet101_batch256_imagenet_20200804-ba5b51d4.pth", 256, 224, bilinear, 78.26},
  {"swin_l", "mmpretrain", kMM, "swin-transformer/convert/swin_large_patch4_window7_224_22kto1k-5f0996db.pth", 256, 224, bicubic, 86.24},
  {"convnext_xlarge", "mmpretrain", kMM, "convnext/convnext-xlarge_in21k-pre-3rdparty_64xb64_in1k_20220124-76b6863d.pth", 256, 224, bicubic, 86.97},
};
// clang-format on

}   // namespace

const std::vector<PublishedWeights>& published_weights() {
  static const std::vector<PublishedWeights> table = [] {
    std::vector<PublishedWeights> all;
    const ChannelStatistics imagenet = published_statistics("imagenet");
    for (const Row& r : kRows) {
      const bool half = r.normalization == Normalization::half;
      all.push_back({.model = r.model,
                     .name = r.name,
                     .address = std::string(r.source) + r.file,
                     .resize = r.resize,
                     .crop = r.crop,
                     .filter = r.filter,
                     .mean = half ? std::vector<float>(3, 0.5f) : imagenet.mean,
                     .std = half ? std::vector<float>(3, 0.5f) : imagenet.std,
                     .top1 = r.top1});
    }
    return all;
  }();
  return table;
}

}   // namespace fovea::vision
