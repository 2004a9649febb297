#include "optim/plateau.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fovea::optim {
namespace {

double worst(Goal goal) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return goal == Goal::minimise ? infinity : -infinity;
}
Tensor number(double x) { return Tensor::from<double>({x}, {}, Device::reference); }
Tensor number(std::int64_t n) { return Tensor::from<std::int64_t>({n}, {}); }
double real(const Tensor& t) { return t.data<double>()[0]; }
std::int64_t whole(const Tensor& t) { return t.data<std::int64_t>()[0]; }

}   // namespace

Plateau::Plateau(const PlateauOptions& o) : o_(o), lr_(o.lr), best_(worst(o.goal)) {
  require(std::isfinite(o.lr) && o.lr >= 0, "plateau: expected lr of at least 0, got ", o.lr);
  require(0 < o.factor && o.factor < 1, "plateau: expected a factor in (0, 1), got ", o.factor);
  require(o.patience >= 0, "plateau: expected a patience of at least 0, got ", o.patience);
  require(std::isfinite(o.threshold) && o.threshold >= 0, "plateau: expected a threshold of at least 0, got ", o.threshold);
  require(o.cooldown >= 0, "plateau: expected a cooldown of at least 0, got ", o.cooldown);
  require(std::isfinite(o.min_lr) && o.min_lr >= 0, "plateau: expected min_lr of at least 0, got ", o.min_lr);
  require(std::isfinite(o.eps) && o.eps >= 0, "plateau: expected eps of at least 0, got ", o.eps);
}

double Plateau::update(double metric) {
  const double sign = o_.goal == Goal::minimise ? -1 : 1;
  const double mark = o_.threshold_absolute ? best_ + sign * o_.threshold : best_ * (1 + sign * o_.threshold);
  if (sign * metric > sign * mark) {
    best_ = metric;
    bad_epochs_ = 0;
  } else {
    ++bad_epochs_;
  }
  if (cooldown_left_ > 0) {
    --cooldown_left_;
    bad_epochs_ = 0;
  }
  if (bad_epochs_ > o_.patience) {
    if (const double reduced = std::max(lr_ * o_.factor, o_.min_lr); lr_ - reduced > o_.eps) lr_ = reduced;
    cooldown_left_ = o_.cooldown;
    bad_epochs_ = 0;
  }
  return lr_;
}

State Plateau::state() const {
  return {{"lr", number(lr_)}, {"best", number(best_)}, {"bad_epochs", number(bad_epochs_)}, {"cooldown_left", number(cooldown_left_)}};
}

void Plateau::load_state(const State& from) {
  require_fit("plateau state", from, state());
  const double lr = real(from[0].second);
  const std::int64_t bad = whole(from[2].second), left = whole(from[3].second);
  require(std::isfinite(lr) && lr >= 0, "plateau state: expected lr of at least 0, got ", lr);
  require(bad >= 0 && left >= 0, "plateau state: expected counts of at least 0, got ", bad, " and ", left);
  lr_ = lr, best_ = real(from[1].second), bad_epochs_ = bad, cooldown_left_ = left;
}

EarlyStopping::EarlyStopping(const EarlyStoppingOptions& o) : o_(o), best_(worst(o.goal)) {
  require(o.patience >= 1, "early stopping: expected a patience of at least 1, got ", o.patience);
  require(std::isfinite(o.min_delta) && o.min_delta >= 0, "early stopping: expected min_delta of at least 0, got ", o.min_delta);
}

bool EarlyStopping::update(double metric) {
  const double sign = o_.goal == Goal::minimise ? -1 : 1;
  if (sign * metric > sign * best_ + o_.min_delta) {
    best_ = metric;
    bad_epochs_ = 0;
  } else {
    ++bad_epochs_;
  }
  return bad_epochs_ >= o_.patience;
}

State EarlyStopping::state() const { return {{"best", number(best_)}, {"bad_epochs", number(bad_epochs_)}}; }

void EarlyStopping::load_state(const State& from) {
  require_fit("early stopping state", from, state());
  const std::int64_t bad = whole(from[1].second);
  require(bad >= 0, "early stopping state: expected a count of at least 0, got ", bad);
  best_ = real(from[0].second), bad_epochs_ = bad;
}

}   // namespace fovea::optim
