// recipe.h: everything that decides how a network is trained, and one table that describes it.
//
// The table recipe_fields() is the only place that knows a setting's name, meaning and range: the recipe file (TOML), the flags
// of `fovea train`, the help text, the checks and the suggestions for misspelt names are all made from it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vision/models/models.h"

namespace fovea::vision {

/// A setting that is unknown or out of range. Told "file:line: " or "--flag: " in front.
struct RecipeError : Error {
  using Error::Error;
};

/// The defaults are the main job: MNIST to 99.5 % in twelve epochs.
struct Recipe {
  // What decides the result.
  std::string model = "resnet8_mnist";
  std::optional<double> dropout{};   // unset: the paper's
  double stochastic_depth = 0;
  bool auxiliary_heads = false;
  bool recompute = false;
  std::string weights;   // what the network begins with: a file of any program, or published weights by name; "": random ones
  std::string data = "mnist";
  std::int64_t epochs = 12;
  std::int64_t batch = 128;
  std::string optimizer = "sgd";
  std::string schedule = "one_cycle";
  double lr = 0.2;        // the schedule's highest
  double warmup = 0.25;   // of all steps
  double momentum = 0.9;
  bool nesterov = true;
  double weight_decay = 5e-4;
  bool decay_vectors = true;   // biases, norms, tokens and tables, too
  double clip_norm = 0;        // 0: not clipped
  double label_smoothing = 0.1;
  std::int64_t image_size = 0;     // of the network's input, square; 0: as the pictures are, or 224 where they differ
  std::int64_t resize_size = 0;    // 0: image_size * 256 / 224
  std::string crop = "auto";       // resized where pictures are resized, else random
  std::int64_t crop_padding = 2;   // pixels
  double crop_scale = 0.08, crop_ratio = 0.75;
  bool flip = false;
  std::string normalize = "auto";   // measured for pictures in memory, else imagenet
  double val_fraction = 0.1;
  std::int64_t split_seed = 0;
  std::string damaged = "error";
  std::int64_t seed = 0;
  std::int64_t train_limit = 0;   // 0: all
  std::int64_t eval_limit = 0;
  std::string device = "cpu";
  std::string precision = "float32";   // what networks compute in; parameters are float32 in any case
  std::string gemm = "fovea";          // whose products of matrices: of linear layers on a GPU
  // What does not.
  std::string data_dir;       // "": where the program keeps it
  std::int64_t threads = 0;   // 0: one a core
  std::int64_t workers = 0;   // 0: one for pictures in memory, else as many as threads
  bool graph = false;
  bool operator==(const Recipe&) const = default;
};

struct RecipeField {
  const char* key;   // "label_smoothing" in a file, --label-smoothing as a flag
  const char* help;
  std::variant<std::string Recipe::*, std::int64_t Recipe::*, double Recipe::*, bool Recipe::*, std::optional<double> Recipe::*> member;
  double low = 0, high = 0;                // of numbers, both included; the value 0 may stand below `low`: not set
  std::vector<std::string> choices = {};   // of strings; empty: any. "folder:PATH" sets data_dir as well
  bool decides_result = true;              // false: a matter of this machine; not part of a checkpoint
  std::string flag() const;                // "label-smoothing"
  std::string range() const;               // "0..0.99", "one_cycle|cosine"; "" for free text
};

/// In the order of help texts and files.
const std::vector<RecipeField>& recipe_fields();

Device device_of(const Recipe& r);
/// The dtype of the pictures, which every layer follows.
DType precision_of(std::string_view name);
/// Throws RecipeError where the device has no such precision.
void check_precision(std::string_view device, std::string_view precision);
/// What the recipe says about the network itself.
ModelOptions network_options(const Recipe& r);
/// Throws RecipeError where it says something that the network has no use for.
void check_recipe(const Recipe& r);

/// Sets one field from text, as a flag does. Throws RecipeError with the range: "--lr: expected a number in 1e-06..100, got 'nan'".
void set_field(Recipe& r, const RecipeField& field, std::string_view text);
/// A field's value as text: what set_field takes; "" for one that is not set.
std::string field_text(const Recipe& r, const RecipeField& field);

/// Applies the keys of a recipe to `base`. Throws RecipeError, "mnist.toml:3: unknown key 'epoch'; did you mean 'epochs'?", or Error when
/// the file cannot be read.
Recipe read_recipe(const std::filesystem::path& path, Recipe base = {});
/// The same from text; `name` stands in messages.
Recipe parse_recipe(std::string_view toml, const std::string& name, Recipe base = {});
/// TOML, one commented line a key. parse_recipe gives the same recipe back, bit for bit. Without `machine`, only what decides the result.
std::string to_toml(const Recipe& r, bool machine);

}   // namespace fovea::vision
