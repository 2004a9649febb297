// atomic_file.cpp: the POSIX calls behind AtomicFile.
#include "tensor/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "tensor/error.h"

namespace fovea {

namespace {
[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw Error(detail::join(path.string(), ": ", what, ": ", std::generic_category().message(error)));
}
}   // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_) {
  temporary_ += ".tmp";
  std::error_code ignored;
  const auto kind = std::filesystem::status(path_, ignored).type();
  if (kind != std::filesystem::file_type::not_found && kind != std::filesystem::file_type::regular &&
      kind != std::filesystem::file_type::none)   // none: not permitted to look; open() will say why
    throw Error(detail::join(path_.string(), ": expected a file to write, got a folder or a device"));
  file_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file_ < 0) fail(path_, "cannot write", errno);
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  close(file_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(file_, from, bytes);   // may take less than asked for
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, "cannot write", errno);
    from += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  // Synced before the rename: otherwise a power cut could leave the new name with nothing behind it.
  if (fsync(file_) != 0) fail(path_, "cannot write", errno);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, "cannot replace", errno);
  close(file_);
  file_ = -1;
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  const int folder_file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_file < 0) return;
  fsync(folder_file);   // the new file is in place; where folders cannot be synced there is nothing to undo
  close(folder_file);
}

void write_file_atomically(const std::filesystem::path& path, const std::string& bytes) {
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}   // namespace fovea
