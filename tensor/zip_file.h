// zip_file.h: the table of a zip archive whose members are stored as they are, as torch.save writes them.
// PKWARE APPNOTE 6.3: sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end), 4.3.14 (zip64).
#pragma once

#include <cstdint>
#include <map>
#include <string>

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

}   // namespace fovea
