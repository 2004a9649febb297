// models.h: image classifiers by name.
//
//   auto net = build("resnet18", {.classes = 10});   Variable logits = (*net)(images);
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/module.h"

namespace fovea::vision {

struct ModelOptions {
  std::int64_t classes = 10;
  std::int64_t channels = 3;   // of the images: 3 for colour, 1 for grey
};

/// x (N, H, W, channels), normalised -> logits (N, classes).
class Classifier : public nn::Module {
 public:
  /// What lies before the classifying layer: (N, features).
  virtual Variable features(const Variable& x) = 0;
};

struct ModelEntry {
  std::string name, description, paper;
  std::unique_ptr<Classifier> (*make)(const ModelOptions& o);
};

/// Every model, by family.
const std::vector<ModelEntry>& models();
/// A new model with weights from default_generator(). Throws Error for an unknown name (with the nearest known ones), ShapeError
/// for fewer than one class or channel.
std::unique_ptr<Classifier> build(const std::string& name, const ModelOptions& o = {});

}   // namespace fovea::vision
