// parallel.cpp: the pool. A call costs one or two microseconds while the workers still spin from the call before.
//
// A job is published by opening a door. Workers that come in time step inside and pull numbers until none are left; the caller
// pulls too, then closes the door and waits for those inside. A worker that was asleep and comes late finds the door closed and
// touches nothing: so nobody ever waits for a sleeper, and a small job is done before one wakes.
//
// The numbers are cut into one share a thread, in order, and everybody empties the own share before helping with the others.
// So the thread that wrote the first half of a tensor is, most of the time, the one that reads it in the next job, out of its
// own cache. Where two cores share no cache (a virtual machine's may lie on two dies, for seconds at a time) a training step
// with one counter for all took 1.5 times as long.
#include "kernels/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <xmmintrin.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace fovea::kernels {
namespace {

constexpr int kMaxThreads = 1024;
constexpr std::chrono::microseconds kSpin{40};   // then sleep, or yield: about what falling asleep and waking costs

/// The part of a core's time that the container grants, in cores; 0 without a limit. cgroup v2, then v1.
double cgroup_quota() {
  std::string quota;
  double period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); !(v2 >> quota >> period)) {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  }
  const double granted = std::atof(quota.c_str());   // "max" and "-1" mean no limit
  return granted > 0 && period > 0 ? granted / period : 0;
}

/// The cores that this process may use: its affinity mask, and its container's quota rounded up.
int usable_cores() {
  cpu_set_t set;
  int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : int(std::thread::hardware_concurrency());
  if (const double quota = cgroup_quota(); quota > 0 && quota < cores) cores = int(quota) + (quota > int(quota));
  return cores < 1 ? 1 : cores > kMaxThreads ? kMaxThreads : cores;
}

int checked(long n, const std::string& what, const std::string& given) {
  if (n < 1 || n > kMaxThreads)
    throw std::invalid_argument(what + ": expected 1.." + std::to_string(kMaxThreads) + " threads, got " + given);
  return int(n);
}

int threads_at_start() {
  const char* text = std::getenv("FOVEA_THREADS");
  if (!text || !*text) return usable_cores();
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  return checked(*end ? 0 : n, "FOVEA_THREADS", "\"" + std::string(text) + "\"");
}

thread_local bool inside_a_job = false;
thread_local int index_in_pool = 0;   // of a worker; everybody else is a caller

/// While it lives, this thread belongs to a job: calls that it makes itself are nested, and denormal numbers count as 0
/// (they cost a hundred times as much, and every thread must treat them alike).
class InsideJob {
 public:
  InsideJob() : control_(_mm_getcsr()) {
    constexpr unsigned flush_to_zero = 1u << 15, denormals_are_zero = 1u << 6;
    _mm_setcsr(control_ | flush_to_zero | denormals_are_zero);
    inside_a_job = true;
  }
  ~InsideJob() {
    inside_a_job = false;
    _mm_setcsr(control_);
  }
  InsideJob(const InsideJob&) = delete;
  InsideJob& operator=(const InsideJob&) = delete;

 private:
  const unsigned control_;
};

/// Waits for ready() with the core kept; false once kSpin has passed. A core that others wait for too is offered to them.
template <class Ready> bool spin(bool crowded, Ready ready) {
  const auto give_up = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      if (crowded)
        std::this_thread::yield();
      else
        _mm_pause();
    }
  } while (std::chrono::steady_clock::now() < give_up);
  return false;
}

class Pool {
 public:
  ~Pool() { stop(); }

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void set_threads(int n) {
    const std::lock_guard turn(turn_);
    if (n == threads()) return;
    stop();
    threads_ = n;
  }

  void run(std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
    const std::lock_guard turn(turn_);
    if (workers_.empty()) start();
    body_ = body, context_ = context;
    if (const int core = sched_getcpu(); core != callers_core_) bar_workers_from(core);
    const std::int64_t n = threads();
    for (std::int64_t t = 0; t < n; ++t) {
      shares_[std::size_t(t)].next.store(count * t / n, std::memory_order_relaxed);
      shares_[std::size_t(t)].end = count * (t + 1) / n;
    }
    door_.store(kOpen, std::memory_order_release);
    calls_.fetch_add(1);   // a full barrier, between opening and looking for sleepers
    calls_.notify_all();
    {
      const InsideJob inside;
      pull(0);
    }
    door_.fetch_and(~kOpen, std::memory_order_relaxed);
    const auto empty = [this] { return door_.load(std::memory_order_acquire) == 0; };
    if (!spin(crowded_, empty))
      while (!empty()) std::this_thread::yield();
  }

 private:
  static constexpr std::uint32_t kOpen = 1u << 31;   // the other bits of door_ count who is inside

  /// The numbers of one thread. On cache lines of its own: its owner writes there with every number, the others seldom.
  struct alignas(64) Share {
    std::atomic<std::int64_t> next = 0;
    std::int64_t end = 0;
  };

  void pull(std::size_t me) {
    for (std::size_t k = 0; k < shares_.size(); ++k) {
      Share& share = shares_[(me + k) % shares_.size()];
      if (share.next.load(std::memory_order_relaxed) >= share.end) continue;   // emptied: no need to write
      for (std::int64_t i; (i = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) body_(context_, i);
    }
  }

  /// A scheduler can leave the caller and a worker on one core, the other idle, for a tenth of a second (2 threads: a quarter of all calls
  /// took twice as long). So the workers keep off the caller's core; the system moves them at once. Costs nothing while the caller stays.
  void bar_workers_from(int core) {
    callers_core_ = core;
    if (crowded_) return;
    cpu_set_t others = allowed_;
    CPU_CLR(std::size_t(core), &others);
    for (std::thread& t : workers_) pthread_setaffinity_np(t.native_handle(), sizeof others, &others);
  }

  bool enter() {
    std::uint32_t door = door_.load(std::memory_order_relaxed);
    while (door & kOpen)
      if (door_.compare_exchange_weak(door, door + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
    return false;
  }

  void worker(std::size_t me, std::uint32_t seen) {
    const InsideJob inside;
    index_in_pool = int(me);
    for (;;) {
      const auto called = [&] { return calls_.load(std::memory_order_acquire) != seen; };
      if (!spin(crowded_, called)) calls_.wait(seen, std::memory_order_acquire);
      seen = calls_.load(std::memory_order_acquire);
      if (stopping_.load(std::memory_order_relaxed)) return;   // after `seen`: a stop that comes later raises calls_ once more
      if (!enter()) continue;
      pull(me);
      door_.fetch_sub(1, std::memory_order_release);
    }
  }

  void start() {
    const int n = threads();
    crowded_ = n > usable_cores() || sched_getaffinity(0, sizeof allowed_, &allowed_) != 0;
    callers_core_ = -1;
    shares_ = std::vector<Share>(std::size_t(n));
    workers_.reserve(std::size_t(n - 1));
    try {
      while (int(workers_.size()) < n - 1) workers_.emplace_back(&Pool::worker, this, workers_.size() + 1, calls_.load());
    } catch (const std::system_error&) {
      // The system grants no more threads: those that started, and the caller, do the same work and get the same bits.
    }
  }

  void stop() {
    stopping_ = true;
    calls_.fetch_add(1);
    calls_.notify_all();
    for (std::thread& t : workers_) t.join();
    workers_.clear();
    stopping_ = false;
  }

  std::mutex turn_;   // held for the length of a job
  std::atomic<int> threads_ = threads_at_start();
  std::vector<std::thread> workers_;   // threads() - 1 of them, once a job has needed them
  bool crowded_ = false;               // more threads than cores
  cpu_set_t allowed_;                  // the cores of this process when the workers started
  int callers_core_ = -1;              // where the latest caller ran: the workers keep off it
  std::atomic<bool> stopping_ = false;

  // The job. Written while the door is closed and nobody is inside.
  std::vector<Share> shares_;   // threads() of them; the caller's is the first
  void (*body_)(void*, std::int64_t) = nullptr;
  void* context_ = nullptr;

  // On cache lines of their own: everybody writes to the first, and spins on the second.
  alignas(64) std::atomic<std::uint32_t> door_ = 0;
  alignas(64) std::atomic<std::uint32_t> calls_ = 0;   // counts jobs; 32 bits, so that waiting is one futex
};

Pool& pool() {
  static Pool the_pool;   // at first use; its workers are joined when the program ends
  return the_pool;
}

}   // namespace

int threads() { return pool().threads(); }
int thread_index() { return index_in_pool; }

void set_threads(int n) {
  checked(n, "set_threads", std::to_string(n));
  if (inside_a_job) throw std::logic_error("set_threads: called from inside parallel_for");
  pool().set_threads(n);
}

void parallel_for(std::int64_t count, void (*body)(void* context, std::int64_t i), void* context) {
  if (inside_a_job) {
    for (std::int64_t i = 0; i < count; ++i) body(context, i);
  } else if (count > 1 && threads() > 1) {
    pool().run(count, body, context);
  } else if (count > 0) {
    const InsideJob inside;
    for (std::int64_t i = 0; i < count; ++i) body(context, i);
  }
}

}   // namespace fovea::kernels
