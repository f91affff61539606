// float16 and bfloat16 as PyTorch's kernels compute with them: in float32,
// rounded once at the end.
#pragma once

#include <mlx/ops.h>

#include "flashlight/core/tensor.h"

namespace flashlight {

inline bool is_half(const mx::array& x) {
  return x.dtype() == mx::float16 || x.dtype() == mx::bfloat16;
}

// float32 in place of a half; others as they are.
inline mx::array widened(const mx::array& x) {
  return is_half(x) ? mx::astype(x, mx::float32) : x;
}

// A number for arithmetic with widened(x), itself not rounded to a half.
inline mx::array number_for(const mx::array& x, const Scalar& value) {
  return scalar_array(value, is_half(x) ? Dtype::Float32 : from_mlx(x.dtype()));
}

} // namespace flashlight
