// run.cpp: `fovea run`: tensors in, tensors out, to compare a network with any other program by hand.
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <optional>

#include "autograd/arithmetic.h"
#include "autograd/dot.h"
#include "autograd/loss.h"
#include "autograd/shape_ops.h"
#include "examples/cli/given_network.h"
#include "nn/state.h"
#include "vision/analysis/fixed_numbers.h"
#include "vision/models/models.h"
#include "vision/text.h"

namespace fovea::cli {
namespace {

struct RunFlags {
  NetworkFlags network;
  std::string input, output;
  std::vector<std::string> dump;
  bool grad = false;
};

bool matches(const std::string& pattern, const std::string& path) { return fnmatch(pattern.c_str(), path.c_str(), 0) == 0; }

/// Throws UsageError for a pattern that no module has.
void check_patterns(const std::vector<std::string>& patterns, nn::Module& net) {
  std::vector<std::string> paths;
  net.apply([&](nn::Module& m) {
    if (!m.path().empty()) paths.push_back(m.path());
  });
  for (const std::string& pattern : patterns)
    if (std::none_of(paths.begin(), paths.end(), [&](const std::string& path) { return matches(pattern, path); }))
      throw UsageError(fmt::format("--dump {}: the network has no such layer{}", pattern, vision::did_you_mean(pattern, paths)));
}

/// <logits, direction>, or the sum of the cross-entropies where there are labels.
Variable loss_of(const Variable& logits, const Tensor& labels, int head) {
  if (labels.defined()) return cross_entropy(logits, labels, {.reduction = Reduction::sum});
  return dot(convert(logits, DType::f32), vision::fixed_numbers("direction" + std::to_string(head), logits.shape()).to(logits.device()));
}

int run(const RunFlags& flags) {
  flags.network.machine.apply(stderr);
  const vision::ImageLayout layout = flags.network.image_layout();
  const TensorFile in = read_safetensors(flags.input);
  const Tensor x = vision::from_layout(given_tensor(in, flags.input, "x", 4), layout)
                       .to(flags.network.machine.dtype())
                       .to(flags.network.machine.where());
  const Tensor* labels = in.find("y");
  if (labels && (labels->dtype() != DType::i64 || !(labels->shape() == Shape{x.dim(0)})))
    throw Error(fmt::format("{}: expected y to be {} labels in int64, got {} of {}", flags.input, x.dim(0), labels->shape().str(),
                            name_of(labels->dtype())));
  const auto net = given_network(flags.network, x.dim(3));
  check_patterns(flags.dump, *net);

  TensorFile out;
  const auto wanted = [&](const std::string& path) {
    return std::any_of(flags.dump.begin(), flags.dump.end(), [&](const std::string& pattern) { return matches(pattern, path); });
  };
  auto handles = vision::listen(*net, wanted, [&](const std::string& path, const nn::Module&, const Variable&, const Variable& y) {
    if (!path.empty()) out.tensors.emplace_back(path, vision::to_layout(y.value().to(DType::f32), layout));   // the root's are the logits
  });

  std::optional<NoGrad> no_grad;
  if (!flags.grad) no_grad.emplace();
  const Variable logits = (*net)(Variable(x));
  handles.clear();
  out.tensors.emplace_back("logits", logits.value().to(DType::f32));
  const auto auxiliary = net->take_auxiliary();
  for (std::size_t i = 0; i < auxiliary.size(); ++i)
    out.tensors.emplace_back(fmt::format("auxiliary.{}", i), auxiliary[i].logits.value().to(DType::f32));
  if (flags.grad) {
    Variable loss = loss_of(logits, labels ? labels->to(x.device()) : Tensor(), 0);
    for (std::size_t i = 0; i < auxiliary.size(); ++i)
      loss = loss +
             scale(loss_of(auxiliary[i].logits, labels ? labels->to(x.device()) : Tensor(), static_cast<int>(i) + 1), auxiliary[i].weight);
    loss.backward();
    out.tensors.emplace_back("loss", loss.value());
    for (const auto& [name, p] : net->parameters())
      if (p->value.has_grad()) out.tensors.emplace_back("grad." + name, nn::to_disk(p->value.grad(), p->layout));
  }
  out.metadata["model"] = flags.network.model;
  out.metadata["layout"] = flags.network.layout;
  write_safetensors(flags.output, out);
  fmt::print("{}: {} tensors, logits {}\n", flags.output, out.tensors.size(), logits.shape().str());
  return 0;
}

}   // namespace

void add_run(CommandLine& line) {
  Command command = line.command("run", "Run a network on tensors from a file and write its logits, layers' outputs and gradients.");
  auto flags = std::make_shared<RunFlags>();
  flags->network.add_to(command);
  command.text("--input", flags->input, "safetensors with the normalised images \"x\" and, for --grad, perhaps labels \"y\" (int64)",
               {.type = "FILE", .required = true});
  command.text("--output", flags->output, "safetensors to write: \"logits\", and what is asked for", {.type = "FILE", .required = true});
  command.texts("--dump", flags->dump,
                "also the outputs of layers, under their dotted names: layer1.0.conv1, 'layer1.*'; a second run is NAME#2",
                {.type = "LAYERS"});
  command.flag(
      "--grad", flags->grad,
      "also \"loss\" and \"grad.NAME\" of every parameter: of the summed cross-entropy with the labels y; without labels, of the sum of "
      "logits times the fixed numbers named direction0 (tests/parity/model_formula.py makes them in Python)");
  command.action([flags] { return run(*flags); });
}

}   // namespace fovea::cli
