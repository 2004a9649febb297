// dtype.cpp: sizes and names.
#include "tensor/dtype.h"

#include "tensor/error.h"

namespace fovea {

std::size_t size_of(DType t) {
  switch (t) {
    case DType::f32: return 4;
    case DType::f64: return 8;
    case DType::bf16: return 2;
    case DType::i64: return 8;
    case DType::u8: return 1;
  }
  return 0;
}

const char* name_of(DType t) {
  switch (t) {
    case DType::f32: return "float32";
    case DType::f64: return "float64";
    case DType::bf16: return "bfloat16";
    case DType::i64: return "int64";
    case DType::u8: return "uint8";
  }
  return "?";
}

const char* name_of(Device d) {
  switch (d) {
    case Device::reference: return "reference";
    case Device::cpu: return "cpu";
    case Device::cuda: return "cuda";
    case Device::meta: return "meta";
  }
  return "?";
}

Device device_named(std::string_view name) {
  for (const Device d : {Device::reference, Device::cpu, Device::cuda, Device::meta})
    if (name == name_of(d)) return d;
  throw ShapeError(detail::join("expected a device, got '", name, "'"));
}

}   // namespace fovea
