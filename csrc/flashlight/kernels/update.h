// Loops that change several arrays where they lie.
//
// Note [Updates in place]
// A step of an optimizer reads and rewrites all parameters and their state. MLX
// lets a node take over the buffer of an input that nothing else holds, but not
// a node with several results: each of these holds all inputs. So an update is
// one node, whose result is an empty token, and each new value is a node on the
// token that takes its buffer from where the update left it. Evaluating one of
// them runs the whole update, once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <mlx/array.h>

#include "flashlight/core/api.h"

namespace flashlight {

namespace mx = mlx::core;

// `targets` hold their old values and get their new ones; all are
// row-contiguous.
using UpdateFn = std::function<
    void(std::vector<mx::array>& targets, const std::vector<mx::array>& reads)>;

// The values of `targets` after fn. Buffers are reused where nothing else holds
// them, copied elsewhere. Runs on the CPU stream; see Note [Host ops].
FL_API std::vector<mx::array> host_update(
    std::string name,
    const std::vector<mx::array>& targets,
    const std::vector<mx::array>& reads,
    UpdateFn fn);

} // namespace flashlight
