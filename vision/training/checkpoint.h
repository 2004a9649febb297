// checkpoint.h: a network in a file that says what it is, and a training run in a file from which it continues bit for bit.
//
// Both are safetensors. The entries under the network's own names are its parameters and buffers in PyTorch's layout, so other
// programs can read them; a training checkpoint has the optimiser's memory beside them, under "optimizer." (of a parameter's
// shape in memory). The metadata:
//   format "fovea", version "1"
//   model, input (JSON: [height, width, channels]), resize (JSON: the shorter side of pictures before their middle is cut out; 0: they have
//   the size of the input), interpolation ("bilinear" or "bicubic", of the resizing; absent: bilinear), classes (JSON: names), mean, std (JSON: per channel)
//   recipe (TOML: what decided the result; neither threads nor paths, so equal runs give equal files)
//   state (JSON, training checkpoints only)
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/module.h"
#include "optim/optimizer.h"
#include "tensor/safetensors.h"
#include "vision/models/models.h"
#include "vision/transforms/transform.h"

namespace fovea::vision {

/// What somebody who has only the file must know to use the network.
struct ModelCard {
  std::string model;   // for build()
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t resize = 0;   // as InputOptions has it
  ResizeFilter filter = ResizeFilter::bilinear;
  std::vector<std::string> class_names;
  std::vector<float> mean, std;   // of pixels / 255, per channel
  std::string recipe;
};
/// What its pictures go through.
inline InputOptions input_options(const ModelCard& card) {
  return {.height = card.height, .width = card.width, .resize = card.resize, .filter = card.filter};
}
/// How the card's network is built: as its recipe says; pictures of up to 64 pixels get the stem for small ones.
ModelOptions model_options(const ModelCard& card);

/// Where a run stands: `step` steps of epoch number `epoch` (0, 1, ...) are done.
struct TrainingState {
  std::int64_t epoch = 0, step = 0;
  double loss_sum = 0;                                    // over the images of the epoch so far
  std::int64_t images = 0, correct = 0;                   // likewise
  double best_val_loss = 0, best_val_top1 = 0;            // of best_epoch
  std::int64_t best_epoch = 0;                            // 1, 2, ...; 0: none yet
  std::uint64_t generator_seed = 0, generator_used = 0;   // of default_generator()
};

struct LoadedModel {
  ModelCard card;
  std::unique_ptr<Classifier> network;
};
/// Writes the network alone. As with write_safetensors, `path` holds the old file or the new one, whatever happens.
void save_model(const std::filesystem::path& path, nn::Module& network, const ModelCard& card);
/// Builds the network that the file names and loads it; for training checkpoints too. Throws Error naming the file: not a
/// checkpoint, cut short, a model this build does not know, weights that do not fit it.
LoadedModel load_model(const std::filesystem::path& path, Device device = Device::cpu);
/// The same of a file that has been read; `path` stands in messages.
LoadedModel load_model(const std::filesystem::path& path, TensorFile file, Device device);

void save_training(const std::filesystem::path& path, nn::Module& network, const ModelCard& card, const optim::Optimizer& optimizer,
                   const TrainingState& state);
/// Puts a run back: weights and buffers into `network`, its memory into `optimizer`. Throws Error naming the file: as load_model, and when
/// the file is another model's, another recipe's or no training checkpoint. Then nothing has changed.
TrainingState load_training(const std::filesystem::path& path, nn::Module& network, const ModelCard& card, optim::Optimizer& optimizer);

}   // namespace fovea::vision
