// inspect.cpp: `fovea inspect`: what is in a file of weights?
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "examples/cli/commands.h"
#include "tensor/weight_file.h"

namespace fovea::cli {
namespace {

/// Of the finite elements.
struct Statistics {
  double min = std::numeric_limits<double>::infinity(), max = -min, mean = 0, std = 0;
  std::int64_t finite = 0;
};

Statistics measure(const Tensor& t) {
  Statistics s;
  double sum = 0;
  // Block by block, so that the doubles stay few.
  constexpr std::int64_t kBlock = 1 << 16;
  const Tensor flat = t.reshape({t.elements()});
  const auto each = [&](auto&& f) {
    for (std::int64_t at = 0; at < t.elements(); at += kBlock)
      for (const double x : flat.slice(at, std::min(at + kBlock, t.elements())).to_vector<double>())
        if (std::isfinite(x)) f(x);
  };
  each([&](double x) {
    s.min = std::min(s.min, x), s.max = std::max(s.max, x);
    sum += x;
    ++s.finite;
  });
  if (s.finite == 0) return s;
  s.mean = sum / static_cast<double>(s.finite);
  double squares = 0;
  each([&](double x) { squares += (x - s.mean) * (x - s.mean); });
  s.std = std::sqrt(squares / static_cast<double>(s.finite));
  return s;
}

/// A name from a file, safe for a terminal.
std::string printable(const std::string& text, std::size_t longest) {
  std::string out;
  for (const char c : text.substr(0, longest)) out += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return text.size() > longest ? out + "..." : out;
}

int inspect(const std::string& path, bool json) {
  const WeightFile file = read_weight_file(path);
  std::int64_t elements = 0;
  std::size_t bytes = 0, width = 4, shape_width = 5;
  for (const auto& [name, t] : file.tensors.tensors) {
    elements += t.elements();
    bytes += t.bytes();
    width = std::max(width, printable(name, 100).size());
    shape_width = std::max(shape_width, t.shape().str().size());
  }
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  if (!json) {
    fmt::print("{}: {}\n", path, file.format);
    for (const auto& [key, value] : file.tensors.metadata) {
      const std::size_t line = value.find('\n');
      fmt::print("  {}: {}{}\n", printable(key, 60), printable(value.substr(0, line), 100), line == std::string::npos ? "" : " ...");
    }
    fmt::print("{:<{}}  {:<{}}  {:<5}  {:>11}  {:>11}  {:>11}  {:>11}\n", "name", width, "shape", shape_width, "dtype", "min", "max",
               "mean", "std");
  }
  for (const auto& [name, t] : file.tensors.tensors) {
    const Statistics s = measure(t);
    if (json) {
      nlohmann::ordered_json e{{"name", name}, {"shape", t.shape().dims()}, {"dtype", name_of(t.dtype())}, {"finite", s.finite}};
      if (s.finite > 0) e.update({{"min", s.min}, {"max", s.max}, {"mean", s.mean}, {"std", s.std}});
      entries.push_back(std::move(e));
      continue;
    }
    fmt::print("{:<{}}  {:<{}}  {:<5}", printable(name, 100), width, t.shape().str(), shape_width, name_of(t.dtype()));
    if (s.finite > 0) fmt::print("  {:>11.5g}  {:>11.5g}  {:>11.5g}  {:>11.5g}", s.min, s.max, s.mean, s.std);
    fmt::print("{}\n", s.finite == t.elements() ? "" : fmt::format("  {} not finite", t.elements() - s.finite));
  }
  if (json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"file", path},
                                              {"format", file.format},
                                              {"metadata", file.tensors.metadata},
                                              {"tensors", entries},
                                              {"elements", elements},
                                              {"bytes", bytes},
                                              {"ignored", file.ignored}}
                           .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return 0;
  }
  fmt::print("{} tensors, {} elements, {:.1f} MB\n", file.tensors.tensors.size(), with_commas(elements), static_cast<double>(bytes) / 1e6);
  for (const std::string& name : file.ignored) fmt::print("not made: {}\n", printable(name, 100));
  return 0;
}

}   // namespace

void add_inspect(CommandLine& line) {
  Command command = line.command("inspect", "Show what is in a file of weights: names, shapes, dtypes, statistics, metadata.");
  struct Flags {
    std::string file;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  command.text("file", flags->file, "a .safetensors, .pth or .pt file", {.type = "FILE", .required = true});
  command.flag("--json", flags->json, "print one JSON object");
  command.action([flags] { return inspect(flags->file, flags->json); });
}

}   // namespace fovea::cli
