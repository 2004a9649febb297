#include "vision/weights/open_model.h"

#include <cmath>

#include "vision/text.h"

namespace fovea::vision {

FoundWeights find_weights(const std::string& word, std::FILE* talk) {
  if (std::filesystem::exists(word)) return {.path = word, .published = find_published(std::filesystem::path(word).filename().string())};
  if (const PublishedWeights* w = find_published(word)) return {.path = fetch(*w, talk), .published = w};
  std::vector<std::string> known;
  for (const PublishedWeights& w : published_weights()) known.insert(known.end(), {w.model, w.model + "." + w.name});
  throw Error(word + ": no such file, and no published weights of that name" + did_you_mean(word, known));
}

OpenedModel open_model(const std::string& word, const std::string& name, const ImportOptions& o, std::FILE* talk, Device device) {
  const FoundWeights found = find_weights(word, talk);
  WeightFile file = read_weight_file(found.path);
  const auto format = file.tensors.metadata.find("format");
  if (format != file.tensors.metadata.end() && format->second == "fovea" && file.tensors.metadata.contains("model") && o.classes == 0 &&
      o.image_size == 0 && (name.empty() || name == file.tensors.metadata.at("model")))
    return {.model = load_model(found.path, device), .report = {}};

  const std::string model = !name.empty() ? name : found.published ? found.published->model : "";
  if (model.empty()) throw Error(found.path.string() + ": the file does not say which network it is for; name it with --model");
  OpenedModel opened;
  Imported imported;
  try {
    imported = import_weights(model, file, o);
  } catch (const Error& e) {
    throw Error(found.path.string() + ": " + e.what());
  }
  opened.report = std::move(imported.report);
  ModelCard& card = opened.model.card;
  card.model = model;
  card.height = card.width = imported.image_size;
  card.channels = o.channels;
  const PublishedWeights* w = found.published && found.published->model == model ? found.published : nullptr;
  if (w && o.image_size == 0) card.height = card.width = w->crop;
  const auto scaled = [&](std::int64_t resize, std::int64_t crop) {
    return std::llround(static_cast<double>(card.height) * static_cast<double>(resize) / static_cast<double>(crop));
  };
  card.resize = w ? scaled(w->resize, w->crop) : scaled(256, 224);
  card.filter = w ? w->filter : ResizeFilter::bilinear;
  const auto per_channel = [&](const std::vector<float>& of_rgb) {
    return o.channels == 3 ? of_rgb : std::vector<float>(static_cast<std::size_t>(o.channels), (of_rgb[0] + of_rgb[1] + of_rgb[2]) / 3);
  };
  card.mean = per_channel(w ? w->mean : std::vector<float>{0.485f, 0.456f, 0.406f});
  card.std = per_channel(w ? w->std : std::vector<float>{0.229f, 0.224f, 0.225f});
  if (imported.classes == 1000)
    card.class_names = imagenet_classes();
  else
    for (std::int64_t i = 0; i < imported.classes; ++i) card.class_names.push_back(std::to_string(i));
  opened.model.network = std::move(imported.network);
  if (device != Device::cpu) opened.model.network->to(DType::f32, device);
  return opened;
}

}   // namespace fovea::vision
