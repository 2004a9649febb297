#include "tensor/zip_file.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace fovea {

namespace {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::uint64_t kMostMembers = std::uint64_t{1} << 20;

template <class T> T number(const std::vector<char>& bytes, std::size_t at) {
  T x;
  std::memcpy(&x, bytes.data() + at, sizeof x);   // little endian, like this machine
  return x;
}

std::vector<char> read(const InputFile& file, std::uint64_t at, std::uint64_t bytes) {
  if (at > file.size() || bytes > file.size() - at) file.fail("zip: a header lies outside of the file");
  std::vector<char> data(bytes);
  file.read(data.data(), at, bytes);
  return data;
}

struct Directory {
  std::uint64_t begin, bytes, members;
};

/// The end record lies in the last 64 KiB: behind it is only a comment.
Directory find_directory(const InputFile& file) {
  constexpr std::uint64_t kRecord = 22;
  const std::uint64_t tail = std::min<std::uint64_t>(file.size(), kRecord + 65535);
  const std::vector<char> bytes = read(file, file.size() - tail, tail);
  for (std::size_t i = bytes.size() >= kRecord ? bytes.size() - kRecord + 1 : 0; i-- > 0;) {
    if (number<std::uint32_t>(bytes, i) != kEnd) continue;
    Directory d{.begin = number<std::uint32_t>(bytes, i + 16),
                .bytes = number<std::uint32_t>(bytes, i + 12),
                .members = number<std::uint16_t>(bytes, i + 10)};
    const std::uint64_t end = file.size() - tail + i;
    if (end >= 20) {   // a zip64 record holds what does not fit
      const std::vector<char> locator = read(file, end - 20, 20);
      if (number<std::uint32_t>(locator, 0) == kLocator64) {
        const std::vector<char> record = read(file, number<std::uint64_t>(locator, 8), 56);
        if (number<std::uint32_t>(record, 0) != kEnd64) file.fail("zip: malformed zip64 record");
        d = {.begin = number<std::uint64_t>(record, 48),
             .bytes = number<std::uint64_t>(record, 40),
             .members = number<std::uint64_t>(record, 32)};
      }
    }
    return d;
  }
  file.fail("zip: no directory at the end; the file may have been cut short");
}

/// Sizes and places of 0xffffffff stand in the zip64 part of the extra field, in this order.
void read_zip64(const std::vector<char>& extra, std::uint64_t& size, std::uint64_t& stored, std::uint64_t& begin) {
  for (std::size_t at = 0; at + 4 <= extra.size();) {
    const std::size_t id = number<std::uint16_t>(extra, at), bytes = number<std::uint16_t>(extra, at + 2);
    std::size_t field = at + 4;
    at = field + bytes;
    if (id != 1 || at > extra.size()) continue;
    for (std::uint64_t* value : {&size, &stored, &begin})
      if (*value == 0xffffffff && field + 8 <= at) {
        *value = number<std::uint64_t>(extra, field);
        field += 8;
      }
  }
}

}   // namespace

bool is_zip(const InputFile& file) { return file.size() >= 4 && number<std::uint32_t>(read(file, 0, 4), 0) == kLocal; }

std::map<std::string, ZipMember> read_zip_directory(const InputFile& file) {
  const Directory d = find_directory(file);
  if (d.members > kMostMembers) file.fail("zip: expected at most ", kMostMembers, " members, got ", d.members);
  const std::vector<char> directory = read(file, d.begin, d.bytes);
  std::map<std::string, ZipMember> members;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places;
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < d.members; ++i) {
    if (at + 46 > directory.size() || number<std::uint32_t>(directory, at) != kCentral) file.fail("zip: malformed directory");
    const auto flags = number<std::uint16_t>(directory, at + 8), method = number<std::uint16_t>(directory, at + 10);
    std::uint64_t stored = number<std::uint32_t>(directory, at + 20), size = number<std::uint32_t>(directory, at + 24),
                  local = number<std::uint32_t>(directory, at + 42);
    const std::size_t name_bytes = number<std::uint16_t>(directory, at + 28), extra_bytes = number<std::uint16_t>(directory, at + 30),
                      comment_bytes = number<std::uint16_t>(directory, at + 32);
    at += 46;
    if (at + name_bytes + extra_bytes + comment_bytes > directory.size()) file.fail("zip: malformed directory");
    const std::string name(directory.data() + at, name_bytes);
    const auto extra = directory.begin() + static_cast<std::ptrdiff_t>(at + name_bytes);
    read_zip64({extra, extra + static_cast<std::ptrdiff_t>(extra_bytes)}, size, stored, local);
    at += name_bytes + extra_bytes + comment_bytes;
    if (method != 0 || flags & 1 || size != stored)
      file.fail("zip: \"", name, "\" is compressed or encrypted; torch.save stores members as they are");
    const std::vector<char> header = read(file, local, 30);
    if (number<std::uint32_t>(header, 0) != kLocal) file.fail("zip: \"", name, "\" has no header where the directory says");
    const std::uint64_t begin = local + 30 + number<std::uint16_t>(header, 26) + number<std::uint16_t>(header, 28);
    if (begin > file.size() || size > file.size() - begin) file.fail("zip: \"", name, "\" lies outside of the file");
    if (!members.emplace(name, ZipMember{begin, size}).second) file.fail("zip: \"", name, "\" appears twice");
    if (size > 0) places.emplace_back(begin, begin + size);
  }
  std::ranges::sort(places);
  for (std::size_t i = 1; i < places.size(); ++i)
    if (places[i].first < places[i - 1].second) file.fail("zip: two members share bytes of the file");
  return members;
}

}   // namespace fovea
