#include "flashlight/autograd/accumulate_grad.h"

#include <limits>

#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/grad_mode.h"

namespace flashlight {

namespace {

// A new storage with this value, lying as the variable does if that is dense.
Tensor fresh(const Tensor& grad, const Tensor& variable) {
  bool like = is_dense(variable.sizes(), variable.strides()) &&
              variable.sizes() == grad.sizes();
  return Tensor(
      grad.value(),
      like ? variable.strides() : contiguous_strides(grad.sizes()),
      grad.device());
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

TensorList AccumulateGrad::apply(TensorList grads) {
  Tensor g = std::move(grads.at(0));
  if (!g.defined()) {
    return {};
  }
  AutogradMeta& meta = ensure_autograd_meta(variable_);
  FL_CHECK(
      !meta.grad_fn, "leaf variable has been moved into the graph interior");
  if (!meta.requires_grad) {
    return {};
  }
  if (!meta.grad.defined()) {
    // Recording: the graph of the gradient must stay; else a value is enough.
    meta.grad = grad_enabled() ? autograd_ops().clone(g) : fresh(g, variable_);
  } else if (grad_enabled()) {
    meta.grad = autograd_ops().add(meta.grad, g);
  } else {
    (void)autograd_ops().add_(meta.grad, g);
  }
  for (const auto& hook : std::vector(meta.post_accumulate_hooks)) {
    (*hook)({variable_});
  }
  return {};
}

} // namespace flashlight
