// open_model.h: a network ready to use from whatever names one: a checkpoint of ours, a file of another program, or published weights.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

#include "vision/training/checkpoint.h"
#include "vision/weights/import.h"
#include "vision/weights/published.h"

namespace fovea::vision {

/// Where weights lie, and their row of the table if they are published ones, told by the file's name too.
struct FoundWeights {
  std::filesystem::path path;
  const PublishedWeights* published = nullptr;
};
/// A file of this name, else published weights of this name, fetched if need be. Throws Error: neither (with the nearest names).
FoundWeights find_weights(const std::string& word, std::FILE* talk);

struct OpenedModel {
  LoadedModel model;
  std::optional<ImportReport> report;   // not of checkpoints of ours, which fit or are refused
};
/// `name` is what the network is: "" where the file or the table says it. The card has the published preset; of other files, resizing to
/// 256 for every 224 pixels of input and ImageNet's statistics.
OpenedModel open_model(const std::string& word, const std::string& name, const ImportOptions& o, std::FILE* talk,
                       Device device = Device::cpu);

}   // namespace fovea::vision
