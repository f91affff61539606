// What sees every op below autograd: PyTorch's __torch_dispatch__ modes.
//
// Note [Dispatch modes]
// A mode stands between the tape and the kernels. So it sees what runs, not
// what is written: composites as their parts, the ops of backward, an in-place
// op as itself; and what it returns is what the tape records. While a mode
// works on an op, the modes below it are on, and autograd is off. Modes live on
// a thread.
#pragma once

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/op.h"

namespace flashlight {

enum class OpForm : uint8_t { Functional, Inplace };

// Runs the op in the place of its kernel; in place: writes to args[0] itself.
using DispatchMode = Results (*)(const Op& op, OpForm form, const Value* args);

namespace detail {
FL_API DispatchMode& dispatch_mode_slot();
} // namespace detail

// The mode of this thread, or null.
inline DispatchMode dispatch_mode() {
  return autograd_state().in_dispatch_mode ? detail::dispatch_mode_slot()
                                           : nullptr;
}
FL_API void set_dispatch_mode(DispatchMode mode);

// The op as the mode runs it. What comes back has no history yet.
Results run_in_mode(const Op& op, OpForm form, const Value* args);

} // namespace flashlight
