// Normalisation, augmentation, resizing, and pictures in files.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "vision/data/image_file.h"
#include "vision/transforms/augment.h"
#include "vision/transforms/normalize.h"
#include "vision/transforms/resize.h"

namespace fovea::vision {
namespace {

TEST(Normalize, IsTheFormulaRoundedOnce) {
  const std::vector<float> mean = {0.485f, 0.456f, 0.406f}, std = {0.229f, 0.224f, 0.225f};
  const Tensor y = Normalize(mean, std)(Tensor::from(std::vector<std::uint8_t>{0, 128, 255, 7, 8, 9}, {2, 3}));
  const std::vector<int> pixels = {0, 128, 255, 7, 8, 9};
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(y.data<float>()[i], static_cast<float>((pixels[i] / 255. - double{mean[i % 3]}) / double{std[i % 3]}));
  EXPECT_THROW(Normalize({0.5f}, {0.f}), ShapeError);
  EXPECT_THROW(Normalize({0.5f}, {0.5f, 0.5f}), ShapeError);
  EXPECT_THROW(Normalize({NAN}, {0.5f}), ShapeError);
  EXPECT_THROW(Normalize(mean, std)(Tensor::zeros({2, 4}, DType::u8)), ShapeError);
}

/// Augments with y = pixel, so that expected pictures can be written down.
std::vector<int> augmented(const std::vector<std::uint8_t>& x, PictureShape s, Augmentation a) {
  std::vector<float> y(x.size(), -1.f);
  augment_picture(x.data(), y.data(), s, a,
                  Normalize(std::vector<float>(static_cast<std::size_t>(s.channels), 0.f),
                            std::vector<float>(static_cast<std::size_t>(s.channels), 1.f / 255)));
  std::vector<int> pixels;
  for (const float v : y) pixels.push_back(static_cast<int>(std::lround(v)));
  return pixels;
}

TEST(Augment, ShiftsAndMirrorsByHand) {
  const std::vector<std::uint8_t> x = {1, 2, 3,   //
                                       4, 5, 6};
  const PictureShape s{.height = 2, .width = 3, .channels = 1};
  EXPECT_EQ(augmented(x, s, {}), (std::vector<int>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(augmented(x, s, {.dy = 1, .dx = 0}), (std::vector<int>{0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(augmented(x, s, {.dy = -1, .dx = 1}), (std::vector<int>{0, 4, 5, 0, 0, 0}));
  EXPECT_EQ(augmented(x, s, {.dy = 0, .dx = -2}), (std::vector<int>{3, 0, 0, 6, 0, 0}));
  EXPECT_EQ(augmented(x, s, {.flip = true}), (std::vector<int>{3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(augmented(x, s, {.dx = 1, .flip = true}), (std::vector<int>{2, 1, 0, 5, 4, 0}));   // shifted first, then mirrored
  for (const std::int64_t far : {3, -3, 40, -40}) {
    EXPECT_EQ(augmented(x, s, {.dx = far}), std::vector<int>(6, 0));
    EXPECT_EQ(augmented(x, s, {.dy = far}), std::vector<int>(6, 0));
  }
  EXPECT_EQ(augmented({1, 2, 3, 4, 5, 6}, {.height = 1, .width = 2, .channels = 3}, {.dx = 1}), (std::vector<int>{0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(augmented({1, 2, 3, 4, 5, 6}, {.height = 1, .width = 2, .channels = 3}, {.flip = true}), (std::vector<int>{4, 5, 6, 1, 2, 3}));
}

TEST(Augment, DrawsDependOnKeyEpochAndPictureAlone) {
  const AugmentOptions o{.shift = 2, .flip = true};
  const RandomKey key{.seed = 5};
  std::set<std::vector<std::int64_t>> seen, next_epoch;
  for (std::int64_t i = 0; i < 2000; ++i) {
    const Augmentation a = draw_augmentation(o, augment_key(key, 0), i), b = draw_augmentation(o, augment_key(key, 0), i);
    EXPECT_TRUE(a.dy == b.dy && a.dx == b.dx && a.flip == b.flip);
    EXPECT_TRUE(std::abs(a.dy) <= 2 && std::abs(a.dx) <= 2);
    const Augmentation shift_only = draw_augmentation({.shift = 2}, augment_key(key, 0), i);
    EXPECT_TRUE(shift_only.dy == a.dy && shift_only.dx == a.dx && !shift_only.flip);
    seen.insert({a.dy, a.dx, a.flip});
  }
  EXPECT_EQ(seen.size(), 50u);   // 5 x 5 x 2, all of them
  int differ = 0;
  for (std::int64_t i = 0; i < 100; ++i) {
    const Augmentation a = draw_augmentation(o, augment_key(key, 0), i), b = draw_augmentation(o, augment_key(key, 1), i);
    differ += a.dy != b.dy || a.dx != b.dx || a.flip != b.flip;
  }
  EXPECT_GT(differ, 80);   // 98 expected, standard deviation 1.4
  const Augmentation none = draw_augmentation({}, key, 3);
  EXPECT_TRUE(none.dy == 0 && none.dx == 0 && !none.flip);
}

Tensor pattern(std::int64_t h, std::int64_t w, std::int64_t c) {
  std::vector<std::uint8_t> x(static_cast<std::size_t>(h * w * c));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint8_t>((i * 37 + i * i * 11) % 256);
  return Tensor::from(x, {h, w, c});
}

TEST(Resize, SameBytesAsPillow) {   // expected: Image.resize(..., Image.BILINEAR) of Pillow
  EXPECT_EQ(resize(pattern(5, 7, 3), 2, 3).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{138, 128, 148, 113, 146, 163, 187, 118, 107, 155, 144, 152, 94, 133, 189, 160, 145, 136}));
  EXPECT_EQ(resize(pattern(5, 7, 3), 5, 4).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{95,  56,  160, 153, 82,  218, 222, 88,  161, 173, 71, 112, 159, 191, 100, 42, 177, 130, 121, 142,
                                       165, 238, 97,  89,  184, 155, 159, 161, 113, 148, 66, 222, 143, 142, 208, 39, 172, 104, 193, 120,
                                       156, 213, 119, 91,  218, 167, 170, 74,  133, 162, 66, 54,  172, 180, 145, 67, 196, 165, 119, 216}));
  EXPECT_EQ(resize(pattern(3, 4, 1), 5, 6).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{0,   24, 60, 106, 164, 210, 27,  69,  111, 112, 126, 138, 68,  136, 188,
                                       122, 68, 30, 166, 184, 194, 164, 145, 133, 232, 216, 198, 192, 196, 202}));
  std::uint64_t hash = 0xCBF29CE484222325u;   // FNV-1a over 784 bytes
  for (const std::int64_t v : resize(pattern(100, 131, 1), 28, 28).to_vector<std::int64_t>())
    hash = (hash ^ static_cast<std::uint64_t>(v)) * 0x100000001B3u;
  EXPECT_EQ(hash, 0xBA62DE69D13E118Au);
}

TEST(Resize, KeepsConstantsAndTheSameSize) {
  for (const std::int64_t v : resize(Tensor::full({13, 5, 1}, 200, DType::u8), 4, 9).to_vector<std::int64_t>()) EXPECT_EQ(v, 200);
  const Tensor x = pattern(4, 3, 1), same = resize(x, 4, 3);
  EXPECT_EQ(same.to_vector<std::int64_t>(), x.to_vector<std::int64_t>());
  EXPECT_FALSE(same.shares_storage(x));
  EXPECT_THROW(resize(x, 0, 3), ShapeError);
  EXPECT_THROW(resize(Tensor::zeros({4, 3}, DType::u8), 2, 2), ShapeError);
  EXPECT_THROW(resize(Tensor::zeros({4, 3, 1}), 2, 2), ShapeError);
}

TEST(Resize, SquaresByCroppingOrPadding) {
  const Tensor x = Tensor::from(std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8}, {2, 4, 1});
  EXPECT_EQ(resize_to_square(x, 2, SquareFit::crop).to_vector<std::int64_t>(), (std::vector<std::int64_t>{2, 3, 6, 7}));
  EXPECT_EQ(resize_to_square(x, 4, SquareFit::pad).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0}));
  EXPECT_EQ(resize_to_square(pattern(3, 1000, 1), 28, SquareFit::pad).shape(), Shape({28, 28, 1}));   // at least one row is left
  EXPECT_EQ(invert(x).to_vector<std::int64_t>(), (std::vector<std::int64_t>{254, 253, 252, 251, 250, 249, 248, 247}));
}

class ImageFiles : public testing::Test {
 protected:
  ImageFiles() : folder_(std::filesystem::temp_directory_path() / ("fovea_images_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ImageFiles() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  static std::string error_of(const std::filesystem::path& path) {
    try {
      read_image(path, 1);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  const std::filesystem::path folder_;
};

TEST_F(ImageFiles, PngComesBackAsItWas) {
  for (const int channels : {1, 3}) {
    const Tensor x = pattern(5, 7, channels);
    write_png(folder_ / "x.png", x);
    const Tensor y = read_image(folder_ / "x.png", channels);
    EXPECT_EQ(y.shape(), x.shape());
    EXPECT_EQ(y.to_vector<std::int64_t>(), x.to_vector<std::int64_t>());
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);   // no temporary file is left
}

TEST_F(ImageFiles, GreyAndColour) {
  const auto ppm = write("x.ppm", std::string("P6\n3 1\n255\n") + "\xc8\x64\x32" + "\xff\xff\xff" +
                                      "\x44"
                                      "\x78"
                                      "\xfc");
  EXPECT_EQ(read_image(ppm, 1).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{124, 255, 120}));   // Pillow's convert("L"); the last is just above a half
  EXPECT_EQ(read_image(ppm, 3).to_vector<std::int64_t>(), (std::vector<std::int64_t>{200, 100, 50, 255, 255, 255, 68, 120, 252}));
  const auto pgm = write("x.pgm", std::string("P5\n2 1\n255\n") + "\x0a\xc8");
  EXPECT_EQ(read_image(pgm, 3).to_vector<std::int64_t>(), (std::vector<std::int64_t>{10, 10, 10, 200, 200, 200}));
}

TEST_F(ImageFiles, WhatIsTransparentLiesOverWhite) {   // grey 100 with alpha 255, 0 and 51, written by Pillow
  const unsigned char png[] = {137, 80, 78, 71, 13, 10,  26,  10,  0,   0,   0,   13, 73, 72, 68, 82, 0,  0,   0,   3,  0,   0,   0,   1,
                               8,   4,  0,  0,  0,  177, 233, 220, 63,  0,   0,   0,  15, 73, 68, 65, 84, 120, 156, 99, 76,  249, 207, 192,
                               200, 96, 12, 0,  7,  151, 1,   153, 221, 214, 126, 61, 0,  0,  0,  0,  73, 69,  78,  68, 174, 66,  96,  130};
  const auto path = write("a.png", std::string(reinterpret_cast<const char*>(png), sizeof png));
  EXPECT_EQ(read_image(path, 1).to_vector<std::int64_t>(), (std::vector<std::int64_t>{100, 255, 224}));   // 0.2 * 100 + 0.8 * 255
  EXPECT_EQ(read_image(path, 3).to_vector<std::int64_t>(), (std::vector<std::int64_t>{100, 100, 100, 255, 255, 255, 224, 224, 224}));
}

TEST_F(ImageFiles, EachDamageNamesTheFile) {
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_PRED2(has, error_of(folder_ / "none.png"), "none.png: no such file");
  EXPECT_PRED2(has, error_of(folder_), "not a regular file");
  EXPECT_PRED2(has, error_of(write("empty.png", "")), "empty.png: expected a picture, got an empty file");
  EXPECT_PRED2(has, error_of(write("text.png", "hello, this is no picture")), "text.png: not a picture that can be read");
  write_png(folder_ / "good.png", pattern(30, 30, 1));
  std::ifstream in(folder_ / "good.png", std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  EXPECT_PRED2(has, error_of(write("cut.png", good.substr(0, good.size() / 2))), "cut.png: damaged picture");
  EXPECT_PRED2(has, error_of(write("huge.pgm", "P5\n60000 60000\n255\n")), "huge.pgm: expected 1 to 100000000 pixels, got 60000 x 60000");
  EXPECT_THROW(read_image(folder_ / "good.png", 2), ShapeError);
  EXPECT_THROW(write_png(folder_ / "no" / "such" / "folder.png", pattern(2, 2, 1)), Error);
  EXPECT_THROW(write_png(folder_ / "x.png", pattern(2, 2, 2)), ShapeError);
}

}   // namespace
}   // namespace fovea::vision
