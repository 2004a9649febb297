// input_file.h: a file of weights, open for reading at any place. What lies in it is hostile until it has been checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tensor/error.h"

namespace fovea {

class InputFile {
 public:
  /// Throws Error naming the file: missing, not readable, not a regular file.
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::uint64_t size() const { return size_; }
  /// Bytes at..at+bytes-1 of the file into `data`. Throws Error when the file ends before.
  void read(void* data, std::uint64_t at, std::size_t bytes) const;
  /// Throws Error, "path: text". The text may hold names from the file, of any length: it is cut.
  template <class... Parts> [[noreturn]] void fail(const Parts&... parts) const { fail_with(detail::join(parts...)); }

 private:
  [[noreturn]] void fail_with(std::string text) const;

  std::string path_;
  int file_ = -1;
  std::uint64_t size_ = 0;
};

/// IEEE 754 binary16: 1 sign, 5 exponent and 10 mantissa bits. Every one is a float.
float half_to_float(std::uint16_t h);

}   // namespace fovea
