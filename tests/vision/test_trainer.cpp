// Training end to end on small made-up pictures: it learns, it is the same bytes for any number of threads, an interrupted run that is
// resumed ends with the same bytes, and what goes wrong leaves what was saved.
#include "vision/training/trainer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/parallel.h"
#include "tests/temporary_folder.h"

namespace fovea::vision {
namespace {

namespace fs = std::filesystem;

/// Bright stripes, lying, standing or slanting, in noise: 13x13 grey pictures of three classes.
Pictures stripes(std::int64_t n, std::uint64_t seed) {
  const RandomKey key{.seed = seed};
  Tensor images = Tensor::empty({n, 13, 13, 1}, DType::u8);
  std::vector<std::int64_t> labels;
  std::uint8_t* x = images.data<std::uint8_t>();
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t c = i % 3;
    labels.push_back(c);
    for (std::int64_t r = 0; r < 13; ++r)
      for (std::int64_t s = 0; s < 13; ++s) {
        const std::int64_t phase = (c == 0 ? r : c == 1 ? s : r + s) + i / 3;
        *x++ = static_cast<std::uint8_t>(100 + (phase % 4 < 2 ? 60 : 0) +
                                         static_cast<int>(key.below(static_cast<std::uint64_t>((i * 13 + r) * 13 + s), 90)));
      }
  }
  return {images, labels, {"lying", "standing", "slanting"}};
}

DataSplits data() {
  return {.name = "stripes", .train = stripes(101, 1), .validation = stripes(30, 2), .test = stripes(31, 3), .mean = {0.6f}, .std = {0.2f}};
}

/// 101 pictures at 16 a batch: 6 steps an epoch, 5 pictures left over.
Recipe recipe() {
  Recipe r;
  r.epochs = 3;
  r.batch = 16;
  r.lr = 0.05;
  r.crop_padding = 1;
  return r;
}

std::string bytes(const fs::path& p) {
  std::ifstream in(p, std::ios::binary);
  EXPECT_TRUE(in) << p;
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The lines without what depends on the clock.
std::vector<nlohmann::json> metrics(const RunFolder& run) {
  std::vector<nlohmann::json> out;
  for (const std::string& line : run.metrics_lines()) {
    out.push_back(nlohmann::json::parse(line));
    out.back().erase("seconds");
    out.back().erase("images_per_s");
  }
  return out;
}

class TrainerTest : public testing::Test {
 protected:
  ~TrainerTest() override { kernels::set_threads(threads_); }
  RunFolder train(const std::string& name, const Recipe& r = recipe()) {
    RunFolder run = RunFolder::create(root_ / name);
    EXPECT_FALSE(Trainer(r, data(), run, {}).run().interrupted);
    return run;
  }
  TemporaryFolder temporary_;
  const fs::path root_ = temporary_.path();
  int threads_ = kernels::threads();
};

TEST_F(TrainerTest, LearnsAndWritesItsFolder) {
  Recipe r = recipe();
  r.epochs = 8;
  RunFolder run = RunFolder::create(root_ / "a");
  const TrainingResult result = Trainer(r, data(), run, {}).run();
  EXPECT_GE(result.test.top1, 0.9);   // chance is 1/3
  EXPECT_EQ(result.test.predictions.size(), 31u);
  const auto lines = metrics(run);
  ASSERT_EQ(lines.size(), 9u);
  for (int e = 0; e < 8; ++e) {
    EXPECT_EQ(lines[static_cast<std::size_t>(e)].at("epoch"), e + 1);
    for (const char* key : {"train_loss", "train_top1", "val_loss", "val_top1", "lr"})
      EXPECT_TRUE(lines[static_cast<std::size_t>(e)].at(key).is_number()) << key;
  }
  EXPECT_LT(lines[7].at("train_loss"), lines[0].at("train_loss"));
  EXPECT_EQ(lines[8].at("test_top1"), result.test.top1);
  EXPECT_TRUE(run.finished());
  // best.safetensors is the network that was tested
  const LoadedModel best = load_model(run.best());
  EXPECT_EQ(evaluate(*best.network, data().test, {best.card.mean, best.card.std}).predictions, result.test.predictions);
}

TEST_F(TrainerTest, SameBytesForAnyNumberOfThreads) {
  kernels::set_threads(1);
  const RunFolder a = train("a");
  for (const int n : {2, 3}) {
    kernels::set_threads(n);
    const RunFolder b = train("b" + std::to_string(n));
    EXPECT_EQ(bytes(a.last()), bytes(b.last())) << n << " threads";
    EXPECT_EQ(bytes(a.best()), bytes(b.best())) << n << " threads";
    EXPECT_EQ(metrics(a), metrics(b)) << n << " threads";
  }
}

TEST_F(TrainerTest, AnotherSeedIsAnotherRun) {
  Recipe r = recipe();
  const RunFolder a = train("a", r);
  r.seed = 1;
  EXPECT_NE(metrics(a)[0].at("train_loss"), metrics(train("b", r))[0].at("train_loss"));
}

TEST_F(TrainerTest, InterruptedAndResumedEndsWithTheSameBytes) {
  const RunFolder whole = train("whole");
  for (const int after : {1, 6, 8, 17, 18}) {   // steps: the first, the last of an epoch, in the middle, the last but one, the last of all
    const RunFolder run = RunFolder::create(root_ / ("cut" + std::to_string(after)));
    int steps = 0;
    ASSERT_TRUE(Trainer(recipe(), data(), run, {.stop = [&] { return ++steps == after; }}).run().interrupted);
    EXPECT_EQ(steps, after);
    EXPECT_FALSE(run.finished());
    EXPECT_FALSE(Trainer(recipe(), data(), run, {.resume = true}).run().interrupted);
    EXPECT_EQ(bytes(run.last()), bytes(whole.last())) << "after step " << after;
    EXPECT_EQ(bytes(run.best()), bytes(whole.best())) << "after step " << after;
    EXPECT_EQ(metrics(run), metrics(whole)) << "after step " << after;
  }
}

/// Every optimiser learns, with clipping and undecayed vectors, and is put back bit for bit.
TEST_F(TrainerTest, EveryOptimizerLearnsAndResumes) {
  for (const auto& [name, lr] : {std::pair{"adam", 0.01}, {"adamw", 0.01}, {"rmsprop", 0.003}, {"lars", 5.}, {"lamb", 0.02}}) {
    SCOPED_TRACE(name);
    Recipe r = recipe();
    r.optimizer = name;
    r.lr = lr;
    r.decay_vectors = false;
    r.clip_norm = 1;
    const RunFolder whole = train(std::string("whole_") + name, r), run = RunFolder::create(root_ / name);
    EXPECT_LT(metrics(whole)[2].at("train_loss"), metrics(whole)[0].at("train_loss"));
    int steps = 0;
    ASSERT_TRUE(Trainer(r, data(), run, {.stop = [&] { return ++steps == 8; }}).run().interrupted);
    EXPECT_FALSE(Trainer(r, data(), run, {.resume = true}).run().interrupted);
    EXPECT_EQ(bytes(run.last()), bytes(whole.last()));
    r.clip_norm = 0.1;   // each setting changes the result
    EXPECT_NE(bytes(train(std::string("clipped_") + name, r).last()), bytes(whole.last()));
    r.clip_norm = 1, r.decay_vectors = true;
    EXPECT_NE(bytes(train(std::string("decayed_") + name, r).last()), bytes(whole.last()));
  }
}

/// DeiT is judged by the mean of two heads, so both have to learn: they start as zeros.
TEST_F(TrainerTest, HeadsOnTheSideLearnToo) {
  Recipe r = recipe();
  r.model = "deit_tiny_distilled_p16";
  r.image_size = 16;   // 4x4 patches
  r.epochs = 1;
  r.train_limit = 32;
  const LoadedModel trained = load_model(train("deit", r).best());
  for (const auto& [name, p] : trained.network->parameters())
    if (name == "heads.head.weight" || name == "heads.head_dist.weight") {
      double largest = 0;
      for (const double w : p->value.value().to_vector<double>()) largest = std::max(largest, std::abs(w));
      EXPECT_GT(largest, 1e-4) << name;
    }
}

TEST_F(TrainerTest, ResumesAfterAKillBetweenTwoFiles) {
  const RunFolder whole = train("whole"), run = RunFolder::create(root_ / "killed");
  int steps = 0;
  Trainer(recipe(), data(), run, {.stop = [&] { return ++steps == 8; }}).run();
  // Killed at the end of epoch 2, after its line and its best network and before last.safetensors:
  std::vector<std::string> lines = run.metrics_lines();
  lines.push_back(whole.metrics_lines()[1]);
  run.write_metrics(lines);
  Trainer(recipe(), data(), run, {.resume = true}).run();
  EXPECT_EQ(metrics(run), metrics(whole));
  EXPECT_EQ(bytes(run.last()), bytes(whole.last()));

  // Killed before anything was saved: resuming starts from the beginning.
  const RunFolder fresh = RunFolder::create(root_ / "fresh");
  Trainer(recipe(), data(), fresh, {.resume = true}).run();
  EXPECT_EQ(bytes(fresh.last()), bytes(whole.last()));
}

TEST_F(TrainerTest, AnUnwritableFileKeepsTheCheckpointBefore) {
  const RunFolder run = RunFolder::create(root_ / "a");
  int steps = 0;
  Trainer(recipe(), data(), run, {.stop = [&] { return ++steps == 8; }}).run();
  const std::string before = bytes(run.last());
  fs::create_directory(run.last().string() + ".tmp");   // as good as a full disk, and root is stopped too
  EXPECT_THROW(Trainer(recipe(), data(), run, {.resume = true}).run(), Error);
  EXPECT_EQ(bytes(run.last()), before);
  fs::remove(run.last().string() + ".tmp");
  EXPECT_FALSE(Trainer(recipe(), data(), run, {.resume = true}).run().interrupted);
}

TEST_F(TrainerTest, DivergenceIsAnErrorThatNamesTheEpoch) {
  Recipe r = recipe();
  r.lr = 100;
  r.weight_decay = 1;   // w <- (1 - lr * decay) w: grows a hundredfold a step
  r.momentum = 0;
  r.warmup = 0;
  r.epochs = 50;
  try {
    Trainer(r, data(), RunFolder::create(root_ / "a"), {}).run();
    FAIL() << "a diverging run ended well";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("epoch "), std::string::npos) << e.what();
  }
}

TEST_F(TrainerTest, ABatchMustFitTheTrainingPictures) {
  Recipe r = recipe();
  r.batch = 102;
  EXPECT_THROW(Trainer(r, data(), RunFolder::create(root_ / "a"), {}), ShapeError);
  r.batch = 16;
  r.train_limit = 15;
  EXPECT_THROW(Trainer(r, data(), RunFolder::create(root_ / "b"), {}), ShapeError);
}

TEST_F(TrainerTest, TheReferenceDeviceTrainsTheSameWithinRounding) {
  Recipe r = recipe();
  r.epochs = 1;
  r.train_limit = 32;
  const double on_cpu = metrics(train("cpu", r))[0].at("train_loss");
  r.device = "reference";
  // two steps of float32 against loops that add in double
  EXPECT_NEAR(metrics(train("reference", r))[0].at("train_loss"), on_cpu, 1e-4 * on_cpu);
}

TEST_F(TrainerTest, ARunFolderIsNotOverwritten) {
  train("a");
  EXPECT_THROW(RunFolder::create(root_ / "a"), Error);
  EXPECT_THROW(RunFolder::open(root_ / "none"), Error);
  std::ofstream(root_ / "file") << "x";
  EXPECT_THROW(RunFolder::create(root_ / "file"), Error);
  EXPECT_THROW(RunFolder::create(root_ / "file" / "below"), Error);
  EXPECT_EQ(RunFolder::free_name(root_, "m"), root_ / "m-1");
  RunFolder::create(root_ / "m-1");
  EXPECT_EQ(RunFolder::free_name(root_, "m"), root_ / "m-2");
}

}   // namespace
}   // namespace fovea::vision
