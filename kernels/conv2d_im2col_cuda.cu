// conv2d_im2col_cuda.cu: convolution as an explicit matrix of patches and a GEMM (gemm.h), chunk by chunk of whole images.
//
//   forward           y  (pixels, k)    = patches (pixels, r s c) * w^T (r s c, k)
//   weight gradient   dw (k, r s c)     = dy^T (k, pixels) * patches (pixels, r s c)
//   input gradient    columns (pixels, r s c) = dy (pixels, k) * w (k, r s c);  dx = the sum of those entries of columns that stand for it
//
// Each pixel of x gathers its own entries, in the order of the taps, instead of each patch adding to x: no atomics, and the same bits every
// time. The patches cost (sizeof(T) x + 2 r s sizeof(T) y/k c) bytes; columns are floats, so that they are rounded once, in dx.
#include "kernels/conv2d_im2col.h"

#include <algorithm>

#include "kernels/cuda_patches.h"
#include "kernels/cuda_rows.h"
#include "kernels/gemm.h"

namespace fovea::kernels {
namespace {

/// matrix (pixels, taps): row by row what the implicit kernel would ask for.
template <class T> __global__ void im2col_kernel(Patches<T> patches, T* __restrict__ matrix) {
  const int pixel = static_cast<int>(row_of_warp());
  if (pixel >= patches.pixels) return;
  const auto line = patches.line(pixel);
  for (int tap = static_cast<int>(threadIdx.x); tap < patches.taps; tap += kWarp) {
    const T* x = patches.at(line, patches.place(tap));
    matrix[std::int64_t{pixel} * patches.taps + tap] = x ? *x : T(0.f);
  }
}

/// dx (h w of some images, channels of one group) from columns (p q of them, r s cg).
template <class T>
__global__ void col2im_kernel(const float* __restrict__ columns, T* dx, Conv2dShape s, FastDivide image, FastDivide row, int pixels,
                              bool accumulate) {
  const int pixel = static_cast<int>(row_of_warp());
  if (pixel >= pixels) return;
  const int n = image(pixel), rest = pixel - n * image.divisor(), h = row(rest), w = rest - h * row.divisor();
  const std::int64_t cg = s.c / s.groups;
  for (std::int64_t c = threadIdx.x; c < cg; c += kWarp) {
    float sum = 0;
    for (std::int64_t r = 0; r < s.r; ++r)
      for (std::int64_t t = 0; t < s.s; ++t) {
        const std::int64_t up = h + s.pad_h - r * s.dilation_h, left = w + s.pad_w - t * s.dilation_w;   // = p stride, q stride
        if (up < 0 || left < 0 || up % s.stride_h || left % s.stride_w) continue;
        const std::int64_t p = up / s.stride_h, q = left / s.stride_w;
        if (p >= s.p() || q >= s.q()) continue;
        sum += columns[((n * s.p() + p) * s.q() + q) * s.taps() + (r * s.s + t) * cg + c];
      }
    T& at = dx[std::int64_t{pixel} * s.c + c];
    at = T(accumulate ? float(at) + sum : sum);
  }
}

// A group's products, of a chunk of images.
GemmShape forward_product(const Conv2dShape& s) {
  return {.m = s.rows(), .n = s.k / s.groups, .k = s.taps(), .transpose_b = true, .ldc = s.k};
}
GemmShape input_product(const Conv2dShape& s) { return {.m = s.rows(), .n = s.taps(), .k = s.k / s.groups, .lda = s.k}; }
GemmShape weight_product(const Conv2dShape& s) {
  return {.m = s.k / s.groups, .n = s.taps(), .k = s.rows(), .transpose_a = true, .lda = s.k};
}

/// Of the matrix or of columns: floats, as those are; patches may be half of it. What the products want comes behind it.
std::size_t matrix_bytes(const Conv2dShape& s) { return static_cast<std::size_t>(ceil_div(s.rows() * s.taps(), 4) * 4) * sizeof(float); }

/// f(first image, shape of a chunk of images, memory of the matrix, workspace of the product) for all chunks, as large as the workspace allows.
template <class T, class F> void for_each_chunk(Cuda be, const Conv2dShape& s, void* workspace, std::size_t bytes, const F& f) {
  check_sizes(s);
  std::int64_t most = std::max<std::int64_t>(1, s.n);
  while (most > 1 && conv2d_im2col_workspace_bytes<T>(be, s, most) > bytes) --most;
  if (const std::size_t least = conv2d_im2col_workspace_bytes<T>(be, s, most); bytes < least)
    throw std::invalid_argument("conv2d by im2col: expected a workspace of " + std::to_string(least) + " bytes or more, got " +
                                std::to_string(bytes));
  for (std::int64_t first = 0; first == 0 || first < s.n; first += most) {   // once without any images: sums of nothing are 0
    Conv2dShape chunk = s;
    chunk.n = std::min(most, s.n - first);
    f(first, chunk, workspace, static_cast<char*>(workspace) + matrix_bytes(chunk));
  }
}

/// A group's patches, of one group that looks like a whole convolution to the tiling.
template <class T> Patches<T> patches_of_group(const T* x, const Conv2dShape& s) {
  Conv2dShape one = s;   // this group's channels alone, although pixels lie s.c apart
  one.c = s.c / s.groups, one.k = s.k / s.groups, one.groups = 1;
  Patches<T> patches = forward_patches(x, one, Tiling(one));
  patches.pixel_step = static_cast<int>(s.c);
  return patches;
}

}   // namespace

template <class T> std::size_t conv2d_im2col_workspace_bytes(Cuda be, const Conv2dShape& s, std::int64_t images) {
  std::size_t products = 0;   // a smaller chunk may cut k into more slices, or fewer
  Conv2dShape chunk = s;
  for (chunk.n = images; chunk.n > 0; --chunk.n)
    products = std::max({products, gemm_workspace_bytes<T>(be, forward_product(chunk)), gemm_workspace_bytes<T>(be, input_product(chunk)),
                         gemm_workspace_bytes<T>(be, weight_product(chunk))});
  chunk.n = images;
  return matrix_bytes(chunk) + products;
}

template <class T>
void conv2d_im2col_forward(Cuda be, const T* x, const T* w, T* y, const Conv2dShape& s, void* workspace, std::size_t bytes) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;
  if (s.rows() == 0) return;
  for_each_chunk<T>(be, s, workspace, bytes, [&](std::int64_t first, const Conv2dShape& chunk, void* memory, void* of_product) {
    T* matrix = static_cast<T*>(memory);
    for (std::int64_t g = 0; g < s.groups; ++g) {
      launch(im2col_kernel<T>, warp_for_each_row(be, chunk.rows()), patches_of_group(x + first * s.h * s.w * s.c + g * cg, chunk), matrix);
      gemm(be, static_cast<const T*>(matrix), w + g * kg * s.taps(), y + first * s.p() * s.q() * s.k + g * kg, forward_product(chunk),
           Epilogue<T>{}, of_product);
    }
  });
}

template <class T>
void conv2d_im2col_input_gradient(Cuda be, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace,
                                  std::size_t bytes) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;
  if (s.n * s.h * s.w * s.c == 0) return;
  for_each_chunk<T>(be, s, workspace, bytes, [&](std::int64_t first, const Conv2dShape& chunk, void* memory, void* of_product) {
    float* columns = static_cast<float*>(memory);
    const std::int64_t pixels = chunk.n * s.h * s.w;
    for (std::int64_t g = 0; g < s.groups; ++g) {
      gemm(be, dy + first * s.p() * s.q() * s.k + g * kg, w + g * kg * s.taps(), columns, input_product(chunk), Epilogue<float>{},
           of_product);
      launch(col2im_kernel<T>, warp_for_each_row(be, pixels), static_cast<const float*>(columns), dx + first * s.h * s.w * s.c + g * cg,
             chunk, FastDivide(s.h * s.w), FastDivide(s.w), static_cast<int>(pixels), accumulate);
    }
  });
}

template <class T>
void conv2d_im2col_weight_gradient(Cuda be, const T* x, const T* dy, acc_t<T>* dw, const Conv2dShape& s, bool accumulate, void* workspace,
                                   std::size_t bytes) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;
  for_each_chunk<T>(be, s, workspace, bytes, [&](std::int64_t first, const Conv2dShape& chunk, void* memory, void* of_product) {
    T* matrix = static_cast<T*>(memory);
    for (std::int64_t g = 0; g < s.groups; ++g) {
      if (chunk.rows() > 0)
        launch(im2col_kernel<T>, warp_for_each_row(be, chunk.rows()), patches_of_group(x + first * s.h * s.w * s.c + g * cg, chunk),
               matrix);
      gemm(be, dy + first * s.p() * s.q() * s.k + g * kg, static_cast<const T*>(matrix), dw + g * kg * s.taps(), weight_product(chunk),
           Epilogue<acc_t<T>>{.accumulate = accumulate || first > 0}, of_product);
    }
  });
}

#define FOVEA_CONV2D_IM2COL(T)                                                                                            \
  template std::size_t conv2d_im2col_workspace_bytes<T>(Cuda, const Conv2dShape&, std::int64_t);                          \
  template void conv2d_im2col_forward(Cuda, const T*, const T*, T*, const Conv2dShape&, void*, std::size_t);              \
  template void conv2d_im2col_input_gradient(Cuda, const T*, const T*, T*, const Conv2dShape&, bool, void*, std::size_t); \
  template void conv2d_im2col_weight_gradient(Cuda, const T*, const T*, acc_t<T>*, const Conv2dShape&, bool, void*, std::size_t);
FOVEA_CONV2D_IM2COL(float)
FOVEA_CONV2D_IM2COL(bfloat16)
#undef FOVEA_CONV2D_IM2COL

}   // namespace fovea::kernels
