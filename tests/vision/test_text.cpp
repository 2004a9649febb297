#include "vision/text.h"

#include <gtest/gtest.h>

namespace fovea::vision {
namespace {

using Words = std::vector<std::string>;

TEST(Nearest, FindsSlipsOfTheKeyboard) {
  const Words known{"epochs", "batch", "lr", "seed", "threads", "device", "label_smoothing"};
  EXPECT_EQ(nearest("epoch", known), (Words{"epochs"}));
  EXPECT_EQ(nearest("bacth", known), (Words{"batch"}));   // a swap is one step
  EXPECT_EQ(nearest("SEED", known), (Words{"seed"}));
  EXPECT_EQ(nearest("label_smothing", known), (Words{"label_smoothing"}));
  EXPECT_EQ(nearest("momentum", known), Words{});
  EXPECT_EQ(nearest("xy", {"lr"}), Words{});   // nothing in common
  EXPECT_EQ(nearest("", {"lr"}), Words{});
}

TEST(Nearest, PutsTheNearestFirstAndStopsAtThree) {
  EXPECT_EQ(nearest("resnet19", {"resnet34", "resnet18", "resnet101", "resnet9", "resnet50", "vgg11"}),
            (Words{"resnet18", "resnet9", "resnet34"}));
}

TEST(DidYouMean, IsTheEndOfAnErrorMessage) {
  EXPECT_EQ(did_you_mean("resnet19", {"resnet18", "vgg"}), " (did you mean resnet18?)");
  EXPECT_EQ(did_you_mean("resnet1", {"resnet18", "resnet152", "vgg"}), " (did you mean resnet18 or resnet152?)");
  EXPECT_EQ(did_you_mean("transformer", {"resnet18"}), "");
}

}   // namespace
}   // namespace fovea::vision
