// conv2d_im2col.h: convolution in the form that everybody learns: write the patches down as a matrix, multiply matrices, and for the input
// gradient gather the columns again. Chellapilla, Puri & Simard 2006, "High Performance Convolutional Neural Networks for Document
// Processing", section 3. It costs r s times the memory of x, written and read; conv2d.h does without. Kept to be read, tested and timed
// beside it.
//
// The matrix is written for as many images at a time as the workspace holds, one at least.
#pragma once

#include "kernels/conv2d.h"

namespace fovea::kernels {

/// For `images` of the shape's, with one group's patches at a time.
template <class T> std::size_t conv2d_im2col_workspace_bytes(Cuda, const Conv2dShape& s, std::int64_t images);

/// As conv2d_forward without prologue and epilogue, conv2d_input_gradient and conv2d_weight_gradient. `bytes` of workspace: at least what one
/// image needs, or they throw std::invalid_argument.
template <class T> void conv2d_im2col_forward(Cuda, const T* x, const T* w, T* y, const Conv2dShape& s, void* workspace, std::size_t bytes);
template <class T>
void conv2d_im2col_input_gradient(Cuda, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace,
                                  std::size_t bytes);
template <class T>
void conv2d_im2col_weight_gradient(Cuda, const T* x, const T* dy, acc_t<T>* dw, const Conv2dShape& s, bool accumulate, void* workspace,
                                   std::size_t bytes);

}   // namespace fovea::kernels
