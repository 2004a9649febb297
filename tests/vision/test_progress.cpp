// The progress line, with a clock and a terminal of the test's own.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "vision/training/progress.h"

namespace fovea::vision {
namespace {

class ProgressLine : public testing::Test {
 protected:
  ProgressLine() : out_(open_memstream(&text_, &size_)) { setenv("NO_COLOR", "1", 1); }
  ~ProgressLine() override {
    std::fclose(out_);
    std::free(text_);
    unsetenv("NO_COLOR");
  }
  ProgressOptions options(bool terminal, int width = 100) {
    return {.out = out_, .terminal = terminal, .width = width, .clock = [this] { return now_; }};
  }
  /// What was written since the last call.
  std::string written() {
    std::fflush(out_);
    const std::string all(text_, size_);
    return all.substr(std::exchange(taken_, all.size()));
  }
  char* text_ = nullptr;
  std::size_t size_ = 0, taken_ = 0;
  std::FILE* out_;
  double now_ = 1000;
};

TEST(FormatDuration, ByHand) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [seconds, text] : std::vector<std::pair<double, std::string>>{{0, "0.0 s"},
                                                                                 {0.84, "0.8 s"},
                                                                                 {9.94, "9.9 s"},
                                                                                 {9.96, "10 s"},
                                                                                 {59.4, "59 s"},
                                                                                 {59.6, "1 min 00 s"},
                                                                                 {185, "3 min 05 s"},
                                                                                 {3599.7, "1 h 00 min"},
                                                                                 {7500, "2 h 05 min"},
                                                                                 {86399, "1 d 00 h"},
                                                                                 {273600, "3 d 04 h"},
                                                                                 {-1, "?"},
                                                                                 {nan, "?"},
                                                                                 {INFINITY, "?"}})
    EXPECT_EQ(format_duration(seconds), text) << seconds;
}

TEST_F(ProgressLine, OneLineIsRedrawnAndCleared) {
  Progress p(2, 4, 0, options(true));
  p.begin_epoch(0);
  EXPECT_EQ(written(), "");
  now_ += 0.5;
  p.step(100, {.loss = 1.5, .accuracy = 0.25, .lr = 0.05});
  EXPECT_DOUBLE_EQ(p.images_per_s(), 200);
  EXPECT_DOUBLE_EQ(p.remaining(), 3.5);   // 7 steps of half a second
  EXPECT_EQ(written(), "\repoch 1/2  [====>                ]  1/4  200 images/s  loss 1.5000  acc 25.00 %  lr 0.05  ETA 3.5 s\x1b[K");
  p.stage("validating");
  EXPECT_NE(written().find("validating"), std::string::npos);
  p.end_epoch({.train_loss = 1.5, .val_loss = 1.25, .val_accuracy = 0.5, .lr = 0.05, .images_per_s = 12345.4, .seconds = 2});
  EXPECT_EQ(written(), "\r\x1b[Kepoch 1/2  train loss 1.5000  val loss 1.2500  val accuracy 50.00 %  lr 0.05  12,345 images/s  2.0 s\n");
}

TEST_F(ProgressLine, AtMostTenDrawingsASecondAndTheLastStep) {
  Progress p(1, 1000, 0, options(true));
  p.begin_epoch(0);
  int drawings = 0;
  for (int i = 0; i < 1000; ++i) {
    now_ += 0.001;
    p.step(1, {});
    drawings += !written().empty();
  }
  EXPECT_GE(drawings, 9);
  EXPECT_LE(drawings, 11);
  EXPECT_DOUBLE_EQ(p.remaining(), 0);
}

TEST_F(ProgressLine, FitsAnyWidthAndKeepsWhatMatters) {
  for (int width = 1; width < 200; ++width) {
    Progress p(10, 430, 0, options(true, width));
    p.begin_epoch(3);
    now_ += 1;
    p.step(128, {.loss = 0.6123, .accuracy = 0.97, .lr = 0.1});
    std::string line = written();
    ASSERT_TRUE(line.starts_with("\r") && line.ends_with("\x1b[K"));
    line = line.substr(1, line.size() - 4);
    EXPECT_LT(static_cast<int>(line.size()), width);
    if (width >= 80) {
      EXPECT_NE(line.find("acc 97.00 %"), std::string::npos) << line;
    }
    if (width >= 30) {
      EXPECT_NE(line.find("loss 0.6123"), std::string::npos) << line;
    }
    p.clear();
    written();
  }
}

TEST_F(ProgressLine, PlainLinesWhenNotATerminal) {
  {
    Progress p(12, 2, 0, options(false));
    p.begin_epoch(0);
    for (int i = 0; i < 2; ++i) {
      now_ += 1;
      p.step(10, {});
    }
    p.stage("validating");
    EXPECT_EQ(written(), "");
    p.end_epoch({.train_loss = 1, .val_loss = 2, .val_accuracy = 1, .lr = 1e-5, .images_per_s = 999, .seconds = 75});
  }
  EXPECT_EQ(written(), "epoch  1/12  train loss 1.0000  val loss 2.0000  val accuracy 100.00 %  lr 1e-05  999 images/s  1 min 15 s\n");
}

TEST_F(ProgressLine, EndsOnACleanLine) {
  {
    Progress p(2, 4, 0, options(true));
    p.begin_epoch(0);
    now_ += 1;
    p.step(1, {});
    written();
  }
  EXPECT_EQ(written(), "\r\x1b[K");
}

TEST_F(ProgressLine, AResumedRunCountsWhatItDoes) {
  Progress p(6, 10, 4, options(true));
  p.begin_epoch(4);
  now_ += 2;
  p.step(1, {});
  EXPECT_DOUBLE_EQ(p.remaining(), 38);   // 19 of 20 steps
  EXPECT_THROW(Progress(2, 4, 3, options(true)), std::runtime_error);
}

TEST_F(ProgressLine, ColourUnlessNoColor) {
  const auto first_line = [&] {
    Progress p(1, 4, 0, options(true));
    p.begin_epoch(0);
    now_ += 1;
    p.step(1, {});
    return written();
  };
  EXPECT_EQ(first_line().find("\x1b[32m"), std::string::npos);
  setenv("NO_COLOR", "", 1);   // empty counts as unset
  EXPECT_NE(first_line().find("\x1b[32m"), std::string::npos);
}

}   // namespace
}   // namespace fovea::vision
