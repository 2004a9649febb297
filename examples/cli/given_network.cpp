#include "examples/cli/given_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "nn/dropout.h"
#include "vision/weights/open_model.h"

namespace fovea::cli {
void NetworkFlags::add_to(Command& command) {
  command.text("model", model, "the network's name, as in resnet50", {.type = "NAME", .required = true});
  command.text("--weights", weights, "its weights in PyTorch's names and layout: .safetensors, .pth or .pt",
               {.type = "FILE", .required = true});
  command.text("--layout", layout,
               fmt::format("order of the axes of images in files [{}]; weights and their gradients always have PyTorch's", layout),
               {.choices = {"nhwc", "nchw"}});
  command.number("--classes", classes, "number of classes [what the weights have]", {.low = 1, .high = 1'000'000});
  command.number("--image-size", image_size, "side of the pictures that the weights are for [what the weights say]",
                 {.low = 1, .high = 100'000});
  command.flag("--train", train, "as in training: batch norms use the batch's statistics; dropout and stochastic depth stay off");
  machine.add_to(command);
}

std::unique_ptr<vision::Classifier> given_network(const NetworkFlags& flags, std::int64_t channels) {
  const vision::ImportOptions o{.classes = flags.classes, .channels = channels, .image_size = flags.image_size};
  vision::OpenedModel opened = vision::open_model(flags.weights, flags.model, o, stderr, flags.machine.where());
  require_all(opened, flags.weights);
  nn::Module& net = *opened.model.network;
  net.train(flags.train);
  net.apply([](nn::Module& m) {
    if (dynamic_cast<nn::Dropout*>(&m) || dynamic_cast<nn::StochasticDepth*>(&m)) m.eval();
  });
  return std::move(opened.model.network);
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
