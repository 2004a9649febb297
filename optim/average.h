// average.h: averages of the weights along a training, which generalise better than the last weights: EMA and SWA.
//
//   EMA ema(adamw.arena(), {.decay = 0.9999}, buffers);
//   adamw.step();  ema.update();                     // every iteration
//   { const Swapped averaged(ema);  evaluate(net); } // the network has the averaged weights while it lives
//
// An average is one flat array laid out like the arena. An update reads 8 B and writes 4 B for each float32 parameter; a swap moves 16 B.
#pragma once

#include <cstdint>
#include <vector>

#include "optim/arena.h"
#include "optim/state.h"

namespace fovea::optim {

/// What becomes of buffers (running statistics). Whole numbers are copied in any case.
enum class Buffers {
  copy,      // the average has the latest ones (timm, PyTorch's AveragedModel)
  average,   // like weights (PyTorch's use_buffers = true)
};

class WeightAverage {
 public:
  virtual ~WeightAverage() = default;
  WeightAverage(const WeightAverage&) = delete;
  WeightAverage& operator=(const WeightAverage&) = delete;

  /// Takes in the present weights and buffers. Throws ShapeError while swapped.
  void update();
  /// Updates so far.
  std::int64_t updates() const { return updates_; }
  /// Exchanges the network's weights and buffers with the average; a second call puts them back.
  void swap();
  bool swapped() const { return swapped_; }

  /// "updates", "average.<index of the parameter>", ..., "buffer.<index>", ...: copies. Throws ShapeError while swapped.
  State state() const;
  /// Continues bit for bit where `state` was taken. Throws ShapeError, and changes nothing, unless names, shapes and dtypes fit.
  void load_state(const State& state);

 protected:
  /// Starts as a copy of the present weights and buffers. `arena` is the optimiser's, and outlives this; buffers share their
  /// memory with the network's, and are of any dtype.
  WeightAverage(Arena& arena, Buffers mode, std::vector<Tensor> buffers);
  /// How much of the average the present weights become in the update that `updates` others have preceded.
  virtual double weight(std::int64_t updates) const = 0;

 private:
  void require_unswapped(const char* what) const;

  Arena& arena_;
  Buffers mode_;
  Tensor average_;
  std::vector<Tensor> buffers_, averaged_buffers_;
  std::int64_t updates_ = 0;
  bool swapped_ = false;
};

struct EMAOptions {
  double decay = 0.9999;
  /// decay_t = min(decay, (1 + t) / (10 + t)) after t updates, as TensorFlow's num_updates: the first weights, which are worst, are
  /// soon forgotten.
  bool warmup = false;
  Buffers buffers = Buffers::copy;
};
/// average = decay * average + (1 - decay) * w. Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging", in
/// the exponential form of Tarvainen & Valpola 2017 (arXiv:1703.01780), section 2.
class EMA : public WeightAverage {
 public:
  /// Throws ShapeError unless decay is in [0, 1].
  EMA(Arena& arena, const EMAOptions& o, std::vector<Tensor> buffers = {});

 private:
  double weight(std::int64_t updates) const override;

  EMAOptions o_;
};

/// average = (n * average + w) / (n + 1) after n updates: all weights count alike; the first update copies.
/// Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization" (arXiv:1803.05407), Algorithm 1: update
/// it once for each cycle or epoch of the last part of a training with a constant or cyclic rate. Running statistics of batch norms
/// fit no average of weights: re-estimate them afterwards (statistics.h).
class SWA : public WeightAverage {
 public:
  explicit SWA(Arena& arena, std::vector<Tensor> buffers = {}) : WeightAverage(arena, Buffers::copy, std::move(buffers)) {}

 private:
  double weight(std::int64_t updates) const override { return 1 / (1 + static_cast<double>(updates)); }
};

/// While one lives, the network has the averaged weights.
class Swapped {
 public:
  explicit Swapped(WeightAverage& average) : average_(average) { average_.swap(); }
  ~Swapped() { average_.swap(); }
  Swapped(const Swapped&) = delete;
  Swapped& operator=(const Swapped&) = delete;

 private:
  WeightAverage& average_;
};

}   // namespace fovea::optim
