// lenet.h: LeNet-5, for digits of 32x32. The paper, and where we depart from it: lenet.cpp.
#pragma once

#include "nn/linear.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

class LeNet5 : public Classifier {
 public:
  explicit LeNet5(const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, 84)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "LeNet5"; }

 private:
  nn::Sequential &features_, &classifier_;
  nn::Linear* head_ = nullptr;
};

std::vector<ModelEntry> lenet_models();

}   // namespace fovea::vision
