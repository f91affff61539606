// Whether a number keeps its value as an element of a tensor.
#pragma once

#include "flashlight/core/api.h"
#include "flashlight/core/scalar.h"

namespace flashlight {

// Raises PyTorch's error if `value` does not fit in `dtype`. Fractions are cut
// off, half floats go to infinity and negative numbers wrap in unsigned types,
// as they do there.
FL_API void check_fits(const Scalar& value, Dtype dtype);
// How PyTorch's errors name the C++ type of an element: "int64_t", "float".
FL_API const char* element_name(Dtype dtype);

} // namespace flashlight
