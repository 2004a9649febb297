// progress.h: what a person sees while a network trains. On a terminal one line that is redrawn, with a bar and the time that is left;
// into a file or a pipe one plain line for each epoch and nothing else.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace fovea::vision {

/// "0.8 s", "42 s", "3 min 05 s", "2 h 05 min", "3 d 04 h"; "?" for what is negative or not finite.
std::string format_duration(double seconds);

struct ProgressOptions {
  std::FILE* out = stderr;
  std::optional<bool> terminal = {};    // default: `out` is a terminal and TERM is not "dumb"
  int width = 0;                        // columns; 0: ask the terminal each time, it may change
  std::function<double()> clock = {};   // seconds; default: the steady clock
};

class Progress {
 public:
  /// The run has epochs first_epoch..epochs-1 (numbered from 0) still to do, each of `batches` batches.
  Progress(std::int64_t epochs, std::int64_t batches, std::int64_t first_epoch = 0, ProgressOptions o = {});
  /// Clears the line, so that a message after an exception or an interrupt stands on a clean one.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Means over the epoch so far.
  struct Status {
    double loss, accuracy, lr;   // accuracy: a fraction
  };
  void begin_epoch(std::int64_t epoch);
  /// After each step on `images` pictures. Draws at most ten times a second.
  void step(std::int64_t images, const Status& s);
  /// Shows what is done instead of training ("validating"), until the next step.
  void stage(std::string_view name);

  struct Summary {
    double train_loss, val_loss, val_accuracy, lr, images_per_s, seconds;
  };
  /// The line that stays.
  void end_epoch(const Summary& s);
  /// Clears the line, for output of another kind.
  void clear();

  /// Pictures per second since the epoch began.
  double images_per_s() const;
  /// Seconds until the last epoch ends, from the mean pace so far (pauses such as validation included); NaN before the first step.
  double remaining() const;

 private:
  std::string line(int columns) const;
  void draw();
  void print(const std::string& text);
  int columns() const;

  ProgressOptions o_;
  bool terminal_, color_, drawn_ = false;
  std::int64_t epochs_, batches_, first_epoch_, epoch_ = 0, batch_ = 0, images_ = 0;
  double start_, epoch_start_, last_step_, last_draw_ = -1e300;
  Status status_{};
  std::string stage_;
};

}   // namespace fovea::vision
