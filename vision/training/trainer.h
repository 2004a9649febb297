// trainer.h: the training of an image classifier, from a recipe to a tested network in a run folder.
//
//   epoch: the training pictures in a new order, a batch at a time:
//     forward     logits = network(images)
//     loss        how far the softmax of the logits is from the labels
//     backward    d loss / d parameter, for every parameter
//     step        each parameter a little against its gradient; how little, the schedule says
//   after each epoch: accuracy on the validation pictures; the best network so far is kept
//   after the last:   the test pictures, once, with that best network (a data set without test pictures: the validation pictures again)
//
// Equal recipes give equal files, bit for bit, with any number of threads. So does a run that was interrupted and resumed: weights are
// a function of the files and the recipe, and pictures' order and augmentation are functions of (seed, epoch, picture).
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>

#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "vision/data/pictures.h"
#include "vision/training/checkpoint.h"
#include "vision/training/evaluate.h"
#include "vision/training/progress.h"
#include "vision/training/recipe.h"
#include "vision/training/run_folder.h"
#include "vision/training/step_graph.h"

namespace fovea::vision {

struct TrainOptions {
  bool resume = false;               // go on from the folder's last.safetensors, if it has one
  std::function<bool()> stop = {};   // asked after each step; true: save and return
  std::FILE* progress = nullptr;     // where Progress shows itself; null: nowhere
};

struct TrainingResult {
  bool interrupted = false;   // then the rest is not set
  std::int64_t best_epoch = 0;
  double best_val_top1 = 0;
  double seconds = 0;     // of all epochs, resumed or not
  bool on_test = true;    // false: there are no test pictures; `test` is of the validation pictures
  Evaluation test = {};   // by the network of best_epoch
};

/// The network's input for these pictures: image_size or, unset, the size they all have, or 224 where they differ; resized to resize_size or,
/// unset, to image_size * 256 / 224, unless they all have the input's size. Throws RecipeError for sizes that do not go together.
InputOptions input_of(const Recipe& recipe, const DataSplits& data);
AugmentOptions augment_of(const Recipe& recipe, const InputOptions& input);

/// The recipe's optimiser, with the network's parameters moved into its arena.
std::unique_ptr<optim::Optimizer> make_optimizer(const Recipe& r, nn::Module& network);

class Trainer {
 public:
  /// Builds the network, or throws ShapeError: fewer training pictures than a batch, sizes that do not go together.
  Trainer(const Recipe& recipe, DataSplits data, RunFolder folder, TrainOptions o);
  nn::Module& network() { return *network_; }
  /// Throws Error: a file cannot be written or read, a picture is damaged, the loss is no longer a number. Saved checkpoints stay as they are.
  TrainingResult run();

 private:
  void begin_with_weights();
  /// False: interrupted.
  bool train_epoch();
  /// Forward, loss, backward.
  StepOutput step(const Tensor& images, const Tensor& labels);
  void read_steps();
  void finish_epoch();
  void save();
  void resume();
  TrainingResult test();
  Evaluation evaluate_on(nn::Module& network, const Pictures& pictures) const;

  Recipe recipe_;
  DataSplits data_;
  RunFolder folder_;
  TrainOptions o_;
  Device device_;
  Normalize normalize_;
  InputOptions input_;
  AugmentOptions augment_;
  ModelCard card_;
  std::unique_ptr<Classifier> network_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  optim::Schedule schedule_;
  std::int64_t steps_;   // in an epoch
  TrainingState state_;
  /// What a step leaves where the network is, until the host reads it: with a GPU only now and then, as that waits for all that is queued.
  struct UnreadStep {
    std::int64_t step;   // 1, 2, ... in the epoch
    double lr;
    StepOutput output;
    Tensor labels;
  };
  std::vector<UnreadStep> unread_;
  std::optional<StepGraph> graph_;   // of step()
  std::optional<Progress> progress_;
  double epoch_seconds_ = 0, epoch_images_per_s_ = 0;   // of training alone, since the epoch began or was resumed
};

}   // namespace fovea::vision
