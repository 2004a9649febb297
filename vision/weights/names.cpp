#include "vision/weights/names.h"

#include <algorithm>

namespace fovea::vision {
namespace {

/// The words of "{a,b,c}..." and what comes behind.
struct Choice {
  std::vector<std::string_view> words;
  std::string_view rest;
};
Choice read_choice(std::string_view pattern) {
  const std::size_t end = pattern.find('}');
  Choice choice{.words = {}, .rest = pattern.substr(end + 1)};
  std::string_view list = pattern.substr(1, end - 1);
  for (;;) {
    const std::size_t comma = list.find(',');
    choice.words.push_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return choice;
    list.remove_prefix(comma + 1);
  }
}

/// What a wildcard stood for: the text, or the place of a word among its choices.
struct Capture {
  std::string_view text;
  std::size_t place = 0;
};

bool match(std::string_view pattern, std::string_view name, std::vector<Capture>& captures) {
  while (!pattern.empty()) {
    if (pattern[0] == '*') {
      captures.push_back({name});
      return true;
    }
    if (pattern[0] == '#') {
      const auto digits =
          static_cast<std::size_t>(std::find_if(name.begin(), name.end(), [](char c) { return c < '0' || c > '9'; }) - name.begin());
      if (digits == 0) return false;
      captures.push_back({name.substr(0, digits)});
      pattern.remove_prefix(1);
      name.remove_prefix(digits);
    } else if (pattern[0] == '{') {
      const Choice choice = read_choice(pattern);
      for (std::size_t i = 0; i < choice.words.size(); ++i) {
        if (!name.starts_with(choice.words[i])) continue;
        const std::size_t before = captures.size();
        captures.push_back({choice.words[i], i});
        if (match(choice.rest, name.substr(choice.words[i].size()), captures)) return true;
        captures.resize(before);
      }
      return false;
    } else {
      if (name.empty() || name[0] != pattern[0]) return false;
      pattern.remove_prefix(1);
      name.remove_prefix(1);
    }
  }
  return name.empty();
}

}   // namespace

std::optional<std::string> rewrite(std::string_view from, std::string_view to, std::string_view name) {
  std::vector<Capture> captures;
  if (!match(from, name, captures)) return {};
  std::string out;
  for (std::size_t next = 0; !to.empty();) {
    if (to[0] == '{') {
      const Choice choice = read_choice(to);
      out += choice.words.at(captures.at(next++).place);
      to = choice.rest;
    } else {
      if (to[0] == '#' || to[0] == '*')
        out += captures.at(next++).text;
      else
        out += to[0];
      to.remove_prefix(1);
    }
  }
  return out;
}

std::string our_name(const NamingScheme& scheme, std::string_view theirs) {
  std::string name(theirs);
  for (const NameRule& rule : scheme.rules)
    if (auto renamed = rewrite(rule.theirs, rule.ours, name)) {
      name = std::move(*renamed);
      if (name.empty()) break;
    }
  return name;
}

}   // namespace fovea::vision
