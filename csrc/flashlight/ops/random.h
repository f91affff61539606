// Drawing numbers into new arrays: what the rows of random numbers share.
//
// Numbers are drawn at the call and not at evaluation: their order is that of
// the program, as in PyTorch.
#pragma once

#include <mutex>
#include <optional>

#include <mlx/allocator.h>
#include <mlx/ops.h>

#include "flashlight/core/complex128.h"
#include "flashlight/core/generator.h"
#include "flashlight/core/value.h"

namespace flashlight {

// The element type that is drawn: complex numbers are pairs of reals.
inline SampleType sample_type(Dtype dtype) {
  return static_cast<SampleType>(to_real(dtype));
}

inline Generator& generator_of(const std::optional<GeneratorHandle>& given) {
  return given && *given ? **given : default_generator();
}

// NotImplementedError, as PyTorch's kernel of that name raises it.
FL_API void check_inexact(Dtype dtype, const char* kernel);
FL_API void check_real(Dtype dtype, const char* kernel);

// An array of these sizes (of pairs, for complex128) that fill(generator, type,
// out, n) writes, under the generator's lock.
template <typename F>
mx::array drawn(
    const IntList& sizes,
    Dtype dtype,
    const std::optional<GeneratorHandle>& given,
    F&& fill) {
  for (int64_t n : sizes) {
    FL_CHECK(
        n >= 0,
        "Trying to create tensor with negative dimension ",
        n,
        ": ",
        sizes);
  }
  int64_t n = product(sizes);
  mx::allocator::Data memory =
      mx::allocator::malloc(static_cast<size_t>(n * itemsize(dtype)));
  Generator& generator = generator_of(given);
  {
    std::lock_guard lock(generator.mutex);
    fill(
        generator,
        sample_type(dtype),
        memory.buffer().raw_ptr(),
        is_complex(dtype) ? 2 * n : n);
  }
  mx::Shape shape = to_shape(sizes);
  if (dtype == Dtype::Complex128) {
    shape.push_back(2);
    return mx::array(std::move(memory), std::move(shape), mx::float64);
  }
  return mx::array(std::move(memory), std::move(shape), to_mlx(dtype));
}

// A new tensor lying with these (dense) strides, drawn in the order of memory.
template <typename F>
Tensor drawn_as(
    const IntList& sizes,
    const IntList& strides,
    Dtype dtype,
    Device device,
    const std::optional<GeneratorHandle>& given,
    F&& fill) {
  mx::array numbers =
      drawn({product(sizes)}, dtype, given, std::forward<F>(fill));
  Tensor flat = dtype == Dtype::Complex128
                    ? from_pairs(std::move(numbers), {1}, device)
                    : Tensor(std::move(numbers), {1}, device);
  return flat.alias({sizes, strides, 0}, dtype);
}

// The same in the place of `self`, for in-place rows.
template <typename F>
Tensor drawn_like(
    const Tensor& self,
    const std::optional<GeneratorHandle>& given,
    F&& fill) {
  return drawn_as(
      self.sizes(),
      dense_like(self.geometry()),
      self.dtype(),
      self.device(),
      given,
      std::forward<F>(fill));
}

// The values of `tensor`, evaluated, in the order in which a tensor with these
// strides lies in memory.
FL_API mx::array in_memory_order(const Tensor& tensor, const IntList& strides);

} // namespace flashlight
