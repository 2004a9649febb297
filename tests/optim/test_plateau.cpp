// Plateau against PyTorch's ReduceLROnPlateau, early stopping by hand; state; bad arguments.
#include "optim/plateau.h"

#include <gtest/gtest.h>

#include <cmath>

#include "pytorch_numbers.h"

namespace fovea::optim {
namespace {

double metric(std::size_t epoch) {
  const double m = pytorch::plateau_metrics[epoch];
  return m == -1 ? NAN : m;
}

struct Case {
  PlateauOptions options;
  const std::vector<double>& expected;
};
const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {{.lr = 0.4, .patience = 2}, pytorch::plateau},
      {{.lr = 0.4, .factor = 0.5, .patience = 1, .threshold = 0.01, .cooldown = 2, .min_lr = 0.03}, pytorch::plateau_cooldown},
      {{.lr = 0.4, .goal = Goal::maximise, .factor = 0.2, .patience = 3}, pytorch::plateau_max},
      {{.lr = 0.4, .factor = 0.5, .patience = 0, .threshold = 0.005, .threshold_absolute = true, .eps = 0.01}, pytorch::plateau_absolute},
      {{.lr = 0.4, .goal = Goal::maximise, .factor = 0.5, .patience = 4, .threshold = 0.005, .threshold_absolute = true},
       pytorch::plateau_max_absolute},
  };
  return list;
}

TEST(Plateau, AsPyTorch) {
  for (const Case& c : cases()) {
    Plateau plateau(c.options);
    EXPECT_EQ(plateau.lr(), 0.4);
    for (std::size_t epoch = 0; epoch < c.expected.size(); ++epoch) EXPECT_EQ(plateau.update(metric(epoch)), c.expected[epoch]) << epoch;
  }
}

TEST(Plateau, StateContinues) {
  for (const Case& c : cases())
    for (std::size_t at = 0; at < c.expected.size(); ++at) {
      Plateau before(c.options), after(c.options);
      for (std::size_t epoch = 0; epoch < at; ++epoch) before.update(metric(epoch));
      after.load_state(before.state());
      for (std::size_t epoch = at; epoch < c.expected.size(); ++epoch) EXPECT_EQ(after.update(metric(epoch)), c.expected[epoch]) << at;
    }
}

TEST(Plateau, RejectsWhatDoesNotFit) {
  const auto make = [](PlateauOptions o) { Plateau p(o); };
  EXPECT_THROW(make({.lr = -1}), ShapeError);
  EXPECT_THROW(make({.lr = 1, .factor = 1}), ShapeError);
  EXPECT_THROW(make({.lr = 1, .patience = -1}), ShapeError);
  EXPECT_THROW(make({.lr = 1, .threshold = NAN}), ShapeError);
  EXPECT_THROW(make({.lr = 1, .cooldown = -1}), ShapeError);
  EXPECT_THROW(make({.lr = 1, .min_lr = -1}), ShapeError);
  EXPECT_THROW(make({.lr = 1, .eps = -1}), ShapeError);
  Plateau plateau({.lr = 1});
  State state = plateau.state();
  state[2].second = Tensor::from<std::int64_t>({-1}, {});
  EXPECT_THROW(plateau.load_state(state), ShapeError);
  EXPECT_THROW(plateau.load_state(EarlyStopping({}).state()), ShapeError);
}

TEST(EarlyStopping, StopsAfterPatienceEpochsWithoutImprovement) {
  EarlyStopping loss({.patience = 2, .min_delta = 0.1});
  EXPECT_FALSE(loss.update(1));
  EXPECT_FALSE(loss.update(0.8));    // better
  EXPECT_FALSE(loss.update(0.75));   // by too little
  EXPECT_FALSE(loss.update(0.6));    // better than 0.8
  EXPECT_FALSE(loss.update(NAN));
  EXPECT_EQ(loss.best(), 0.6);
  EarlyStopping resumed({.patience = 2, .min_delta = 0.1});
  resumed.load_state(loss.state());
  EXPECT_TRUE(loss.update(0.55));
  EXPECT_TRUE(resumed.update(0.55));
  EarlyStopping accuracy({.goal = Goal::maximise, .patience = 1});
  EXPECT_FALSE(accuracy.update(0.5));
  EXPECT_FALSE(accuracy.update(0.51));
  EXPECT_TRUE(accuracy.update(0.51));
  const auto make = [](EarlyStoppingOptions o) { EarlyStopping e(o); };
  EXPECT_THROW(make({.patience = 0}), ShapeError);
  EXPECT_THROW(make({.min_delta = -1}), ShapeError);
  State state = accuracy.state();
  state[1].second = Tensor::from<std::int64_t>({-1}, {});
  EXPECT_THROW(accuracy.load_state(state), ShapeError);
}

}   // namespace
}   // namespace fovea::optim
