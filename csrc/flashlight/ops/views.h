// What the families of view ops share.
#pragma once

#include "flashlight/ops/op.h"

namespace flashlight {

// The view that is the tensor itself, to change from.
ViewSpec spec_of(const Tensor& self);
// A copy of the tensor and of all else in its storage; of the elements alone
// where some of them are one.
Tensor copied_whole(const Tensor& self);
ViewSpec transposed(const Tensor& self, int64_t dim0, int64_t dim1);
// The gradient of part k of a tensor, or zeros of `sizes` where none came. At
// least one of the gradients is defined.
Tensor part_or_zeros(const TensorList& grads, size_t k, const IntList& sizes);
// See AutogradOps.
Tensor scatter_window(
    const Tensor& grad,
    const Geometry& window,
    const Geometry& base);

} // namespace flashlight
