// Tangents of dual tensors. How ops propagate them: Note [Tangents] in
// ops/transforms.h.
#pragma once

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"

namespace flashlight {

// Are there dual tensors on this thread, and are they looked at?
FL_API bool tangents_shown();
inline bool forward_enabled() {
  return autograd_state().dual_levels > 0 && tangents_shown();
}

// For a scope, tensors of the level that is the top one now have no tangents;
// those of levels below keep theirs.
class FL_API HideTangents {
 public:
  HideTangents();
  ~HideTangents() {
    autograd_state().hidden_tangents = before_;
  }
  HideTangents(const HideTangents&) = delete;
  HideTangents& operator=(const HideTangents&) = delete;

 private:
  int64_t before_;
};

FL_API bool has_tangent(const Tensor& tensor);
// Undefined if it has none.
FL_API Tensor tangent(const Tensor& tensor);
FL_API void set_tangent(const Tensor& tensor, const Tensor& tangent);
// After an in-place write (ops/forward_mode.cpp): the tangent's value is put
// where the tensor's is, also in the tangent of its base. Undefined: it is
// zero.
FL_API void write_tangent(const Tensor& tensor, const Tensor& tangent);

// Is a derivative by the tensor asked for, at any level?
FL_API bool is_differentiated(Tensor tensor);

// A scope of this thread in which tensors may have tangents; when the last one
// ends they are plain tensors again.
FL_API void enter_dual_level();
FL_API void exit_dual_level();

} // namespace flashlight
