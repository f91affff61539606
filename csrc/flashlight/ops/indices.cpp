#include "flashlight/ops/indices.h"

#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/conversion.h"
#include "flashlight/core/error.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"

namespace flashlight {

mx::array index_values(const Tensor& index) {
  mx::array v = mx::contiguous(mx::astype(index.value(), mx::int64));
  flashlight::eval({v});
  return v;
}

IndexRange range_of(const Tensor& index) {
  IndexRange range;
  if (index.numel() == 0) {
    return range;
  }
  mx::array v = index_values(index);
  const auto* data = v.data<int64_t>();
  range.low = range.high = data[0];
  for (size_t i = 1; i < v.size(); ++i) {
    range.low = std::min(range.low, data[i]);
    range.high = std::max(range.high, data[i]);
  }
  return range;
}

void check_bounds(
    const Tensor& index,
    int64_t dim,
    int64_t size,
    bool negative) {
  int64_t first = negative ? -size : 0;
  if (range_of(index).within(first, size)) {
    return;
  }
  mx::array v = index_values(index);
  const auto* wrong = std::find_if(
      v.data<int64_t>(), v.data<int64_t>() + v.size(), [&](int64_t i) {
        return i < first || i >= size;
      });
  fail<IndexError>(
      "index ",
      *wrong,
      " is out of bounds for dimension ",
      dim,
      " with size ",
      size);
}

mx::array wrapped_indices(const mx::array& index, int64_t size) {
  return mx::where(
      mx::less(index, mx::array(int64_t{0}, mx::int64)),
      mx::add(index, mx::array(size, mx::int64)),
      index);
}

mx::array number_within(const Scalar& value, Dtype dtype) {
  check_fits(value, dtype, HalfFloats::Direct);
  return scalar_array(value, dtype);
}

void check_number_within(const Tensor& value, Dtype dtype) {
  Dtype given = value.dtype();
  bool fits = given == dtype || dtype == Dtype::Bool || given == Dtype::Bool ||
              (is_integral(given, false) && is_floating(dtype));
  if (fits || value->wrapped) {
    return; // not read where it need not be
  }
  Scalar number = value.item();
  if (number.is_complex() && !is_complex(dtype)) {
    std::complex<double> z = number.to_complex();
    if (z.imag() != 0) {
      fail_to_fit(dtype, HalfFloats::Direct);
    }
    number = Scalar(z.real());
  }
  check_fits(number, dtype, HalfFloats::Direct);
}

namespace {

// Whether some element of the one may be one of the other.
bool overlap(const Tensor& a, const Tensor& b) {
  if (a->storage != b->storage || a.numel() == 0 || b.numel() == 0) {
    return false;
  }
  int64_t x = itemsize(a.dtype()), y = itemsize(b.dtype());
  return a.storage_offset() * x < storage_extent(b.geometry()) * y &&
         b.storage_offset() * y < storage_extent(a.geometry()) * x;
}

} // namespace

Tensor write_out(
    const char* name,
    const TensorList& inputs,
    const Tensor& out,
    Dtype dtype,
    const std::string& text,
    const std::function<Tensor()>& run) {
  bool recorded = requires_grad(out);
  for (const Tensor& t : inputs) {
    recorded = recorded || requires_grad(t);
  }
  FL_CHECK(
      !grad_enabled() || !recorded,
      name,
      "(): functions with out=... arguments don't support automatic "
      "differentiation, but one of the arguments requires grad.");
  FL_CHECK(
      !has_internal_overlap(out.geometry()),
      "unsupported operation: more than one element of the written-to tensor "
      "refers to a single memory location. Please clone() the tensor before "
      "performing the operation.");
  FL_CHECK(out.dtype() == dtype, text);
  Tensor result = run();
  resize_tensor(out, result.sizes());
  for (const Tensor& t : inputs) {
    FL_CHECK(
        !overlap(out, t),
        "unsupported operation: some elements of the input tensor and the "
        "written-to tensor refer to a single memory location. Please clone() "
        "the tensor before performing the operation.");
  }
  return copy_(out, result, false);
}

} // namespace flashlight
