// dtype.h: what a tensor is made of and where it lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea {

enum class DType : std::uint8_t { f32, f64, bf16, i64, u8 };
/// `reference` and `cpu` are the same memory, the host's, worked on by the Reference or the Cpu kernels. `cuda` is a GPU with memory of its own
/// (cuda.h). `meta` is none: tensors there have a shape and a dtype but no values, ops on them find shapes and compute nothing. So a network of
/// any size is built, run, counted and weighed in milliseconds.
enum class Device : std::uint8_t { reference, cpu, cuda, meta };
constexpr bool on_host(Device d) { return d == Device::reference || d == Device::cpu; }

std::size_t size_of(DType t);                 // bytes
const char* name_of(DType t);                 // "float32", ...
const char* name_of(Device d);                // "reference", "cpu", "cuda", "meta"
Device device_named(std::string_view name);   // throws ShapeError for any other name

template <class T> struct dtype_of_t;
template <> struct dtype_of_t<float> { static constexpr DType value = DType::f32; };
template <> struct dtype_of_t<double> { static constexpr DType value = DType::f64; };
template <> struct dtype_of_t<bfloat16> { static constexpr DType value = DType::bf16; };
template <> struct dtype_of_t<std::int64_t> { static constexpr DType value = DType::i64; };
template <> struct dtype_of_t<std::uint8_t> { static constexpr DType value = DType::u8; };
template <class T> constexpr DType dtype_of = dtype_of_t<T>::value;

/// The dtype of statistics, norm parameters and weight gradients for activations of type t: f64 for f64, else f32.
constexpr DType acc_dtype(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

}   // namespace fovea
