// What sees every op below autograd: PyTorch's __torch_dispatch__, of modes and
// of classes of tensors.
//
// Note [Dispatch modes]
// A mode stands between the tape and the kernels. So it sees what runs, not
// what is written: composites as their parts, the ops of backward, an in-place
// op as itself; and what it returns is what the tape records. While a mode
// works on an op, the modes below it are on, and autograd is off. Modes live on
// a thread. The class of an operand is asked in the same place, after the modes
// (see Note [Tensors that dispatch]); whom to ask, and in what order, is known
// in Python alone.
#pragma once

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/dispatching.h"
#include "flashlight/ops/op.h"

namespace flashlight {

enum class OpForm : uint8_t { Functional, Inplace, Out };

// Runs the op in the place of its kernel; in place: writes to args[0] itself;
// out: to `outs`, which are null for the other forms.
using DispatchHandler = Results (*)(
    const Op& op,
    OpForm form,
    const Value* args,
    const TensorList* outs);
FL_API void set_dispatch_handler(DispatchHandler handler);

namespace detail {
FL_API bool any_operand_dispatching(const Op& op, const Value* args);
} // namespace detail

// Is there a mode on this thread, or an operand whose class is to be asked?
inline bool is_dispatched(const Op& op, const Value* args) {
  return autograd_state().in_dispatch_mode ||
         (any_dispatching() && detail::any_operand_dispatching(op, args));
}

// Grad mode of the call that the handler works on; see
// enable_reentrant_dispatch.
FL_API bool& grad_before_dispatch();

// The op as the handler runs it. What comes back has no history yet.
Results dispatched(const Op& op, OpForm form, const Value* args);
void dispatched_out(const Op& op, const Value* args, const TensorList& outs);

} // namespace flashlight
