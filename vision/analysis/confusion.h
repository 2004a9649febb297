// confusion.h: which classes are taken for which.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea::vision {

/// Counts of (true class, predicted class).
class ConfusionMatrix {
 public:
  /// Throws ShapeError without classes.
  explicit ConfusionMatrix(std::vector<std::string> class_names);

  /// Throws ShapeError for a class outside 0..classes-1.
  void add(std::int64_t truth, std::int64_t predicted);
  std::int64_t count(std::int64_t truth, std::int64_t predicted) const;
  std::int64_t classes() const { return static_cast<std::int64_t>(names_.size()); }
  const std::vector<std::string>& class_names() const { return names_; }
  std::int64_t total() const;
  std::int64_t correct() const;
  /// The fraction that is right; NaN when nothing was added.
  double top1() const;
  /// Right among those whose true class is c (its recall); NaN when there are none.
  double class_accuracy(std::int64_t c) const;

  struct Pair {
    std::int64_t truth, predicted, count;
  };
  /// The at most k off-diagonal pairs that occur, most frequent first; of equals the lower classes first.
  std::vector<Pair> most_confused(std::int64_t k) const;
  /// A row per true class, a column per predicted class, and each class's accuracy; a dot is no picture.
  std::string table() const;

 private:
  std::vector<std::string> names_;
  std::vector<std::int64_t> counts_;   // (truth, predicted)
};

}   // namespace fovea::vision
