// folder.h: pictures in folders, one for each class, as torchvision's ImageFolder and timm read them:
//
//   PATH/train/<class>/...   PATH/val/<class>/...   PATH/test/<class>/...
//
// Class names are the sorted names of the folders below train/. Pictures may lie in folders further down; files and folders whose
// name begins with a dot are passed over, and so is Thumbs.db; every other file has to be a picture. val/ may be called valid/ or validation/
// too. Without it a share of each class's training pictures is the validation part. Without test/ the test part is empty, as ImageNet is
// used: results are then those on the validation part.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "vision/data/for_each_picture.h"
#include "vision/data/pictures.h"

namespace fovea::vision {

/// What to do with pictures that are empty, cut short or no pictures.
enum class Damaged {
  error,   // throw Error naming the first. Headers are read at once; pixels that stay on disk, when they are needed
  skip,    // decode everything once, leave out and report what cannot be
};

struct FolderOptions {
  int channels = 3;            // 3: RGB; 1: grey
  double val_fraction = 0.1;   // of each class's training pictures, rounded; where there is no val folder
  std::uint64_t split_seed = 0;
  Damaged damaged = Damaged::error;
  std::string only = {};   // "train", "validation" or "test": nothing else is read, the other parts are empty; "": all
  std::int64_t memory_bytes = std::int64_t{4} << 30;
  /// Told while files are read; `what` is "reading headers", "checking" or "decoding".
  std::function<void(const std::string& what, std::int64_t done, std::int64_t total)> progress = {};
  std::function<void(const std::string& message)> skipped = {};   // told each picture that is left out
};

/// Pictures that all have one size and take at most `memory_bytes` are decoded now, on all threads, and kept as bytes (CIFAR); others stay
/// on disk and are decoded when a batch needs them. The pixels are the same either way.
///
/// In each part the classes take turns in proportion to their numbers, so that its first n pictures are a fair sample. mean and std are
/// left empty (see measure).
///
/// Throws Error naming the folder or file: no such folder, no classes, an empty class, parts with different classes, a damaged picture.
DataSplits load_folder(const std::filesystem::path& path, const FolderOptions& o = {});

}   // namespace fovea::vision
