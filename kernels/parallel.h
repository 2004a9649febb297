// parallel.h: one small pool of threads for the whole process.
//
// A kernel cuts its work into tiles by the shape alone, never by the number of threads; each thread pulls tile numbers
// from a share of its own, then from the others'. Who computes a tile is chance, what a tile computes is not: so results are the same bits for any thread count.
#pragma once

#include <cstdint>
#include <type_traits>

namespace fovea::kernels {

/// Number of threads that parallel_for uses, the caller among them. Starts as the number of usable cores, or
/// FOVEA_THREADS. set_threads throws std::invalid_argument outside 1..1024.
int threads();
void set_threads(int n);
/// Which of the threads() runs this, 0 .. threads() - 1; the caller of parallel_for is 0. To find a piece of workspace that nobody else
/// uses meanwhile, and for nothing else: what a tile computes must not depend on it.
int thread_index();

/// Calls body(context, i) once for every i in [0, count), on the pool and on the calling thread; returns when all are
/// done. Nested calls run on the thread that makes them. Calls from several threads at once take turns. body must not throw.
void parallel_for(std::int64_t count, void (*body)(void* context, std::int64_t i), void* context);

/// The same with a callable. Static, so that it is no weak symbol in per-instruction-set files.
template <class F> static inline void parallel_for(std::int64_t count, F&& f) {
  using Body = std::remove_reference_t<F>;
  parallel_for(
      count, [](void* context, std::int64_t i) { (*static_cast<Body*>(context))(i); }, const_cast<void*>(static_cast<const void*>(&f)));
}

}   // namespace fovea::kernels
