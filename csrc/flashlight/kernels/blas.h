#pragma once

#include "flashlight/core/api.h"

namespace flashlight {

// How many threads a matrix product may use (torch.set_num_threads).
FL_API void set_blas_threads(int n);

} // namespace flashlight
