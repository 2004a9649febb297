// shape.h: the extents of a tensor, at most six of them, held in place.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>

namespace fovea {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;   // a scalar: rank 0, one element
  /// Throws ShapeError: more than kMaxRank, negative, or > 2^62 elements. One extent may be -1, for reshape ("what is left").
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const { return rank_; }
  /// dim(-1) is the last. Throws ShapeError outside -rank..rank-1.
  std::int64_t dim(int i) const;
  std::int64_t operator[](int i) const { return dim(i); }
  std::int64_t elements() const;   // 1 for a scalar; throws ShapeError when an extent is -1
  std::span<const std::int64_t> dims() const { return {dims_.data(), static_cast<std::size_t>(rank_)}; }
  bool operator==(const Shape& o) const;
  std::string str() const;   // "(8, 14, 14, 256)"

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& s);

}   // namespace fovea
