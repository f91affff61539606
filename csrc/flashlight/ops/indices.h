// What ops that take indices share: their types and their range.
//
// Note [Indices are checked]
// MLX does not check indices, so one out of range would read or write anywhere.
// Every op that takes indices evaluates them (they nearly always are) and
// raises PyTorch's error at the call.
#pragma once

#include <functional>

#include <mlx/array.h>

#include "flashlight/core/value.h"

namespace flashlight {

// The values as evaluated int64, row by row.
FL_API mx::array index_values(const Tensor& index);

struct IndexRange {
  int64_t low = 0, high = -1; // both in: empty if there are no elements
  bool within(int64_t first, int64_t end) const {
    return low > high || (low >= first && high < end);
  }
};
FL_API IndexRange range_of(const Tensor& index);

// "index 7 is out of bounds for dimension 0 with size 5", unless all are in
// [-size, size), or in [0, size) where negative ones are not taken.
FL_API void check_bounds(
    const Tensor& index,
    int64_t dim,
    int64_t size,
    bool negative = false);

// index with negative elements counted from the end of `size`.
FL_API mx::array wrapped_indices(const mx::array& index, int64_t size);

// A number in a tensor's dtype, or "value cannot be converted to type int64_t
// without overflow".
FL_API mx::array number_within(const Scalar& value, Dtype dtype);
// The same error for one number in a tensor.
FL_API void check_number_within(const Tensor& value, Dtype dtype);

// The out= form of ops whose `out` must have the dtype of the result (`dtype`)
// and share no memory with the inputs. `text` is the error about the dtype.
FL_API Tensor write_out(
    const char* name,
    const TensorList& inputs,
    const Tensor& out,
    Dtype dtype,
    const std::string& text,
    const std::function<Tensor()>& run);

} // namespace flashlight
