#include "examples/cli/given_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "nn/init.h"
#include "nn/state.h"
#include "tensor/pytorch_file.h"

namespace fovea::cli {
namespace {

TensorFile read_weights(const std::string& path) {
  return is_pytorch_file(path) ? read_pytorch_file(path).tensors : read_safetensors(path);
}

/// Of the last parameter, the classifier's bias; 1000, as published, where the file has none of that name (loading tells what is wrong then).
std::int64_t classes_in(const TensorFile& weights, const std::string& model, vision::ModelOptions o) {
  o.classes = 1;
  const auto parameters = vision::build(model, o)->parameters();
  const Tensor* bias = weights.find(parameters.back().first);
  return bias && bias->rank() == 1 && bias->dim(0) > 0 ? bias->dim(0) : 1000;
}

std::string first_of(const std::vector<std::string>& list) {
  return list.empty() ? "" : fmt::format(" ({}{})", list[0], list.size() > 1 ? ", ..." : "");
}

}   // namespace

void NetworkFlags::add_to(Command& command) {
  command.text("model", model, "the network's name, as in resnet50", {.type = "NAME", .required = true});
  command.text("--weights", weights, "its weights in PyTorch's names and layout: .safetensors, .pth or .pt",
               {.type = "FILE", .required = true});
  command.text("--layout", layout,
               fmt::format("order of the axes of images in files [{}]; weights and their gradients always have PyTorch's", layout),
               {.choices = {"nhwc", "nchw"}});
  command.number("--classes", classes, "number of classes [what the weights have]", {.low = 1, .high = 1'000'000});
  command.number("--image-size", image_size, "of transformers: the size of the pictures that the weights are for [the network's own]",
                 {.low = 1, .high = 100'000});
  command.flag("--train", train, "as in training: batch norms use the batch's statistics; dropout and stochastic depth stay off");
  machine.add_to(command);
}

std::unique_ptr<vision::Classifier> given_network(const NetworkFlags& flags, std::int64_t channels) {
  const TensorFile weights = read_weights(flags.weights);
  const bool auxiliary =
      std::any_of(weights.tensors.begin(), weights.tensors.end(), [](const auto& entry) { return entry.first.starts_with("aux1."); });
  vision::ModelOptions o{.channels = channels, .image_size = flags.image_size, .auxiliary_heads = auxiliary};
  if (flags.train) o.dropout = 0;
  const nn::NoInit no_init;
  o.classes = flags.classes > 0 ? flags.classes : classes_in(weights, flags.model, o);
  auto net = vision::build(flags.model, o);
  net->to(DType::f32, flags.machine.where());
  const nn::LoadReport report = nn::load_state_dict(*net, weights);
  if (!report.missing.empty() || !report.wrong_shape.empty())
    throw Error(fmt::format("{}: not the weights of {} with {} classes: {} entries fit, {} are missing{}, {} have another shape{}",
                            flags.weights, flags.model, o.classes, report.matched.size(), report.missing.size(), first_of(report.missing),
                            report.wrong_shape.size(), first_of(report.wrong_shape)));
  net->train(flags.train);
  return net;
}

Tensor given_tensor(const TensorFile& file, const std::string& path, const std::string& name, int rank) {
  const Tensor* t = file.find(name);
  if (!t) throw Error(fmt::format("{}: expected a tensor \"{}\"", path, name));
  const bool floats = t->dtype() == DType::f32 || t->dtype() == DType::f64 || t->dtype() == DType::bf16;
  if (t->rank() != rank || !floats || t->elements() == 0)
    throw Error(fmt::format("{}: expected {} to be of rank {} and in floats, got {} of {}", path, name, rank, t->shape().str(),
                            name_of(t->dtype())));
  const std::vector<float> values = t->to_vector<float>();
  const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad != values.end()) throw Error(fmt::format("{}: element {} of {} is not a finite number", path, bad - values.begin(), name));
  return t->to(DType::f32);
}

}   // namespace fovea::cli
