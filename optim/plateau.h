// plateau.h: what looks at a metric and has a memory: a learning rate that falls when the metric no longer improves, and early
// stopping.
#pragma once

#include <cstdint>

#include "optim/state.h"

namespace fovea::optim {

enum class Goal { minimise, maximise };   // a loss, an accuracy

struct PlateauOptions {
  double lr;
  Goal goal = Goal::minimise;
  double factor = 0.1;               // of the rate, in (0, 1)
  std::int64_t patience = 10;        // epochs without improvement that are let pass
  double threshold = 1e-4;           // better is below best * (1 - threshold); a maximum: above best * (1 + threshold)
  bool threshold_absolute = false;   // instead: below best - threshold; above best + threshold
  std::int64_t cooldown = 0;         // epochs after a reduction in which nothing is counted
  double min_lr = 0;
  double eps = 1e-8;   // a reduction by no more than this is left out
};

/// The rate of an epoch depends on the metrics before it: PyTorch's ReduceLROnPlateau. Divide by 10 on plateau is He et al. 2016
/// (ResNet, arXiv:1512.03385), section 3.4.
class Plateau {
 public:
  /// Throws ShapeError for options outside of their range.
  explicit Plateau(const PlateauOptions& o);
  double lr() const { return lr_; }
  /// To be called once for each epoch, with its metric; returns the rate from here on. A NaN is no improvement.
  double update(double metric);

  State state() const;
  /// Throws ShapeError, and changes nothing, when it does not fit.
  void load_state(const State& state);

 private:
  PlateauOptions o_;
  double lr_, best_;
  std::int64_t bad_epochs_ = 0, cooldown_left_ = 0;
};

struct EarlyStoppingOptions {
  Goal goal = Goal::minimise;
  std::int64_t patience = 10;   // stops at the patience-th epoch in a row without improvement; at least 1
  double min_delta = 0;         // better is below best - min_delta; a maximum: above best + min_delta
};

/// Says when a training no longer gets anywhere. Prechelt 1998, "Early Stopping, but When?", surveys such criteria.
class EarlyStopping {
 public:
  /// Throws ShapeError for options outside of their range.
  explicit EarlyStopping(const EarlyStoppingOptions& o);
  /// To be called once for each epoch, with its metric; true: stop. A NaN is no improvement.
  bool update(double metric);
  double best() const { return best_; }

  State state() const;
  /// Throws ShapeError, and changes nothing, when it does not fit.
  void load_state(const State& state);

 private:
  EarlyStoppingOptions o_;
  double best_;
  std::int64_t bad_epochs_ = 0;
};

}   // namespace fovea::optim
