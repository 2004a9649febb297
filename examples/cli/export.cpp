// export.cpp: `fovea export`: a checkpoint's network as PyTorch knows it: torchvision's names, OIHW filters, nothing else in the file.
#include <fmt/format.h>

#include "examples/cli/commands.h"
#include "nn/state.h"
#include "tensor/pytorch_file.h"
#include "vision/training/checkpoint.h"

namespace fovea::cli {
namespace {

int export_model(const std::string& in, const std::string& out) {
  const std::string extension = std::filesystem::path(out).extension();
  const bool safetensors = extension == ".safetensors";
  if (!safetensors && extension != ".pth" && extension != ".pt")
    throw UsageError(fmt::format("{}: expected a name that ends with .safetensors, .pth or .pt", out));
  const vision::LoadedModel model = vision::load_model(in);
  TensorFile file = nn::state_dict(*model.network);
  file.metadata = {{"format", "pt"}};   // as PyTorch's programs write it
  safetensors ? write_safetensors(out, file) : write_pytorch_file(out, file);
  fmt::print("{}: {} entries, {} parameters, of {} with {} classes\n", out, file.tensors.size(),
             with_commas(model.network->parameter_count()), model.card.model, model.card.class_names.size());
  return 0;
}

}   // namespace

void add_export(CommandLine& line) {
  Command command = line.command("export", "Write a checkpoint's weights for PyTorch, with its names and layout.");
  struct Flags {
    std::string in, out;
  };
  auto flags = std::make_shared<Flags>();
  command.text("in", flags->in, "a checkpoint: a run's best.safetensors, or what import wrote", {.type = "FILE", .required = true});
  command.text("out", flags->out, "the file to write: .safetensors, or .pth for torch.load(weights_only=True)",
               {.type = "FILE", .required = true});
  command.action([flags] { return export_model(flags->in, flags->out); });
}

}   // namespace fovea::cli
