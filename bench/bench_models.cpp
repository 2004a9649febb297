// bench_models.cpp: whole networks: images a second in inference and in training (forward, backward, a step of SGD with momentum), beside the
// peak and beside PyTorch's network of the same name (peers/models_torch.py). Pictures are random numbers that are in memory already: what a
// loader costs is not in it. On a GPU both passes are recorded once and replayed (tensor/graph.h).
#include <fmt/core.h>

#include <memory>
#include <optional>

#include "autograd/loss.h"
#include "bench/report.h"
#include "optim/sgd.h"
#include "tensor/graph.h"
#include "vision/analysis/network_cost.h"
#include "vision/models/models.h"
#include "vision/training/evaluate.h"
#include "vision/training/step_graph.h"

namespace fovea::bench {
namespace {

/// One or two of each family.
const std::vector<std::string> kUsual = {"alexnet",         "vgg11",       "googlenet",        "resnet18",     "resnet50",
                                         "resnext50_32x4d", "se_resnet50", "mobilenet_v1_1.0", "mobilenet_v2", "mobilenet_v3_large",
                                         "efficientnet_b0", "vit_b_16",    "swin_t",           "convnext_tiny"};

class Network {
 public:
  Network(const Settings& s, const std::string& name, std::int64_t batch, std::int64_t size)
      : gpu_(s.device == Device::cuda), net_(make(s, name)), sgd_(net_->parameters(), {.lr = 1e-4, .momentum = 0.9, .weight_decay = 1e-4}) {
    const vision::ModelEntry& entry = vision::model(name);
    images_ = numbers(s, batch * size * size * entry.channels, 1, s.dtype()).reshape({batch, size, size, entry.channels});
    labels_ = Tensor::zeros({batch}, DType::i64, s.device);
    if (gpu_) step_graph_.emplace([this](const Tensor& images, const Tensor& labels) { return forward_and_backward(images, labels); });
  }

  /// Logits, nothing remembered.
  void infer() {
    net_->eval();
    const NoGrad no_grad;
    const auto pass = [this] { logits_ = (*net_)(Variable(images_)).value(); };
    if (!gpu_ || !logits_.defined()) return pass();   // a GPU's first takes memory from the device, so it is not the one that is recorded
    if (!inference_) inference_.emplace(pass);
    inference_->launch();
  }
  void train() {
    net_->train();
    step_graph_ ? (*step_graph_)(images_, labels_) : forward_and_backward(images_, labels_);
    sgd_.step();
  }

 private:
  static std::unique_ptr<vision::Classifier> make(const Settings& s, const std::string& name) {
    const vision::ModelEntry& entry = vision::model(name);
    manual_seed(0);
    auto net = vision::build(name, {.classes = entry.classes, .channels = entry.channels, .image_size = s.image_size});
    net->to(DType::f32, s.device);
    return net;
  }
  vision::StepOutput forward_and_backward(const Tensor& images, const Tensor& labels) {
    sgd_.zero_grad();
    const Variable logits = (*net_)(Variable(images));
    Variable loss = cross_entropy(logits, labels);
    loss.backward();
    return {.loss = loss.value(), .predicted = vision::predicted_classes(logits.value())};
  }

  bool gpu_;
  std::unique_ptr<vision::Classifier> net_;
  optim::SGD sgd_;
  Tensor images_, labels_, logits_;
  std::optional<vision::StepGraph> step_graph_;
  std::optional<CudaGraph> inference_;
};

}   // namespace

void bench_models(const Settings& s) {
  Report report(s, "models", {.unit = "images/s", .percents = {"peak"}, .others = {}});
  for (const std::string& name : s.models.empty() ? kUsual : s.models) {
    const vision::ModelEntry& entry = vision::model(name);
    const std::int64_t size = s.image_size > 0 ? s.image_size : entry.size;
    const std::int64_t batch = s.batch > 0 ? s.batch : s.device == Device::cuda ? 128 : 16;
    const vision::ModelOptions options{.classes = entry.classes, .channels = entry.channels, .image_size = s.image_size};
    const double operations = 2. * double(vision::network_cost(name, options, size, 1).total().multiply_adds);
    const auto what = [&](bool training) { return fmt::format("{}, batch {}, {}", name, batch, training ? "training" : "inference"); };
    std::vector<bool> passes{false, true};   // training?
    std::erase_if(passes, [&](bool training) { return what(training).find(s.only) == std::string::npos; });
    if (passes.empty()) continue;
    std::vector<std::string> arguments{
        name, "--batch", std::to_string(batch), "--size", std::to_string(size), "--classes", std::to_string(entry.classes)};
    if (passes.size() == 1) arguments.insert(arguments.end(), {"--only", passes[0] ? "training" : "inference"});
    const PeerTimes peer = run_peer(s, "models_torch.py", arguments);
    Network net(s, name, batch, size);
    for (const bool training : passes) {
      // A GPU's second pass records: not to be timed.
      for (int i = 0; i < 2 && s.device == Device::cuda; ++i) training ? net.train() : net.infer();
      const double seconds = median_seconds(s, {{name, [&] { training ? net.train() : net.infer(); }}})[0];
      const double rate = double(batch) / seconds, peak = measure_peak(s);
      report.line({.what = what(training),
                   .seconds = seconds,
                   .rate = rate,
                   .percents = {peak > 0 ? 100 * (training ? 3 : 1) * operations * rate / peak : 0}},
                  peer, training ? "training" : "inference");
    }
  }
}

}   // namespace fovea::bench
