// Every variant has the published number of parameters and of multiply-adds, and one of each family the published state dictionary, entry by entry.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "nn/state.h"
#include "vision/analysis/network_cost.h"
#include "vision/models/models.h"

namespace fovea::vision {
namespace {

struct Count {
  const char* name;
  std::int64_t parameters, multiply_adds;
};

// With the classes, channels and size that each was published with (1000, 3, mostly 224). Counted by PyTorch on torchvision's networks, and on
// timm's and mmpretrain's where torchvision lacks them; multiply-adds by hooks on convolutions, linear layers and attention, and again by the
// matrix products that PyTorch's dispatcher saw.
constexpr Count kCounts[] = {
    {"alexnet", 61'100'840, 714'188'480},
    {"alexnet_2012", 60'965'224, 724'406'816},
    {"vgg11", 132'863'336, 7'609'090'048},
    {"vgg11_bn", 132'868'840, 7'609'090'048},
    {"vgg13", 133'047'848, 11'308'466'176},
    {"vgg13_bn", 133'053'736, 11'308'466'176},
    {"vgg16", 138'357'544, 15'470'264'320},
    {"vgg16_bn", 138'365'992, 15'470'264'320},
    {"vgg19", 143'667'240, 19'632'062'464},
    {"vgg19_bn", 143'678'248, 19'632'062'464},
    {"googlenet", 6'624'904, 1'498'376'192},
    {"googlenet_paper", 7'005'832, 1'582'671'872},
    {"resnet18", 11'689'512, 1'814'073'344},
    {"resnet34", 21'797'672, 3'663'761'408},
    {"resnet50", 25'557'032, 4'089'184'256},
    {"resnet101", 44'549'160, 7'801'405'440},
    {"resnet152", 60'192'808, 11'513'626'624},
    {"resnet50_v1_original", 25'557'032, 3'857'973'248},
    {"resnet50_c", 25'576'264, 4'328'824'832},
    {"resnet101_c", 44'568'392, 8'041'046'016},
    {"resnet18_d", 11'708'744, 2'053'713'920},
    {"resnet34_d", 21'816'904, 3'903'401'984},
    {"resnet50_d", 25'576'264, 4'328'824'832},
    {"resnet101_d", 44'568'392, 8'041'046'016},
    {"resnet152_d", 60'212'040, 11'753'267'200},
    {"wide_resnet50_2", 68'883'240, 11'398'021'120},
    {"wide_resnet101_2", 126'886'696, 22'753'050'624},
    {"resnext50_32x4d", 25'028'904, 4'230'479'872},
    {"resnext101_32x4d", 44'177'704, 7'969'996'800},
    {"resnext101_32x8d", 88'791'336, 16'414'015'488},
    {"resnext101_64x4d", 83'455'272, 15'460'270'080},
    {"resnext152_32x4d", 59'951'400, 11'709'513'728},
    {"se_resnet18", 11'778'592, 1'814'160'384},
    {"se_resnet34", 21'958'868, 3'663'918'592},
    {"se_resnet50", 28'088'024, 4'091'699'200},
    {"se_resnet101", 49'326'872, 7'806'148'608},
    {"se_resnext50_32x4d", 27'559'896, 4'232'994'816},
    {"mobilenet_v1_1.25", 6'270'840, 879'516'800},
    {"mobilenet_v1_1.0", 4'231'976, 568'740'352},
    {"mobilenet_v1_0.75", 2'585'560, 325'400'448},
    {"mobilenet_v1_0.5", 1'331'592, 149'497'088},
    {"mobilenet_v1_0.25", 470'072, 41'030'272},
    {"mobilenet_v2", 3'504'872, 300'774'272},
    {"mobilenet_v2_1.4", 6'108'776, 582'195'824},
    {"mobilenet_v2_0.5", 1'968'680, 97'131'840},
    {"mobilenet_v3_small", 2'542'856, 56'510'400},
    {"mobilenet_v3_large", 5'483'032, 216'589'760},
    {"efficientnet_b0", 5'288'548, 385'814'752},
    {"efficientnet_b1", 7'794'184, 686'802'832},
    {"efficientnet_b2", 9'109'994, 1'087'529'456},
    {"efficientnet_b3", 12'233'232, 1'827'141'392},
    {"efficientnet_b4", 19'341'616, 4'393'771'024},
    {"efficientnet_b5", 30'389'784, 10'266'384'752},
    {"efficientnet_b6", 43'040'704, 19'067'593'536},
    {"efficientnet_b7", 66'347'960, 37'745'884'192},
    {"vit_tiny_p16", 5'717'416, 1'253'683'200},
    {"vit_small_p16", 22'050'664, 4'598'882'304},
    {"vit_small_p32", 22'878'952, 1'142'909'952},
    {"vit_b_16", 86'567'656, 17'563'828'224},
    {"vit_b_32", 88'224'232, 4'409'186'304},
    {"vit_l_16", 304'326'632, 61'554'712'576},
    {"vit_l_32", 306'535'400, 15'377'539'072},
    {"deit_tiny_distilled_p16", 5'910'800, 1'261'003'776},
    {"deit_small_distilled_p16", 22'436'432, 4'624'140'288},
    {"deit_base_distilled_p16", 87'338'192, 17'656'811'520},
    {"swin_t", 28'288'354, 4'490'566'656},
    {"swin_s", 49'606'258, 8'740'875'264},
    {"swin_b", 87'768'224, 15'430'946'816},
    {"swin_l", 196'532'476, 34'475'759'616},
    {"convnext_tiny", 28'589'128, 4'455'531'264},
    {"convnext_small", 50'223'688, 8'683'712'256},
    {"convnext_base", 88'591'464, 15'354'729'472},
    {"convnext_large", 197'767'336, 34'361'433'600},
    {"convnext_xlarge", 350'196'968, 60'921'030'656},
    // He et al. 2016, Table 6, with option A
    {"resnet20_he_cifar", 269'722, 40'551'040},
    {"resnet32_he_cifar", 464'154, 68'862'592},
    {"resnet44_he_cifar", 658'586, 97'174'144},
    {"resnet56_he_cifar", 853'018, 125'485'696},
    {"resnet110_he_cifar", 1'727'962, 252'887'680},
    {"plain20_he_cifar", 269'722, 40'551'040},   // a plain network has its twin's
    {"plain110_he_cifar", 1'727'962, 252'887'680},
    {"lenet5", 61'706, 416'520},
};

TEST(ModelEntries, ParametersAndMultiplyAddsAsPublished) {
  for (const Count& c : kCounts) {
    const ModelSize s = model_size(model(c.name));
    EXPECT_EQ(s.parameters, c.parameters) << c.name;
    EXPECT_EQ(s.multiply_adds, c.multiply_adds) << c.name;
  }
}

TEST(ModelEntries, NetworksForSmallPictures) {
  for (const Count& c :
       {Count{"resnet18", 11'173'962, 555'422'720}, {"resnet34", 21'282'122, 1'159'402'496}, {"resnet50", 23'520'842, 1'297'829'888}}) {
    const NetworkCost cost = network_cost(c.name, {.classes = 10, .small_images = true}, 32, 1);
    EXPECT_EQ(cost.total().parameters, c.parameters) << c.name;
    EXPECT_EQ(cost.total().multiply_adds, c.multiply_adds) << c.name;
  }
  // stem 144 + 32, stages 4,672, 14,528 and 57,728, classifier 650
  EXPECT_EQ(model_size(model("resnet8_mnist")).parameters, 77'754);
}

/// Height, width and channels behind layers, as the papers' tables and the comments in vision/models have them.
TEST(ModelEntries, LayersHaveTheShapesOfTheTables) {
  struct Layers {
    const char* model;
    std::vector<std::pair<const char*, Shape>> shapes;
  };
  const std::vector<Layers> tables = {
      {"lenet5",
       {{"features.0", {28, 28, 6}},
        {"features.2", {14, 14, 6}},
        {"features.3", {10, 10, 16}},
        {"features.5", {5, 5, 16}},
        {"features.6", {1, 1, 120}}}},
      {"alexnet",
       {{"features.0", {55, 55, 64}},
        {"features.2", {27, 27, 64}},
        {"features.3", {27, 27, 192}},
        {"features.5", {13, 13, 192}},
        {"features.6", {13, 13, 384}},
        {"features.8", {13, 13, 256}},
        {"features.10", {13, 13, 256}},
        {"features.12", {6, 6, 256}}}},
      {"alexnet_2012",
       {{"features.0", {55, 55, 96}},
        {"features.3", {27, 27, 96}},
        {"features.4", {27, 27, 256}},
        {"features.7", {13, 13, 256}},
        {"features.8", {13, 13, 384}},
        {"features.10", {13, 13, 384}},
        {"features.12", {13, 13, 256}},
        {"features.14", {6, 6, 256}}}},
      {"vgg16",
       {{"features.0", {224, 224, 64}},
        {"features.5", {112, 112, 128}},
        {"features.10", {56, 56, 256}},
        {"features.17", {28, 28, 512}},
        {"features.24", {14, 14, 512}},
        {"features.30", {7, 7, 512}}}},
      {"googlenet",
       {{"conv1", {112, 112, 64}},
        {"maxpool1", {56, 56, 64}},
        {"conv3", {56, 56, 192}},
        {"maxpool2", {28, 28, 192}},
        {"inception3a", {28, 28, 256}},
        {"inception3b", {28, 28, 480}},
        {"inception4a", {14, 14, 512}},
        {"inception4d", {14, 14, 528}},
        {"inception4e", {14, 14, 832}},
        {"inception5a", {7, 7, 832}},
        {"inception5b", {7, 7, 1024}}}},
      {"resnet50", {{"layer1", {56, 56, 256}}, {"layer2", {28, 28, 512}}, {"layer3", {14, 14, 1024}}, {"layer4", {7, 7, 2048}}}},
      {"mobilenet_v1_1.0",
       {{"blocks.0", {112, 112, 64}},
        {"blocks.1", {56, 56, 128}},
        {"blocks.2", {28, 28, 256}},
        {"blocks.3", {14, 14, 512}},
        {"blocks.4", {7, 7, 1024}}}},
      {"mobilenet_v2",
       {{"features.0", {112, 112, 32}},
        {"features.1", {112, 112, 16}},
        {"features.2", {56, 56, 24}},
        {"features.4", {28, 28, 32}},
        {"features.7", {14, 14, 64}},
        {"features.11", {14, 14, 96}},
        {"features.14", {7, 7, 160}},
        {"features.17", {7, 7, 320}},
        {"features.18", {7, 7, 1280}}}},
      {"mobilenet_v3_large",
       {{"features.1", {112, 112, 16}},
        {"features.2", {56, 56, 24}},
        {"features.4", {28, 28, 40}},
        {"features.7", {14, 14, 80}},
        {"features.11", {14, 14, 112}},
        {"features.13", {7, 7, 160}},
        {"features.16", {7, 7, 960}}}},
      {"mobilenet_v3_small",
       {{"features.1", {56, 56, 16}},
        {"features.2", {28, 28, 24}},
        {"features.4", {14, 14, 40}},
        {"features.7", {14, 14, 48}},
        {"features.9", {7, 7, 96}},
        {"features.12", {7, 7, 576}}}},
      {"efficientnet_b0",
       {{"features.0", {112, 112, 32}},
        {"features.1", {112, 112, 16}},
        {"features.2", {56, 56, 24}},
        {"features.3", {28, 28, 40}},
        {"features.4", {14, 14, 80}},
        {"features.5", {14, 14, 112}},
        {"features.6", {7, 7, 192}},
        {"features.7", {7, 7, 320}},
        {"features.8", {7, 7, 1280}}}},
      {"swin_t", {{"features.1", {56, 56, 96}}, {"features.3", {28, 28, 192}}, {"features.5", {14, 14, 384}}, {"features.7", {7, 7, 768}}}},
      {"convnext_tiny",
       {{"features.1", {56, 56, 96}}, {"features.3", {28, 28, 192}}, {"features.5", {14, 14, 384}}, {"features.7", {7, 7, 768}}}},
  };
  for (const auto& [name, shapes] : tables) {
    const ModelEntry& entry = model(name);
    const NetworkCost cost = network_cost(name, {.channels = entry.channels}, entry.size, 1);
    for (const auto& [path, shape] : shapes) {
      const auto layer = std::find_if(cost.layers.begin(), cost.layers.end(), [&p = path](const LayerCost& l) { return l.path == p; });
      ASSERT_NE(layer, cost.layers.end()) << name << " " << path;
      EXPECT_EQ(layer->output, Shape({1, shape[0], shape[1], shape[2]})) << name << " " << path;
    }
  }
}

TEST(ModelEntries, NamesDifferAndPapersAreNamed) {
  std::map<std::string, int> seen;
  for (const ModelEntry& m : models()) {
    EXPECT_EQ(seen[m.name]++, 0) << m.name;
    EXPECT_FALSE(m.description.empty() || m.paper.empty()) << m.name;
    EXPECT_GT(m.size, 0) << m.name;
    EXPECT_TRUE(1998 <= m.year() && m.year() <= 2022) << m.name << " " << m.year();
    if (m.published) {
      EXPECT_TRUE(50 < m.published->top1 && m.published->top1 < 100 && !m.published->of.empty()) << m.name;
    }
  }
  EXPECT_EQ(model("resnet50").year(), 2016);
  EXPECT_EQ(model("resnet50").published->top1, 76.13);
  EXPECT_FALSE(model("plain20_he_cifar").published.has_value());
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
  const DefaultDevice meta(Device::meta);
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
