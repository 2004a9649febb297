// zip_file.h: zip archives whose members are stored as they are, as torch.save writes them.
// PKWARE APPNOTE 6.3: sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end), 4.3.14 (zip64).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "tensor/atomic_file.h"
#include "tensor/input_file.h"

namespace fovea {

struct ZipMember {
  std::uint64_t begin = 0, bytes = 0;   // of its content in the file
};

/// Does the file begin like a zip archive?
bool is_zip(const InputFile& file);
/// Name -> place. Throws Error: no directory, entries outside of the file or one over the other, compressed or encrypted members, a name
/// twice, more than 2^20 members. (Compression would let a small file ask for any amount of memory, and torch.save never compresses.)
std::map<std::string, ZipMember> read_zip_directory(const InputFile& file);

/// Writes such an archive, member by member. Contents begin at multiples of 64 bytes, so that readers can map them. Throws Error past
/// 65,535 members or 4 GiB.
class ZipWriter {
 public:
  explicit ZipWriter(const std::filesystem::path& path) : path_(path.string()), file_(path) {}
  void add(const std::string& name, const void* data, std::uint64_t bytes);
  void add(const std::string& name, std::string_view text) { add(name, text.data(), text.size()); }
  void commit();   // writes the directory and gives the file its name

 private:
  void write(std::string_view bytes);

  std::string path_;
  AtomicFile file_;
  std::uint64_t at_ = 0, members_ = 0;
  std::string directory_;
};

}   // namespace fovea
