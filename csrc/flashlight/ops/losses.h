// What the files of losses share.
#pragma once

#include <string_view>

#include "flashlight/core/value.h"

namespace flashlight {

// `reduction` of the schemas: what becomes of the elements of a loss.
enum Reduction : int64_t { kNone, kMean, kSum };

mx::array reduced(const mx::array& loss, int64_t reduction);
Tensor reduced(const Tensor& loss, int64_t reduction);
// The gradient of each of the `numel` elements that were reduced.
Tensor unreduced(const Tensor& grad, int64_t reduction, int64_t numel);

// How many elements these make when broadcast together.
int64_t broadcast_numel(const Tensor& a, const Tensor& b);

// NotImplementedError unless x is a float.
void check_floats(const mx::array& x, std::string_view name);
// Raises if `x`, by which there is no derivative, requires one.
void refuse_grad(
    std::string_view function,
    std::string_view argument,
    const Tensor& x);

} // namespace flashlight
