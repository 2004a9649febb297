// confusion.cpp: counting, and the table.
#include "vision/analysis/confusion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "tensor/error.h"

namespace fovea::vision {
namespace {

double fraction(std::int64_t part, std::int64_t whole) {
  return whole ? static_cast<double>(part) / static_cast<double>(whole) : std::numeric_limits<double>::quiet_NaN();
}

}   // namespace

ConfusionMatrix::ConfusionMatrix(std::vector<std::string> class_names)
    : names_(std::move(class_names)), counts_(names_.size() * names_.size()) {
  require(!names_.empty(), "confusion matrix: expected at least one class, got none");
}

void ConfusionMatrix::add(std::int64_t truth, std::int64_t predicted) {
  require(truth >= 0 && truth < classes() && predicted >= 0 && predicted < classes(), "confusion matrix: expected classes 0 to ",
          classes() - 1, ", got truth ", truth, " and prediction ", predicted);
  ++counts_[static_cast<std::size_t>(truth * classes() + predicted)];
}

std::int64_t ConfusionMatrix::count(std::int64_t truth, std::int64_t predicted) const {
  require(truth >= 0 && truth < classes() && predicted >= 0 && predicted < classes(), "confusion matrix: expected classes 0 to ",
          classes() - 1, ", got truth ", truth, " and prediction ", predicted);
  return counts_[static_cast<std::size_t>(truth * classes() + predicted)];
}

std::int64_t ConfusionMatrix::total() const {
  std::int64_t sum = 0;
  for (const std::int64_t n : counts_) sum += n;
  return sum;
}

std::int64_t ConfusionMatrix::correct() const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes(); ++c) sum += count(c, c);
  return sum;
}

double ConfusionMatrix::top1() const { return fraction(correct(), total()); }

double ConfusionMatrix::class_accuracy(std::int64_t c) const {
  std::int64_t all = 0;
  for (std::int64_t p = 0; p < classes(); ++p) all += count(c, p);
  return fraction(count(c, c), all);
}

std::vector<ConfusionMatrix::Pair> ConfusionMatrix::most_confused(std::int64_t k) const {
  require(k >= 0, "most_confused: expected k >= 0, got ", k);
  std::vector<Pair> pairs;
  for (std::int64_t t = 0; t < classes(); ++t)
    for (std::int64_t p = 0; p < classes(); ++p)
      if (t != p && count(t, p) > 0) pairs.push_back({t, p, count(t, p)});
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.count > b.count; });
  if (static_cast<std::int64_t>(pairs.size()) > k) pairs.resize(static_cast<std::size_t>(k));
  return pairs;
}

std::string ConfusionMatrix::table() const {
  std::size_t name_width = 4;   // "true"
  for (const std::string& name : names_) name_width = std::max(name_width, name.size());
  std::size_t width = 1;
  for (const std::int64_t n : counts_) width = std::max(width, std::to_string(n).size());
  for (const std::string& name : names_)
    width = std::max(width, std::min<std::size_t>(name.size(), 8));   // longer names are cut in the head
  std::string text = fmt::format("{:>{}} ", "true", name_width);
  for (const std::string& name : names_) text += fmt::format(" {:>{}}", name.substr(0, width), width);
  text += "  accuracy\n";
  for (std::int64_t t = 0; t < classes(); ++t) {
    text += fmt::format("{:>{}} ", names_[static_cast<std::size_t>(t)], name_width);
    for (std::int64_t p = 0; p < classes(); ++p)
      text += count(t, p) ? fmt::format(" {:>{}}", count(t, p), width) : fmt::format(" {:>{}}", ".", width);
    const double accuracy = class_accuracy(t);
    text += std::isnan(accuracy) ? fmt::format("  {:>8}\n", "-") : fmt::format("  {:>6.2f} %\n", 100 * accuracy);
  }
  return text;
}

}   // namespace fovea::vision
