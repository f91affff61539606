// History of views and of what is written through them.
#pragma once

#include "flashlight/autograd/autograd_meta.h"

namespace flashlight {

// Gradient of as_strided: that of the view, a window on the base, placed in
// zeros.
FL_API std::shared_ptr<Node> as_strided_node(
    const Tensor& base,
    const Tensor& view);

// As rebase_history, for a tensor whose version has been counted already.
FL_API void move_history(
    const Tensor& tensor,
    const std::shared_ptr<Node>& node);

// After an in-place write of the value of `from`, the fresh output of a node:
// version + 1, and that output's history. Is that possible?
FL_API bool can_adopt_history(const Tensor& tensor, const Tensor& from);
FL_API void adopt_history(const Tensor& tensor, const Tensor& from);

// What a node says whose saved values have been freed (saved_tensor.cpp).
extern const char* const kBackwardTwice;

// Raises for an inference tensor that is written to outside inference mode.
FL_API void check_inference_write(const Tensor& tensor);

// Makes it a tensor of the mode of the moment: inference mode, or not.
FL_API Tensor made_now(const Tensor& tensor);

// A tensor whose history is replaced leaves its hooks to the old one. The
// binding is told, so that the host's list of hooks is a new one from then on.
using ForgetHooks = void (*)(void* host_object);
FL_API ForgetHooks& forget_hooks();
FL_API void leave_hooks(
    const Tensor& tensor,
    const std::shared_ptr<Node>& from);
// ... but what fills its .grad goes with it.
FL_API void take_retain_hook(const Tensor& tensor, Node* from, Node& to);

// Raises if a view whose history is stale may not be given a new one.
FL_API void check_stale_view(const AutogradMeta& meta);

} // namespace flashlight
