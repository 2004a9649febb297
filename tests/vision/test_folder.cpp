// Pictures in folders: what is found, how it is split, which forms it takes, and one clear line for each thing that can be wrong.
#include "vision/data/folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "kernels/parallel.h"
#include "tests/temporary_folder.h"

namespace fovea::vision {
namespace {

namespace fs = std::filesystem;
const fs::path kPictures = FOVEA_SOURCE_DIR "/tests/vision/pictures";

class Folder : public testing::Test {
 protected:
  /// n pictures of h x w pixels in root/part/name, all pixels of one value.
  void fill(const std::string& part, const std::string& name, int n, std::int64_t h = 3, std::int64_t w = 2, int first = 0) {
    fs::create_directories(root_ / part / name);
    for (int i = 0; i < n; ++i)
      write_png(root_ / part / name / ("p" + std::to_string(first + i) + ".png"), Tensor::full({h, w, 3}, 10 * i + 5, DType::u8));
  }
  void small() {
    for (const char* name : {"owl", "cat"}) fill("train", name, 5), fill("val", name, 2), fill("test", name, 1);
  }
  std::string error_of(const FolderOptions& o = {}) {
    try {
      load_folder(root_, o);
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << "one line";
      return e.what();
    }
    return "no error";
  }
  static std::vector<std::string> names(const Pictures& p) {
    std::vector<std::string> out;
    for (std::int64_t i = 0; i < p.size(); ++i)
      out.push_back(fs::path(p.name(i)).parent_path().filename() / fs::path(p.name(i)).filename());
    return out;
  }
  const TemporaryFolder temporary_;
  const fs::path root_ = temporary_.path();
};

TEST_F(Folder, ThreePartsInMemory) {
  small();
  std::ofstream(root_ / "train/owl/.DS_Store") << "not looked at";
  fs::create_directories(root_ / "train/.cache");
  const DataSplits d = load_folder(root_);
  EXPECT_EQ(d.name, root_.filename().string());
  EXPECT_EQ(d.train.class_names(), (std::vector<std::string>{"cat", "owl"}));
  EXPECT_EQ(d.train.size(), 10);
  EXPECT_EQ(d.validation.size(), 4);
  EXPECT_EQ(d.test.size(), 2);
  EXPECT_TRUE(d.train.in_memory());
  EXPECT_EQ(d.train.common_shape(), (PictureShape{3, 2, 3}));
  EXPECT_EQ(d.train.labels(), (std::vector<std::int64_t>{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}));   // the classes take turns
  EXPECT_EQ(d.train.picture(4).to_vector<std::int64_t>(), std::vector<std::int64_t>(18, 25));
  EXPECT_EQ(load_folder(root_ / "").name, root_.filename().string());
}

TEST_F(Folder, ClassesTakeTurnsInProportion) {
  fill("train", "a", 6), fill("train", "b", 3), fill("val", "a", 1), fill("val", "b", 1);
  EXPECT_EQ(load_folder(root_).train.labels(), (std::vector<std::int64_t>{0, 1, 0, 0, 1, 0, 0, 1, 0}));
}

TEST_F(Folder, OnDiskOrInMemoryThePixelsAreTheSame) {
  small();
  const DataSplits memory = load_folder(root_), disk = load_folder(root_, {.memory_bytes = 16 * 18 - 1});
  EXPECT_TRUE(load_folder(root_, {.memory_bytes = 16 * 18}).train.in_memory());
  EXPECT_FALSE(disk.train.in_memory());
  ASSERT_EQ(disk.train.labels(), memory.train.labels());
  for (std::int64_t i = 0; i < 10; ++i)
    EXPECT_EQ(disk.train.picture(i).to_vector<std::int64_t>(), memory.train.picture(i).to_vector<std::int64_t>());
  EXPECT_EQ(names(disk.train)[0], "cat/p0.png");
  fill("train", "cat", 1, 4, 2, 9);   // another size
  EXPECT_FALSE(load_folder(root_).train.in_memory());
  EXPECT_FALSE(load_folder(root_).test.in_memory());
}

TEST_F(Folder, FoldersBelowAClassAndJpegs) {
  fill("train", "a", 2, 19, 26), fill("train", "b", 2, 19, 26);
  fs::create_directories(root_ / "train/a/deep/er");
  fs::copy(kPictures / "cmyk.jpg", root_ / "train/a/deep/er/x.jpg");
  fs::copy(kPictures / "grey.jpg", root_ / "train/b/whatever.name");   // the content tells
  const DataSplits d = load_folder(root_, {.only = "train", .memory_bytes = 0});
  EXPECT_FALSE(d.train.in_memory());
  EXPECT_EQ(d.train.size() + load_folder(root_, {.only = "validation"}).validation.size(), 6);
}

TEST_F(Folder, TheSplitIsStratifiedSeededAndOfWholeClasses) {
  fill("train", "a", 40), fill("train", "b", 15), fill("train", "c", 2);
  const auto split = [&](FolderOptions o) {
    o.memory_bytes = 0;
    return load_folder(root_, o);
  };
  const DataSplits d = split({.val_fraction = 0.1});
  std::map<std::int64_t, int> n;
  for (const std::int64_t label : d.validation.labels()) ++n[label];
  EXPECT_EQ(n, (std::map<std::int64_t, int>{{0, 4}, {1, 2}, {2, 1}}));
  EXPECT_EQ(d.train.size(), 50);
  EXPECT_EQ(d.test.size(), 0);
  std::set<std::string> seen;
  for (const Pictures* p : {&d.train, &d.validation})
    for (const std::string& name : names(*p)) EXPECT_TRUE(seen.insert(name).second) << name << " is in both";
  EXPECT_EQ(seen.size(), 57u);
  EXPECT_EQ(names(split({.val_fraction = 0.1}).validation), names(d.validation));
  EXPECT_EQ(names(split({.val_fraction = 0.1, .only = "validation"}).validation), names(d.validation));
  EXPECT_EQ(names(split({.val_fraction = 0.1, .only = "train"}).train), names(d.train));
  EXPECT_NE(names(split({.val_fraction = 0.1, .split_seed = 1}).validation), names(d.validation));
  EXPECT_EQ(split({.val_fraction = 0.5}).validation.size(), 20 + 8 + 1);
  EXPECT_EQ(split({.val_fraction = 0.99}).train.size(), 3);   // one of each stays
  EXPECT_THROW(split({.val_fraction = 0}), ShapeError);
}

TEST_F(Folder, EachMistakeHasItsLine) {
  const std::string root = root_.string();
  fs::remove(root_);
  EXPECT_EQ(error_of(), root + ": no such folder");
  fs::create_directories(root_);
  EXPECT_EQ(error_of(), root + ": expected a folder train in it, with a folder of pictures for each class, got none");
  fs::create_directories(root_ / "train");
  EXPECT_EQ(error_of(), root + "/train: expected a folder for each class, got none");
  fs::create_directories(root_ / "train/cat");
  EXPECT_EQ(error_of(), root + "/train/cat: expected pictures of this class, got none");
  fill("train", "cat", 1);
  EXPECT_EQ(error_of(), root + "/train/cat: expected at least two pictures, one of them for validation, got 1");
  small();
  EXPECT_EQ(error_of(), "no error");
  fill("val", "dog", 1);
  EXPECT_EQ(error_of(), root + "/train: expected the 3 classes of " + root + "/val, got no folder dog");
  fs::remove_all(root_ / "val/dog");
  fs::remove_all(root_ / "test/owl");
  EXPECT_EQ(error_of(), root + "/test: expected the 2 classes of " + root + "/train, got no folder owl");
  fs::remove_all(root_ / "test");
  std::ofstream(root_ / "test") << "x";
  EXPECT_EQ(error_of(), root + "/test: not a folder: expected a folder for each class in it");
  fs::remove(root_ / "test");
  fill("validation", "cat", 1);
  EXPECT_EQ(error_of(), root + ": expected one of val and validation, got both");
}

TEST_F(Folder, DamagedPicturesAreNamedOrLeftOut) {
  small();
  struct Damage {
    const char* name;
    std::string bytes, message;
  };
  std::ifstream in(kPictures / "truncated.jpg", std::ios::binary);
  const std::string cut{std::istreambuf_iterator<char>(in), {}};
  std::vector<std::string> all;
  for (const Damage& d :
       {Damage{"a.png", "", ": expected a picture, got an empty file"}, Damage{"b.txt", "words", ": not a picture that can"},
        Damage{"c.jpg", cut.substr(0, 30), ": damaged picture: "}}) {
    const fs::path path = root_ / "train/cat" / d.name;
    std::ofstream(path, std::ios::binary) << d.bytes;
    EXPECT_EQ(error_of().find(path.string() + d.message), 0u) << error_of();
    if (std::string(d.name) != "c.jpg") fs::remove(path);
    all.push_back(path.string());
  }
  for (const int threads : {1, 3}) {
    const int before = kernels::threads();
    kernels::set_threads(threads);
    for (const char* name : {"a.png", "b.txt"}) std::ofstream(root_ / "train/cat" / name) << "bad";
    EXPECT_EQ(error_of().find((root_ / "train/cat/a.png").string()), 0u)
        << "the first in order, with any number of threads: " << error_of();
    std::vector<std::string> told;
    const DataSplits d = load_folder(root_, {.damaged = Damaged::skip, .skipped = [&](const std::string& m) { told.push_back(m); }});
    EXPECT_EQ(d.train.size(), 10);
    ASSERT_EQ(told.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(told[i].find(all[i]), 0u) << told[i];
    kernels::set_threads(before);
  }
  // Cut behind a whole header: told when decoded, which is at once for pictures that go to memory, or by skip.
  for (const char* name : {"a.png", "b.txt", "c.jpg"}) fs::remove(root_ / "train/cat" / name);
  std::ofstream(root_ / "train/cat/d.jpg", std::ios::binary) << cut;
  const DataSplits lazy = load_folder(root_);
  EXPECT_EQ(lazy.train.size(), 11);
  const auto names_ = names(lazy.train);
  const auto at = std::find(names_.begin(), names_.end(), "cat/d.jpg") - names_.begin();
  EXPECT_THROW(lazy.train.picture(at), Error);
  EXPECT_EQ(load_folder(root_, {.damaged = Damaged::skip}).train.size(), 10);
  for (int i = 0; i < 5; ++i) fs::remove(root_ / "train/cat" / ("p" + std::to_string(i) + ".png"));
  EXPECT_EQ(error_of({.damaged = Damaged::skip}), root_.string() + "/train: all 1 pictures of class cat are damaged");
}

}   // namespace
}   // namespace fovea::vision
