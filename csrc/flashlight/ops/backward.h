// Derivatives from C++: backward() and grad() of PyTorch.
#pragma once

#include "flashlight/core/value.h"

namespace flashlight {

struct GradOptions {
  bool keep_graph = false; // retain_graph
  bool create_graph = false;
  bool allow_unused = false;
};

// Adds d root / d leaf to the grad of each leaf that root depends on.
// `gradient` may be undefined where root has one element.
FL_API void backward(
    const Tensor& root,
    const Tensor& gradient = {},
    const GradOptions& options = {});
// The gradients of sum(outputs * grad_outputs) with respect to `inputs`;
// undefined for an input that is unused, where that is allowed.
FL_API TensorList grad_of(
    const TensorList& outputs,
    const TensorList& inputs,
    const TensorList& grad_outputs = {},
    const GradOptions& options = {});

} // namespace flashlight
