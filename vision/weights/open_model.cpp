#include "vision/weights/open_model.h"

#include <cmath>

#include "vision/data/pictures.h"
#include "vision/text.h"

namespace fovea::vision {

FoundWeights find_weights(const std::string& word, std::FILE* talk) {
  if (std::error_code none; std::filesystem::exists(word, none) && !std::filesystem::is_directory(word, none)) {
    const std::string file = std::filesystem::path(word).filename().string();
    const PublishedWeights* w = find_published(file);
    return {.path = word, .published = w && w->file() == file ? w : nullptr};   // a user's file may have a model's name
  }
  if (const PublishedWeights* w = find_published(word)) return {.path = fetch(*w, talk), .published = w};
  std::vector<std::string> known;
  for (const PublishedWeights& w : published_weights()) known.insert(known.end(), {w.model, w.model + "." + w.name});
  throw Error(word + ": no such file, and no published weights of that name" + did_you_mean(word, known));
}

OpenedModel open_model(const std::string& word, const std::string& name, const ImportOptions& o, std::FILE* talk, Device device) {
  const FoundWeights found = find_weights(word, talk);
  WeightFile file = read_weight_file(found.path);
  const auto& metadata = file.tensors.metadata;
  const auto format = metadata.find("format"), ours = metadata.find("model");
  if (format != metadata.end() && format->second == "fovea" && ours != metadata.end() && (name.empty() || name == ours->second)) {
    OpenedModel opened{.model = load_model(found.path, std::move(file.tensors), device), .report = {}};
    const ModelCard& card = opened.model.card;
    if (o.classes != 0 && o.classes != std::ssize(card.class_names))
      throw Error(detail::join(found.path.string(), ": its classifier has another number of classes than ", o.classes, ": ",
                               card.class_names.size()));
    if (o.image_size != 0 && (o.image_size != card.height || o.image_size != card.width))
      throw Error(detail::join(found.path.string(), ": a checkpoint for pictures of ", card.height, "x", card.width, ", not of ",
                               o.image_size, " pixels"));
    return opened;
  }

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
  const ChannelStatistics imagenet = published_statistics("imagenet");
  card.mean = per_channel(w ? w->mean : imagenet.mean);
  card.std = per_channel(w ? w->std : imagenet.std);
  if (imported.classes == 1000)
    card.class_names = imagenet_classes();
  else
    for (std::int64_t i = 0; i < imported.classes; ++i) card.class_names.push_back(std::to_string(i));
  opened.model.network = std::move(imported.network);
  if (device != Device::cpu) opened.model.network->to(DType::f32, device);
  return opened;
}

}   // namespace fovea::vision
