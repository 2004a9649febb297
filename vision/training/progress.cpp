// progress.cpp: composes the line from parts, dropping the least important ones until it fits.
#include "vision/training/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/error.h"

namespace fovea::vision {
namespace {

constexpr double kMinInterval = 0.1;   // seconds between two drawings
constexpr int kMaxBar = 30, kMinBar = 8;

double steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

bool is_terminal(std::FILE* out) {
  const char* term = std::getenv("TERM");
  return isatty(fileno(out)) && term && std::string_view(term) != "dumb";
}

/// https://no-color.org: set to anything but the empty string.
bool color_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  return !no_color || !*no_color;
}

/// 12,345
std::string thousands(double x) {
  if (!std::isfinite(x) || x < 0 || x > 1e15) return "?";
  std::string digits = std::to_string(std::llround(x));
  for (auto i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

}   // namespace

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e10) return "?";
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto s = static_cast<std::int64_t>(std::llround(seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  const std::int64_t minutes = (s + 30) / 60;
  if (minutes < 24 * 60) return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
  const std::int64_t hours = (minutes + 30) / 60;
  return fmt::format("{} d {:02} h", hours / 24, hours % 24);
}

Progress::Progress(std::int64_t epochs, std::int64_t batches, std::int64_t first_epoch, ProgressOptions o)
    : o_(std::move(o)),
      terminal_(o_.terminal.value_or(is_terminal(o_.out))),
      color_(color_wanted()),
      epochs_(epochs),
      batches_(batches),
      first_epoch_(first_epoch),
      epoch_(first_epoch) {
  require(epochs >= 0 && batches >= 1 && first_epoch >= 0 && first_epoch <= epochs,
          "progress: expected 0 <= first epoch <= epochs and batches >= 1, got ", first_epoch, ", ", epochs, " and ", batches);
  if (!o_.clock) o_.clock = steady_seconds;
  start_ = epoch_start_ = last_step_ = o_.clock();
}

Progress::~Progress() { clear(); }

void Progress::begin_epoch(std::int64_t epoch) {
  epoch_ = epoch;
  batch_ = images_ = 0;
  stage_.clear();
  epoch_start_ = last_step_ = o_.clock();
}

void Progress::step(std::int64_t images, const Status& s) {
  ++batch_;
  images_ += images;
  status_ = s;
  stage_.clear();
  last_step_ = o_.clock();
  if (terminal_ && (last_step_ - last_draw_ >= kMinInterval || batch_ == batches_)) draw();
}

void Progress::stage(std::string_view name) {
  stage_ = name;
  if (terminal_) draw();
}

void Progress::end_epoch(const Summary& s) {
  clear();
  const int digits = static_cast<int>(std::to_string(epochs_).size());
  print(fmt::format("epoch {:>{}}/{}  train loss {:.4f}  val loss {:.4f}  val accuracy {:.2f} %  lr {:.3g}  {} images/s  {}\n", epoch_ + 1,
                    digits, epochs_, s.train_loss, s.val_loss, 100 * s.val_accuracy, s.lr, thousands(s.images_per_s),
                    format_duration(s.seconds)));
}

void Progress::clear() {
  if (!drawn_) return;
  print("\r\x1b[K");
  drawn_ = false;
}

double Progress::images_per_s() const {
  const double seconds = last_step_ - epoch_start_;
  return seconds > 0 ? static_cast<double>(images_) / seconds : 0;
}

double Progress::remaining() const {
  const std::int64_t done = (epoch_ - first_epoch_) * batches_ + batch_, all = (epochs_ - first_epoch_) * batches_;
  if (done == 0) return std::numeric_limits<double>::quiet_NaN();
  return std::max(0.0, (last_step_ - start_) / static_cast<double>(done) * static_cast<double>(all - done));
}

void Progress::print(const std::string& text) {   // a reader that went away (a closed pipe) must not end the training
  std::fputs(text.c_str(), o_.out);
  std::fflush(o_.out);
}

int Progress::columns() const {
  if (o_.width > 0) return o_.width;
  winsize size{};
  return ioctl(fileno(o_.out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string Progress::line(int columns) const {
  struct Part {
    std::string text;
    int rank;   // the highest goes first when there is no room
  };
  std::vector<Part> parts;
  parts.push_back({fmt::format("{:>{}}/{}", batch_, std::to_string(batches_).size(), batches_), 5});
  if (stage_.empty()) {
    parts.push_back({fmt::format("{} images/s", thousands(images_per_s())), 4});
    parts.push_back({fmt::format("loss {:.4f}", status_.loss), 1});
    parts.push_back({fmt::format("acc {:.2f} %", 100 * status_.accuracy), 3});
    parts.push_back({fmt::format("lr {:.3g}", status_.lr), 6});
  } else {
    parts.push_back({stage_, 1});
  }
  parts.push_back({"ETA " + format_duration(remaining()), 2});

  const std::string head = fmt::format("epoch {}/{}", epoch_ + 1, epochs_);
  const auto width = [&] {
    int n = static_cast<int>(head.size());
    for (const Part& p : parts) n += 2 + static_cast<int>(p.text.size());
    return n;
  };
  const int room = columns - 1;   // the last column stays empty: some terminals would wrap
  while (!parts.empty() && width() > room)
    parts.erase(std::max_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.rank < b.rank; }));

  std::string text = head.substr(0, static_cast<std::size_t>(std::max(room, 0)));
  if (const int bar = std::min(kMaxBar, room - width() - 4); bar >= kMinBar) {   // two blanks and two brackets
    const int full = static_cast<int>(std::clamp<std::int64_t>(batch_ * bar / batches_, 0, bar));
    std::string done(static_cast<std::size_t>(full), '=');
    if (full > 0 && full < bar) done.back() = '>';
    if (color_) done = "\x1b[32m" + done + "\x1b[0m";
    text += "  [" + done + std::string(static_cast<std::size_t>(bar - full), ' ') + "]";
  }
  for (const Part& p : parts) text += "  " + p.text;
  return text;
}

void Progress::draw() {
  print("\r" + line(columns()) + "\x1b[K");
  drawn_ = true;
  last_draw_ = o_.clock();
}

}   // namespace fovea::vision
