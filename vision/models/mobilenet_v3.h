// mobilenet_v3.h: the mobile networks found by search, large and small. The paper: mobilenet_v3.cpp.
#pragma once

#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "vision/models/mbconv.h"
#include "vision/models/models.h"

namespace fovea::vision {

struct MobileNetV3Config {
  /// A row of Table 1 or 2.
  struct Row {
    std::int64_t kernel, expanded, out;
    bool se, hard_swish;   // else no SE, ReLU
    std::int64_t stride;
  };
  std::string name;
  std::vector<Row> rows;
  std::int64_t last;   // units of the layer before the classifying one
};

class MobileNetV3 : public Classifier {
 public:
  MobileNetV3(const MobileNetV3Config& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, last)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  MobileNetV3Config config_;
  nn::Sequential &features_, &classifier_;
  nn::Linear* head_ = nullptr;
};

std::vector<ModelEntry> mobilenet_v3_models();

}   // namespace fovea::vision
