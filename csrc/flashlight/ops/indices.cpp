#include "flashlight/ops/indices.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
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
  IndexRange range = range_of(index);
  int64_t first = negative ? -size : 0;
  FL_CHECK_INDEX(
      range.within(first, size),
      "index ",
      range.low < first ? range.low : range.high,
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

namespace {

struct NumberRange {
  const char* name;
  double low, high;
};

NumberRange number_range(Dtype dtype) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  switch (dtype) {
    case Dtype::UInt8: // negative numbers wrap
      return {"uint8_t", -255, 255};
    case Dtype::UInt16:
      return {"uint16_t", -65535, 65535};
    case Dtype::UInt32:
      return {"uint32_t", -0x1p32, 0x1p32 - 1};
    case Dtype::UInt64:
      return {"uint64_t", -0x1p64, 0x1p64};
    case Dtype::Int8:
      return {"int8_t", -128, 127};
    case Dtype::Int16:
      return {"int16_t", -32768, 32767};
    case Dtype::Int32:
      return {"int", -0x1p31, 0x1p31 - 1};
    case Dtype::Int64:
      return {"int64_t", -0x1p63, 0x1p63};
    case Dtype::Float16:
      return {"c10::Half", -65504, 65504};
    case Dtype::BFloat16:
      return {"c10::BFloat16", -0x1.fep127, 0x1.fep127};
    case Dtype::Float32:
      return {"float", -0x1.fffffep127, 0x1.fffffep127};
    case Dtype::Float64:
      return {"double", -kInfinity, kInfinity};
    default:
      return {"bool", -kInfinity, kInfinity};
  }
}

[[noreturn]] void overflow(Dtype dtype) {
  fail(
      "value cannot be converted to type ",
      number_range(dtype).name,
      " without overflow");
}

} // namespace

mx::array number_within(const Scalar& value, Dtype dtype) {
  if (is_complex(dtype)) {
    return scalar_array(value, dtype);
  }
  if (dtype == Dtype::Bool) {
    return mx::array(value.to_complex() != 0.0, mx::bool_);
  }
  if (value.is_complex() && value.to_complex().imag() != 0) {
    overflow(dtype);
  }
  double x = value.to_complex().real();
  NumberRange range = number_range(dtype);
  bool special = is_floating(dtype) && !std::isfinite(x);
  if (!special && !(x >= range.low && x <= range.high)) {
    overflow(dtype);
  }
  return scalar_array(value, dtype);
}

void check_number_kind(Dtype value, Dtype dtype) {
  if (is_complex(value) && !is_complex(dtype) && dtype != Dtype::Bool) {
    overflow(dtype);
  }
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
