// atomic_file.h: writing a file so that its name holds either the old content or the new, whatever happens in between.
#pragma once

#include <filesystem>
#include <string>

namespace fovea {

/// Written to `path` + ".tmp", and only commit() gives it its name: synced, renamed over the old file, folder synced. Without
/// commit() the temporary file is removed. Each failure (full disk, no permission) throws Error with the path and the reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* data, std::size_t bytes);
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int file_ = -1;
};

void write_file_atomically(const std::filesystem::path& path, const std::string& bytes);

}   // namespace fovea
