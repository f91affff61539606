// Element types: PyTorch's names and promotion over MLX's types.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include <mlx/dtype.h>

#include "flashlight/core/api.h"

namespace flashlight {

namespace mx = mlx::core;

// The first fourteen have MLX's order and are MLX's types. Complex128 can hold
// data too (see Note [Complex128]). The rest are names that programs mention;
// making a tensor of one raises (check_storable).
enum class Dtype : uint8_t {
  Bool,
  UInt8,
  UInt16,
  UInt32,
  UInt64,
  Int8,
  Int16,
  Int32,
  Int64,
  Float16,
  Float32,
  Float64,
  BFloat16,
  Complex64,
  Complex32,
  Complex128,
  Float8E4M3FN,
  Float8E5M2,
  Float8E4M3FNUZ,
  Float8E5M2FNUZ,
  QInt8,
  QUInt8,
  QInt32,
};

inline constexpr int kDtypes = 23;

struct DtypeInfo {
  std::string_view name;        // "float32"
  std::string_view alias;       // "float", or empty
  std::string_view scalar_name; // "Float", as error texts have it
  uint8_t itemsize;             // bytes
  bool floating;
  bool complex;
  bool is_signed;
};

FL_API const DtypeInfo& info(Dtype dtype);

inline std::string_view name(Dtype d) {
  return info(d).name;
}
inline std::string_view scalar_name(Dtype d) {
  return info(d).scalar_name;
}
// The C++ type's, "long int", as some error texts have it.
FL_API std::string_view c_name(Dtype d);
inline int64_t itemsize(Dtype d) {
  return info(d).itemsize;
}
inline bool is_floating(Dtype d) {
  return info(d).floating;
}
inline bool is_complex(Dtype d) {
  return info(d).complex;
}
// Integers, optionally with bool.
FL_API bool is_integral(Dtype d, bool include_bool);
// True if tensors can hold elements of this type.
inline bool is_storable(Dtype d) {
  return d <= Dtype::Complex64 || d == Dtype::Complex128;
}

// The dtype that PyTorch gives a binary op over tensors of these two.
FL_API Dtype promote_types(Dtype a, Dtype b);
// May a result of type `from` be written to a tensor of type `to`?
FL_API bool can_cast(Dtype from, Dtype to);

// float32 <-> complex64, float64 <-> complex128.
FL_API Dtype to_complex(Dtype d);
FL_API Dtype to_real(Dtype d);

// Raises TypeError for a dtype that no tensor can have.
FL_API void check_storable(Dtype d);
// ... and NotForComplex128 for the one that is no type of MLX.
FL_API mx::Dtype to_mlx(Dtype d);
inline Dtype from_mlx(mx::Dtype d) {
  return static_cast<Dtype>(d.val());
}

FL_API Dtype default_dtype();
FL_API void set_default_dtype(Dtype d);
// The complex type whose parts have the default type.
inline Dtype default_complex_dtype() {
  return to_complex(default_dtype());
}

} // namespace flashlight
