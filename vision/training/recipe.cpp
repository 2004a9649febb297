// recipe.cpp: the table of settings, and what is made from it: text to value, value to text, TOML in and out.
#include "vision/training/recipe.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "vision/text.h"

namespace fovea::vision {

constexpr const char* kFolder = "folder:PATH";

const std::vector<RecipeField>& recipe_fields() {
  using R = Recipe;
  static const std::vector<std::string> model_names = [] {
    std::vector<std::string> names;
    for (const ModelEntry& m : models()) names.push_back(m.name);
    return names;
  }();
  static const std::vector<RecipeField> fields = {
      {"model", "the network, by name", &R::model, 0, 0, model_names},
      {"dropout", "probability, in the networks that have it; unset: the paper's", &R::dropout, 0, 0.99},
      {"stochastic_depth", "probability that the last block of a residual network is skipped; earlier ones less", &R::stochastic_depth, 0,
       0.99},
      {"auxiliary_heads", "GoogLeNet's two side classifiers, whose losses count 0.3 each", &R::auxiliary_heads},
      {"recompute", "blocks of deep networks run again in the backward pass: less memory, a third more time", &R::recompute},
      {"weights", "to begin with: a .pth or .safetensors file, or published ones by name (resnet50); other classes get a new classifier",
       &R::weights},
      {"data",
       "the data set: by name, or a folder with train/, val/ and test/, in each a folder of pictures for each class",
       &R::data,
       0,
       0,
       {"mnist", kFolder}},
      {"epochs", "passes over the training images", &R::epochs, 1, 10000},
      {"batch", "images in one step", &R::batch, 1, 65536},
      {"optimizer", "who turns gradients into steps", &R::optimizer, 0, 0, {"sgd", "adam", "adamw", "rmsprop", "lars", "lamb"}},
      {"schedule", "how the learning rate moves from step to step", &R::schedule, 0, 0, {"one_cycle", "cosine"}},
      {"lr", "the highest learning rate", &R::lr, 1e-6, 100},
      {"warmup", "share of all steps in which the learning rate rises", &R::warmup, 0, 0.9},
      {"momentum", "of sgd, rmsprop and lars", &R::momentum, 0, 0.9999},
      {"nesterov", "sgd and lars look ahead along the momentum, if there is any", &R::nesterov},
      {"weight_decay", "pull of weights towards 0: an L2 penalty, for adamw and lamb decoupled from the gradient", &R::weight_decay, 0, 1},
      {"decay_vectors", "weight decay also on biases, norms, tokens and tables", &R::decay_vectors},
      {"clip_norm", "longest gradient of all parameters as one vector; unset: any", &R::clip_norm, 1e-6, 1e6},
      {"label_smoothing", "share of the target that goes to all classes alike", &R::label_smoothing, 0, 0.99},
      {"image_size", "the network's input, square; unset: as the images are, or 224 where they differ in size", &R::image_size, 8, 4096},
      {"resize_size", "images' shorter side before the middle is cut out for evaluation; unset: image_size * 256 / 224", &R::resize_size, 8,
       8192},
      {"crop",
       "how training images are cut; auto: resized where images are resized, else random",
       &R::crop,
       0,
       0,
       {"auto", "random", "resized", "center"}},
      {"crop_padding", "black pixels around an image before a random crop", &R::crop_padding, 0, 64},
      {"crop_scale", "smallest share of the image's area that a resized crop takes", &R::crop_scale, 0.01, 1},
      {"crop_ratio", "narrowest width : height of a resized crop; the widest is its inverse", &R::crop_ratio, 0.1, 1},
      {"flip", "training images are mirrored left-right with probability 1/2", &R::flip},
      {"normalize",
       "mean and deviation of channels; auto: measured for images in memory, else imagenet",
       &R::normalize,
       0,
       0,
       {"auto", "measured", "mnist", "cifar10", "imagenet"}},
      {"val_fraction", "share of each class's training images for validation, where a folder has no val/", &R::val_fraction, 0.001, 0.9},
      {"split_seed", "of that choice", &R::split_seed, 0, 9007199254740992.0},
      {"damaged", "image files that cannot be read: an error, or left out after a check of all", &R::damaged, 0, 0, {"error", "skip"}},
      {"seed", "of weights, order and augmentation", &R::seed, 0, 9007199254740992.0},
      {"train_limit", "train on the first so many images only", &R::train_limit, 1, 1e9},
      {"eval_limit", "validate and test on the first so many images only", &R::eval_limit, 1, 1e9},
      {"device", "cpu, cuda (a GPU), or reference: the plain loops, slow", &R::device, 0, 0, {"cpu", "cuda", "reference"}},
      {"precision",
       "what the network computes in; bf16 moves half the bytes; tf32 is float32 but for linear layers' products, on a GPU's tensor cores",
       &R::precision,
       0,
       0,
       {"float32", "tf32", "bf16"}},
      {"gemm",
       "with device cuda: whose products linear layers take; cublas in a build with FOVEA_CUBLAS=ON",
       &R::gemm,
       0,
       0,
       {"fovea", "cublas"}},
      {"data_dir", "folder of the data set's files", &R::data_dir, 0, 0, {}, false},
      {"threads", "number of threads; results do not depend on it", &R::threads, 1, 1024, {}, false},
      {"workers", "threads that read and augment images ahead; results do not depend on it", &R::workers, 1, 1024, {}, false},
      {"graph",
       "with device cuda: the kernels of a step are recorded once and replayed; results do not depend on it",
       &R::graph,
       0,
       0,
       {},
       false},
  };
  return fields;
}

std::string RecipeField::flag() const {
  std::string s = key;
  for (char& c : s)
    if (c == '_') c = '-';
  return s;
}

std::string RecipeField::range() const {
  if (std::holds_alternative<bool Recipe::*>(member)) return "true|false";
  if (std::holds_alternative<std::string Recipe::*>(member)) return fmt::format("{}", fmt::join(choices, "|"));
  if (std::holds_alternative<std::int64_t Recipe::*>(member)) return fmt::format("{:.0f}..{:.0f}", low, high);
  return fmt::format("{}..{}", low, high);
}

namespace {

/// "label_smoothing: expected ..., got 'x'"; callers put file and line, or the dashes of a flag, in front.
[[noreturn]] void refuse(const RecipeField& f, std::string_view expected, std::string_view got) {
  throw RecipeError(fmt::format("{}: expected {} {}, got '{}'", f.key, expected, f.range(), got));
}

/// "folder:PATH" is data = "folder" with data_dir = PATH: where pictures lie does not decide the result. A recipe that was written so
/// ("folder" alone) is read again.
void set_string(Recipe& r, const RecipeField& f, std::string Recipe::*member, const std::string& value) {
  const bool folder = std::find(f.choices.begin(), f.choices.end(), kFolder) != f.choices.end() && (value + ":").starts_with("folder:");
  if (folder) {
    if (value == "folder:") throw RecipeError(fmt::format("{}: expected {}, got '{}'", f.key, kFolder, value));
    r.*member = "folder";
    if (value != "folder") r.data_dir = value.substr(std::string_view("folder:").size());
    return;
  }
  if (!f.choices.empty() && std::find(f.choices.begin(), f.choices.end(), value) == f.choices.end())
    throw RecipeError(fmt::format("{}: expected one of {}, got '{}'{}", f.key, f.range(), value, did_you_mean(value, f.choices)));
  r.*member = value;
}

/// Written so that NaN is refused too.
template <class T, class Member> void set_number(Recipe& r, const RecipeField& f, Member Recipe::*member, T value, std::string_view text) {
  const double v = static_cast<double>(value);
  if (!(v >= f.low && v <= f.high)) refuse(f, std::is_integral_v<T> ? "a whole number in" : "a number in", text);
  r.*member = value;
}

template <class T, class Member> void parse_number(Recipe& r, const RecipeField& f, Member Recipe::*member, std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    refuse(f, std::is_integral_v<T> ? "a whole number in" : "a number in", text);
  set_number(r, f, member, value, text);
}

void set_from_toml(Recipe& r, const RecipeField& f, const toml::node& node) {
  std::ostringstream text;   // as it stands in the file, for messages
  node.visit([&](const auto& n) { text << n; });
  std::visit(
      [&]<class T>(T Recipe::*member) {
        if constexpr (std::is_same_v<T, std::string>) {
          if (!node.is_string()) throw RecipeError(fmt::format("{}: expected a string, got {}", f.key, text.str()));
          set_string(r, f, member, **node.as_string());
        } else if constexpr (std::is_same_v<T, bool>) {
          if (!node.is_boolean()) refuse(f, "one of", text.str());
          r.*member = **node.as_boolean();
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          if (!node.is_integer()) refuse(f, "a whole number in", text.str());
          set_number(r, f, member, **node.as_integer(), text.str());
        } else {
          const auto value = node.value<double>();   // an integer is a fine number too
          if (!value || !node.is_number()) refuse(f, "a number in", text.str());
          set_number(r, f, member, *value, text.str());
        }
      },
      f.member);
}

}   // namespace

ModelOptions network_options(const Recipe& r) {
  return {.auxiliary_heads = r.auxiliary_heads, .dropout = r.dropout, .stochastic_depth = r.stochastic_depth, .recompute = r.recompute};
}

Device device_of(const Recipe& r) { return device_named(r.device); }
DType precision_of(std::string_view name) { return name == "bf16" ? DType::bf16 : DType::f32; }

void check_recipe(const Recipe& r) {
  try {
    model(r.model).check(network_options(r));
  } catch (const ShapeError& e) {
    throw RecipeError(e.what());
  }
  if (r.graph && r.device != "cuda") throw RecipeError("graph: expected device cuda, got " + r.device);
  if (r.gemm == "cublas" && r.device != "cuda") throw RecipeError("gemm: expected device cuda with cublas, got " + r.device);
  check_precision(r.device, r.precision);
}

void check_precision(std::string_view device, std::string_view precision) {
  if (precision == "tf32" && device != "cuda")
    throw RecipeError(detail::join("precision: expected device cuda with tf32, which are tensor cores, got ", device));
  if (precision == "bf16" && device == "reference")
    throw RecipeError("precision: expected float32 with device reference, which has no bf16, got bf16");
}

void set_field(Recipe& r, const RecipeField& f, std::string_view text) {
  std::visit(
      [&]<class T>(T Recipe::*member) {
        if constexpr (std::is_same_v<T, std::string>) {
          set_string(r, f, member, std::string(text));
        } else if constexpr (std::is_same_v<T, bool>) {
          if (text != "true" && text != "false") refuse(f, "one of", text);
          r.*member = text == "true";
        } else {
          parse_number<std::conditional_t<std::is_same_v<T, std::int64_t>, std::int64_t, double>>(r, f, member, text);
        }
      },
      f.member);
}

std::string field_text(const Recipe& r, const RecipeField& f) {
  return std::visit(
      [&]<class T>(T Recipe::*member) {   // the shortest text that reads back the same
        if constexpr (std::is_same_v<T, std::optional<double>>)
          return r.*member ? fmt::format("{}", *(r.*member)) : std::string();
        else
          return fmt::format("{}", r.*member);
      },
      f.member);
}

Recipe parse_recipe(std::string_view toml_text, const std::string& name, Recipe base) {
  std::vector<std::string> keys;
  for (const RecipeField& f : recipe_fields()) keys.push_back(f.key);
  toml::table table;
  try {
    table = toml::parse(toml_text, name);
  } catch (const toml::parse_error& e) {
    throw RecipeError(fmt::format("{}:{}: {}", name, e.source().begin.line, e.description()));
  }
  for (const auto& [key, node] : table) {
    const std::string where = fmt::format("{}:{}: ", name, key.source().begin.line);
    const auto f =
        std::find_if(recipe_fields().begin(), recipe_fields().end(), [&name = key](const RecipeField& x) { return name == x.key; });
    if (f == recipe_fields().end())
      throw RecipeError(fmt::format("{}unknown key '{}'{}", where, key.str(), did_you_mean(std::string(key.str()), keys)));
    try {
      set_from_toml(base, *f, node);
    } catch (const RecipeError& e) {
      throw RecipeError(where + e.what());
    }
  }
  return base;
}

Recipe read_recipe(const std::filesystem::path& path, Recipe base) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || std::filesystem::is_directory(path)) throw Error(path.string() + ": cannot be read: expected a recipe (TOML)");
  return parse_recipe(text.str(), path.string(), std::move(base));
}

std::string to_toml(const Recipe& r, bool machine) {
  std::string out;
  for (const RecipeField& f : recipe_fields()) {
    if (!f.decides_result && !machine) continue;
    std::string value = field_text(r, f);
    if (value.empty()) continue;   // not set
    if (std::holds_alternative<std::string Recipe::*>(f.member)) {
      std::ostringstream quoted;
      quoted << toml::value<std::string>(value);
      value = quoted.str();
    } else if (value == "0" && f.low > 0) {
      continue;   // not set
    }
    out += fmt::format("{:<36} # {}\n", fmt::format("{} = {}", f.key, value), f.help);
  }
  return out;
}

}   // namespace fovea::vision
