// The runtime: profiles refuse what a card would, errors stay or pass as on a card, streams keep their order and nothing more, graphs
// replay.
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/emulator/emulator.h"
#include "tests/cuda/device_testing.h"
#include "tests/emulator/device_cases.h"

namespace fovea::kernels {
namespace {

using emulator::Order;

class EmulatedRuntime : public testing::Test {
 protected:
  void TearDown() override {
    emulator::reset();
    emulator::set_schedule({});
    emulator::set_profile(emulator::sm_80);
  }
};

std::string refusal(dim3 grid, dim3 block, std::size_t shared, bool opt_in = true) {
  DeviceArray<float> y(1024);
  try {
    launch_shape(grid, block, shared, opt_in, y.data());
    check_cuda(cudaDeviceSynchronize(), "wait");
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

TEST_F(EmulatedRuntime, LaunchesWhatTheProfileAllowsAndNothingElse) {
  constexpr std::size_t kKilobyte = 1024;
  EXPECT_EQ(refusal(1, 32, 4 * kKilobyte), "");
  EXPECT_EQ(refusal(1, 1024, 48 * kKilobyte, false), "");
  EXPECT_NE(refusal(1, 1025, 4 * kKilobyte).find("1024"), std::string::npos);
  EXPECT_NE(refusal(1, {32, 33}, 4 * kKilobyte).find("at most 1024 threads"), std::string::npos);
  EXPECT_NE(refusal(1, {1, 1, 65}, 4 * kKilobyte).find("(1024, 1024, 64)"), std::string::npos);
  EXPECT_NE(refusal({1, 65536}, 32, 4 * kKilobyte).find("65535"), std::string::npos);
  EXPECT_NE(refusal(0, 32, 4 * kKilobyte).find("nothing to do"), std::string::npos);
  EXPECT_NE(refusal(1, 32, 48 * kKilobyte + 4, false).find("cudaFuncSetAttribute"), std::string::npos);
  EXPECT_NE(refusal(1, 32, 48 * kKilobyte + 4, false).find("shared_kernel"), std::string::npos);   // it says who
  struct {
    const emulator::Profile& profile;
    std::size_t kilobytes;
  } limits[] = {{emulator::sm_80, 163}, {emulator::sm_86, 99}, {emulator::sm_90, 227}};
  for (const auto& [profile, kilobytes] : limits) {
    emulator::set_profile(profile);
    EXPECT_EQ(refusal(1, 32, kilobytes * kKilobyte), "") << profile.name;
    EXPECT_NE(refusal(1, 32, kilobytes * kKilobyte + 1), "") << profile.name;
    cudaDeviceProp p;
    check_cuda(cudaGetDeviceProperties(&p, 0), "properties");
    EXPECT_EQ(p.sharedMemPerBlockOptin, kilobytes * kKilobyte);
    EXPECT_EQ(p.major, profile.major);
    EXPECT_NE(std::string(p.name).find("emulated"), std::string::npos);   // labelled wherever it shows
  }
}

TEST_F(EmulatedRuntime, RefusesWrongArguments) {
  float host[8] = {};
  DeviceArray<float> d(8);
  EXPECT_EQ(cudaMemcpy(d.data(), host, 36, cudaMemcpyHostToDevice), cudaErrorInvalidValue);   // more than there is
  EXPECT_EQ(cudaMemcpy(host, host, 8, cudaMemcpyHostToDevice), cudaErrorInvalidValue);        // not the device's
  EXPECT_EQ(cudaMemcpy(d.data(), d.data(), 8, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(d.data(), host, 32, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(cudaMemset(host, 0, 8), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(d.data() + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaSetDevice(1), cudaErrorInvalidDevice);
  int devices = 0, device = -1;
  EXPECT_EQ(cudaGetDeviceCount(&devices), cudaSuccess);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(devices, 1);
  EXPECT_EQ(device, 0);   // as cudaSetDevice(1) failed
  EXPECT_EQ(cudaStreamSynchronize(reinterpret_cast<cudaStream_t>(8)), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);   // read, and gone
}

TEST_F(EmulatedRuntime, GoesOnAfterItRanOutOfMemory) {
  void* p = nullptr;
  EXPECT_EQ(cudaMalloc(&p, std::size_t{1} << 40), cudaErrorMemoryAllocation);
  EXPECT_NE(std::string(cudaGetErrorString(cudaErrorMemoryAllocation)).find("1099511627776 bytes"), std::string::npos);
  EXPECT_EQ(cudaMalloc(&p, 1024), cudaSuccess);
  std::size_t before = 0, after = 0, total = 0;
  check_cuda(cudaMemGetInfo(&before, &total), "info");
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  check_cuda(cudaMemGetInfo(&after, &total), "info");
  EXPECT_EQ(after, before + 1024);
}

TEST_F(EmulatedRuntime, FreshMemoryIsNaN) {
  DeviceArray<float> d(3);
  for (float v : d.host()) EXPECT_TRUE(std::isnan(v));
}

/// The host must wait before it reads: late streams show what happens if not.
TEST_F(EmulatedRuntime, LateStreamsDoNothingBeforeSomebodyWaits) {
  emulator::set_schedule({.late_streams = true});
  cudaStream_t s;
  float* pinned = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "stream");
  check_cuda(cudaMallocHost(&pinned, 32 * sizeof(float)), "pinned");
  std::iota(pinned, pinned + 32, 0.f);
  DeviceArray<float> x(32);
  check_cuda(cudaMemcpyAsync(x.data(), pinned, 128, cudaMemcpyHostToDevice, s), "copy");
  add_one(x.data(), s);
  check_cuda(cudaMemcpyAsync(pinned, x.data(), 128, cudaMemcpyDeviceToHost, s), "copy");
  EXPECT_EQ(cudaStreamQuery(s), cudaErrorNotReady);
  EXPECT_EQ(pinned[5], 5.f);
  pinned[5] = 50;   // too early: the copy has not read it yet
  check_cuda(cudaStreamSynchronize(s), "wait");
  EXPECT_EQ(pinned[5], 51.f);
  EXPECT_EQ(cudaStreamQuery(s), cudaSuccess);
  check_cuda(cudaFreeHost(pinned), "free");
  check_cuda(cudaStreamDestroy(s), "destroy");
}

TEST_F(EmulatedRuntime, EventsOrderStreams) {
  for (bool late : {false, true}) {
    emulator::set_schedule({.late_streams = late});
    cudaStream_t first, second;
    cudaEvent_t done;
    check_cuda(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking), "stream");
    check_cuda(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking), "stream");
    check_cuda(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), "event");
    DeviceArray<float> x(32), y(32);
    check_cuda(cudaMemsetAsync(x.data(), 0, 128, first), "memset");
    add_one(x.data(), first);
    check_cuda(cudaEventRecord(done, first), "record");
    check_cuda(cudaStreamWaitEvent(second, done), "wait");
    check_cuda(cudaMemcpyAsync(y.data(), x.data(), 128, cudaMemcpyDeviceToDevice, second), "copy");
    add_one(y.data(), second);
    check_cuda(cudaEventRecord(done, second), "record");
    EXPECT_EQ(cudaEventQuery(done), late ? cudaErrorNotReady : cudaSuccess);
    check_cuda(cudaEventSynchronize(done), "wait for the event");
    EXPECT_EQ(cudaEventQuery(done), cudaSuccess);
    EXPECT_EQ(y.host()[31], 2.f) << late;
    float ms = 0;
    EXPECT_EQ(cudaEventElapsedTime(&ms, done, done), cudaErrorNotSupported);   // never timed
    check_cuda(cudaEventDestroy(done), "destroy");
    check_cuda(cudaStreamDestroy(first), "destroy");
    check_cuda(cudaStreamDestroy(second), "destroy");
  }
}

TEST_F(EmulatedRuntime, TheDefaultStreamWaitsForBlockingOnes) {
  emulator::set_schedule({.late_streams = true});
  cudaStream_t s;
  check_cuda(cudaStreamCreate(&s), "stream");
  DeviceArray<float> x(32);
  check_cuda(cudaMemsetAsync(x.data(), 0, 128, nullptr), "memset");
  add_one(x.data(), s);
  add_one(x.data(), nullptr);
  add_one(x.data(), s);
  check_cuda(cudaStreamSynchronize(s), "wait");
  EXPECT_EQ(x.host()[0], 3.f);
  check_cuda(cudaStreamDestroy(s), "destroy");
}

TEST_F(EmulatedRuntime, GraphsReplayWhatWasCaptured) {
  for (bool late : {false, true}) {
    emulator::set_schedule({.late_streams = late});
    cudaStream_t s;
    cudaGraph_t graph;
    cudaGraphExec_t replay;
    check_cuda(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "stream");
    DeviceArray<float> x(std::vector<float>(32, 0.f));
    check_cuda(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal), "capture");
    add_one(x.data(), s);
    add_one(x.data(), s);
    EXPECT_EQ(cudaStreamSynchronize(s), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
    EXPECT_THROW(add_one(x.data(), nullptr), std::runtime_error);   // the default stream would wait for the captured one
    check_cuda(cudaStreamEndCapture(s, &graph), "end");
    cudaGetLastError();
    EXPECT_EQ(x.host()[0], 0.f);   // recorded, not run
    check_cuda(cudaGraphInstantiate(&replay, graph), "instantiate");
    check_cuda(cudaGraphDestroy(graph), "destroy");
    for (int i = 0; i < 3; ++i) check_cuda(cudaGraphLaunch(replay, s), "replay");
    check_cuda(cudaStreamSynchronize(s), "wait");
    EXPECT_EQ(x.host()[7], 6.f);
    check_cuda(cudaGraphExecDestroy(replay), "destroy");
    check_cuda(cudaStreamDestroy(s), "destroy");
  }
}

TEST_F(EmulatedRuntime, OnlyARelaxedCaptureTakesMemory) {
  for (const auto& [mode, expected] : {std::pair{cudaStreamCaptureModeGlobal, cudaErrorStreamCaptureUnsupported},
                                       {cudaStreamCaptureModeThreadLocal, cudaErrorStreamCaptureUnsupported},
                                       {cudaStreamCaptureModeRelaxed, cudaSuccess}}) {
    cudaStream_t s;
    cudaGraph_t graph;
    void* p = nullptr;
    check_cuda(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "stream");
    check_cuda(cudaStreamBeginCapture(s, mode), "capture");
    EXPECT_EQ(cudaMalloc(&p, 256), expected) << mode;
    EXPECT_EQ(p != nullptr, expected == cudaSuccess);
    check_cuda(cudaStreamEndCapture(s, &graph), "end");
    cudaGetLastError();
    check_cuda(cudaFree(p), "free");
    check_cuda(cudaGraphDestroy(graph), "destroy");
    check_cuda(cudaStreamDestroy(s), "destroy");
  }
}

TEST_F(EmulatedRuntime, BlocksAndThreadsOfEveryScheduleAreAll) {
  for (const emulator::Schedule& s : emulator::schedules()) {
    emulator::set_schedule(s);
    std::vector<float> x(37 * 64);
    std::iota(x.begin(), x.end(), 1.f);
    DeviceArray<float> x_device(x), y_device(5 * x.size());
    intrinsics(x_device.data(), y_device.data(), int(x.size()));
    const auto y = y_device.host();
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[5 * i + 2], 1 / std::sqrt(x[i]), 1e-6) << s.name();
  }
}

}   // namespace
}   // namespace fovea::kernels
