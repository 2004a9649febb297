// common.cpp: what the commands share.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "examples/cli/commands.h"
#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"
#include "tensor/cuda.h"
#include "vision/analysis/confusion.h"
#include "vision/text.h"

namespace fovea::cli {

std::string program = "fovea";

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("/._-+=:@%,").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

void MachineOptions::add_to(Command& command) {
  command.number("--threads", threads, "number of threads; results do not depend on it", {.low = 1, .high = 1024});
  command.text("--device", device, "cpu, cuda (a GPU), or reference: the plain loops, slow",
               {.type = "NAME", .choices = {"cpu", "cuda", "reference"}});
  command.text("--precision", precision, "what the network computes in [float32]; tf32 is float32 but for linear layers on a GPU",
               {.type = "NAME", .choices = {"float32", "tf32", "bf16"}});
}

void MachineOptions::apply(std::FILE* talk) const {
  if (threads > 0) kernels::set_threads(threads);
  vision::check_precision(device, precision);
  if (where() == Device::cuda) allow_tf32(precision == "tf32");
  name_gpu(where(), talk);
}

void name_gpu(Device device, std::FILE* talk) {
  if (device == Device::cuda) fmt::print(talk, "{}\n", machine_text(device));
}

std::filesystem::path data_folder(const std::string& data, const std::string& data_dir) {
  if (!data_dir.empty()) return data_dir;
  if (const char* root = std::getenv("FOVEA_DATA"); root && *root) return std::filesystem::path(root) / data;
  return std::filesystem::path(FOVEA_SOURCE_DIR) / "data" / data;
}

namespace {

/// "45,000 training, 5,000 validation and 10,000 test pictures of 32 x 32 pixels"
std::string data_text(const vision::DataSplits& data) {
  std::vector<std::string> parts;
  bool one_size = true;
  std::optional<vision::PictureShape> size;
  for (const auto& [name, part] : std::initializer_list<std::pair<const char*, const vision::Pictures*>>{
           {"training", &data.train}, {"validation", &data.validation}, {"test", &data.test}}) {
    if (part->size() == 0) continue;
    parts.push_back(with_commas(part->size()) + " " + name);
    const auto common = part->common_shape();
    one_size = one_size && common && (!size || *size == *common);
    size = common;
  }
  std::string text = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) text += (i + 1 < parts.size() ? ", " : " and ") + parts[i];
  return text + " pictures of " + (one_size && size ? fmt::format("{} x {} pixels", size->height, size->width) : "several sizes");
}

vision::DataSplits load_pictures(const DataRequest& r, std::FILE* talk) {
  vision::FolderOptions o = r.folder;
  const bool terminal = isatty(fileno(talk));
  if (terminal)
    o.progress = [talk](const std::string& what, std::int64_t done, std::int64_t total) {
      fmt::print(talk, "\r\033[K{} {} of {} pictures", what, with_commas(done), with_commas(total));
      std::fflush(talk);
    };
  o.skipped = [terminal](const std::string& message) { fmt::print(stderr, "{}left out: {}\n", terminal ? "\r\033[K" : "", message); };
  struct ClearLine {   // before the next line, also when it is an error
    std::FILE* talk;
    ~ClearLine() {
      if (talk) fmt::print(talk, "\r\033[K"), std::fflush(talk);
    }
  } clear{terminal ? talk : nullptr};
  return vision::load_folder(r.data_dir, o);
}

}   // namespace

vision::DataSplits load_data(const DataRequest& r, std::FILE* talk) {
  if (r.data == "mnist") {
    vision::DataSplits data = vision::load_mnist(data_folder(r.data, r.data_dir));
    if (r.normalize == "cifar10" || r.normalize == "imagenet")
      throw UsageError(fmt::format("--normalize {}: expected auto, measured or mnist: MNIST has one channel", r.normalize));
    if (r.normalize == "mnist") {
      const vision::ChannelStatistics s = vision::published_statistics("mnist");
      data.mean = s.mean, data.std = s.std;
    }
    return data;
  }
  if (r.data_dir.empty()) throw UsageError("--data folder: expected a path too, as in --data folder:pictures");
  if (r.normalize == "mnist")
    throw UsageError("--normalize mnist: expected auto, measured, cifar10 or imagenet: pictures of folders have three channels");
  vision::DataSplits data = load_pictures(r, talk);
  if (!r.normalize.empty()) {
    const std::string how = r.normalize != "auto" ? r.normalize : data.train.in_memory() ? "measured" : "imagenet";
    const vision::ChannelStatistics s = how == "measured" ? vision::measure(data.train, r.data_dir) : vision::published_statistics(how);
    data.mean = s.mean, data.std = s.std;
  }
  if (data.train.size() + data.validation.size() + data.test.size() == 0) return data;   // the caller says what was wanted
  fmt::print(
      talk, "data {}: {}, {} classes, {}\n", data.name, data_text(data),
      std::max({data.train.classes(), data.validation.classes(), data.test.classes()}),
      data.train.in_memory() && data.validation.in_memory() && data.test.in_memory() ? "kept in memory" : "read from disk as needed");
  return data;
}

void ModelFlags::add_to(Command& command) {
  command.text("--checkpoint", checkpoint, "a run's best.safetensors or last.safetensors, or what import wrote", {.type = "FILE"});
  command.text("--weights", weights,
               "instead: another program's weights (.pth, .safetensors), or published ones by name (resnet50, resnet50.IMAGENET1K_V1)",
               {.type = "FILE|NAME"});
  command.text("--model", model, "which network --weights are for [what published weights are for]", {.type = "NAME"});
}

vision::LoadedModel ModelFlags::load(Device device, std::FILE* talk) const {
  if (checkpoint.empty() == weights.empty()) throw UsageError("expected either --checkpoint FILE or --weights FILE|NAME");
  if (!checkpoint.empty()) {
    if (!model.empty()) throw UsageError("--model: a checkpoint says itself which network it is; --model goes with --weights");
    return vision::load_model(checkpoint, device);
  }
  vision::OpenedModel opened = vision::open_model(weights, model, {}, talk, device);
  require_all(opened, weights);
  return std::move(opened.model);
}

void require_all(const vision::OpenedModel& opened, const std::string& source) {
  if (!opened.report) return;
  const auto some = [](const std::vector<std::string>& names) { return names.empty() ? "" : " (" + vision::listed(names, 1) + ")"; };
  const nn::LoadReport& load = opened.report->load;
  if (opened.report->fresh)
    throw Error(fmt::format("{}: its classifier has another number of classes than {}", source, opened.model.card.class_names.size()));
  if (!load.missing.empty() || !load.wrong_shape.empty())
    throw Error(fmt::format("{}: not all of {}'s weights: {} entries fit, {} are missing{}, {} have another shape{}", source,
                            opened.model.card.model, load.matched.size(), load.missing.size(), some(load.missing), load.wrong_shape.size(),
                            some(load.wrong_shape)));
}

std::string machine_text(Device device) {
  const int n = kernels::threads();
  std::string kind = device == Device::cpu ? kernels::isa_name(kernels::isa()) : "plain loops";
  if (device == Device::cuda) {
    const kernels::DeviceFacts& gpu = cuda_device().facts();
    kind = gpu.emulated ? gpu.name + ", for tests: its speed means nothing" : gpu.name;
  }
  return fmt::format("device {} ({}), {} thread{}", name_of(device), kind, n, n == 1 ? "" : "s");
}

std::string with_commas(std::int64_t n) {
  std::string s = fmt::format("{}", n);
  for (auto i = std::ssize(s) - 3; i > 0; i -= 3) s.insert(static_cast<std::size_t>(i), 1, ',');
  return s;
}

std::string confusion_text(const vision::Pictures& pictures, const vision::Evaluation& e) {
  vision::ConfusionMatrix matrix(pictures.class_names());
  for (std::int64_t i = 0; i < pictures.size(); ++i) matrix.add(pictures.label(i), e.predictions[static_cast<std::size_t>(i)]);
  std::string out;
  for (const auto& p : matrix.most_confused(5))
    out += fmt::format("  {} taken for {}: {} of {}\n", pictures.class_names()[static_cast<std::size_t>(p.truth)],
                       pictures.class_names()[static_cast<std::size_t>(p.predicted)], p.count,
                       std::count(pictures.labels().begin(), pictures.labels().end(), p.truth));
  return out;
}

}   // namespace fovea::cli
