// A checkpoint gives back what was saved, says what it is, and tells in one line why it cannot be used.
#include "vision/training/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "autograd/dot.h"
#include "autograd/reductions.h"
#include "nn/state.h"
#include "optim/sgd.h"
#include "tests/temporary_folder.h"
#include "vision/models/models.h"

namespace fovea::vision {
namespace {

namespace fs = std::filesystem;

class Checkpoint : public testing::Test {
 protected:
  ModelCard card() const {
    return {.model = "resnet8_mnist",
            .height = 28,
            .width = 28,
            .channels = 1,
            .class_names = {"a", "b", "c"},
            .mean = {0.1307f},
            .std = {0.3081f},
            .recipe = "lr = 0.1\n"};
  }
  std::unique_ptr<nn::Module> network(std::uint64_t seed) const {
    manual_seed(seed);
    return build("resnet8_mnist", {.classes = 3, .channels = 1});
  }
  static std::vector<Variable> parameters(nn::Module& m) {
    std::vector<Variable> out;
    for (auto& [name, p] : m.parameters()) out.push_back(p->value);
    return out;
  }
  template <class F> static std::string refusal(F&& f) {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  }
  static std::string bytes(const fs::path& p) {
    std::ifstream in(p, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static bool same(nn::Module& a, nn::Module& b) {
    const TensorFile x = nn::state_dict(a), y = nn::state_dict(b);
    for (std::size_t i = 0; i < x.tensors.size(); ++i)
      if (x.tensors[i].second.to_vector<double>() != y.tensors[i].second.to_vector<double>()) return false;
    return x.tensors.size() == y.tensors.size();
  }
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_F(Checkpoint, ANetworkIsBuiltAsItsRecipeSays) {
  ModelCard c = card();
  c.model = "googlenet";
  c.recipe = "model = 'googlenet'\nauxiliary_heads = true\ndropout = 0.1\n";
  const auto saved = build(c.model, {.classes = 3, .channels = 1, .small_images = true, .auxiliary_heads = true});
  save_model(folder_ / "m.safetensors", *saved, c);
  EXPECT_TRUE(same(*saved, *load_model(folder_ / "m.safetensors").network));   // with both side classifiers
  EXPECT_EQ(model_options(c).dropout, 0.1);
  c.recipe = "";
  EXPECT_FALSE(model_options(c).auxiliary_heads);
}

TEST_F(Checkpoint, GivesBackNetworkAndCard) {
  const auto saved = network(1);
  save_model(folder_ / "m.safetensors", *saved, card());
  const LoadedModel loaded = load_model(folder_ / "m.safetensors");
  EXPECT_TRUE(same(*saved, *loaded.network));
  EXPECT_FALSE(loaded.network->training());
  EXPECT_EQ(loaded.card.model, "resnet8_mnist");
  EXPECT_EQ(loaded.card.class_names, card().class_names);
  EXPECT_EQ(loaded.card.mean, card().mean);
  EXPECT_EQ(loaded.card.std, card().std);
  EXPECT_EQ(loaded.card.height, 28);
  EXPECT_EQ(loaded.card.recipe, card().recipe);
}

TEST_F(Checkpoint, GivesBackTrainingState) {
  const auto saved = network(1);
  // An optimiser with a past: one step with gradients that differ from element to element.
  optim::SGD past(parameters(*saved), {.lr = 0.1, .momentum = 0.9});
  for (optim::Parameter& p : past.arena().parameters()) dot(p.value, Tensor::randn(p.value.shape(), RandomKey{.seed = 3})).backward();
  past.step();
  const TrainingState state{.epoch = 3,
                            .step = 17,
                            .loss_sum = 0.1 + 0.2,
                            .images = 2176,
                            .correct = 1999,
                            .best_val_loss = 2.0 / 3,
                            .best_val_top1 = 1.0 / 3,
                            .best_epoch = 2,
                            .generator_seed = ~0ULL,
                            .generator_used = 12};
  save_training(folder_ / "t.safetensors", *saved, card(), past, state);
  const auto other = network(2);
  optim::SGD fresh(parameters(*other), {.lr = 0.1, .momentum = 0.9});
  const TrainingState s = load_training(folder_ / "t.safetensors", *other, card(), fresh);
  EXPECT_TRUE(same(*saved, *other));
  EXPECT_EQ(fresh.steps(), 1);
  for (std::size_t i = 0; i < past.state().size(); ++i) {
    EXPECT_EQ(fresh.state()[i].first, past.state()[i].first);
    EXPECT_EQ(fresh.state()[i].second.to_vector<double>(), past.state()[i].second.to_vector<double>()) << past.state()[i].first;
  }
  // On disk there are PyTorch's names and layout only, (K, C, R, S), for the optimiser's memory too.
  const TensorFile file = read_safetensors(folder_ / "t.safetensors");
  const Tensor* momentum = file.find("optimizer.momentum.layer2.0.conv1.weight");
  ASSERT_NE(momentum, nullptr);
  EXPECT_EQ(momentum->shape(), (Shape{32, 16, 3, 3}));
  EXPECT_EQ(s.epoch, 3);
  EXPECT_EQ(s.step, 17);
  EXPECT_EQ(s.loss_sum, 0.1 + 0.2);
  EXPECT_EQ(s.images, 2176);
  EXPECT_EQ(s.correct, 1999);
  EXPECT_EQ(s.best_val_loss, 2.0 / 3);
  EXPECT_EQ(s.best_val_top1, 1.0 / 3);
  EXPECT_EQ(s.best_epoch, 2);
  EXPECT_EQ(s.generator_seed, ~0ULL);
  EXPECT_EQ(s.generator_used, 12u);
  EXPECT_TRUE(same(*saved, *load_model(folder_ / "t.safetensors").network));   // eval and predict take it too
}

TEST_F(Checkpoint, CutShortAnywhereIsOneClearError) {
  const auto net = network(1);
  const fs::path path = folder_ / "m.safetensors", cut = folder_ / "cut.safetensors";
  save_model(path, *net, card());
  const std::string whole = bytes(path);
  for (const std::size_t n : {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    std::ofstream(cut, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(n));
    const std::string why = refusal([&] { load_model(cut); });
    EXPECT_NE(why.find("cut.safetensors"), std::string::npos) << n << " bytes: " << why;
    EXPECT_EQ(why.find('\n'), std::string::npos) << why;
  }
}

TEST_F(Checkpoint, OtherFilesAreRefused) {
  const fs::path path = folder_ / "m.safetensors";
  write_safetensors(path, {.tensors = {{"x", Tensor::zeros({2})}}, .metadata = {}});
  EXPECT_NE(refusal([&] { load_model(path); }).find("not a checkpoint of Fovea"), std::string::npos);
  EXPECT_NE(refusal([&] { load_model(folder_ / "none"); }), "accepted");

  const auto net = network(1);
  ModelCard strange = card();
  strange.model = "resnet8_mnits";
  save_model(path, *net, strange);
  EXPECT_NE(refusal([&] { load_model(path); }).find("resnet8_mnist"), std::string::npos);   // the nearest known
  strange = card();
  strange.class_names.push_back("d");   // the classifier has three rows
  save_model(path, *net, strange);
  EXPECT_NE(refusal([&] { load_model(path); }).find("fc.weight: expected (4, 64), got (3, 64)"), std::string::npos)
      << refusal([&] { load_model(path); });
  strange = card();
  strange.mean.clear();
  save_model(path, *net, strange);
  EXPECT_NE(refusal([&] { load_model(path); }).find("damaged metadata"), std::string::npos);
}

TEST_F(Checkpoint, ARefusedTrainingCheckpointChangesNothing) {
  const auto saved = network(1), mine = network(2), untouched = network(2);
  const fs::path path = folder_ / "t.safetensors";
  optim::SGD theirs(parameters(*saved), {.lr = 0.1, .momentum = 0.9}), own(parameters(*mine), {.lr = 0.1, .momentum = 0.9});
  for (optim::Parameter& p : theirs.arena().parameters()) mean(p.value).backward();
  theirs.step();
  const auto attempt = [&] { return refusal([&] { load_training(path, *mine, card(), own); }); };

  ModelCard other = card();
  other.recipe = "lr = 0.2\n";
  save_training(path, *saved, other, theirs, {});
  EXPECT_NE(attempt().find("another recipe"), std::string::npos);
  other = card();
  other.model = "resnet18";
  save_training(path, *saved, other, theirs, {});
  EXPECT_NE(attempt().find("expected a checkpoint of model resnet8_mnist, got one of resnet18"), std::string::npos);
  const auto plain = network(1);
  save_training(path, *plain, card(), optim::SGD(parameters(*plain), {.lr = 0.1}), {});
  EXPECT_NE(attempt().find("expected optimizer.momentum.conv1.weight, got none"), std::string::npos) << attempt();
  const auto wide = build("resnet8_mnist", {.classes = 4, .channels = 1});
  save_training(path, *wide, card(), optim::SGD(parameters(*wide), {.lr = 0.1, .momentum = 0.9}), {});
  EXPECT_NE(attempt().find("fc.weight: expected (3, 64), got (4, 64)"), std::string::npos) << attempt();
  save_model(path, *saved, card());
  EXPECT_NE(attempt().find("no training to continue"), std::string::npos);
  EXPECT_TRUE(same(*mine, *untouched));
  EXPECT_EQ(own.steps(), 0);
}

}   // namespace
}   // namespace fovea::vision
