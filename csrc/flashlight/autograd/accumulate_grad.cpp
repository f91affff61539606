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
  add_input(variable_);
  set_sequence(std::numeric_limits<uint64_t>::max());
}

TensorList AccumulateGrad::apply(TensorList grads) {
  Tensor g = std::move(grads.at(0));
  if (!g.defined()) {
    return {};
  }
  AutogradMeta& meta = ensure_autograd_meta(variable_);
  if (!meta.requires_grad) {
    return {};
  }
  for (const auto& hook : std::vector(meta.hooks)) {
    g = (*hook)({g}).at(0);
  }
  if (!meta.grad.defined()) {
    // Recording: the graph of the gradient must stay; else a value is enough.
    meta.grad = grad_enabled() ? autograd_ops().clone(g) : fresh(g, variable_);
  } else if (grad_enabled()) {
    meta.grad = autograd_ops().add(meta.grad, g);
  } else {
    Tensor sum = autograd_ops().add(meta.grad, g);
    meta.grad.set_value(sum.value());
    meta.grad.bump_version();
  }
  for (const auto& hook : std::vector(meta.post_accumulate_hooks)) {
    (*hook)({variable_});
  }
  return {};
}

} // namespace flashlight
