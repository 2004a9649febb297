// folder.cpp: lists files, reads their headers, splits, and decodes what fits in memory.
#include "vision/data/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

namespace fovea::vision {
namespace {

namespace fs = std::filesystem;

/// The files of one part, class after class, in each by path.
struct Listing {
  fs::path folder;
  std::vector<std::string> classes;
  std::vector<fs::path> paths;
  std::vector<std::int64_t> labels;
  std::vector<PictureShape> shapes;   // filled by read_headers

  std::vector<std::int64_t> counts() const {
    std::vector<std::int64_t> n(classes.size());
    for (const std::int64_t label : labels) ++n[static_cast<std::size_t>(label)];
    return n;
  }
  void keep(const std::vector<std::int64_t>& indices) {
    Listing kept{.folder = folder, .classes = classes, .paths = {}, .labels = {}, .shapes = {}};
    for (const std::int64_t index : indices) {
      const auto i = static_cast<std::size_t>(index);
      kept.paths.push_back(std::move(paths[i]));
      kept.labels.push_back(labels[i]);
      kept.shapes.push_back(shapes[i]);
    }
    *this = std::move(kept);
  }
};

bool passed_over(const fs::path& p) {
  const std::string name = p.filename().string();
  return name.starts_with('.') || name == "Thumbs.db";
}

void list_pictures(const fs::path& folder, std::vector<fs::path>& files) {
  std::vector<fs::path> below;
  for (const fs::directory_entry& e : fs::directory_iterator(folder)) {
    if (passed_over(e.path())) continue;
    (e.is_directory() ? below : files).push_back(e.path());
  }
  std::sort(below.begin(), below.end());
  for (const fs::path& f : below) list_pictures(f, files);
}

Listing list_part(const fs::path& folder) try {
  if (!fs::is_directory(folder)) throw Error(folder.string() + ": not a folder: expected a folder for each class in it");
  Listing part{.folder = folder, .classes = {}, .paths = {}, .labels = {}, .shapes = {}};
  std::vector<fs::path> classes;
  for (const fs::directory_entry& e : fs::directory_iterator(folder))
    if (e.is_directory() && !passed_over(e.path())) classes.push_back(e.path());
  std::sort(classes.begin(), classes.end());
  for (const fs::path& c : classes) {
    std::vector<fs::path> files;
    list_pictures(c, files);
    if (files.empty()) throw Error(c.string() + ": expected pictures of this class, got none");
    std::stable_sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
      const int order = a.parent_path().compare(b.parent_path());
      return order != 0 ? order < 0 : a.filename() < b.filename();
    });
    part.labels.insert(part.labels.end(), files.size(), std::ssize(part.classes));
    part.paths.insert(part.paths.end(), files.begin(), files.end());
    part.classes.push_back(c.filename().string());
  }
  if (part.classes.empty()) throw Error(folder.string() + ": expected a folder for each class, got none");
  return part;
} catch (const fs::filesystem_error& e) {
  throw Error(e.path1().string() + ": cannot be listed: " + e.code().message());
}

/// The part's folder by one of its names; "" when there is none.
fs::path find_part(const fs::path& path, const std::vector<const char*>& names) {
  fs::path found;
  std::error_code ec;
  for (const char* name : names) {
    if (!fs::exists(path / name, ec)) continue;
    if (!found.empty()) throw Error(fmt::format("{}: expected one of {} and {}, got both", path.string(), found.filename().string(), name));
    found = path / name;
  }
  return found;
}

void require_same_classes(const Listing& x, const Listing& y) {
  const auto lacks = [](const Listing& part, const Listing& other) {
    for (const std::string& name : other.classes)
      if (!std::binary_search(part.classes.begin(), part.classes.end(), name))
        throw Error(fmt::format("{}: expected the {} classes of {}, got no folder {}", part.folder.string(), other.classes.size(),
                                other.folder.string(), name));
  };
  lacks(y, x);
  lacks(x, y);
}

FolderOptions quiet(FolderOptions o) {
  if (!o.progress) o.progress = [](const std::string&, std::int64_t, std::int64_t) {};
  if (!o.skipped) o.skipped = [](const std::string&) {};
  return o;
}

/// Fills in shapes; with Damaged::skip also sees that every picture can be decoded, and takes out those that cannot.
void read_headers(Listing& part, const FolderOptions& o) {
  const auto n = static_cast<std::int64_t>(part.paths.size());
  part.shapes.resize(part.paths.size());
  std::vector<std::string> problem(part.paths.size());
  const bool skip = o.damaged == Damaged::skip;
  for_each_picture(
      n, [&](std::int64_t done, std::int64_t total) { o.progress(skip ? "checking" : "reading headers", done, total); },
      [&](std::int64_t index) {
        const auto i = static_cast<std::size_t>(index);
        try {
          part.shapes[i] = image_shape(part.paths[i], o.channels);
          if (skip) read_image(part.paths[i], o.channels);
        } catch (const Error& e) {
          if (!skip) throw;
          problem[i] = e.what();
        }
      });
  std::vector<std::int64_t> good;
  const std::vector<std::int64_t> before = part.counts();
  for (std::int64_t i = 0; i < n; ++i) {
    const std::string& why = problem[static_cast<std::size_t>(i)];
    if (why.empty())
      good.push_back(i);
    else
      o.skipped(why);
  }
  if (std::ssize(good) == n) return;
  part.keep(good);
  const std::vector<std::int64_t> after = part.counts();
  for (std::size_t c = 0; c < after.size(); ++c)
    if (after[c] == 0)
      throw Error(fmt::format("{}: all {} pictures of class {} are damaged", part.folder.string(), before[c], part.classes[c]));
}

/// Splits off val_fraction of each class, chosen by the seed: of n pictures llround(n * fraction), but at least one stays and one goes.
Listing split_validation(Listing& train, const FolderOptions& o) {
  std::vector<std::vector<std::int64_t>> members(train.classes.size());
  for (std::size_t i = 0; i < train.labels.size(); ++i)
    members[static_cast<std::size_t>(train.labels[i])].push_back(static_cast<std::int64_t>(i));
  std::vector<bool> chosen(train.labels.size());
  for (std::size_t c = 0; c < members.size(); ++c) {
    const std::int64_t n = std::ssize(members[c]);
    if (n < 2)
      throw Error(fmt::format("{}/{}: expected at least two pictures, one of them for validation, got {}", train.folder.string(),
                              train.classes[c], n));
    const std::int64_t k = std::clamp<std::int64_t>(std::llround(static_cast<double>(n) * o.val_fraction), 1, n - 1);
    const std::vector<std::int64_t> order = epoch_order(n, RandomKey{.seed = o.split_seed}.fork("validation split"), c);
    for (std::int64_t i = 0; i < k; ++i)
      chosen[static_cast<std::size_t>(members[c][static_cast<std::size_t>(order[static_cast<std::size_t>(i)])])] = true;
  }
  Listing validation = train;
  std::vector<std::int64_t> out, in;
  for (std::size_t i = 0; i < chosen.size(); ++i) (chosen[i] ? out : in).push_back(static_cast<std::int64_t>(i));
  validation.keep(out);
  train.keep(in);
  return validation;
}

/// The classes take turns: picture j of a class with n has its turn at (j + 1/2) / n.
void interleave(Listing& part) {
  const std::vector<std::int64_t> counts = part.counts();
  std::vector<std::int64_t> seen(counts.size()), order(part.labels.size());
  std::vector<double> turn;
  for (const std::int64_t label : part.labels) {
    const auto c = static_cast<std::size_t>(label);
    turn.push_back((static_cast<double>(seen[c]++) + 0.5) / static_cast<double>(counts[c]));
  }
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return turn[static_cast<std::size_t>(a)] < turn[static_cast<std::size_t>(b)]; });
  part.keep(order);
}

Pictures keep_on_disk(Listing part) { return {picture_files(std::move(part.paths), std::move(part.shapes)), part.labels, part.classes}; }

Pictures decode(const Listing& part, PictureShape s, const FolderOptions& o) {
  const auto n = static_cast<std::int64_t>(part.paths.size());
  const MemoryTag tag("data set");
  Tensor images = Tensor::empty({n, s.height, s.width, s.channels}, DType::u8);
  std::uint8_t* to = images.data<std::uint8_t>();
  for_each_picture(
      n, [&](std::int64_t done, std::int64_t total) { o.progress("decoding", done, total); },
      [&](std::int64_t i) {
        const fs::path& path = part.paths[static_cast<std::size_t>(i)];
        const Tensor picture = read_image(path, o.channels);
        if (!(picture.shape() == Shape{s.height, s.width, s.channels}))
          throw Error(fmt::format("{}: expected a picture of {} x {} pixels, as its header says, got {}", path.string(), s.height, s.width,
                                  picture.shape().str()));
        std::memcpy(to + i * picture.elements(), picture.raw(), picture.bytes());
      });
  return {std::move(images), part.labels, part.classes};
}

}   // namespace

DataSplits load_folder(const fs::path& path, const FolderOptions& options) {
  const FolderOptions o = quiet(options);
  require(o.channels == 1 || o.channels == 3, "load_folder: expected 1 or 3 channels, got ", o.channels);
  require(o.val_fraction > 0 && o.val_fraction < 1, "load_folder: expected a validation share between 0 and 1, got ", o.val_fraction);
  require(o.only.empty() || o.only == "train" || o.only == "validation" || o.only == "test",
          "load_folder: expected train, validation or test, got ", o.only);
  std::error_code ec;
  if (!fs::is_directory(path, ec)) throw Error(path.string() + ": no such folder");
  const fs::path train_path = find_part(path, {"train"}), val_path = find_part(path, {"val", "valid", "validation"}),
                 test_path = find_part(path, {"test"});
  if (o.only.empty() && train_path.empty())
    throw Error(fmt::format("{}: expected a folder train in it, with a folder of pictures for each class, got none", path.string()));
  const auto wants = [&](const char* part) { return o.only.empty() || o.only == part; };
  const bool split = val_path.empty() && !train_path.empty() && (wants("train") || wants("validation"));

  Listing train, validation, test;
  if (!train_path.empty() && (wants("train") || split)) train = list_part(train_path);
  if (!val_path.empty() && wants("validation")) validation = list_part(val_path);
  if (!test_path.empty() && wants("test")) test = list_part(test_path);
  if (o.only.empty()) {
    if (!val_path.empty()) require_same_classes(train, validation);
    if (!test_path.empty()) require_same_classes(train, test);
  }
  std::vector<Listing*> parts;
  for (Listing* part : {&train, &validation, &test})
    if (!part->paths.empty()) parts.push_back(part);
  for (Listing* part : parts) read_headers(*part, o);
  if (split) validation = split_validation(train, o);
  if (o.only == "train") validation = {};
  if (o.only == "validation") train = {};

  parts.clear();
  for (Listing* part : {&train, &validation, &test})
    if (!part->paths.empty()) parts.push_back(part);
  std::int64_t count = 0;
  bool one_size = !parts.empty();
  for (Listing* part : parts) {
    interleave(*part);
    count += std::ssize(part->paths);
    for (const PictureShape& s : part->shapes) one_size = one_size && s == parts[0]->shapes[0];
  }
  const PictureShape s = parts.empty() ? PictureShape{} : parts[0]->shapes[0];
  const bool in_memory = one_size && count <= o.memory_bytes / (s.height * s.width * s.channels);
  const auto load = [&](Listing& part) {
    return part.paths.empty() ? Pictures() : in_memory ? decode(part, s, o) : keep_on_disk(std::move(part));
  };
  DataSplits splits{
      .name = fs::absolute(path).lexically_normal().filename().string(), .train = {}, .validation = {}, .test = {}, .mean = {}, .std = {}};
  if (splits.name.empty()) splits.name = fs::absolute(path).lexically_normal().parent_path().filename().string();   // "pictures/"
  splits.train = load(train);
  splits.validation = load(validation);
  splits.test = load(test);
  return splits;
}

}   // namespace fovea::vision
