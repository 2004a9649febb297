// error.h: the exceptions of Fovea, and require(), which throws one with what was expected and what came.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace fovea {

/// Anything that goes wrong at run time and is the world's fault: a file, a device, a full disk.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// An argument that does not fit: a shape, a dtype, a device, a range.
struct ShapeError : Error {
  using Error::Error;
};

namespace detail {
template <class... Parts> std::string join(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}
}   // namespace detail

/// require(x.rank() == 4, "conv2d: expected x of shape (N, H, W, C), got ", x.shape());
template <class... Parts> void require(bool condition, const Parts&... parts) {
  if (!condition) throw ShapeError(detail::join(parts...));
}

}   // namespace fovea
