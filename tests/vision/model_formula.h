// model_formula.h: weights and pictures from a formula. The other half is tests/parity/model_formula.py.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "nn/batch_norm.h"
#include "nn/init.h"
#include "nn/state.h"
#include "vision/analysis/compare_activations.h"
#include "vision/analysis/fixed_numbers.h"
#include "vision/models/models.h"

namespace fovea::vision {

/// Through a state dictionary, so that the numbers are in PyTorch's order: (out, in, height, width). With `exponents`, one per batch norm in
/// order of the names, running variances are multiplied by 4^e and means by 2^e: then activations neither grow nor vanish. `away`: activations
/// see nothing near their kinks, where gradients jump.
inline void fill(nn::Module& net, const Tensor* exponents = nullptr, bool away = false) {
  std::vector<std::string> norms;
  net.apply([&](nn::Module& m) {
    if (dynamic_cast<nn::BatchNorm2d*>(&m)) norms.push_back(m.path());
  });
  std::sort(norms.begin(), norms.end());
  ASSERT_EQ(exponents ? exponents->elements() : std::ssize(norms), std::ssize(norms));
  const auto exponent = [&](const std::string& entry) -> double {
    const auto at = std::find(norms.begin(), norms.end(), entry.substr(0, entry.rfind('.')));
    return exponents ? static_cast<double>(exponents->data<std::int64_t>()[at - norms.begin()]) : 0;
  };
  TensorFile file = nn::state_dict(net);
  const bool normed = std::any_of(file.tensors.begin(), file.tensors.end(),
                                  [](const auto& entry) { return entry.second.rank() == 1 && entry.first.ends_with("weight"); });
  for (auto& [name, t] : file.tensors) {
    if (t.dtype() == DType::i64) continue;
    const DType dtype = t.dtype();
    double factor = 1, offset = 0;
    if (t.rank() == 2 || t.rank() == 4)
      factor = std::sqrt(24. / static_cast<double>(t.elements() / t.dim(0)));
    else if (name.ends_with("running_var"))
      offset = std::exp2(2 * exponent(name)), factor = 0.4 * offset;
    else if (name.ends_with("running_mean"))
      factor = 0.4 * std::exp2(exponent(name));
    else if (t.rank() == 1)
      factor = 0.4, offset = name.ends_with("weight") ? 1 : 0;
    const bool moved = away && (!normed || std::binary_search(norms.begin(), norms.end(), name.substr(0, name.rfind('.'))));
    if (moved && name.ends_with("weight")) factor *= normed ? 0.4 : 0.25, offset *= 0.4;
    if (!moved || !name.ends_with("bias")) {
      t = fixed_numbers(name, t.shape(), factor, offset, dtype);
      continue;
    }
    Tensor biases = fixed_numbers(name, t.shape(), factor, offset, DType::f64);
    for (std::int64_t i = 0; i < biases.elements(); ++i) biases.data<double>()[i] += i % 2 ? 1.5 : -1.5;
    t = biases.to(dtype);
  }
  ASSERT_TRUE(nn::load_state_dict(net, file).complete());
}

/// (batch, channels, size, size) in PyTorch, here (batch, size, size, channels).
inline Tensor picture(std::int64_t size, std::int64_t batch = 1, std::int64_t channels = 3) {
  return from_layout(fixed_numbers("x", {batch, channels, size, size}, 4), ImageLayout::nchw);
}

/// Of MODEL@SIZE, with 10 classes and weights to be filled.
inline std::unique_ptr<Classifier> empty_network(const std::string& model, std::int64_t size, ModelOptions o = {}) {
  const nn::NoInit no_init;
  o.classes = 10;
  o.channels = vision::model(model).channels;
  o.image_size = model.starts_with("vit") || model.starts_with("deit") ? size : 0;
  return build(model, o);
}

/// gtest names have letters, digits and underscores only.
inline std::string test_name(const testing::TestParamInfo<std::string>& p) {
  std::string name = p.param;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

}   // namespace fovea::vision
