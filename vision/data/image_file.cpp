// image_file.cpp: libjpeg-turbo decodes JPEG, stb the rest, and stb encodes; sizes, transparency and grey are settled here.
#include "vision/data/image_file.h"

#include <fmt/format.h>
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "tensor/atomic_file.h"
#include "vision/data/jpeg.h"

namespace fovea::vision {
namespace {

constexpr std::int64_t kMaxPixels = 100'000'000, kMaxFileBytes = std::int64_t{1} << 30;

/// The first `limit` bytes of the file, or all.
std::string read_bytes(const std::filesystem::path& path, std::int64_t limit = kMaxFileBytes) {
  std::error_code ec;
  const auto status = std::filesystem::status(path, ec);
  if (!std::filesystem::exists(status)) throw Error(path.string() + ": no such file");
  if (!std::filesystem::is_regular_file(status)) throw Error(path.string() + ": not a regular file");
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(path));
  if (bytes == 0) throw Error(path.string() + ": expected a picture, got an empty file");
  if (bytes > kMaxFileBytes)
    throw Error(fmt::format("{}: expected a picture of at most {} bytes, got {}", path.string(), kMaxFileBytes, bytes));
  std::string data(static_cast<std::size_t>(std::min(bytes, limit)), '\0');
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file.read(data.data(), std::ssize(data)))
    throw Error(fmt::format("{}: cannot read: {}", path.string(), errno ? std::strerror(errno) : "it became shorter"));
  return data;
}

/// Height and width that the header tells, or throws Error.
JpegSize size_in_header(const std::string& name, std::string_view data) {
  JpegSize s{};
  if (is_jpeg(data)) {
    try {
      s = jpeg_size(data);
    } catch (const Error& e) {
      throw Error(fmt::format("{}: damaged picture: {}", name, e.what()));
    }
  } else {
    int width = 0, height = 0, stored = 0;
    const auto* bytes = reinterpret_cast<const stbi_uc*>(data.data());
    if (!stbi_info_from_memory(bytes, static_cast<int>(data.size()), &width, &height, &stored))
      throw Error(fmt::format("{}: not a picture that can be read (PNG, JPEG, BMP, PGM or PPM): {}", name, stbi_failure_reason()));
    s = {.height = height, .width = width};
  }
  if (s.width < 1 || s.height < 1 || s.width * s.height > kMaxPixels)
    throw Error(fmt::format("{}: expected 1 to {} pixels, got {} x {}", name, kMaxPixels, s.width, s.height));
  return s;
}

/// Pixels as they are stored: (H, W, 1 grey, 2 grey and alpha, 3 RGB or 4 RGB and alpha).
Tensor decode(const std::string& name, std::string_view data) {
  if (is_jpeg(data)) try {
      return decode_jpeg(data);
    } catch (const Error& e) {
      throw Error(fmt::format("{}: damaged picture: {}", name, e.what()));
    }
  int width = 0, height = 0, stored = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(data.data()), static_cast<int>(data.size()), &width, &height, &stored, 0),
      stbi_image_free);
  if (!pixels) throw Error(fmt::format("{}: damaged picture: {}", name, stbi_failure_reason()));
  Tensor image = Tensor::empty({height, width, stored}, DType::u8);
  std::memcpy(image.raw(), pixels.get(), image.bytes());
  return image;
}

/// Over white: v a + 255 (1 - a), rounded.
std::uint8_t over_white(int v, int alpha) { return static_cast<std::uint8_t>((v * alpha + 255 * (255 - alpha) + 127) / 255); }
std::uint8_t luma(int r, int g, int b) { return static_cast<std::uint8_t>((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16); }

}   // namespace

Tensor read_image(const std::filesystem::path& path, int channels) {
  require(channels == 1 || channels == 3, "read_image: expected 1 or 3 channels, got ", channels);
  const std::string data = read_bytes(path);
  size_in_header(path.string(), data);   // before memory is taken
  const Tensor decoded = decode(path.string(), data);
  const std::int64_t stored = decoded.dim(2);
  if (stored == channels) return decoded;
  Tensor image = Tensor::empty({decoded.dim(0), decoded.dim(1), channels}, DType::u8);
  std::uint8_t* to = image.data<std::uint8_t>();
  const std::uint8_t* from = decoded.data<std::uint8_t>();
  const int colours = stored <= 2 ? 1 : 3;
  for (std::int64_t i = 0; i < decoded.dim(0) * decoded.dim(1); ++i, from += stored, to += channels) {
    const int alpha = stored % 2 == 0 ? from[stored - 1] : 255;
    const std::uint8_t r = over_white(from[0], alpha), g = over_white(from[colours / 2], alpha), b = over_white(from[colours - 1], alpha);
    if (channels == 3)
      to[0] = r, to[1] = g, to[2] = b;
    else
      to[0] = colours == 1 ? r : luma(r, g, b);
  }
  return image;
}

PictureShape image_shape(const std::filesystem::path& path, int channels) {
  constexpr std::int64_t kPrefix = 1 << 16;   // holds the header, but for pictures with a large preview or colour profile before it
  const std::string data = read_bytes(path, kPrefix);
  JpegSize s{};
  try {
    s = size_in_header(path.string(), data);
  } catch (const Error&) {
    if (std::ssize(data) < kPrefix) throw;
    s = size_in_header(path.string(), read_bytes(path));
  }
  return {.height = s.height, .width = s.width, .channels = channels};
}

void write_png(const std::filesystem::path& path, const Tensor& image) {
  require(image.defined() && image.dtype() == DType::u8 && image.rank() == 3 && (image.dim(2) == 1 || image.dim(2) == 3) &&
              image.elements() > 0 && image.dim(0) * image.dim(1) <= kMaxPixels,
          "write_png: expected a uint8 picture of shape (H, W, 1 or 3), got ", name_of(image.dtype()), " ", image.shape());
  std::string png;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  const int width = static_cast<int>(image.dim(1)), channels = static_cast<int>(image.dim(2));
  if (!stbi_write_png_to_func(append, &png, width, static_cast<int>(image.dim(0)), channels, image.raw(), width * channels))
    throw Error(path.string() + ": cannot encode the picture as PNG: out of memory");
  write_file_atomically(path, png);
}

}   // namespace fovea::vision
