// sha256.h: the hash that published weight files carry in their names. FIPS 180-4, section 6.2; about 300 MB/s.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace fovea::vision {

class Sha256 {
 public:
  void add(const void* data, std::size_t bytes);
  std::string hex();   // of all that was added, 64 digits; then the object is used up

 private:
  void block(const unsigned char* bytes);   // of 64

  std::array<std::uint32_t, 8> h_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> rest_{};
  std::uint64_t bytes_ = 0;
};

std::string sha256(std::string_view text);
/// Throws Error when the file cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}   // namespace fovea::vision
