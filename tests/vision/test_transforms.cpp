// Normalisation, cropping, resizing, whole transforms, and pictures in files.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/temporary_folder.h"
#include "vision/data/image_file.h"
#include "vision/transforms/crop.h"
#include "vision/transforms/normalize.h"
#include "vision/transforms/resize.h"
#include "vision/transforms/transform.h"

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

/// Cut with y = pixel, so that expected pictures can be written down.
std::vector<int> window_of(const std::vector<std::uint8_t>& x, Shape shape, Window w) {
  const std::int64_t C = shape.dim(2);
  std::vector<float> y(static_cast<std::size_t>(w.height * w.width * C), -1.f);
  cut(Tensor::from(x, shape), w,
      Normalize(std::vector<float>(static_cast<std::size_t>(C), 0.f), std::vector<float>(static_cast<std::size_t>(C), 1.f / 255)),
      y.data());
  std::vector<int> pixels;
  for (const float v : y) pixels.push_back(static_cast<int>(std::lround(v)));
  return pixels;
}

TEST(Crop, CutsPadsAndMirrorsByHand) {
  const std::vector<std::uint8_t> x = {1, 2, 3,   //
                                       4, 5, 6};
  const Shape s{2, 3, 1};
  const auto at = [](std::int64_t top, std::int64_t left, bool flip = false) {
    return Window{.top = top, .left = left, .height = 2, .width = 3, .flip = flip};
  };
  EXPECT_EQ(window_of(x, s, at(0, 0)), (std::vector<int>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(window_of(x, s, at(-1, 0)), (std::vector<int>{0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(window_of(x, s, at(1, -1)), (std::vector<int>{0, 4, 5, 0, 0, 0}));
  EXPECT_EQ(window_of(x, s, at(0, 2)), (std::vector<int>{3, 0, 0, 6, 0, 0}));
  EXPECT_EQ(window_of(x, s, at(0, 0, true)), (std::vector<int>{3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(window_of(x, s, at(0, -1, true)), (std::vector<int>{2, 1, 0, 5, 4, 0}));   // cut first, then mirrored
  for (const std::int64_t far : {3, -3, 40, -40}) {
    EXPECT_EQ(window_of(x, s, at(0, far)), std::vector<int>(6, 0));
    EXPECT_EQ(window_of(x, s, at(far, 0)), std::vector<int>(6, 0));
  }
  EXPECT_EQ(window_of(x, s, {.top = 1, .left = 1, .height = 1, .width = 2}), (std::vector<int>{5, 6}));
  EXPECT_EQ(window_of(x, {1, 2, 3}, {.top = 0, .left = -1, .height = 1, .width = 2}), (std::vector<int>{0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(window_of(x, {1, 2, 3}, {.height = 1, .width = 2, .flip = true}), (std::vector<int>{4, 5, 6, 1, 2, 3}));
  EXPECT_EQ(crop(Tensor::from(x, s), {.top = 1, .left = 1, .height = 1, .width = 2}).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{5, 6}));
  EXPECT_THROW(crop(Tensor::from(x, s), {.top = 1, .left = 1, .height = 2, .width = 2}), ShapeError);
}

struct ResizedCropCase {
  std::int64_t H, W;
  ResizedCropOptions o;
  double first;
  Window expected;
};
constexpr double kThird = 1.3333333333333333;
const ResizedCropCase kResizedCrops[] = {
    // from transforms_torchvision.py
    {375, 500, {0.08, 1, 0.75, kThird}, 0.1, {69, 295, 169, 191}},
    {375, 500, {0.08, 1, 0.75, kThird}, 0.37, {80, 39, 244, 323}},
    {375, 500, {0.08, 1, 0.75, kThird}, 0.93, {73, 5, 193, 227}},
    {32, 32, {0.25, 1, 0.75, kThird}, 0.1, {5, 13, 17, 19}},
    {32, 32, {0.25, 1, 0.75, kThird}, 0.37, {7, 1, 20, 27}},
    {32, 32, {0.25, 1, 0.75, kThird}, 0.93, {0, 0, 31, 32}},
    {500, 20, {0.9, 1, 0.75, kThird}, 0.1, {236, 0, 27, 20}},   // ten attempts fail
    {11, 700, {0.5, 1, 0.75, kThird}, 0.37, {0, 342, 11, 15}},
    {64, 48, {1, 1, 1, 1}, 0.93, {8, 0, 48, 48}},
    {64, 64, {1, 1, 1, 1}, 0.1, {0, 0, 64, 64}},
};

TEST(Crop, RandomResizedCropIsTorchvisions) {
  for (const ResizedCropCase& c : kResizedCrops) {
    int k = 0;
    const Window w = random_resized_crop(c.H, c.W, c.o, [&] { return std::fmod(c.first + k++ * 0.6180339887498949, 1.); });
    EXPECT_EQ(w, c.expected) << c.H << " x " << c.W << ", first " << c.first << ": got " << w.top << " " << w.left << " " << w.height << " "
                             << w.width;
  }
  EXPECT_THROW(random_resized_crop(3, 3, {.scale_min = 0}, [] { return 0.5; }), ShapeError);
  EXPECT_THROW(random_resized_crop(3, 3, {.scale_max = 1.5}, [] { return 0.5; }), ShapeError);
  EXPECT_THROW(random_resized_crop(3, 3, {.ratio_min = 2}, [] { return 0.5; }), ShapeError);
}

TEST(Transform, WindowsDependOnKeyEpochAndPictureAlone) {
  const InputOptions input{.height = 8, .width = 6};
  const Normalize normalize({0}, {1});
  const RandomKey key{.seed = 5};
  const AugmentOptions o{.crop = Crop::random, .crop_padding = 2, .flip = true};
  const auto window = [&](const AugmentOptions& a, std::uint64_t epoch, std::int64_t i) {
    return Transform(input, normalize, a, augment_key(key, epoch)).window(8, 6, i);
  };
  std::set<std::vector<std::int64_t>> seen;
  for (std::int64_t i = 0; i < 2000; ++i) {
    const Window w = window(o, 0, i);
    EXPECT_EQ(w, window(o, 0, i));
    EXPECT_TRUE(std::abs(w.top) <= 2 && std::abs(w.left) <= 2 && w.height == 8 && w.width == 6);
    const Window unflipped = window({.crop = Crop::random, .crop_padding = 2}, 0, i);
    EXPECT_TRUE(unflipped.top == w.top && unflipped.left == w.left && !unflipped.flip);
    seen.insert({w.top, w.left, w.flip});
  }
  EXPECT_EQ(seen.size(), 50u);   // 5 x 5 x 2, all of them
  int differ = 0;
  for (std::int64_t i = 0; i < 100; ++i) differ += !(window(o, 0, i) == window(o, 1, i));
  EXPECT_GT(differ, 80);   // 98 expected, standard deviation 1.4
  EXPECT_EQ(window({}, 0, 3), (Window{.height = 8, .width = 6}));
  // A larger picture: every place inside, and none outside without padding.
  std::set<std::int64_t> tops;
  const Transform t(input, normalize, {.crop = Crop::random}, augment_key(key, 0));
  for (std::int64_t i = 0; i < 500; ++i) {
    tops.insert(t.window(12, 6, i).top);
    EXPECT_EQ(t.window(12, 6, i).left, 0);
  }
  EXPECT_EQ(tops, (std::set<std::int64_t>{0, 1, 2, 3, 4}));
}

Tensor pattern(std::int64_t h, std::int64_t w, std::int64_t c) {
  std::vector<std::uint8_t> x(static_cast<std::size_t>(h * w * c));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint8_t>((i * 37 + i * i * 11) % 256);
  return Tensor::from(x, {h, w, c});
}

TEST(Resize, SameBytesAsPillowsBicubic) {
  EXPECT_EQ(resize(pattern(5, 7, 3), 2, 3, ResizeFilter::bicubic).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{137, 125, 149, 112, 146, 168, 190, 118, 100, 157, 148, 147, 87, 131, 198, 160, 148, 134}));
  EXPECT_EQ(resize(pattern(3, 4, 1), 5, 6, ResizeFilter::bicubic).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{0,   9,  47, 104, 179, 230, 13,  57,  108, 109, 126, 141, 59,  138, 201,
                                       124, 60, 25, 175, 195, 205, 168, 143, 132, 247, 224, 197, 195, 206, 216}));
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

std::uint64_t hash_of(const std::vector<int>& bytes) {   // FNV-1a
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const int v : bytes) hash = (hash ^ static_cast<std::uint64_t>(v)) * 0x100000001B3u;
  return hash;
}

/// What `t` makes of the picture, as pixels: with mean 0 and deviation 1/255.
std::vector<int> transformed(const InputOptions& input, const AugmentOptions& augment, const Tensor& picture, std::int64_t index = 0) {
  const Transform t(input, Normalize({0, 0, 0}, {1.f / 255, 1.f / 255, 1.f / 255}), augment, RandomKey{.seed = 1});
  std::vector<float> y(static_cast<std::size_t>(input.height * input.width * 3));
  t(picture, index, y.data());
  std::vector<int> pixels;
  for (const float v : y) pixels.push_back(static_cast<int>(std::lround(v)));
  return pixels;
}

TEST(Transform, EvaluationIsTorchvisionsResizeAndCenterCrop) {   // hashes from transforms_torchvision.py
  struct Case {
    std::int64_t H, W, resize, size;
    std::uint64_t hash;
  };
  for (const Case& c :
       {Case{60, 41, 37, 32, 0x850D097295391777u}, Case{41, 60, 37, 32, 0x57C9354455C12205u}, Case{33, 33, 32, 32, 0x64260C6A04D7A405u},
        Case{50, 77, 29, 24, 0xBC0A66E25D97F9Au}, Case{23, 31, 36, 33, 0xB07848D8305AC2u}})
    EXPECT_EQ(hash_of(transformed({.height = c.size, .width = c.size, .resize = c.resize}, {}, pattern(c.H, c.W, 3))), c.hash)
        << c.H << " x " << c.W;
}

TEST(Transform, ResizedCropIsCropResizeFlip) {
  const Window box{.top = 5, .left = 3, .height = 22, .width = 30};
  const Tensor x = resize(crop(pattern(47, 39, 3), box), 17, 17);
  std::vector<float> y(17 * 17 * 3);
  cut(x, {.height = 17, .width = 17, .flip = true}, Normalize({0, 0, 0}, {1.f / 255, 1.f / 255, 1.f / 255}), y.data());
  std::vector<int> pixels;
  for (const float v : y) pixels.push_back(static_cast<int>(std::lround(v)));
  EXPECT_EQ(hash_of(pixels), 0x312DA3F6DC13B6BFu);   // torchvision's resized_crop and hflip

  // Transform draws its box from its own stream: the picture's number decides.
  const AugmentOptions resized{.crop = Crop::resized, .flip = true};
  const InputOptions input{.height = 17, .width = 17, .resize = 20};
  EXPECT_EQ(transformed(input, resized, pattern(47, 39, 3), 4), transformed(input, resized, pattern(47, 39, 3), 4));
  EXPECT_NE(transformed(input, resized, pattern(47, 39, 3), 4), transformed(input, resized, pattern(47, 39, 3), 5));
}

TEST(Transform, RefusesWhatDoesNotFit) {
  const Normalize normalize({0}, {1});
  EXPECT_THROW(Transform({}, normalize), ShapeError);
  EXPECT_THROW(Transform({.height = 8, .width = 8, .resize = 7}, normalize), ShapeError);
  EXPECT_THROW(Transform({.height = 8, .width = 8}, normalize, {.crop_padding = -1}), ShapeError);
  std::vector<float> y(64 * 3);
  EXPECT_THROW(Transform({.height = 8, .width = 8}, normalize)(pattern(8, 9, 1), 0, y.data()), ShapeError);
  EXPECT_THROW(Transform({.height = 8, .width = 8}, normalize)(pattern(8, 8, 3), 0, y.data()), ShapeError);   // channels
}

class ImageFiles : public testing::Test {
 protected:
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
  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
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

TEST_F(ImageFiles, JpegIsDecodedToPillowsPixels) {   // the PNG beside each holds them
  const std::filesystem::path pictures = FOVEA_SOURCE_DIR "/tests/vision/pictures";
  for (const char* name : {"colour444", "colour422", "colour420", "progressive", "grey", "cmyk", "ycck"}) {
    const auto jpeg = pictures / (std::string(name) + ".jpg"), png = pictures / (std::string(name) + ".png");
    EXPECT_EQ(read_image(jpeg, 3).to_vector<std::int64_t>(), read_image(png, 3).to_vector<std::int64_t>()) << name;
    EXPECT_EQ(image_shape(jpeg, 3), (PictureShape{19, 26, 3})) << name;
    EXPECT_EQ(read_image(jpeg, 1).shape(), Shape({19, 26, 1})) << name;
  }
  EXPECT_EQ(image_shape(pictures / "grey.png", 1), (PictureShape{19, 26, 1}));
  const auto cut = write("cut.jpg", [&] {
    std::ifstream in(pictures / "truncated.jpg", std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(in), {}};
  }());
  EXPECT_EQ(image_shape(cut, 3), (PictureShape{19, 26, 3}));   // the header is whole
  EXPECT_EQ(error_of(cut), cut.string() + ": damaged picture: Premature end of JPEG file");
  EXPECT_EQ(error_of(write("start.jpg", "\xff\xd8\xff")).find((folder_ / "start.jpg").string() + ": damaged picture: "), 0u);
}

TEST_F(ImageFiles, EveryCutJpegIsAPictureOrAnError) {
  std::ifstream in(FOVEA_SOURCE_DIR "/tests/vision/pictures/colour420.jpg", std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  for (std::size_t n = 0; n < whole.size() - 4; n += 7) EXPECT_NE(error_of(write("cut.jpg", whole.substr(0, n))), "no error") << n;
  for (std::size_t n = 0; n < whole.size(); n += 3) {   // damage within: an error or pixels, never a crash
    std::string bad = whole;
    bad[n] = static_cast<char>(bad[n] ^ 0x55);
    error_of(write("bad.jpg", bad));
  }
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
