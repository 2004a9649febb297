// image_file.cpp: stb decodes and encodes; sizes, transparency and grey are settled here.
#include "vision/data/image_file.h"

#include <fmt/format.h>
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "tensor/safetensors.h"

namespace fovea::vision {
namespace {

constexpr std::int64_t kMaxPixels = 100'000'000, kMaxFileBytes = std::int64_t{1} << 30;

std::string read_bytes(const std::filesystem::path& path) {
  std::error_code ec;
  const auto status = std::filesystem::status(path, ec);
  if (!std::filesystem::exists(status)) throw Error(path.string() + ": no such file");
  if (!std::filesystem::is_regular_file(status)) throw Error(path.string() + ": not a regular file");
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(path));
  if (bytes == 0) throw Error(path.string() + ": expected a picture, got an empty file");
  if (bytes > kMaxFileBytes)
    throw Error(fmt::format("{}: expected a picture of at most {} bytes, got {}", path.string(), kMaxFileBytes, bytes));
  std::string data(static_cast<std::size_t>(bytes), '\0');
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file.read(data.data(), bytes))
    throw Error(fmt::format("{}: cannot read: {}", path.string(), errno ? std::strerror(errno) : "it became shorter"));
  return data;
}

/// Over white: v a + 255 (1 - a), rounded.
std::uint8_t over_white(int v, int alpha) { return static_cast<std::uint8_t>((v * alpha + 255 * (255 - alpha) + 127) / 255); }
std::uint8_t luma(int r, int g, int b) { return static_cast<std::uint8_t>((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16); }

}   // namespace

Tensor read_image(const std::filesystem::path& path, int channels) {
  require(channels == 1 || channels == 3, "read_image: expected 1 or 3 channels, got ", channels);
  const std::string data = read_bytes(path);
  const auto* bytes = reinterpret_cast<const stbi_uc*>(data.data());
  const int size = static_cast<int>(data.size());
  int width = 0, height = 0, stored = 0;
  if (!stbi_info_from_memory(bytes, size, &width, &height, &stored))
    throw Error(fmt::format("{}: not a picture that can be read (PNG, JPEG, BMP, PGM or PPM): {}", path.string(), stbi_failure_reason()));
  if (width < 1 || height < 1 || std::int64_t{width} * height > kMaxPixels)
    throw Error(fmt::format("{}: expected 1 to {} pixels, got {} x {}", path.string(), kMaxPixels, width, height));
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(stbi_load_from_memory(bytes, size, &width, &height, &stored, 0), stbi_image_free);
  if (!pixels) throw Error(fmt::format("{}: damaged picture: {}", path.string(), stbi_failure_reason()));

  // stored: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
  Tensor image = Tensor::empty({height, width, channels}, DType::u8);
  std::uint8_t* to = image.data<std::uint8_t>();
  const stbi_uc* from = pixels.get();
  const int colours = stored <= 2 ? 1 : 3;
  for (std::int64_t i = 0; i < std::int64_t{width} * height; ++i, from += stored, to += channels) {
    const int alpha = stored % 2 == 0 ? from[stored - 1] : 255;
    const std::uint8_t r = over_white(from[0], alpha), g = over_white(from[colours / 2], alpha), b = over_white(from[colours - 1], alpha);
    if (channels == 3)
      to[0] = r, to[1] = g, to[2] = b;
    else
      to[0] = colours == 1 ? r : luma(r, g, b);
  }
  return image;
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
