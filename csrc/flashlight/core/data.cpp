#include "flashlight/core/data.h"

#include <cstring>

#include <mlx/allocator.h>
#include <mlx/ops.h>

#include "flashlight/core/complex128.h"

namespace flashlight {

Tensor from_bytes(
    const void* data,
    size_t n,
    const IntList& sizes,
    Dtype dtype,
    IntList strides) {
  mx::allocator::Data memory = mx::allocator::malloc(n);
  if (n > 0) {
    std::memcpy(memory.buffer().raw_ptr(), data, n);
  }
  mx::Shape shape = to_shape(sizes);
  if (dtype == Dtype::Complex128) {
    shape.push_back(2);
    mx::array pairs(std::move(memory), std::move(shape), mx::float64);
    return from_pairs(std::move(pairs), std::move(strides), Device{});
  }
  mx::array value(std::move(memory), std::move(shape), to_mlx(dtype));
  return Tensor(std::move(value), std::move(strides), Device{});
}

Tensor
from_bytes(const void* data, size_t n, const IntList& sizes, Dtype dtype) {
  return from_bytes(data, n, sizes, dtype, contiguous_strides(sizes));
}

mx::array host_value(const Tensor& tensor) {
  enter_stream();
  mx::array value = mx::contiguous(any_value(tensor));
  eval({value});
  return value;
}

namespace detail {

Tensor
copied_in(const void* data, int64_t numel, const IntList& sizes, Dtype dtype) {
  FL_CHECK(
      numel == product(sizes),
      "shape '",
      sizes,
      "' is invalid for input of size ",
      numel);
  auto bytes = static_cast<size_t>(numel * itemsize(dtype));
  return from_bytes(data, bytes, sizes, dtype);
}

mx::array rows_of(const Tensor& tensor, Dtype dtype) {
  FL_CHECK_AS(
      TypeError,
      tensor.dtype() == dtype,
      "expected scalar type ",
      scalar_name(dtype),
      " but found ",
      scalar_name(tensor.dtype()));
  return host_value(tensor);
}

} // namespace detail

} // namespace flashlight
