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
  bool recompute = false;            // of ResNet, EfficientNet, ViT, Swin, ConvNeXt: blocks keep their input alone and run again backwards
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

/// Share of the validation or test images, in %, whose likeliest class was theirs: ImageNet, one crop of the middle, unless `of` says more.
struct PublishedAccuracy {
  double top1;
  std::string of;   // whose weights, or the table of a paper
};

/// Which of the ModelOptions mean something to a family. build() refuses the others.
struct AcceptedOptions {
  bool dropout = false, stochastic_depth = false, auxiliary_heads = false, recompute = false;
};

struct ModelEntry {
  std::string name, description;
  std::string paper;   // "Authors year, Title, arXiv:number"
  std::int64_t size;   // pixels of the square images that it is made for
  std::function<std::unique_ptr<Classifier>(const ModelOptions& o)> make;
  std::int64_t channels = 3, classes = 1000;   // that it was published with
  std::string family = {};                     // set by models(), like the next
  AcceptedOptions accepts = {};
  std::optional<PublishedAccuracy> published = {};
  int year() const;   // of the paper
  /// Throws ShapeError unless o is in range, and asks for nothing that the family does not have.
  void check(const ModelOptions& o) const;
};

/// What published.cpp says of a model; nothing if it does not know it.
std::optional<PublishedAccuracy> published_accuracy(const std::string& model);

/// Every model, by family.
const std::vector<ModelEntry>& models();
/// Throws Error for an unknown name, with the nearest known ones.
const ModelEntry& model(const std::string& name);
/// model(name), checked and made, with weights from default_generator().
std::unique_ptr<Classifier> build(const std::string& name, const ModelOptions& o = {});

}   // namespace fovea::vision
