// text.h: help with words that people type.
#pragma once

#include <string>
#include <vector>

namespace fovea::vision {

/// The known words that `word` may have been meant to be, nearest first, at most three: those fewest insertions, deletions,
/// substitutions and swaps of neighbours away (Damerau 1964), and no more than about a third of the word. Case does not count.
std::vector<std::string> nearest(const std::string& word, const std::vector<std::string>& known);

/// " (did you mean a, b or c?)", or "" when nothing is near: the end of an error message.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& known);

/// "a, b, c and 4 more": the first `shown` of a list that may be long.
std::string listed(const std::vector<std::string>& names, std::size_t shown);

}   // namespace fovea::vision
