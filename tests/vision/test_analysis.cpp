// Confusion matrix, captions, contact sheet.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "tests/temporary_folder.h"
#include "vision/analysis/bitmap_font.h"
#include "vision/analysis/confusion.h"
#include "vision/analysis/contact_sheet.h"
#include "vision/data/image_file.h"

namespace fovea::vision {
namespace {

/// truth -> predicted: 0 -> 0 three times, 0 -> 2 once, 1 -> 2 twice, 2 -> 2 once, 2 -> 0 twice; class 3 never.
ConfusionMatrix by_hand() {
  ConfusionMatrix m({"cat", "dog", "owl", "cow"});
  for (const auto& [truth, predicted] :
       std::vector<std::pair<int, int>>{{0, 0}, {0, 0}, {0, 0}, {0, 2}, {1, 2}, {1, 2}, {2, 2}, {2, 0}, {2, 0}})
    m.add(truth, predicted);
  return m;
}

TEST(ConfusionMatrix, ByHand) {
  const ConfusionMatrix m = by_hand();
  EXPECT_EQ(m.total(), 9);
  EXPECT_EQ(m.correct(), 4);
  EXPECT_DOUBLE_EQ(m.top1(), 4. / 9);
  EXPECT_EQ(m.count(1, 2), 2);
  EXPECT_EQ(m.count(2, 1), 0);
  EXPECT_DOUBLE_EQ(m.class_accuracy(0), 0.75);
  EXPECT_DOUBLE_EQ(m.class_accuracy(1), 0);
  EXPECT_TRUE(std::isnan(m.class_accuracy(3)));
  EXPECT_TRUE(std::isnan(ConfusionMatrix({"a"}).top1()));
  const auto pairs = m.most_confused(2);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_TRUE(pairs[0].truth == 1 && pairs[0].predicted == 2 && pairs[0].count == 2);
  EXPECT_TRUE(pairs[1].truth == 2 && pairs[1].predicted == 0 && pairs[1].count == 2);
  EXPECT_EQ(m.most_confused(100).size(), 3u);
  EXPECT_EQ(m.table(),
            "true  cat dog owl cow  accuracy\n"
            " cat    3   .   1   .   75.00 %\n"
            " dog    .   .   2   .    0.00 %\n"
            " owl    2   .   1   .   33.33 %\n"
            " cow    .   .   .   .         -\n");
}

TEST(ConfusionMatrix, RefusesOtherClasses) {
  ConfusionMatrix m = by_hand();
  EXPECT_THROW(m.add(4, 0), ShapeError);
  EXPECT_THROW(m.add(0, -1), ShapeError);
  EXPECT_THROW(m.count(0, 4), ShapeError);
  EXPECT_THROW(ConfusionMatrix({}), ShapeError);
  EXPECT_EQ(m.total(), 9);
}

std::string ink(const Tensor& image) {
  std::string s;
  for (std::int64_t r = 0; r < image.dim(0); ++r, s += '\n')
    for (std::int64_t c = 0; c < image.dim(1); ++c) s += image.data<std::uint8_t>()[(r * image.dim(1) + c) * 3] ? '#' : '.';
  return s;
}

TEST(BitmapFont, DrawsAndClips) {
  Tensor image = Tensor::zeros({7, text_width("1-"), 3}, DType::u8);
  draw_text(image, 0, 0, "1-", {255, 0, 0});
  EXPECT_EQ(ink(image),
            "..#........\n"
            ".##........\n"
            "..#........\n"
            "..#...#####\n"
            "..#........\n"
            "..#........\n"
            ".###.......\n");
  EXPECT_EQ(image.data<std::uint8_t>()[2 * 3 + 1], 0);   // red, not grey
  Tensor small = Tensor::zeros({4, 4, 3}, DType::u8);
  draw_text(small, -1, -2, "1", {255, 255, 255}, 2);   // larger than the picture on all sides
  EXPECT_EQ(ink(small), "..##\n####\n####\n..##\n");
  EXPECT_EQ(text_width(""), 0);
}

TEST(BitmapFont, EachLetterHasItsOwnShape) {
  std::vector<std::string> shapes;
  const std::string letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz%>-.,:/()_+= ?";
  for (const char letter : letters) {
    Tensor image = Tensor::zeros({9, 5, 3}, DType::u8);
    draw_text(image, 0, 0, std::string(1, letter), {255, 255, 255});
    const std::string shape = ink(image);
    for (const std::string& s : shapes) EXPECT_NE(shape, s) << letter;
    shapes.push_back(shape);
  }
}

Pictures four_pictures() {   // 2 x 3 pixels of 10, 20, 30, 40
  std::vector<std::uint8_t> pixels;
  for (int i = 1; i <= 4; ++i) pixels.insert(pixels.end(), 6, static_cast<std::uint8_t>(10 * i + 100));
  return {Tensor::from(pixels, {4, 2, 3, 1}), {0, 1, 0, 1}, {"a", "b"}};
}

int pixel(const Tensor& sheet, std::int64_t y, std::int64_t x) { return sheet.data<std::uint8_t>()[(y * sheet.dim(1) + x) * 3 + 1]; }

TEST(ContactSheet, SurestMistakesFirstAndAGridByHand) {
  // 0 and 3 are right; 1 and 2 are wrong, 2 more surely.
  const std::vector<Prediction> p = {{0, 0, 0.9f}, {1, 0, 0.6f}, {2, 1, 0.97f}, {3, 1, 0.99f}};
  const Tensor sheet = draw_contact_sheet(four_pictures(), p, {.title = "2 wrong", .zoom = 20, .columns = 2});
  // Width: two cells of 60 with three gaps of 10. Height: gap, title 18 and gap, then 2 * 20 + 4 and two lines of 18, gap.
  ASSERT_EQ(sheet.shape(), Shape({10 + 28 + 80 + 10, 150, 3}));
  EXPECT_EQ(pixel(sheet, 38, 10), 130);   // picture 2
  EXPECT_EQ(pixel(sheet, 38 + 39, 10 + 59), 130);
  EXPECT_EQ(pixel(sheet, 38, 80), 120);   // picture 1
  EXPECT_EQ(pixel(sheet, 38, 75), 32);    // between them
  EXPECT_EQ(pixel(sheet, 0, 0), 32);
}

TEST(ContactSheet, LimitColoursAndAnEmptySheet) {
  const Pictures set(Tensor::zeros({30, 4, 4, 3}, DType::u8), std::vector<std::int64_t>(30, 0), {"automobile", "truck"});
  std::vector<Prediction> all;
  for (std::int64_t i = 0; i < 30; ++i) all.push_back({i, 1, 0.5f});
  // The caption "automobile -> truck" is wider than the picture: cells of 19 * 6 - 1 = 113.
  EXPECT_EQ(draw_contact_sheet(set, all, {.zoom = 3, .limit = 6, .columns = 3}).shape(),
            Shape({10 + 2 * (12 + 4 + 36 + 10), 10 + 3 * 123, 3}));
  EXPECT_EQ(draw_contact_sheet(set, all, {.limit = 6, .columns = 3}).dim(0), 10 + 2 * (96 + 4 + 36 + 10));   // zoom 24
  const Pictures large(Tensor::zeros({1, 100, 400, 3}, DType::u8), {0}, {"a", "b"});
  EXPECT_EQ(draw_contact_sheet(large, {{0, 1, 0.5f}}, {.columns = 1}).shape(),
            Shape({10 + 48 + 4 + 36 + 10, 10 + 192 + 10, 3}));   // shrunk to 48 x 192
  EXPECT_EQ(draw_contact_sheet(set, {}, {}).dim(0), 10);
  EXPECT_EQ(draw_contact_sheet(set, {}, {.title = "no mistakes"}).dim(0), 38);
  EXPECT_THROW(draw_contact_sheet(set, {{30, 1, 0.5f}}), ShapeError);
  EXPECT_THROW(draw_contact_sheet(set, {{0, 2, 0.5f}}), ShapeError);
  EXPECT_THROW(draw_contact_sheet(set, {{0, 1, std::numeric_limits<float>::quiet_NaN()}}), ShapeError);
  EXPECT_THROW(draw_contact_sheet(set, all, {.zoom = 10000}), ShapeError);
}

TEST(ContactSheet, IsAPngThatReadsBack) {
  const TemporaryFolder temporary;
  const auto& folder = temporary.path();
  const std::vector<Prediction> p = {{1, 0, 0.6f}, {2, 1, 0.97f}};
  write_contact_sheet(folder / "wrong.png", four_pictures(), p, {.title = "2 wrong"});
  const Tensor expected = draw_contact_sheet(four_pictures(), p, {.title = "2 wrong"}), back = read_image(folder / "wrong.png", 3);
  EXPECT_EQ(back.shape(), expected.shape());
  EXPECT_EQ(back.to_vector<std::int64_t>(), expected.to_vector<std::int64_t>());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  EXPECT_THROW(write_contact_sheet(folder / "none" / "wrong.png", four_pictures(), p), Error);
}

}   // namespace
}   // namespace fovea::vision
