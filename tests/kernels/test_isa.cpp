// Choosing the instruction set: by CPUID, by environment, by hand.
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels/cpu/isa.h"

namespace fovea::kernels {
namespace {

TEST(Isa, TheBestAvailableOneRuns) {
  if (std::getenv("FOVEA_ISA")) GTEST_SKIP() << "FOVEA_ISA is set";
  EXPECT_TRUE(isa_available(Isa::baseline));
  EXPECT_TRUE(isa_available(isa()));
  if (isa_available(Isa::avx512)) {
    EXPECT_TRUE(isa_available(Isa::avx2));
    EXPECT_EQ(isa(), Isa::avx512);
  } else if (isa_available(Isa::avx2)) {
    EXPECT_EQ(isa(), Isa::avx2);
  }
}

TEST(Isa, CanBeSet) {
  const Isa before = isa();
  for (Isa i : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa_available(i)) {
      set_isa(i);
      EXPECT_EQ(isa(), i);
    } else {
      EXPECT_THROW(set_isa(i), std::runtime_error);
    }
  }
  set_isa(before);
}

/// Exits with 0 and the name of what was chosen, or with 3 and the error.
[[noreturn]] void report(const char* asked) {
  setenv("FOVEA_ISA", asked, 1);
  try {
    std::fputs(isa_name(isa()), stderr);
    std::exit(0);
  } catch (const std::runtime_error& e) {
    std::fputs(e.what(), stderr);
    std::exit(3);
  }
}

TEST(IsaDeathTest, TheEnvironmentAsksForALowerOne) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";   // a fresh process, in which nothing is chosen yet
  EXPECT_EXIT(report("baseline"), testing::ExitedWithCode(0), "^baseline$");
  EXPECT_EXIT(report("avx3"), testing::ExitedWithCode(3), "FOVEA_ISA: expected baseline, avx2 or avx512, got avx3");
  for (Isa i : {Isa::avx2, Isa::avx512})
    if (isa_available(i))
      EXPECT_EXIT(report(isa_name(i)), testing::ExitedWithCode(0), isa_name(i));
    else
      EXPECT_EXIT(report(isa_name(i)), testing::ExitedWithCode(3), "this CPU runs at most");
}

}   // namespace
}   // namespace fovea::kernels
