// What the three ways into an op share: call.cpp, call_inplace.cpp,
// call_out.cpp.
#pragma once

#include <atomic>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

extern std::atomic<OpObserver> op_observer;

inline void enter(const Op& op) {
  if (OpObserver f = op_observer.load(std::memory_order_relaxed)) [[unlikely]] {
    f(op);
  }
  enter_stream();
}

// In inference mode nothing is, whatever grad mode says.
inline bool recording() {
  const AutogradState& state = autograd_state();
  return state.grad_mode && !state.inference_mode;
}

inline bool any_requires_grad(const Op& op, const Value* args) {
  bool any = false;
  for (int i : op.differentiable) {
    for_tensors(
        args[i], [&](const Tensor& t) { any = any || requires_grad(t); });
  }
  return any;
}

// Is one of the operands not an inference tensor? A number is a tensor of the
// mode of the moment.
inline bool any_normal(const Op& op, const Value* args) {
  bool any = false, inference = autograd_state().inference_mode;
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(args[i], [&](const Tensor& t) {
      any = any || !(t->inference || (t->wrapped_number && inference));
    });
  }
  return any;
}

inline bool differentiable_dtype(Dtype d) {
  return is_floating(d) || is_complex(d);
}

inline bool has_bits(const Tensor& t) {
  return t->conj || t->neg;
}

template <typename F>
void for_results(Results& results, F&& f) {
  for (Value& r : results) {
    for_tensors(r, f);
  }
}

// The op as the tape has it behind it: one level down, as a mode has it, a view
// or the kernel.
Results run(const Op& op, const Value* args);
// Has the result a storage of its own?
bool fresh_output(const Tensor& result, const Op& op, const Value* args);

} // namespace flashlight
