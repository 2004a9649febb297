// contact_sheet.h: one picture with all the pictures that a network gets wrong, each with what it is, what it was taken for and how
// sure the network was. The surest mistakes come first: they show wrong labels and blind spots.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "vision/data/pictures.h"

namespace fovea::vision {

struct Prediction {
  std::int64_t index;       // of the picture in its set
  std::int64_t predicted;   // class
  float probability;        // of that class, 0..1
};

struct ContactSheetOptions {
  std::string title = {};
  std::int64_t zoom = 0;      // a pixel becomes zoom x zoom; 0: pictures about 96 pixels wide, larger ones are shrunk to 192
  std::int64_t limit = 100;   // pictures at most
  std::int64_t columns = 0;   // 0: a sheet somewhat wider than high
};

/// Draws those of `predictions` that are wrong, most probable first (of equals the lower index), as (H, W, 3) uint8. Pictures of 1 or 3
/// channels. Throws ShapeError: an index or class outside the set, a probability outside 0..1; Error: a picture cannot be read.
Tensor draw_contact_sheet(const Pictures& pictures, const std::vector<Prediction>& predictions, const ContactSheetOptions& o = {});
/// The same, written as PNG to a temporary name and renamed. Throws Error: not writable, disk full.
void write_contact_sheet(const std::filesystem::path& path, const Pictures& pictures, const std::vector<Prediction>& predictions,
                         const ContactSheetOptions& o = {});

}   // namespace fovea::vision
