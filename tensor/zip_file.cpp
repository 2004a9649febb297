#include "tensor/zip_file.h"

#include <zlib.h>

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

namespace {

template <class T> void put(std::string& out, T number) { out.append(reinterpret_cast<const char*>(&number), sizeof number); }

}   // namespace

void ZipWriter::write(std::string_view bytes) {
  file_.write(bytes.data(), bytes.size());
  at_ += bytes.size();
}

void ZipWriter::add(const std::string& name, const void* data, std::uint64_t bytes) {
  constexpr std::uint64_t kMost = 0xffffffff, kAlignment = 64;
  if (members_ == 65535 || at_ + bytes + directory_.size() + (1 << 20) > kMost)
    throw Error(path_ + ": too much for a zip archive (65,535 entries, 4 GiB); write safetensors instead");
  ++members_;
  uLong crc = crc32(0, nullptr, 0);
  for (std::uint64_t done = 0; done < bytes;) {
    const auto part = static_cast<uInt>(std::min<std::uint64_t>(bytes - done, std::uint64_t{1} << 30));
    crc = crc32(crc, static_cast<const Bytef*>(data) + done, part);
    done += part;
  }
  // What a local header and an entry of the directory share: versions, flags, method 0, 1980-01-01, CRC-32, sizes, the name's length.
  std::string common;
  put<std::uint16_t>(common, 20), put<std::uint16_t>(common, 0x0800), put<std::uint16_t>(common, 0);   // names are UTF-8
  put<std::uint16_t>(common, 0), put<std::uint16_t>(common, 0x21);
  put<std::uint32_t>(common, static_cast<std::uint32_t>(crc));
  put<std::uint32_t>(common, static_cast<std::uint32_t>(bytes)), put<std::uint32_t>(common, static_cast<std::uint32_t>(bytes));
  put<std::uint16_t>(common, static_cast<std::uint16_t>(name.size()));

  const std::uint64_t content = at_ + 30 + name.size() + 4;   // the extra field "FB" is the padding, as torch.save has it
  const auto padding = static_cast<std::uint16_t>((kAlignment - content % kAlignment) % kAlignment);
  put<std::uint32_t>(directory_, kCentral), put<std::uint16_t>(directory_, 20);
  directory_ += common;
  put<std::uint16_t>(directory_, 0), put<std::uint16_t>(directory_, 0), put<std::uint16_t>(directory_, 0),
      put<std::uint16_t>(directory_, 0);
  put<std::uint32_t>(directory_, 0), put<std::uint32_t>(directory_, static_cast<std::uint32_t>(at_));
  directory_ += name;

  std::string header;
  put<std::uint32_t>(header, kLocal);
  header += common;
  put<std::uint16_t>(header, static_cast<std::uint16_t>(4 + padding));
  header += name + "FB";
  put<std::uint16_t>(header, padding);
  header.append(padding, 'Z');
  write(header);
  file_.write(data, bytes);
  at_ += bytes;
}

void ZipWriter::commit() {
  std::string end;
  put<std::uint32_t>(end, kEnd), put<std::uint16_t>(end, 0), put<std::uint16_t>(end, 0);
  put<std::uint16_t>(end, static_cast<std::uint16_t>(members_)), put<std::uint16_t>(end, static_cast<std::uint16_t>(members_));
  put<std::uint32_t>(end, static_cast<std::uint32_t>(directory_.size())), put<std::uint32_t>(end, static_cast<std::uint32_t>(at_));
  put<std::uint16_t>(end, 0);
  write(directory_);
  write(end);
  file_.commit();
}

}   // namespace fovea
