// import.h: weights from any file into a network of ours: through wrappers, under other names, in other shapes of the same numbers.
//
//   unwrap     {"state_dict": {...}, "optimizer": {...}}, "module." of parallel training, a moving average beside the plain weights
//   translate  timm's, mmpretrain's and other names by the tables of names.h; the table that knows most names wins
//   fit        (K, C, 1, 1) is a matrix (K, C); mmpretrain's patch merging has another order; norms with another epsilon; position
//              embeddings of another grid are resized like pictures
//   load       and say what matched, what is missing, what nobody wanted, what has the wrong shape
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "nn/state.h"
#include "tensor/weight_file.h"
#include "vision/models/models.h"

namespace fovea::vision {

struct ImportOptions {
  std::int64_t classes = 0;   // of the network; 0: as many as the file has
  std::int64_t channels = 3;
  std::int64_t image_size = 0;   // of transformers; 0: what the file's position embedding is for
  std::string key = {};          // which of the file's dictionaries, "model"; "": the one that looks like weights, averaged ones first
  bool strict = false;           // an entry missing, left over or of wrong shape is an error
};

struct ImportReport {
  std::string format;               // of the file
  std::string key = {};             // the dictionary that was read, "state_dict.module"; "": there was none
  std::string library;              // whose names it has
  nn::LoadReport load;              // in our names
  bool fresh = false;               // the classifier is new
  std::vector<std::string> notes;   // what was done beside copying, and what was left out: a line each
  std::string str() const;          // for people, with the notes
};

/// Loads `file` into a network that was built as `model`. A classifier for another number of classes stays as it is and is noted. Throws
/// Error: nothing in the file is of this model (less than half of its entries), or `strict` finds something.
ImportReport load_weights(Classifier& network, const std::string& model, const WeightFile& file, const ImportOptions& o = {});

struct Imported {
  std::unique_ptr<Classifier> network;   // in evaluation mode
  ImportReport report;
  std::int64_t classes = 0, image_size = 0;
};
/// Builds the network as the file needs it and loads it.
Imported import_weights(const std::string& model, const WeightFile& file, const ImportOptions& o = {});

}   // namespace fovea::vision
