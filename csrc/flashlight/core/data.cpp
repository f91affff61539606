#include "flashlight/core/data.h"

#include <cstring>

#include <mlx/allocator.h>
#include <mlx/ops.h>

namespace flashlight {

mx::array
from_bytes(const void* data, size_t n, const IntList& sizes, Dtype dtype) {
  mx::allocator::Data memory = mx::allocator::malloc(n);
  if (n > 0) {
    std::memcpy(memory.buffer().raw_ptr(), data, n);
  }
  return mx::array(std::move(memory), to_shape(sizes), to_mlx(dtype));
}

mx::array host_value(const Tensor& tensor) {
  enter_stream();
  mx::array value = mx::contiguous(tensor.value());
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
  return Tensor(from_bytes(data, bytes, sizes, dtype));
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
