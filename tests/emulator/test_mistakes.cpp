// Every planted mistake is found, under every schedule, on its line; no strange but right kernel is accused.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <stdexcept>
#include <string>

#include "tests/emulator/cases.h"

namespace fovea::emulator {
namespace {

using kernels::Case, kernels::mistakes, kernels::unusual;

std::optional<Report> report_of(const Case& c, const Schedule& s) {
  reset();
  set_schedule(s);
  try {
    c.run();
  } catch (const std::runtime_error&) {   // the runtime refuses to go on; the report says why
  }
  std::optional<Report> r = report();
  reset();
  set_schedule({});
  return r;
}

std::set<int> marked_lines(const std::string& name) {
  std::ifstream file(FOVEA_SOURCE_DIR "/tests/emulator/mistakes.cu");
  std::set<int> lines;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const std::size_t at = line.find("WRONG: " + name);
    if (at == std::string::npos) continue;
    const std::size_t end = at + 7 + name.size();
    if (end == line.size() || line[end] == ' ') lines.insert(number);
  }
  return lines;
}

class EachCase : public testing::TestWithParam<Case> {};
std::string case_name(const testing::TestParamInfo<Case>& info) { return info.param.name; }

class Mistakes : public EachCase {};
TEST_P(Mistakes, IsFoundOnItsLine) {
  if (!checks_available()) GTEST_SKIP() << "this build does not check accesses";
  const Case& c = GetParam();
  const std::set<int> lines = marked_lines(c.name);
  ASSERT_FALSE(lines.empty()) << "no line is marked";
  for (const Schedule& s : schedules()) {
    const std::optional<Report> r = report_of(c, s);
    ASSERT_TRUE(r.has_value()) << "not noticed under " << s.name();
    EXPECT_EQ(name(r->mistake), std::string(name(c.mistake))) << s.name() << "\n" << r->text();
    EXPECT_TRUE(r->at.file.ends_with("mistakes.cu")) << r->text();
    EXPECT_TRUE(lines.contains(r->at.line)) << s.name() << "\n" << r->text();
    EXPECT_EQ(r->kernel, c.mistake == Mistake::device_memory ? "" : c.name);
  }
}
INSTANTIATE_TEST_SUITE_P(Emulator, Mistakes, testing::ValuesIn(mistakes()), case_name);

class Unusual : public EachCase {};
TEST_P(Unusual, IsNotAccused) {
  for (const Schedule& s : schedules()) {
    const std::optional<Report> r = report_of(GetParam(), s);
    EXPECT_FALSE(r.has_value()) << s.name() << "\n" << r->text();
  }
}
INSTANTIATE_TEST_SUITE_P(Emulator, Unusual, testing::ValuesIn(unusual()), case_name);

TEST(Mistakes, AReportNamesEverything) {
  if (!checks_available()) GTEST_SKIP() << "this build does not check accesses";
  for (const Case& c : mistakes())
    if (c.name == std::string("shuffle_is_no_barrier")) {
      const std::optional<Report> r = report_of(c, {});
      ASSERT_TRUE(r.has_value());
      const std::string text = r->text();
      for (const char* part : {"mistakes.cu:", "race", "shuffle_is_no_barrier", "block (0,0,0)", "thread (", "shared memory",
                               "the other access: mistakes.cu:"})
        EXPECT_NE(text.find(part), std::string::npos) << part << " is missing from\n" << text;
    }
}

TEST(Mistakes, AreStickyUntilReset) {
  if (!checks_available()) GTEST_SKIP() << "this build does not check accesses";
  reset();
  const auto run = mistakes().front().run;
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_THROW(run(), std::runtime_error);   // even to allocate
  EXPECT_TRUE(report().has_value());
  reset();
  EXPECT_FALSE(report().has_value());
}

}   // namespace
}   // namespace fovea::emulator
