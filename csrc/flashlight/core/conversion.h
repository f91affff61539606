// Whether a number keeps its value as an element of a tensor.
#pragma once

#include "flashlight/core/api.h"
#include "flashlight/core/scalar.h"

namespace flashlight {

// How a number becomes a half float. PyTorch makes a single element by way of
// double, so that what is too large is infinity; kernels take it as it is.
enum class HalfFloats : uint8_t { ByWayOfDouble, Direct };

// Raises PyTorch's error if `value` does not fit in `dtype`. Fractions are cut
// off and negative numbers wrap in unsigned types, as they do there.
FL_API void check_fits(
    const Scalar& value,
    Dtype dtype,
    HalfFloats halves = HalfFloats::ByWayOfDouble);
// That error.
[[noreturn]] FL_API void fail_to_fit(
    Dtype dtype,
    HalfFloats halves = HalfFloats::ByWayOfDouble);
// How PyTorch's errors name the C++ type of an element: "int64_t", "float".
FL_API const char* element_name(Dtype dtype);

} // namespace flashlight
