// Linked into the programs of fovea_emulated() that are tests: threads run in a random order, and copies and streams are as late as they may be,
// so that a host that reads too early, or writes to where it should not, finds other numbers.
#include "kernels/emulator/emulator.h"

namespace {

const bool set = [] {
  fovea::emulator::set_schedule({.order = fovea::emulator::Order::random, .seed = 11, .late_copies = true, .late_streams = true});
  return true;
}();

}   // namespace
