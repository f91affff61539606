#include "flashlight/core/complex128.h"

#include <mlx/ops.h>

#include "flashlight/core/error.h"

namespace flashlight {

namespace {

mx::array part(const mx::array& pairs, int i) {
  return mx::squeeze(mx::split(pairs, 2, -1)[static_cast<size_t>(i)], -1);
}

} // namespace

Geometry pairs_geometry(const Geometry& g) {
  Geometry out = g;
  for (int64_t& s : out.strides) {
    s *= 2;
  }
  out.offset *= 2;
  out.sizes.push_back(2);
  out.strides.push_back(1);
  return out;
}

Tensor from_pairs(mx::array pairs, IntList strides, Device device) {
  IntList sizes = to_int_list(pairs.shape());
  sizes.pop_back();
  Geometry g{std::move(sizes), std::move(strides), 0};
  Geometry halves = pairs_geometry(g);
  return Tensor(std::move(pairs), std::move(halves.strides), device)
      .alias(std::move(g), Dtype::Complex128);
}

Tensor complex128_number(
    const Scalar& value,
    const IntList& sizes,
    IntList strides,
    Device device) {
  std::complex<double> z = value.to_complex();
  IntList shape = sizes;
  shape.push_back(2);
  mx::array pair({z.real(), z.imag()}, mx::float64);
  return from_pairs(
      mx::broadcast_to(pair, to_shape(shape)), std::move(strides), device);
}

mx::array pairs_of(const Tensor& tensor) {
  if (tensor.dtype() == Dtype::Complex128) {
    return tensor.pairs();
  }
  mx::array value = tensor.value();
  if (tensor.is_complex()) {
    mx::array pairs =
        mx::view(mx::expand_dims(mx::contiguous(value), -1), mx::float32);
    return mx::astype(pairs, mx::float64);
  }
  mx::array real = mx::astype(value, mx::float64);
  return mx::stack({real, mx::zeros_like(real)}, -1);
}

mx::array value_as(const Tensor& tensor, Dtype dtype) {
  if (tensor.dtype() != Dtype::Complex128) {
    return mx::astype(tensor.value(), to_mlx(dtype));
  }
  mx::array pairs = tensor.pairs();
  if (dtype == Dtype::Complex64) {
    mx::array narrow = mx::contiguous(mx::astype(pairs, mx::float32));
    return mx::squeeze(mx::view(narrow, mx::complex64), -1);
  }
  if (dtype == Dtype::Bool) {
    return mx::any(mx::astype(pairs, mx::bool_), -1);
  }
  return mx::astype(part(pairs, 0), to_mlx(dtype));
}

mx::array any_value(const Tensor& tensor) {
  return tensor.dtype() == Dtype::Complex128 ? tensor.pairs() : tensor.value();
}

Tensor
copied(const Tensor& tensor, Dtype dtype, IntList strides, Device device) {
  return dtype == Dtype::Complex128
             ? from_pairs(pairs_of(tensor), std::move(strides), device)
             : Tensor(value_as(tensor, dtype), std::move(strides), device);
}

} // namespace flashlight
