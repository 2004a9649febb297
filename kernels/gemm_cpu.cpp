// gemm_cpu.cpp: matrix product on the CPU. A matrix is a convolution's input of one row of m pixels with k channels, and a
// 1x1 kernel: the driver is that of cpu/implicit_gemm.h, and this file only says where the matrices lie.
#include "kernels/gemm.h"

#include "kernels/cpu/implicit_gemm.h"
#include "kernels/cpu/isa.h"

namespace fovea::kernels {

template <class T, class TC> using GemmFunction = void (*)(const T*, const T*, TC*, const GemmShape&, const Epilogue<TC>&, void*);
struct GemmTable {
  GemmFunction<float, float> f32;
  GemmFunction<bfloat16, bfloat16> bf16;
  GemmFunction<bfloat16, float> bf16_to_f32;
};
FOVEA_ISA_TABLES(GemmTable, gemm_table)

namespace FOVEA_ISA {
namespace {

/// A batch of matrices that follow each other row by row, all times the same B, is one tall matrix.
FOVEA_INLINE bool one_matrix(const GemmShape& s) {
  return s.batch == 1 || (s.stride_b == 0 && !s.transpose_a && s.stride_a == s.m * s.row_a() && s.stride_c == s.m * s.row_c());
}

FOVEA_INLINE std::int64_t rows(const GemmShape& s) { return one_matrix(s) ? s.m * s.batch : s.m; }
FOVEA_INLINE Repeat repeat_of(const GemmShape& s) {
  if (one_matrix(s)) return {};
  return {.count = s.batch, .x = s.stride_a, .w = s.stride_b, .y = s.stride_c};
}

/// Right matrices that are packed before their products start: what fits 16 MB, for small matrices need company to fill
/// the threads.
FOVEA_INLINE std::int64_t wave(const GemmShape& s) {
  if (one_matrix(s)) return 1;
  if (s.stride_b == 0) return s.batch;
  return max_of(1, min_of(s.batch, (std::int64_t{4} << 20) / max_of(1, packed_floats(s.k, s.n))));
}

template <class T, class TC> void run(const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, void* workspace) {
  const std::int64_t m = rows(s);
  const Patches<T> left{.x = a, .h = 1, .w = m, .c = s.k, .pixel = s.row_a(), .images = 1, .p = 1, .q = m, .transposed = s.transpose_a};
  const Weights<T> right{.w = b, .n = s.n, .step_n = s.transpose_b ? s.row_b() : 1, .step_c = s.transpose_b ? 1 : s.row_b()};
  const Output<TC> out{.y = c, .image_step = m * s.row_c(), .row_step = m * s.row_c(), .pixel_step = s.row_c(), .e = e, .partials_n = s.n};
  multiply(left, right, out, repeat_of(s), wave(s), static_cast<float*>(workspace));
}

}   // namespace

const GemmTable gemm_table{run<float, float>, run<bfloat16, bfloat16>, run<bfloat16, float>};

}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> std::size_t gemm_workspace_bytes(Cpu, const GemmShape& s) {
  using namespace FOVEA_ISA;
  return static_cast<std::size_t>(workspace_floats(rows(s), s.k, s.n, repeat_of(s), wave(s))) * sizeof(float);
}
template std::size_t gemm_workspace_bytes<float>(Cpu, const GemmShape&);
template std::size_t gemm_workspace_bytes<bfloat16>(Cpu, const GemmShape&);

template <> void gemm(Cpu, const float* a, const float* b, float* c, const GemmShape& s, const Epilogue<float>& e, void* workspace) {
  gemm_table().f32(a, b, c, s, e, workspace);
}
template <>
void gemm(Cpu, const bfloat16* a, const bfloat16* b, bfloat16* c, const GemmShape& s, const Epilogue<bfloat16>& e, void* workspace) {
  gemm_table().bf16(a, b, c, s, e, workspace);
}
template <> void gemm(Cpu, const bfloat16* a, const bfloat16* b, float* c, const GemmShape& s, const Epilogue<float>& e, void* workspace) {
  gemm_table().bf16_to_f32(a, b, c, s, e, workspace);
}
#endif

}   // namespace fovea::kernels
