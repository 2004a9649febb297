// report.cpp: from an address of the program to a line of its source, and a report in words.
#include "kernels/emulator/report.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

namespace fovea::emulator {
namespace {

// What the linker's loader added to the addresses in the file, and the file.
struct Module {
  std::string path;
  std::uintptr_t base = 0;
};
Module module_of(const void* address) {
  Dl_info info{};
  link_map* map = nullptr;
  if (!dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) || !map) return {};
  return {.path = map->l_name && *map->l_name ? map->l_name : "/proc/self/exe", .base = map->l_addr};
}

std::string quoted(const std::string& s) {
  std::string q = "'";
  for (char c : s) q += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return q + "'";
}

// The lines that addr2line prints: function, file:line, and so outwards through what was inlined.
std::vector<std::string> addr2line(const void* address) {
  const Module m = module_of(address);
  if (m.path.empty()) return {};
  std::array<char, 4096> path{};
  if (!realpath(m.path.c_str(), path.data())) return {};   // /proc/self would be addr2line's own
  char number[32];
  std::snprintf(number, sizeof number, "%#lx", static_cast<unsigned long>(reinterpret_cast<std::uintptr_t>(address) - m.base));
  const std::string command = "addr2line -Cfie " + quoted(path.data()) + " " + number + " 2>/dev/null";
  std::vector<std::string> lines;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char buffer[8192];
    while (std::fgets(buffer, sizeof buffer, pipe)) {
      std::string line = buffer;
      while (!line.empty() && line.back() == '\n') line.pop_back();
      lines.push_back(line);
    }
    pclose(pipe);
  }
  return lines;
}

bool of_the_toolkit(const std::string& file) {
  const std::size_t folder = file.rfind("kernels/");
  if (folder == std::string::npos) return file.find("/include/c++/") != std::string::npos;
  const std::string inside = file.substr(folder + 8);
  return inside.starts_with("emulator/") || (inside.starts_with("cuda") && inside.ends_with(".h"));
}

}   // namespace

Where where(const void* return_address) {
  static std::mutex mutex;
  static std::map<const void*, Where> known;
  std::lock_guard lock(mutex);
  if (const auto found = known.find(return_address); found != known.end()) return found->second;
  // The address after a call may belong to the next line already.
  const std::vector<std::string> lines = addr2line(static_cast<const char*>(return_address) - 1);
  Where w;
  for (std::size_t i = 1; i < lines.size(); i += 2) {
    const std::size_t colon = lines[i].rfind(':');
    if (colon == std::string::npos) continue;
    Where frame{.file = lines[i].substr(0, colon), .line = std::atoi(lines[i].c_str() + colon + 1)};
    if (frame.line == 0) continue;
    w = frame;   // the outermost, if all of them are the toolkit's
    if (!of_the_toolkit(frame.file)) break;
  }
  return known[return_address] = w;
}

std::string function_name(const void* function) {
  static std::mutex mutex;
  static std::map<const void*, std::string> known;
  std::lock_guard lock(mutex);
  std::string& result = known[function];
  if (!result.empty()) return result;
  const std::vector<std::string> lines = addr2line(function);
  // With -C: "void fovea::(anonymous namespace)::kernel<float>(float const*, long)". Several entries: the last is the function itself.
  std::string name = lines.size() >= 2 ? lines[lines.size() - 2] : "";
  for (std::string_view anonymous = "(anonymous namespace)::"; name.find(anonymous) != std::string::npos;)
    name.erase(name.find(anonymous), anonymous.size());
  int depth = 0;   // of < >: parameters begin at the first parenthesis outside, the result type ends at the last space before it
  std::size_t begin = 0, end = name.size();
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (depth == 0 && name[i] == ' ') begin = i + 1;
    if (depth == 0 && name[i] == '(') {
      end = i;
      break;
    }
  }
  name = name.substr(begin, end - begin);
  for (std::size_t colons; (colons = name.substr(0, name.find('<')).rfind("::")) != std::string::npos;) name.erase(0, colons + 2);
  return result = name.empty() || name == "??" ? "kernel" : name;
}

const char* name(Mistake m) {
  switch (m) {
    case Mistake::none: return "no mistake";
    case Mistake::out_of_bounds: return "out of bounds";
    case Mistake::uninitialised: return "uninitialised read";
    case Mistake::race: return "race";
    case Mistake::misaligned: return "misaligned access";
    case Mistake::host_memory: return "host memory in device code";
    case Mistake::device_memory: return "device memory in host code";
    case Mistake::copy_in_flight: return "copy still in flight";
    case Mistake::exited_at_barrier: return "barrier that an exited thread cannot reach";
    case Mistake::divergent_barrier: return "divergent barrier";
    case Mistake::deadlock: return "deadlock";
    case Mistake::wrong_mask: return "wrong mask";
    case Mistake::wrong_lane: return "wrong lane";
    case Mistake::bad_argument: return "bad argument";
    case Mistake::stack_overflow: return "stack overflow";
  }
  return "?";
}

std::string Where::text() const {
  if (line == 0) return "(unknown line)";
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(line);
}

std::string Report::text() const {
  const auto triple = [](const unsigned* v) {
    return "(" + std::to_string(v[0]) + "," + std::to_string(v[1]) + "," + std::to_string(v[2]) + ")";
  };
  std::string s = at.text() + ": " + name(mistake) + ": " + what;
  if (!kernel.empty()) s += "\n  in " + kernel + ", block " + triple(block) + ", thread " + triple(thread);
  for (const std::string& line : also) s += "\n  " + line;
  return s;
}

}   // namespace fovea::emulator
