// Complex numbers of two float64 parts.
//
// Note [Complex128]
// MLX has no such type. Memory has no type, though: a complex128 tensor is a
// window on a storage of float64, (real, imaginary, real...), of which its
// Geometry counts pairs, as PyTorch's does. Storage reads and writes it with
// strides and offset doubled and one dimension of 2 more, so all views are what
// they are for other dtypes, and real(), imag() and view_as_real() share
// memory.
//
// What it shows is therefore no array of its sizes, and kernels must not take
// it for one: Tensor::value() and to_mlx() raise, and only code that says
// pairs() gets at the numbers. At the door a row without a complex128 form is
// an error in PyTorch's words; ops/complex128.h has what forms are made of.
// They take the place of the kernel alone, so a row's derivative, its in-place
// and its out= form serve here too.
#pragma once

#include "flashlight/core/tensor.h"

namespace flashlight {

// The window on float64 that a window on pairs is.
FL_API Geometry pairs_geometry(const Geometry& g);
// A new complex128 tensor; the pairs have its sizes and then 2.
FL_API Tensor from_pairs(mx::array pairs, IntList strides, Device device);
// A number everywhere.
FL_API Tensor complex128_number(
    const Scalar& value,
    const IntList& sizes,
    IntList strides,
    Device device);
// The value of a tensor of any dtype, as pairs.
FL_API mx::array pairs_of(const Tensor& tensor);
// ... as an array of a type of MLX's. Complex numbers lose what it cannot hold.
FL_API mx::array value_as(const Tensor& tensor, Dtype dtype);
// The value as it lies in memory: pairs, of complex128.
FL_API mx::array any_value(const Tensor& tensor);
// A tensor of this dtype and a storage of its own, of the same value.
FL_API Tensor
copied(const Tensor& tensor, Dtype dtype, IntList strides, Device device);
inline Tensor copied(const Tensor& tensor, IntList strides) {
  return copied(tensor, tensor.dtype(), std::move(strides), tensor.device());
}

} // namespace flashlight
