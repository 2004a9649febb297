// Every variant has the published number of parameters, and one of each family the published state dictionary, entry by entry.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "nn/init.h"
#include "nn/state.h"
#include "vision/models/models.h"

namespace fovea::vision {
namespace {

struct Count {
  const char* name;
  std::int64_t parameters;
};

// With 1000 classes. Counted by PyTorch on torchvision's networks, and on timm's and mmpretrain's where torchvision lacks them.
constexpr Count kCounts[] = {
    {"alexnet", 61'100'840},
    {"alexnet_2012", 60'965'224},
    {"vgg11", 132'863'336},
    {"vgg11_bn", 132'868'840},
    {"vgg13", 133'047'848},
    {"vgg13_bn", 133'053'736},
    {"vgg16", 138'357'544},
    {"vgg16_bn", 138'365'992},
    {"vgg19", 143'667'240},
    {"vgg19_bn", 143'678'248},
    {"googlenet", 6'624'904},
    {"googlenet_paper", 7'005'832},
    {"resnet18", 11'689'512},
    {"resnet34", 21'797'672},
    {"resnet50", 25'557'032},
    {"resnet101", 44'549'160},
    {"resnet152", 60'192'808},
    {"resnet50_v1_original", 25'557'032},
    {"resnet50_c", 25'576'264},
    {"resnet101_c", 44'568'392},
    {"resnet18_d", 11'708'744},
    {"resnet34_d", 21'816'904},
    {"resnet50_d", 25'576'264},
    {"resnet101_d", 44'568'392},
    {"resnet152_d", 60'212'040},
    {"wide_resnet50_2", 68'883'240},
    {"wide_resnet101_2", 126'886'696},
    {"resnext50_32x4d", 25'028'904},
    {"resnext101_32x4d", 44'177'704},
    {"resnext101_32x8d", 88'791'336},
    {"resnext101_64x4d", 83'455'272},
    {"se_resnet18", 11'778'592},
    {"se_resnet34", 21'958'868},
    {"se_resnet50", 28'088'024},
    {"se_resnet101", 49'326'872},
    {"se_resnext50_32x4d", 27'559'896},
    {"mobilenet_v1_1.0", 4'231'976},
    {"mobilenet_v1_0.75", 2'585'560},
    {"mobilenet_v1_0.5", 1'331'592},
    {"mobilenet_v1_0.25", 470'072},
    {"mobilenet_v2", 3'504'872},
    {"mobilenet_v3_small", 2'542'856},
    {"mobilenet_v3_large", 5'483'032},
    {"efficientnet_b0", 5'288'548},
    {"efficientnet_b1", 7'794'184},
    {"efficientnet_b2", 9'109'994},
    {"efficientnet_b3", 12'233'232},
    {"efficientnet_b4", 19'341'616},
    {"efficientnet_b5", 30'389'784},
    {"efficientnet_b6", 43'040'704},
    {"efficientnet_b7", 66'347'960},
    {"vit_tiny_p16", 5'717'416},
    {"vit_small_p16", 22'050'664},
    {"vit_small_p32", 22'878'952},
    {"vit_b_16", 86'567'656},
    {"vit_b_32", 88'224'232},
    {"vit_l_16", 304'326'632},
    {"vit_l_32", 306'535'400},
    {"deit_tiny_distilled_p16", 5'910'800},
    {"deit_small_distilled_p16", 22'436'432},
    {"deit_base_distilled_p16", 87'338'192},
    {"swin_t", 28'288'354},
    {"swin_s", 49'606'258},
    {"swin_b", 87'768'224},
    {"convnext_tiny", 28'589'128},
    {"convnext_small", 50'223'688},
    {"convnext_base", 88'591'464},
    {"convnext_large", 197'767'336},
};

TEST(ModelEntries, ParametersAsPublished) {
  const nn::NoInit no_init;
  for (const Count& c : kCounts) EXPECT_EQ(build(c.name, {.classes = 1000})->parameter_count(), c.parameters) << c.name;
}

TEST(ModelEntries, ParametersOfNetworksForSmallPictures) {
  const nn::NoInit no_init;
  for (const Count& c : {Count{"resnet18", 11'173'962}, {"resnet34", 21'282'122}, {"resnet50", 23'520'842}})
    EXPECT_EQ(build(c.name, {.classes = 10, .small_images = true})->parameter_count(), c.parameters) << c.name;
  // He et al. 2016, Table 6, with option A; a plain network has its twin's.
  for (const Count& c : {Count{"20", 269'722}, {"32", 464'154}, {"44", 658'586}, {"56", 853'018}, {"110", 1'727'962}})
    for (const char* kind : {"resnet", "plain"})
      EXPECT_EQ(build(std::string(kind) + c.name + "_he_cifar")->parameter_count(), c.parameters) << kind << c.name;
  EXPECT_EQ(build("lenet5", {.channels = 1})->parameter_count(), 61'706);
  // stem 144 + 32, stages 4,672, 14,528 and 57,728, classifier 650
  EXPECT_EQ(build("resnet8_mnist", {.channels = 1})->parameter_count(), 77'754);
}

TEST(ModelEntries, NamesDifferAndPapersAreNamed) {
  std::map<std::string, int> seen;
  for (const ModelEntry& m : models()) {
    EXPECT_EQ(seen[m.name]++, 0) << m.name;
    EXPECT_FALSE(m.description.empty() || m.paper.empty()) << m.name;
    EXPECT_GT(m.size, 0) << m.name;
  }
}

/// "model NAME", then a line for each entry: its name and extents.
std::map<std::string, std::vector<std::string>> published() {
  std::ifstream file(FOVEA_SOURCE_DIR "/tests/parity/state_dicts.txt");
  std::map<std::string, std::vector<std::string>> all;
  std::string line, model;
  while (std::getline(file, line))
    if (line.starts_with("model "))
      model = line.substr(6);
    else
      all[model].push_back(line);
  return all;
}

TEST(ModelEntries, StateDictionariesAsPublished) {
  const nn::NoInit no_init;
  const auto all = published();
  EXPECT_EQ(all.size(), 14u);
  for (const auto& [model, expected] : all) {
    const auto net = build(model, {.classes = 1000, .auxiliary_heads = model == "googlenet"});
    std::vector<std::string> ours;
    for (const auto& [name, t] : nn::state_dict(*net).tensors) {
      ours.push_back(name);
      for (int i = 0; i < t.rank(); ++i) ours.back() += " " + std::to_string(t.dim(i));
    }
    ASSERT_EQ(ours.size(), expected.size()) << model;
    for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_EQ(ours[i], expected[i]) << model << ", entry " << i;
  }
}

}   // namespace
}   // namespace fovea::vision
