// shape.cpp: checked once when a Shape is made, so that elements() can multiply without looking.
#include "tensor/shape.h"

#include <algorithm>
#include <ostream>
#include <sstream>

#include "tensor/error.h"

namespace fovea {

namespace {
constexpr std::int64_t kMaxElements = std::int64_t{1} << 62;

/// Streams "(8, 14, 14, 256)". An object, so that the checks below cost nothing while they hold: require() joins its parts
/// only when it throws.
struct List {
  std::span<const std::int64_t> dims;
  friend std::ostream& operator<<(std::ostream& out, List list) {
    out << '(';
    for (std::size_t i = 0; i < list.dims.size(); ++i) out << (i ? ", " : "") << list.dims[i];
    return out << ')';
  }
};
}   // namespace

Shape::Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) : rank_(static_cast<int>(std::min<std::size_t>(dims.size(), kMaxRank))) {
  require(dims.size() <= std::size_t{kMaxRank}, "shape: expected at most ", kMaxRank, " axes, got ", dims.size());
  require(std::ranges::count(dims, -1) <= 1, "shape: expected at most one extent of -1, got ", List{dims});
  std::int64_t product = 1;   // 0 and -1 count as 1, so that no partial product can overflow either
  for (std::size_t i = 0; i < dims.size(); ++i) {
    require(dims[i] >= -1, "shape: expected extents of at least 0, got ", List{dims});
    const std::int64_t extent = std::max<std::int64_t>(dims[i], 1);
    require(product <= kMaxElements / extent, "shape: expected at most 2^62 elements, got ", List{dims});
    product *= extent;
    dims_[i] = dims[i];
  }
}

std::int64_t Shape::dim(int i) const {
  require(-rank_ <= i && i < rank_, "shape: expected an axis in ", -rank_, "..", rank_ - 1, " of ", List{dims()}, ", got ", i);
  return dims_[static_cast<std::size_t>(i < 0 ? i + rank_ : i)];
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t d : dims()) {
    require(d >= 0, "shape: expected known extents, got ", List{dims()});
    product *= d;
  }
  return product;
}

bool Shape::operator==(const Shape& o) const { return std::ranges::equal(dims(), o.dims()); }

std::string Shape::str() const {
  std::ostringstream out;
  out << *this;
  return out.str();
}

std::ostream& operator<<(std::ostream& out, const Shape& s) { return out << List{s.dims()}; }

}   // namespace fovea
