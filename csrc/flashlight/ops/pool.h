// What the files of pooling share.
#pragma once

#include "flashlight/core/value.h"

namespace flashlight {

// The gradient of picks from the last `dims` of `sizes`; see Note [Pooling by
// indices].
Tensor put_in_planes(
    const Tensor& grad,
    const Tensor& indices,
    const IntList& sizes,
    int dims);

// Errors of ops over one dimension, in PyTorch's words.
void check_one(const IntList& list, const char* function, const char* name);
void check_1d(const Tensor& self, const char* function, int64_t most = 3);

} // namespace flashlight
