#include "vision/weights/published.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>

#include "tensor/error.h"
#include "vision/weights/sha256.h"

extern char** environ;

namespace fovea::vision {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string s) {
  for (char& c : s) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return s;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path user_cache() {
  if (const std::string xdg = variable("XDG_CACHE_HOME"); !xdg.empty()) return xdg;
  const std::string home = variable("HOME");
  return (home.empty() ? fs::path("/tmp") : fs::path(home)) / ".cache";
}

fs::path own_cache() {
  const std::string named = variable("FOVEA_CACHE");
  return named.empty() ? user_cache() / "fovea" : fs::path(named);
}

fs::path pytorch_cache() {
  const std::string named = variable("TORCH_HOME");
  return (named.empty() ? user_cache() / "torch" : fs::path(named)) / "hub" / "checkpoints";
}

/// Runs a program; it shares our standard output and error, so it must be told to print nothing to the former. Its exit code, or -1 when
/// there is no such program.
int run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& w : words) arguments.push_back(w.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}   // namespace

std::string PublishedWeights::file() const { return address.substr(address.rfind('/') + 1); }

std::string PublishedWeights::digits() const {
  const std::string f = file();
  const std::size_t dash = f.rfind('-'), dot = f.rfind('.');
  return f.substr(dash + 1, dot - dash - 1);
}

const PublishedWeights* find_published(const std::string& word) {
  const std::string wanted = lower(word);
  for (const PublishedWeights& w : published_weights())
    if (wanted == lower(w.model) || wanted == lower(w.model + "." + w.name) || word == w.file()) return &w;
  return nullptr;
}

fs::path fetch(const PublishedWeights& weights, std::FILE* talk) {
  const auto verify = [&](const fs::path& path, const fs::path& named) {
    const std::string hash = sha256_of_file(path);
    if (!hash.starts_with(weights.digits()))
      throw Error(detail::join(named.string(), ": damaged: its SHA-256 begins with ", hash.substr(0, weights.digits().size()),
                               ", not with ", weights.digits(), "; delete it, and it will be fetched again"));
  };
  for (const fs::path& folder : {own_cache(), pytorch_cache()})
    if (const fs::path path = folder / weights.file(); fs::exists(path)) {
      verify(path, path);
      return path;
    }

  const fs::path path = own_cache() / weights.file();
  const auto place = [&] { return detail::join("download ", weights.address, " yourself and put it into ", own_cache().string()); };
  std::error_code error;
  fs::create_directories(own_cache(), error);
  if (error) throw Error(detail::join(own_cache().string(), ": cannot be made: ", error.message(), "; name another folder in FOVEA_CACHE"));
  const fs::path temporary = path.string() + "." + std::to_string(getpid()) + ".tmp";   // another process may fetch it, too
  struct Removed {
    const fs::path& path;
    ~Removed() {
      std::error_code ignored;
      fs::remove(path, ignored);
    }
  } const removed{temporary};
  std::fprintf(talk, "fetching %s\n", weights.address.c_str());
  std::fflush(talk);
  int code = run({"curl", "--fail", "--location", "--silent", "--show-error", "--connect-timeout", "20", "--output", temporary.string(),
                  weights.address});
  if (code == -1 || code == 127) code = run({"wget", "--quiet", "--timeout=20", "--tries=2", "-O", temporary.string(), weights.address});
  if (code == -1 || code == 127) throw Error(detail::join(weights.model, ": neither curl nor wget is installed; ", place()));
  if (code != 0) throw Error(detail::join(weights.model, ": the weights could not be fetched; ", place()));
  verify(temporary, weights.address);
  fs::rename(temporary, path, error);
  if (error) throw Error(path.string() + ": " + error.message());
  return path;
}

}   // namespace fovea::vision
