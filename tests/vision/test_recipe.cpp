// A recipe is read, checked and written by one table; each refusal says where, what was expected and what came.
#include "vision/training/recipe.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace fovea::vision {
namespace {

std::string refusal(const std::string& toml) {
  try {
    parse_recipe(toml, "mnist.toml");
  } catch (const RecipeError& e) {
    return e.what();
  }
  return "accepted";
}

const RecipeField& field(const std::string& key) {
  const auto& fields = recipe_fields();
  return *std::find_if(fields.begin(), fields.end(), [&](const RecipeField& f) { return f.key == key; });
}

TEST(Recipe, KeysReplaceDefaultsAndOnlyThose) {
  const Recipe r = parse_recipe("epochs = 3\nlr = 1   # an integer is a number too\nnesterov = false\nschedule = 'cosine'\n", "r.toml");
  Recipe expected;
  expected.epochs = 3;
  expected.lr = 1;
  expected.nesterov = false;
  expected.schedule = "cosine";
  EXPECT_EQ(r, expected);
}

TEST(Recipe, WrittenAndReadBackIsTheSameBitForBit) {
  Recipe r;
  r.lr = 0.1 + 0.2;   // 0.30000000000000004
  r.weight_decay = 1e-5;
  r.epochs = 7;
  r.data_dir = "with \"quotes\" and \\ and spaces";
  r.threads = 3;
  EXPECT_EQ(parse_recipe(to_toml(r, true), "r.toml"), r);
  EXPECT_EQ(to_toml(r, false).find("threads"), std::string::npos);
  EXPECT_EQ(to_toml(r, false).find("data_dir"), std::string::npos);
}

TEST(Recipe, DropoutMayBeLeftToThePaper) {
  EXPECT_FALSE(Recipe{}.dropout.has_value());
  EXPECT_EQ(to_toml(Recipe{}, true).find("dropout"), std::string::npos);
  Recipe r = parse_recipe("dropout = 0", "r.toml");
  EXPECT_EQ(r.dropout, 0.);   // none is not the same as the paper's
  EXPECT_EQ(parse_recipe(to_toml(r, true), "r.toml"), r);
  set_field(r, field("dropout"), "0.25");
  EXPECT_EQ(r.dropout, 0.25);
  EXPECT_EQ(refusal("dropout = 1"), "mnist.toml:1: dropout: expected a number in 0..0.99, got '1'");
}

TEST(Recipe, WhatTheNetworkHasNoUseForIsRefused) {
  const auto refused = [](const std::string& toml) -> std::string {
    try {
      check_recipe(parse_recipe(toml, "r.toml"));
    } catch (const RecipeError& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refused("model = 'vgg11'\ndropout = 0.1"), "accepted");
  EXPECT_EQ(refused("model = 'vgg11'\nstochastic_depth = 0.1"), "vgg11: expected no stochastic depth: there is none in VGG");
  EXPECT_EQ(refused("dropout = 0.1"), "resnet8_mnist: expected no dropout: there is none in ResNet");
  EXPECT_EQ(refused("auxiliary_heads = true"), "resnet8_mnist: expected no auxiliary heads: there are none in ResNet");
  EXPECT_EQ(refused("model = 'alexnet'\nrecompute = true"), "alexnet: expected no recompute: AlexNet is not deep enough to have it");
  EXPECT_EQ(refused("stochastic_depth = 0.2\nrecompute = true"), "accepted");
  const ModelOptions o = network_options(parse_recipe("model = 'googlenet'\nauxiliary_heads = true\ndropout = 0.3", "r.toml"));
  EXPECT_TRUE(o.auxiliary_heads);
  EXPECT_EQ(o.dropout, 0.3);
}

TEST(Recipe, UnknownKeyNamesLineAndNearest) {
  EXPECT_EQ(refusal("lr = 0.1\n\nepoch = 3\n"), "mnist.toml:3: unknown key 'epoch' (did you mean epochs?)");
  EXPECT_EQ(refusal("[training]\nlr = 0.1\n").substr(0, 37), "mnist.toml:1: unknown key 'training'");
}

TEST(Recipe, BadValuesNameLineRangeAndValue) {
  EXPECT_EQ(refusal("epochs = -1"), "mnist.toml:1: epochs: expected a whole number in 1..10000, got '-1'");
  EXPECT_EQ(refusal("\nlr = nan"), "mnist.toml:2: lr: expected a number in 1e-06..100, got 'nan'");
  EXPECT_EQ(refusal("epochs = 2.5"), "mnist.toml:1: epochs: expected a whole number in 1..10000, got '2.5'");
  EXPECT_EQ(refusal("model = 3"), "mnist.toml:1: model: expected a string, got 3");
  EXPECT_EQ(refusal("lr = 'fast'"), "mnist.toml:1: lr: expected a number in 1e-06..100, got ''fast''");
  EXPECT_EQ(refusal("nesterov = 1"), "mnist.toml:1: nesterov: expected one of true|false, got '1'");
  EXPECT_NE(refusal("model = 'resnet8_mnits'").find("did you mean resnet8_mnist"), std::string::npos);
}

TEST(Recipe, BrokenTomlNamesTheLine) { EXPECT_EQ(refusal("lr = 0.1\nepochs = = 3\n").substr(0, 14), "mnist.toml:2: "); }

TEST(Recipe, EveryNumberRefusesNanAndWhatLiesOutside) {
  for (const RecipeField& f : recipe_fields()) {
    Recipe r;
    if (std::holds_alternative<bool Recipe::*>(f.member) || std::holds_alternative<std::string Recipe::*>(f.member)) continue;
    for (const char* bad : {"nan", "inf", "-inf", "-1", "1e99", "99999999999999999999", "", " 1", "1x", "0x10"})
      EXPECT_THROW(set_field(r, f, bad), RecipeError) << f.key << " took '" << bad << "'";
    EXPECT_EQ(r, Recipe{}) << f.key;
  }
}

TEST(Recipe, EveryFieldReadsWhatItWrites) {
  for (const RecipeField& f : recipe_fields()) {
    const std::string text = field_text({}, f);
    if (text.empty() || (text == "0" && f.low > 0)) continue;   // not set
    Recipe r;
    set_field(r, f, text);
    EXPECT_EQ(r, Recipe{}) << f.key;
  }
}

TEST(Recipe, TextBecomesValues) {
  Recipe r;
  set_field(r, field("label_smoothing"), "0.25");
  set_field(r, field("seed"), "42");
  set_field(r, field("nesterov"), "false");
  EXPECT_EQ(r.label_smoothing, 0.25);
  EXPECT_EQ(r.seed, 42);
  EXPECT_FALSE(r.nesterov);
  EXPECT_EQ(field("label_smoothing").flag(), "label-smoothing");
}

TEST(Recipe, TheCheckedInRecipeIsTheDefault) { EXPECT_EQ(read_recipe(FOVEA_SOURCE_DIR "/examples/recipes/mnist.toml"), Recipe{}); }

TEST(Recipe, AFolderIsADataSetWhosePlaceDoesNotDecideTheResult) {
  Recipe r;
  set_field(r, field("data"), "folder:with space/a:b");
  EXPECT_EQ(r.data, "folder");
  EXPECT_EQ(r.data_dir, "with space/a:b");
  EXPECT_EQ(parse_recipe(to_toml(r, true), "r.toml"), r);
  EXPECT_EQ(to_toml(r, false).find("with space"), std::string::npos);
  EXPECT_EQ(parse_recipe("data = 'folder:x'", "r.toml").data_dir, "x");
  EXPECT_THROW(set_field(r, field("data"), "folder:"), RecipeError);
  EXPECT_THROW(set_field(r, field("data"), "folders:x"), RecipeError);
  EXPECT_EQ(field("data").range(), "mnist|folder:PATH");
}

TEST(Recipe, TheCifarRecipeIsRead) {
  const Recipe r = read_recipe(FOVEA_SOURCE_DIR "/examples/recipes/cifar10.toml");
  EXPECT_EQ(r.model, "resnet20_he_cifar");
  EXPECT_EQ(r.data, "folder");
}

TEST(Recipe, MissingFileIsAnError) {
  EXPECT_THROW(read_recipe("/nonexistent/recipe.toml"), Error);
  EXPECT_THROW(read_recipe("/"), Error);
}

}   // namespace
}   // namespace fovea::vision
