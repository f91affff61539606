// Small work is done where it is asked for.
//
// Note [Small graphs]
// MLX hands each node of a graph to its stream's thread, which costs more than
// a microsecond: far more than the work itself where there are a few hundred
// elements. So, before a graph goes to MLX, eval_small() walks it on the
// calling thread and computes the nodes that are small, elementwise (or that
// only look at the same elements in another shape) and whose inputs are there.
// What it does not know, or what waits for anything else, stays a node for MLX.
// Values are those of MLX's loops; FLASHLIGHT_KERNELS=0 leaves everything to
// MLX.
#pragma once

#include <vector>

#include <mlx/array.h>

#include "flashlight/core/api.h"

namespace flashlight {

namespace mx = mlx::core;

// The most elements that a node may have to be small; of a sum or a copy, which
// take no time.
inline constexpr size_t kSmallSize = 1024;
inline constexpr size_t kSmallCopySize = 16 * kSmallSize;

// Whether kernels of ours stand in for MLX's where they are faster.
FL_API bool kernels_enabled();

FL_API void eval_small(const std::vector<mx::array>& arrays);
// The same for one array, given up at the first node that is not small.
FL_API void eval_wholly_small(const mx::array& array);
// ... in turn with other evaluations (runtime.cpp). Is it there now?
FL_API bool eval_if_small(const mx::array& array);

} // namespace flashlight
