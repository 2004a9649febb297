// state.h: what the emulated device remembers between calls, and small helpers that several files share.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "kernels/emulator/report.h"
#include "kernels/emulator/runtime.h"

namespace fovea::emulator {

/// A kernel, or host code near one, has made a mistake: kept if it is the first. From now on every call of the runtime fails.
void device_failed(Report r);
bool device_has_failed();
cudaError_t sticky_error();   // cudaSuccess as long as no kernel has failed

/// Notes e as the latest error, with what exactly was wrong, and returns it.
cudaError_t error(cudaError_t e, std::string detail);

bool checks_enabled();   // and available
bool counting();
void add_counters(Counters c);

/// Every call of the runtime holds this.
std::recursive_mutex& runtime_mutex();

/// Queues work on a stream; it happens at once or later, by the schedule. In a capture it becomes a node of the graph instead.
cudaError_t queue(cudaStream_t stream, std::function<void()> work);
cudaError_t finish(cudaStream_t stream);   // all of its work, and what that waits for
cudaError_t finish_all();
bool capturing_any();        // what would wait for the device is forbidden meanwhile
bool capturing_strictly();   // and, unless the capture is relaxed, what takes memory
void drop_all_work();

/// "0x1f"
std::string hex(std::uint64_t v);

}   // namespace fovea::emulator
