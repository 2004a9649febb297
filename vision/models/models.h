// models.h: image classifiers by name.
//
//   auto net = build("resnet50", {.classes = 10});   Variable logits = (*net)(images);
//
// Each family is a file: blocks, network, a table of its variants. The table of models joins them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/module.h"

namespace fovea::vision {

struct ModelOptions {
  std::int64_t classes = 10;
  std::int64_t channels = 3;         // of the images: 3 for colour, 1 for grey
  std::int64_t image_size = 0;       // of transformers, whose position embedding has it; 0: what the model is made for
  bool small_images = false;         // a stem that keeps the resolution, for pictures of about 28 to 64 pixels
  bool auxiliary_heads = false;      // of GoogLeNet: see take_auxiliary()
  std::optional<double> dropout{};   // unset: the paper's
  double stochastic_depth = 0;       // of residual families: the probability that the last block is skipped; earlier ones less, in a line
};

/// x (N, H, W, channels), normalised -> logits (N, classes).
class Classifier : public nn::Module {
 public:
  /// What lies before the classifying layer: (N, features).
  virtual Variable features(const Variable& x) = 0;

  /// Further logits (N, classes) that the latest training pass made on its way, and how much their losses count beside the main one.
  struct Auxiliary {
    Variable logits;
    double weight;
  };
  virtual std::vector<Auxiliary> take_auxiliary() { return {}; }
};

struct ModelEntry {
  std::string name, description, paper;
  std::int64_t size;   // pixels of the square images that it is made for
  std::function<std::unique_ptr<Classifier>(const ModelOptions& o)> make;
};

/// Every model, by family.
const std::vector<ModelEntry>& models();
/// A new model with weights from default_generator(). Throws Error for an unknown name (with the nearest known ones), ShapeError
/// for fewer than one class or channel, or for an option out of range.
std::unique_ptr<Classifier> build(const std::string& name, const ModelOptions& o = {});

}   // namespace fovea::vision
