// efficientnet.h: one network found by search, and seven grown from it. The paper, and where we depart from it: efficientnet.cpp.
#pragma once

#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "vision/models/mbconv.h"
#include "vision/models/models.h"

namespace fovea::vision {

/// The coefficients of one member; from the authors' code.
struct EfficientNetConfig {
  const char* name;
  double width, depth;
  std::int64_t size;
  double dropout;
  double eps = 1e-5, momentum = 0.1;   // of the norms; B5 to B7 were published with others
};

class EfficientNet : public Classifier {
 public:
  EfficientNet(const EfficientNetConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, 1280 width)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  EfficientNetConfig config_;
  nn::Sequential &features_, &classifier_;
  nn::Dropout* dropout_ = nullptr;
  nn::Linear* head_ = nullptr;
};

std::vector<ModelEntry> efficientnet_models();

}   // namespace fovea::vision
