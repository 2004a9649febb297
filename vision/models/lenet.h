// lenet.h: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B, Fig. 2: LeNet-5, for 32x32 digits.
//
// Departures, as everybody makes them: averages without weights of their own, C3 connected to all of S2 (the paper's Table I leaves out
// connections), plain tanh, a linear layer with softmax for the radial basis functions. 28x28 pictures are padded to 32x32 by the first
// convolution.
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
