// faults.h: device code that the processor itself stops (a stack that overflows into its guard, a wild address in a build without checks)
// becomes a report like any other, and the process goes on.
#pragma once

namespace fovea::emulator {

/// On this host thread, from now on. Cheap after the first time.
void catch_faults();

}   // namespace fovea::emulator
