// published.h: the weights that others have published for our networks: where they are, what pictures they want, how good they are; and how
// a name becomes a file on this machine.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "vision/transforms/resize.h"

namespace fovea::vision {

struct PublishedWeights {
  std::string model, name;   // "resnet50", "IMAGENET1K_V2"
  std::string address;       // ends with the file's name, and that with the first digits of its SHA-256: "resnet50-11ad3fa6.pth"
  // Pictures: the shorter side resized, the middle cut out, (x / 255 - mean) / std.
  std::int64_t resize, crop;
  ResizeFilter filter;
  std::vector<float> mean, std;
  double top1;   // percent of ImageNet's 50,000 validation pictures, as its publishers say

  std::string file() const;     // "resnet50-11ad3fa6.pth"
  std::string digits() const;   // "11ad3fa6"
};

/// By model; the recommended ones of a model first.
const std::vector<PublishedWeights>& published_weights();
/// "resnet50" (the recommended) or "resnet50.IMAGENET1K_V1", case ignored; or the file's name. Null when there are none.
const PublishedWeights* find_published(const std::string& word);

/// The file on this machine: from $FOVEA_CACHE (else ~/.cache/fovea) or PyTorch's cache, else downloaded with curl or wget into the
/// former. Its SHA-256 is verified. `talk` hears about downloads. Throws Error, one line: no network (which file to put where), a damaged
/// file.
std::filesystem::path fetch(const PublishedWeights& weights, std::FILE* talk);

/// Names of the 1000 classes, all different.
const std::vector<std::string>& imagenet_classes();

}   // namespace fovea::vision
