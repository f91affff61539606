// Values in and out of tensors, for C++ programs.
#pragma once

#include <complex>
#include <initializer_list>
#include <string>
#include <vector>

#include "flashlight/core/error.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/tensor.h"

namespace flashlight {

// A row-major copy of `n` bytes, lying with these (dense) strides.
FL_API Tensor from_bytes(
    const void* data,
    size_t n,
    const IntList& sizes,
    Dtype dtype,
    IntList strides);
FL_API Tensor
from_bytes(const void* data, size_t n, const IntList& sizes, Dtype dtype);
// The value, evaluated and row-major; pairs, of complex128.
FL_API mx::array host_value(const Tensor& tensor);

namespace detail {

FL_API Tensor
copied_in(const void* data, int64_t numel, const IntList& sizes, Dtype dtype);
FL_API mx::array rows_of(const Tensor& tensor, Dtype dtype);

} // namespace detail

// The dtype of a C++ type: float, double, bool, (u)int8/16/32/64_t,
// std::complex<float> and <double>.
template <typename T>
Dtype dtype_of() {
  return from_mlx(mx::TypeToDtype<T>());
}
template <>
inline Dtype dtype_of<double>() {
  return Dtype::Float64; // MLX makes float32 of doubles
}
template <>
inline Dtype dtype_of<std::complex<float>>() {
  return Dtype::Complex64;
}
template <>
inline Dtype dtype_of<std::complex<double>>() {
  return Dtype::Complex128;
}

// A tensor of these values, copied; row-major in `sizes`.
template <typename T>
Tensor tensor(const T* data, const IntList& sizes) {
  return detail::copied_in(data, product(sizes), sizes, dtype_of<T>());
}
template <typename T>
  requires(!std::is_same_v<T, bool>)
Tensor tensor(const std::vector<T>& values, const IntList& sizes) {
  auto n = static_cast<int64_t>(values.size());
  return detail::copied_in(values.data(), n, sizes, dtype_of<T>());
}
template <typename T>
  requires(!std::is_same_v<T, bool>)
Tensor tensor(const std::vector<T>& values) {
  return tensor(values, {static_cast<int64_t>(values.size())});
}

// The elements in row-major order. TypeError unless the tensor is of that type.
template <typename T>
std::vector<T> to_vector(const Tensor& t) {
  mx::array rows = detail::rows_of(t, dtype_of<T>());
  const auto* first = reinterpret_cast<const T*>(rows.data<char>());
  return std::vector<T>(first, first + t.numel());
}

} // namespace flashlight
