// models.cpp: `fovea models`: every network that can be built by name. Parameters and multiply-adds are not written down anywhere: each network
// is built and run on Device::meta, which takes milliseconds.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "examples/cli/commands.h"
#include "vision/analysis/network_cost.h"
#include "vision/text.h"

namespace fovea::cli {
namespace {

using vision::ModelEntry;

bool contains(const std::string& text, const std::string& part) {
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

/// "He et al. 2016, Deep Residual ..., arXiv:1512.03385" -> "He et al. 2016, arXiv:1512.03385".
std::string short_paper(const ModelEntry& m) {
  const std::size_t year = m.paper.find(std::to_string(m.year())), number = m.paper.find(", arXiv:");
  return m.paper.substr(0, year + 4) + (number == std::string::npos ? "" : m.paper.substr(number));
}

int list(const std::string& filter, bool json) {
  std::vector<const ModelEntry*> chosen;
  std::vector<std::string> names;
  for (const ModelEntry& m : vision::models()) {
    names.push_back(m.name);
    if (contains(m.name, filter) || contains(m.family, filter) || contains(m.paper, filter)) chosen.push_back(&m);
  }
  if (chosen.empty())
    throw UsageError(fmt::format("no model with '{}' in its name, family or paper{}", filter, vision::did_you_mean(filter, names)));

  if (json) {
    auto all = nlohmann::ordered_json::array();
    for (const ModelEntry* m : chosen) {
      const vision::ModelSize s = vision::model_size(*m);
      nlohmann::ordered_json one{{"name", m->name},         {"family", m->family},     {"description", m->description},
                                 {"params", s.parameters},  {"macs", s.multiply_adds}, {"size", m->size},
                                 {"channels", m->channels}, {"classes", m->classes},   {"top1", nullptr},
                                 {"top1_of", nullptr},      {"paper", m->paper},       {"year", m->year()}};
      if (m->published) one["top1"] = m->published->top1, one["top1_of"] = m->published->of;
      all.push_back(std::move(one));
    }
    fmt::print("{}\n", all.dump(1));
    return 0;
  }

  std::size_t width = 0;
  for (const ModelEntry* m : chosen) width = std::max(width, m->name.size());
  fmt::print("{:<{}} {:>11} {:>14}  size  top-1  year  paper\n", "name", width, "parameters", "multiply-adds");
  std::string family;
  std::vector<std::string> sources;   // of accuracies, as footnotes
  for (const ModelEntry* m : chosen) {
    if (m->family != family) fmt::print("\n{}\n", family = m->family);
    const vision::ModelSize s = vision::model_size(*m);
    std::string top1 = "    - ";
    if (m->published) {
      auto at = std::find(sources.begin(), sources.end(), m->published->of);
      if (at == sources.end()) at = sources.insert(at, m->published->of);
      top1 = fmt::format("{:5.2f}{}", m->published->top1, static_cast<char>('a' + (at - sources.begin())));
    }
    fmt::print("{:<{}} {:>11} {:>14} {:>5} {:>6} {:>5}  {}\n", m->name, width, with_commas(s.parameters), with_commas(s.multiply_adds),
               m->size, top1, m->year(), short_paper(*m));
  }
  fmt::print("\n{} models with the classes that they were published with, without auxiliary heads. Multiply-adds: of one image\n",
             chosen.size());
  fmt::print("of that size, in convolutions, fully connected layers and both products of attention. Top-1: in %, of ImageNet\n");
  fmt::print("where nothing else is said.\n");
  for (std::size_t i = 0; i < sources.size(); ++i) fmt::print("  {}  {}\n", static_cast<char>('a' + i), sources[i]);
  return 0;
}

}   // namespace

void add_models(CommandLine& line) {
  Command command = line.command("models", "List the networks: parameters, multiply-adds, published accuracy, paper.");
  struct Flags {
    std::string filter;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  command.text("filter", flags->filter, "only those with this in their name, family or paper", {.type = "TEXT"});
  command.flag("--json", flags->json, "an array with an object for each: name, params, macs, size, top1, paper, year, ...");
  command.action([flags] { return list(flags->filter, flags->json); });
}

}   // namespace fovea::cli
