#include "flashlight/autograd/saved_tensor.h"

#include "flashlight/autograd/levels.h"
#include "flashlight/autograd/view_autograd.h"

namespace flashlight {

const char* const kBackwardTwice =
    "Trying to backward through the graph a second time (or directly access "
    "saved tensors after they have already been freed). Saved intermediate "
    "values of the graph are freed when you call .backward() or "
    "autograd.grad(). Specify retain_graph=True if you need to backward "
    "through the graph a second time or if you need to access saved tensors "
    "after calling backward.";

std::function<std::unique_ptr<SavedTensorHook>()>& saved_tensor_hook_factory() {
  static std::function<std::unique_ptr<SavedTensorHook>()> factory;
  return factory;
}

namespace {

// What unpack() gives back the history from, if not the tensor itself; each is
// kept where it is asked for.
void keep_history(
    const Tensor& tensor,
    std::weak_ptr<Node>* weak_grad_fn,
    std::weak_ptr<Node>* accumulator,
    std::shared_ptr<Node>* fn) {
  if (weak_grad_fn) {
    *weak_grad_fn = grad_fn(tensor);
  }
  if (accumulator) {
    *accumulator = grad_accumulator(tensor);
  }
  if (fn) {
    *fn = grad_fn(tensor);
  }
}

} // namespace

SavedTensor::SavedTensor(
    const Tensor& tensor,
    bool is_output,
    bool inplace_view)
    : is_output_(is_output), inplace_view_(inplace_view) {
  if (!tensor.defined()) {
    return;
  }
  FL_CHECK(
      !tensor->inference,
      "Inference tensors cannot be saved for backward. Please do not use "
      "Tensors created in inference mode in computation tracked by autograd. "
      "To work around this, you can make a clone to get a normal tensor and "
      "use it in autograd, or use `torch.no_grad()` instead of "
      "`torch.inference_mode()`.");
  was_defined_ = true;
  version_ = tensor.version();
  is_leaf_ = is_leaf(tensor);
  const AutogradMeta* meta = autograd_meta(tensor);
  output_nr_ = meta ? meta->output_nr : 0;
  tangent_ = meta ? meta->tangent : nullptr;
  std::unique_ptr<SavedTensorHook> hook;
  if (saved_tensor_hook_factory() && !tensor->wrapped_number) {
    hook = saved_tensor_hook_factory()();
  }
  // Not an output: its history is complete and is not the owner, so the tensor
  // itself can be kept without a cycle. A leaf has none.
  original_ = !hook && (!is_output || is_leaf_);
  requires_grad_ = requires_grad(tensor);
  if (original_) {
    data_ = tensor;
    return;
  }
  keep_history(
      tensor,
      inplace_view_ ? &weak_grad_fn_ : nullptr,
      is_leaf_ ? &accumulator_ : nullptr,
      is_leaf_ || is_output_ ? nullptr : &grad_fn_);
  if (hook) {
    hook_ = std::move(hook);
    hook_->pack(tensor);
  } else {
    data_ = detached(tensor);
  }
}

void SavedTensor::register_hook(std::unique_ptr<SavedTensorHook> hook) {
  FL_CHECK(
      was_defined_,
      "Calling register_hooks on a saved tensor with value None is forbidden");
  FL_CHECK(
      !hook_,
      "Calling register_hooks on a saved tensor whose hooks have already been "
      "set. Hint: only one pair of hooks is allowed at a time.");
  if (original_) {
    keep_history(
        data_,
        inplace_view_ ? &weak_grad_fn_ : nullptr,
        is_leaf_ ? &accumulator_ : nullptr,
        is_leaf_ || is_output_ ? nullptr : &grad_fn_);
  }
  hook->pack(original_ ? detached(data_) : data_);
  hook_ = std::move(hook);
  original_ = false;
  data_ = Tensor();
}

void SavedTensor::release() {
  released_ = was_defined_;
  data_ = Tensor();
  hook_.reset();
  free_iteratively(std::move(grad_fn_));
}

Tensor SavedTensor::unpack(const std::shared_ptr<Node>& owner) const {
  if (!was_defined_) {
    return {};
  }
  FL_CHECK(!released_ || hook_, kBackwardTwice);
  std::shared_ptr<Node> node = grad_fn_;
  if (is_output_ && !is_leaf_) {
    node = owner;
    if (auto of_view = inplace_view_ ? weak_grad_fn_.lock() : nullptr) {
      node = std::move(of_view);
    }
  } else if (original_) {
    node = grad_fn(data_);
    FL_CHECK(
        node || is_leaf_,
        "Trying to use a saved tensor that has been detached in-place, i.e. "
        "with .detach_().This is not supported, please use out-of-place "
        "`.detach()` instead");
  }
  if (!hook_) {
    uint32_t now = data_.version();
    if (now != version_) {
      std::string text =
          "one of the variables needed for gradient computation has been "
          "modified by an inplace operation: [";
      text += type_name(data_);
      text += detail::concat(" ", data_.sizes(), "]");
      if (node) {
        text += detail::concat(
            ", which is output ",
            original_ ? 0 : output_nr_, // which PyTorch keeps of others alone
            " of ",
            forward_name(*node),
            ",");
      }
      text += detail::concat(
          " is at version ", now, "; expected version ", version_, " instead.");
      text +=
          " Hint: enable anomaly detection to find the operation that "
          "failed to compute its gradient, with "
          "torch.autograd.set_detect_anomaly(True, check_nan=False).";
      fail(text);
    }
    if (original_) {
      return without_dead_levels(data_);
    }
    if (data_->wrapped && !data_->wrapped->level->alive) [[unlikely]] {
      return without_dead_levels(data_);
    }
  }
  Tensor kept = hook_ ? hook_->unpack() : data_;
  if (hook_ && !node && !requires_grad_ && !tangent_ && !requires_grad(kept)) {
    return kept; // what the hook gave, itself
  }
  Tensor out = detached(kept);
  if (tangent_) [[unlikely]] {
    ensure_autograd_meta(out).tangent = tangent_;
  }
  if (!node && !requires_grad_) {
    return out;
  }
  AutogradMeta& meta = ensure_autograd_meta(out);
  if (node) {
    meta.grad_fn = node;
    meta.output_nr = output_nr_;
  } else {
    meta.requires_grad = true;
    meta.accumulator = accumulator_;
  }
  return out;
}

} // namespace flashlight
