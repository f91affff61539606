// log_softmax over the last axis, a loop for each row, and back.
//
// Of float32 on the CPU; the plain form, of MLX's ops, is in
// ops/activations.cpp.
#pragma once

#include <mlx/array.h>

#include "flashlight/core/api.h"

namespace flashlight::rows {

namespace mx = mlx::core;

// Whether these loops serve `x` along that axis here.
FL_API bool serve(const mx::array& x, int axis);
FL_API mx::array log_softmax(const mx::array& x);
// The gradient of what log_softmax made `result` of.
FL_API mx::array log_softmax_backward(
    const mx::array& grad,
    const mx::array& result);

} // namespace flashlight::rows
