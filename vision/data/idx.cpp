// idx.cpp: reads through zlib, which passes a file that is not gzip through as it is.
#include "vision/data/idx.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace fovea::vision {
namespace {

constexpr int kTypeUint8 = 0x08;                               // the third byte of the magic number
constexpr std::int64_t kMaxElements = std::int64_t{1} << 33;   // 8 GiB: past any set that fits the memory this library works in
constexpr std::int64_t kMaxInflation = 1032;                   // deflate cannot expand a byte to more (zlib's technical details)

class GzipFile {
 public:
  explicit GzipFile(const std::filesystem::path& path) : path_(path.string()) {
    std::error_code ec;
    const auto status = std::filesystem::status(path, ec);
    if (!std::filesystem::exists(status)) throw Error(path_ + ": no such file");
    if (!std::filesystem::is_regular_file(status)) throw Error(path_ + ": not a regular file");
    file_bytes_ = static_cast<std::int64_t>(std::filesystem::file_size(path));
    errno = 0;
    file_ = gzopen(path_.c_str(), "rb");
    if (!file_) throw Error(fmt::format("{}: cannot open: {}", path_, errno ? std::strerror(errno) : "out of memory"));
    gzbuffer(file_, 1 << 18);
  }
  ~GzipFile() { gzclose_r(file_); }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  /// Fills `to` as far as the file goes and returns the number of bytes; less than `bytes` is the end of the file.
  /// Throws on corrupted data; a gzip stream that was cut off counts as the end.
  std::int64_t read(void* to, std::int64_t bytes) {
    std::int64_t done = 0;
    while (done < bytes) {
      const auto step = static_cast<unsigned>(std::min<std::int64_t>(bytes - done, 1 << 24));
      const int n = gzread(file_, static_cast<char*>(to) + done, step);
      if (n <= 0) break;
      done += n;
    }
    int code = Z_OK;
    const char* text = gzerror(file_, &code);
    if (code == Z_ERRNO) throw Error(fmt::format("{}: cannot read: {}", path_, std::strerror(errno)));
    if (code == Z_BUF_ERROR)
      cut_off_ = true;
    else if (code != Z_OK && code != Z_STREAM_END)
      throw Error(fmt::format("{}: corrupted gzip data: {}", path_, without_path(text)));
    return done;
  }
  /// The gzip stream ended before its own checksum.
  bool cut_off() const { return cut_off_; }
  /// No file of this size can hold more.
  std::int64_t most_bytes() { return gzdirect(file_) ? file_bytes_ : file_bytes_ * kMaxInflation; }

 private:
  /// zlib puts the file's name before its message.
  std::string without_path(std::string text) const {
    const std::string prefix = path_ + ": ";
    return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
  }
  std::string path_;
  std::int64_t file_bytes_ = 0;
  gzFile file_ = nullptr;
  bool cut_off_ = false;
};

std::uint32_t big_endian(const unsigned char* b) {
  return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | std::uint32_t{b[3]};
}

}   // namespace

Tensor read_idx(const std::filesystem::path& path, int rank) {
  require(rank >= 1 && rank <= 4, "read_idx: expected a rank of 1 to 4, got ", rank);
  const std::string name = path.string();
  GzipFile file(path);

  unsigned char header[4 + 4 * 4];
  const std::int64_t header_bytes = 4 + 4 * rank;
  const std::int64_t got_header = file.read(header, header_bytes);
  const std::uint32_t expected_magic = kTypeUint8 << 8 | static_cast<unsigned>(rank);
  if (got_header >= 4) {
    const std::uint32_t magic = big_endian(header);
    if (magic >> 16 != 0)
      throw Error(fmt::format("{}: not an IDX file: expected magic 0x{:08x}, got 0x{:08x}", name, expected_magic, magic));
    if (header[2] != kTypeUint8)
      throw Error(fmt::format("{}: expected IDX type 0x08 (uint8), got 0x{:02x} (magic 0x{:08x})", name, header[2], magic));
    if (header[3] != rank)
      throw Error(fmt::format("{}: expected {} dimension{} (magic 0x{:08x}), got {} (magic 0x{:08x})", name, rank, rank == 1 ? "" : "s",
                              expected_magic, header[3], magic));
  }
  if (got_header < header_bytes)
    throw Error(fmt::format("{}: truncated: expected an IDX header of {} bytes, got {}", name, header_bytes, got_header));

  std::vector<std::int64_t> dims;
  std::int64_t elements = 1;
  for (int i = 0; i < rank; ++i) {
    dims.push_back(big_endian(header + 4 + 4 * i));
    if (dims.back() > 0 && elements > kMaxElements / dims.back())   // the product need not fit 64 bits
      throw Error(fmt::format("{}: absurd dimensions: expected at most {} values, got {}", name, kMaxElements, fmt::join(dims, " x ")));
    elements *= dims.back();
  }

  const char* what = rank == 1 ? "labels" : "pixels";
  const auto require_complete = [&](std::int64_t got) {
    if (got < elements) throw Error(fmt::format("{}: truncated: expected {} bytes of {}, got {}", name, elements, what, got));
  };
  if (elements > file.most_bytes()) {   // it cannot be whole: count what there is, without taking memory for what it claims
    std::vector<char> scratch(1 << 16);
    std::int64_t got = 0;
    while (const std::int64_t n = file.read(scratch.data(), static_cast<std::int64_t>(scratch.size()))) got += n;
    require_complete(got);
  }
  Tensor data = Tensor::empty(Shape(std::span<const std::int64_t>(dims)), DType::u8);
  require_complete(file.read(data.raw(), elements));
  char more;
  if (file.read(&more, 1) != 0)   // this read also makes zlib compare its checksum
    throw Error(fmt::format("{}: expected {} bytes of {}, got more: bytes left over after the last one", name, elements, what));
  if (file.cut_off()) throw Error(fmt::format("{}: truncated: the gzip stream ends before its checksum", name));
  return data;
}

}   // namespace fovea::vision
