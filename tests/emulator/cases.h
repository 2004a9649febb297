// cases.h: kernels that a test walks, wrong ones (mistakes.cu) and strange but right ones (unusual.cu).
#pragma once

#include <vector>

#include "kernels/emulator/emulator.h"

namespace fovea::kernels {

struct Case {
  const char* name;            // of the kernel; in mistakes.cu the comment `WRONG: name` marks the line that must be named
  emulator::Mistake mistake;   // none: nobody may be accused
  void (*run)();               // launches it; may throw what the runtime says
};
const std::vector<Case>& mistakes();
const std::vector<Case>& unusual();

}   // namespace fovea::kernels
