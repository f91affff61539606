// History of views and of what is written through them.
#pragma once

#include "flashlight/autograd/autograd_meta.h"

namespace flashlight {

// Gradient of as_strided: the window's gradient, placed in zeros.
FL_API std::shared_ptr<Node> as_strided_node(
    const Tensor& base,
    const Geometry& window);

// Raises if a view whose history is stale may not be given a new one.
FL_API void check_stale_view(const Tensor& view, const AutogradMeta& meta);

// `geometry`, a window on the storage of `base`, as a window on the elements of
// a contiguous tensor of base's sizes; and the sum over overlaps that the
// gradient of a window needs.
FL_API Tensor
scatter_window(const Tensor& grad, const Geometry& window, const Tensor& base);

} // namespace flashlight
