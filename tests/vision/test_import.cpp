// Files of timm, mmpretrain, the papers' authors and older torchvision, with their names, shapes and wrappers:
// tests/parity/weight_names.txt, which weight_names.py wrote after it had seen each network's logits agree. The tensors are made up here,
// each of one value.
#include "vision/weights/import.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "nn/batch_norm.h"
#include "nn/init.h"
#include "vision/weights/names.h"
#include "vision/weights/open_model.h"

namespace fovea::vision {
namespace {

struct Entry {
  std::string theirs, ours;   // "" when it is left out
  Shape shape;
};
struct StoredFile {
  std::string library, model;
  std::vector<Entry> entries;
  std::int64_t elements = 0;
};

std::vector<StoredFile> read_stored() {
  std::ifstream in(FOVEA_SOURCE_DIR "/tests/parity/weight_names.txt");
  std::vector<StoredFile> files;
  for (std::string text; std::getline(in, text);) {
    std::istringstream line(text);
    std::string theirs, ours;
    line >> theirs >> ours;
    if (theirs == "file") {
      files.push_back({.library = ours, .model = {}, .entries = {}});
      line >> files.back().model;
      continue;
    }
    std::vector<std::int64_t> extents;
    for (std::int64_t n; line >> n;) extents.push_back(n);
    std::string kind;
    if (theirs.ends_with(".bn") || theirs.ends_with(".wb")) {
      kind = theirs.substr(theirs.size() - 3);
      theirs.resize(theirs.size() - 3);
    }
    if (ours == "=") ours = theirs;
    const auto add = [&](const char* suffix, const Shape& shape) {
      files.back().entries.push_back({theirs + suffix, ours == "-" ? "" : ours + suffix, shape});
      files.back().elements += shape.elements();
    };
    const Shape shape(extents);
    if (kind.empty()) add("", shape);
    if (kind == ".wb") add(".weight", shape), add(".bias", Shape{shape[0]});
    if (kind == ".bn") {
      for (const char* suffix : {".weight", ".bias", ".running_mean", ".running_var"}) add(suffix, shape);
      add(".num_batches_tracked", {});
    }
  }
  return files;
}

class EachFile : public testing::TestWithParam<StoredFile> {};
const std::vector<StoredFile>& stored() {
  static const std::vector<StoredFile> files = read_stored();
  return files;
}
void PrintTo(const StoredFile& f, std::ostream* out) { *out << f.library << " " << f.model; }

/// Whose value is it? Different for neighbours, of the size of weights.
double value_of(std::size_t i) { return 1 + static_cast<double>(i) / 1024; }

WeightFile made_up(const StoredFile& stored, const std::string& prefix) {
  WeightFile file{.tensors = {}, .format = "made up", .ignored = {}};
  for (std::size_t i = 0; i < stored.entries.size(); ++i) {
    const Entry& e = stored.entries[i];
    file.tensors.tensors.emplace_back(
        prefix + e.theirs, e.shape.rank() == 0 ? Tensor::full({}, static_cast<double>(i), DType::i64) : Tensor::full(e.shape, value_of(i)));
  }
  return file;
}

TEST_P(EachFile, MatchesCompletely) {
  const StoredFile& stored = GetParam();
  if (stored.elements > 40'000'000) {   // names and shapes alone
    const nn::NoInit no_init;
    const auto network = build(stored.model, {.classes = 1000});
    std::map<std::string, Shape> shapes;
    for (const auto& [name, shape] : nn::state_shapes(*network)) shapes[name] = shape;
    const auto knows = [&](const NamingScheme& s) {
      return std::any_of(s.models.begin(), s.models.end(), [&](std::string_view m) { return matches(m, stored.model); }) &&
             std::all_of(stored.entries.begin(), stored.entries.end(), [&](const Entry& e) { return our_name(s, e.theirs) == e.ours; });
    };
    EXPECT_TRUE(std::any_of(naming_schemes().begin(), naming_schemes().end(), knows));
    for (const Entry& e : stored.entries) {
      EXPECT_EQ(shapes[e.ours].elements(), e.shape.elements()) << e.ours;
      EXPECT_EQ(shapes.erase(e.ours), 1u) << e.ours;
    }
    EXPECT_TRUE(shapes.empty());
    return;
  }
  const std::string prefix = stored.library == "timm" ? "state_dict.module." : stored.library == "mmpretrain" ? "state_dict." : "model.";
  WeightFile file = made_up(stored, prefix);
  file.tensors.tensors.emplace_back("optimizer.state.0.exp_avg", Tensor::zeros({3}));   // what a training checkpoint has beside
  file.ignored = {"argparse.Namespace"};
  const Imported imported = import_weights(stored.model, file, {.strict = true});
  EXPECT_TRUE(imported.report.load.complete()) << imported.report.str();
  EXPECT_EQ(imported.classes, 1000);
  EXPECT_EQ(imported.image_size, 224);
  std::size_t loaded = 0;
  for (const Entry& e : stored.entries) loaded += !e.ours.empty();
  EXPECT_EQ(imported.report.load.matched.size(), loaded);

  std::map<std::string, Tensor> own;
  for (const auto& [name, p] : imported.network->parameters()) own[name] = p->value.value();
  for (const auto& [name, b] : imported.network->buffers()) own[name] = b->value;
  for (std::size_t i = 0; i < stored.entries.size(); ++i) {
    const Entry& e = stored.entries[i];
    if (e.ours.empty() || e.shape.rank() == 0) continue;
    ASSERT_TRUE(own.contains(e.ours)) << e.ours;
    const std::vector<double> values = own[e.ours].to_vector<double>();
    // Scales may have been adapted to another epsilon, by (v + 1e-3) / (v + 1e-5) at most, and v is above 1.
    const auto wrong = std::find_if(values.begin(), values.end(), [&](double x) { return std::abs(x - value_of(i)) > 6e-4 * value_of(i); });
    EXPECT_EQ(wrong, values.end()) << e.theirs << " as " << e.ours;
  }
}

INSTANTIATE_TEST_SUITE_P(Stored, EachFile, testing::ValuesIn(stored()), [](const auto& param) {
  std::string name = param.param.library + "_" + param.param.model;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
});

TEST(Names, ThePatternLanguage) {
  EXPECT_EQ(rewrite("blocks.#.norm{1,2}.*", "layer_#.ln_{a,b}.*", "blocks.11.norm2.weight"), "layer_11.ln_b.weight");
  EXPECT_EQ(rewrite("x.{1,1.0}.y", "{a,b}", "x.1.0.y"), "b");   // the first word that fits may not be the one
  EXPECT_EQ(rewrite("a*", "b*", "a"), "b");
  EXPECT_FALSE(rewrite("a.#", "b.#", "a."));
  EXPECT_FALSE(rewrite("a.#", "b.#", "a.1x"));
  EXPECT_FALSE(rewrite("{a,b}.c", "{1,2}", "b.d"));
}

TEST(Names, BothSidesOfEveryRuleHaveTheSameWildcards) {
  const auto wildcards = [](std::string_view pattern) {
    std::string kinds;
    std::size_t words = 0;
    bool inside = false;
    for (const char c : pattern) {
      if (c == '{') inside = true, words = 1;
      if (c == ',') ++words;
      if (c == '}') inside = false, kinds += "{" + std::to_string(words) + "}";
      if (!inside && (c == '#' || c == '*')) kinds += c;
    }
    return kinds;
  };
  for (const NamingScheme& s : naming_schemes())
    for (const NameRule& rule : s.rules) EXPECT_TRUE(rule.ours.empty() || wildcards(rule.theirs) == wildcards(rule.ours)) << rule.theirs;
}

/// A small network's weights under its own names.
WeightFile weights_of(const std::string& model, const ModelOptions& o, const std::string& prefix = "") {
  const auto network = build(model, o);
  WeightFile file{.tensors = {}, .format = "made up", .ignored = {}};
  for (auto& [name, t] : nn::state_dict(*network).tensors) file.tensors.tensors.emplace_back(prefix + name, t);
  return file;
}

TEST(Import, AveragedWeightsComeFirst) {
  WeightFile file = weights_of("resnet8_mnist", {.channels = 1}, "model.");
  const WeightFile average = weights_of("resnet8_mnist", {.channels = 1}, "model_ema.module.");
  for (const auto& e : average.tensors.tensors) file.tensors.tensors.push_back(e);
  const Imported first = import_weights("resnet8_mnist", file, {.channels = 1, .strict = true});
  EXPECT_EQ(first.report.key, "model_ema.module");
  EXPECT_EQ(first.network->parameter("fc.weight").value().to_vector<float>(),
            average.tensors.find("model_ema.module.fc.weight")->to_vector<float>());
  const Imported named = import_weights("resnet8_mnist", file, {.channels = 1, .key = "model", .strict = true});
  EXPECT_EQ(named.network->parameter("fc.weight").value().to_vector<float>(), file.tensors.find("model.fc.weight")->to_vector<float>());
  EXPECT_THROW(import_weights("resnet8_mnist", file, {.channels = 1, .key = "models"}), Error);
}

TEST(Import, AnotherNumberOfClassesKeepsANewClassifier) {
  const WeightFile file = weights_of("mobilenet_v3_small", {.classes = 7});
  EXPECT_EQ(import_weights("mobilenet_v3_small", file).classes, 7);   // as the file has it
  const Imported other = import_weights("mobilenet_v3_small", file, {.classes = 3});
  EXPECT_TRUE(other.report.fresh);
  EXPECT_TRUE(other.report.load.complete());
  EXPECT_NE(other.report.str().find("the file is for 7 classes, the network for 3: its classifier is new"), std::string::npos)
      << other.report.str();
  const std::vector<float> head = other.network->parameter("classifier.3.weight").value().to_vector<float>();
  EXPECT_GT(*std::max_element(head.begin(), head.end()), 0);   // initialised
  EXPECT_EQ(other.network->parameter("classifier.0.weight").value().to_vector<float>(),
            file.tensors.find("classifier.0.weight")->to_vector<float>());
  EXPECT_THROW(import_weights("mobilenet_v3_small", file, {.classes = 3, .strict = true}), Error);
}

TEST(Import, SaysWhatDoesNotFit) {
  WeightFile file = weights_of("resnet8_mnist", {.channels = 1});
  auto& entries = file.tensors.tensors;
  std::erase_if(entries, [](const auto& e) { return e.first == "layer1.0.conv1.weight" || e.first.ends_with("num_batches_tracked"); });
  entries.emplace_back("extra.weight", Tensor::zeros({2}));
  for (auto& [name, t] : entries)
    if (name == "bn1.bias") t = Tensor::zeros({5});
  const Imported imported = import_weights("resnet8_mnist", file, {.channels = 1});
  const nn::LoadReport& load = imported.report.load;
  EXPECT_EQ(load.missing, std::vector<std::string>{"layer1.0.conv1.weight"});   // counters of steps are nobody's loss
  EXPECT_EQ(load.unexpected, std::vector<std::string>{"extra.weight"});
  ASSERT_EQ(load.wrong_shape.size(), 1u);
  EXPECT_NE(load.wrong_shape[0].find("bn1.bias: expected (16), got (5)"), std::string::npos) << load.wrong_shape[0];
  const std::vector<float> fresh = imported.network->parameter("layer1.0.conv1.weight").value().to_vector<float>();
  EXPECT_GT(*std::max_element(fresh.begin(), fresh.end()), 0);
  EXPECT_THROW(import_weights("resnet8_mnist", file, {.channels = 1, .strict = true}), Error);
  EXPECT_THROW(import_weights("mobilenet_v3_small", file), Error);   // another network
  EXPECT_THROW(import_weights("mobilenet_v33", file), Error);
}

TEST(Import, PositionEmbeddingsFollowTheImageSize) {
  const WeightFile file = weights_of("vit_tiny_p16", {.classes = 3, .image_size = 96});
  EXPECT_EQ(import_weights("vit_tiny_p16", file, {.strict = true}).image_size, 96);   // as the file has it
  const Imported larger = import_weights("vit_tiny_p16", file, {.image_size = 128});
  EXPECT_TRUE(larger.report.load.complete());
  const Tensor& position = larger.network->parameter("encoder.pos_embedding").value();
  ASSERT_EQ(position.shape(), Shape({1, 65, 192}));
  const Tensor& before = *file.tensors.find("encoder.pos_embedding");
  for (std::int64_t c = 0; c < 192; ++c) EXPECT_EQ(position.data<float>()[c], before.data<float>()[c]);   // the class token's
  // A network that resizes while it runs gives the same logits.
  const auto small = import_weights("vit_tiny_p16", file);
  const NoGrad no_grad;
  const Variable x(Tensor::randn({1, 128, 128, 3}, RandomKey{5}));
  const std::vector<double> a = (*larger.network)(x).value().to_vector<double>(), b = (*small.network)(x).value().to_vector<double>();
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5);
}

TEST(Import, AuxiliaryHeadsAreKept) {
  const WeightFile file = weights_of("googlenet", {.classes = 4, .auxiliary_heads = true});
  const Imported imported = import_weights("googlenet", file, {.strict = true});
  EXPECT_EQ(imported.report.load.matched.size(), file.tensors.tensors.size());
  const auto plain = build("googlenet", {.classes = 4});
  const ImportReport without = load_weights(*plain, "googlenet", file);
  EXPECT_TRUE(without.load.complete()) << without.str();
}

TEST(Import, AnotherEpsilonOfNormsIsTheSameFunction) {
  // gamma / sqrt(v + 1e-5) of timm's file is gamma' / sqrt(v + 1e-3) here.
  for (const StoredFile& s : stored()) {
    if (s.library != "timm" || s.model != "mobilenet_v3_small") continue;
    WeightFile file = made_up(s, "");
    for (auto& [name, t] : file.tensors.tensors)
      if (name == "bn1.running_var") t.fill(0.01);
    const Imported imported = import_weights(s.model, file, {.strict = true});
    const double gamma = file.tensors.find("bn1.weight")->to_vector<double>()[0];
    EXPECT_NEAR(imported.network->parameter("features.0.1.weight").value().to_vector<double>()[0],
                gamma * std::sqrt((0.01 + 1e-3) / (0.01 + 1e-5)), 1e-6);
    return;
  }
  FAIL() << "no such file is stored";
}

TEST(Import, MmpretrainMergesPatchesInTheOrderOfIm2col) {
  for (const StoredFile& s : stored()) {
    if (s.library != "mmpretrain" || s.model != "swin_t") continue;
    WeightFile file = made_up(s, "");
    for (auto& [name, t] : file.tensors.tensors)
      if (name == "backbone.stages.0.downsample.norm.weight")   // column 4 c + 2 row + column
        for (std::int64_t i = 0; i < t.elements(); ++i) t.data<float>()[i] = static_cast<float>(i);
    const Imported imported = import_weights(s.model, file, {.strict = true});
    const std::vector<float> norm = imported.network->parameter("features.2.norm.weight").value().to_vector<float>();
    ASSERT_EQ(norm.size(), 384u);
    // Neighbours (row, column) in torchvision's order: (0, 0), (1, 0), (0, 1), (1, 1), 96 channels each.
    for (const auto& [at, channel, row, column] : {std::array{0, 0, 0, 0}, {1, 1, 0, 0}, {96, 0, 1, 0}, {192, 0, 0, 1}, {383, 95, 1, 1}})
      EXPECT_EQ(norm[static_cast<std::size_t>(at)], static_cast<float>(4 * channel + 2 * row + column)) << at;
    return;
  }
  FAIL() << "no such file is stored";
}

}   // namespace
}   // namespace fovea::vision
