#include "flashlight/autograd/accumulate_grad.h"

#include <algorithm>
#include <limits>

#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/view_autograd.h"
#include "flashlight/core/complex128.h"
#include "flashlight/core/dispatching.h"
#include "flashlight/core/runtime.h"

namespace flashlight {

namespace {

bool is_dense(const Tensor& t) {
  return flashlight::is_dense(t.sizes(), t.strides());
}

// Does the gradient lie as PyTorch wants that of the variable to? Sizes are not
// asked: a variable may have been reshaped in place since.
bool lies_right(const Tensor& grad, const Tensor& variable) {
  if (!is_dense(variable)) {
    return grad.is_contiguous();
  }
  if (grad.dim() > variable.dim()) { // which shows other data by now
    return false;
  }
  for (size_t i = 0; i < grad.sizes().size(); ++i) {
    int64_t stride = grad.strides()[i];
    // A stride of 0 may be an expanded tensor's.
    if (grad.sizes()[i] == 1 ? stride == 0 : stride != variable.strides()[i]) {
      return false;
    }
  }
  return true;
}

// A new storage with this value, lying as the variable does if that is dense.
Tensor fresh(const Tensor& grad, const Tensor& variable) {
  if (!is_dense(variable)) {
    return copied(grad, contiguous_strides(grad.sizes()));
  }
  // The variable may show other data by now (x.data = y).
  if (variable.sizes() == grad.sizes()) {
    return copied(grad, variable.strides());
  }
  NoGrad no_grad;
  Tensor zeros =
      autograd_ops().zeros(variable.sizes(), grad.dtype(), grad.device());
  return autograd_ops().add_(copied(zeros, variable.strides()), grad);
}

// The first gradient. One that nothing else holds is taken over; else it is
// copied, which counts as a write to a dense one.
Tensor
first_grad(const Tensor& grad, const Tensor& variable, int64_t expected) {
  if (is_dispatching(grad) && !grad_enabled()) [[unlikely]] {
    // Its object, which it has, is one that holds it.
    bool alone = only_held_by(grad, expected + 1) && lies_right(grad, variable);
    return alone ? detached(grad) : autograd_ops().clone(grad);
  }
  if (!grad_enabled() && only_held_by(grad, expected) &&
      lies_right(grad, variable)) {
    bool alone = grad->storage->use_count() == 1;
    return alone ? detached(grad) : made_now(copied(grad, grad.strides()));
  }
  if (grad_enabled() && is_dense(variable)) { // with its history
    const AutogradOps& ops = autograd_ops();
    Tensor to = ops.zeros(variable.sizes(), grad.dtype(), grad.device());
    to->geometry.strides = variable.strides();
    return ops.copy_(to, grad);
  }
  if (grad_enabled()) {
    return made_now(autograd_ops().clone(grad));
  }
  Tensor out = fresh(grad, variable);
  if (!autograd_state().inference_mode && is_dense(variable)) {
    out.bump_version();
  }
  return made_now(out);
}

} // namespace

AccumulateGrad::AccumulateGrad(Tensor variable)
    : variable_(std::move(variable)) {
  if (variable_.defined()) {
    add_input(variable_);
  } else {
    add_undefined_input(); // of a tensor that nothing reaches
  }
  set_sequence(std::numeric_limits<uint64_t>::max());
}

std::unique_lock<std::recursive_mutex> AccumulateGrad::lock() {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) {
    // Who has it may be waiting for the host's lock.
    const HostHooks& host = host_hooks();
    void* state = host.release_lock ? host.release_lock() : nullptr;
    lock.lock();
    if (host.acquire_lock && state) {
      host.acquire_lock(state);
    }
  }
  return lock;
}

TensorList AccumulateGrad::apply(TensorList grads) {
  if (!variable_.defined()) {
    return {};
  }
  auto one_at_a_time = lock();
  accumulate(std::move(grads.at(0)));
  // Whether or not there was a gradient.
  for (const auto& hook :
       std::vector(ensure_autograd_meta(variable_).post_accumulate_hooks)) {
    (*hook)({variable_});
  }
  return {};
}

void AccumulateGrad::accumulate(Tensor g) {
  if (!g.defined()) {
    return;
  }
  AutogradMeta& meta = ensure_autograd_meta(variable_);
  FL_CHECK(
      !meta.grad_fn, "leaf variable has been moved into the graph interior");
  if (!meta.requires_grad) {
    return;
  }
  if (!meta.grad.defined()) {
    meta.grad = first_grad(g, variable_, post_hooks.empty() ? 1 : 2);
  } else if (grad_enabled()) {
    meta.grad = autograd_ops().add(meta.grad, g);
  } else {
    (void)autograd_ops().add_(meta.grad, g);
  }
}

} // namespace flashlight
