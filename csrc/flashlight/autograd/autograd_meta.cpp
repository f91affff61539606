#include "flashlight/autograd/autograd_meta.h"

#include "flashlight/autograd/accumulate_grad.h"
#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/view_autograd.h"
#include "flashlight/core/dispatching.h"

namespace flashlight {

AutogradMeta& ensure_autograd_meta(const Tensor& tensor) {
  if (!tensor->autograd) {
    tensor->autograd = std::make_unique<AutogradMeta>();
  }
  return *autograd_meta(tensor);
}

void set_requires_grad(const Tensor& tensor, bool value) {
  if (!value && !tensor->autograd) {
    return;
  }
  ensure_autograd_meta(tensor).requires_grad = value;
}

bool is_leaf(const Tensor& tensor) {
  return grad_fn(tensor) == nullptr;
}

std::shared_ptr<Node> grad_fn(const Tensor& tensor) {
  AutogradMeta* meta = autograd_meta(tensor);
  if (!meta) {
    return nullptr;
  }
  if (!meta->is_view || !tensor->version) {
    return meta->grad_fn;
  }
  uint32_t version = tensor->version->value();
  if (meta->attr_version == version ||
      (!meta->grad_fn && !requires_grad(meta->base))) {
    return meta->grad_fn;
  }
  check_stale_view(*meta);
  std::shared_ptr<Node> node;
  uint32_t output = 0;
  if (meta->replay) {
    GradMode recording(true);
    Tensor again = meta->replay(meta->base);
    const AutogradMeta* made = autograd_meta(again);
    FL_CHECK(
        made && made->grad_fn,
        "The history of a view cannot be made again: its base was written to "
        "when detach_() had taken the history away.");
    node = made->grad_fn;
    output = made->output_nr;
  } else {
    node = as_strided_node(meta->base, tensor);
    node->add_input(tensor);
  }
  std::shared_ptr<Node> before = std::move(meta->grad_fn);
  leave_hooks(tensor, before);
  meta->grad_fn = node;
  meta->output_nr = output;
  meta->attr_version = version;
  take_retain_hook(tensor, before.get(), *node);
  free_iteratively(std::move(before));
  return node;
}

std::shared_ptr<Node> grad_accumulator(const Tensor& tensor) {
  AutogradMeta* meta = autograd_meta(tensor);
  if (!meta || meta->grad_fn || !meta->requires_grad) {
    return nullptr;
  }
  auto node = meta->accumulator.lock();
  if (!node) {
    node = std::make_shared<AccumulateGrad>(tensor);
    meta->accumulator = node;
  }
  return node;
}

Edge gradient_edge(const Tensor& tensor) {
  AutogradMeta* meta = autograd_meta(tensor);
  if (!meta) {
    return {};
  }
  if (auto node = grad_fn(tensor)) {
    return {std::move(node), meta->output_nr};
  }
  return {grad_accumulator(tensor), 0};
}

Tensor grad(const Tensor& tensor) {
  const AutogradMeta* meta = autograd_meta(tensor);
  return meta ? meta->grad : Tensor();
}

void set_grad(const Tensor& tensor, Tensor value) {
  if (value.defined() || tensor->autograd) {
    ensure_autograd_meta(tensor).grad = std::move(value);
  }
}

namespace {

// Stores the gradient that reaches a tensor that is not a leaf.
class RetainGrad : public NodeHook {
 public:
  explicit RetainGrad(AutogradMeta* meta) : meta_(meta) {}
  TensorList operator()(const TensorList& grads) override {
    const Tensor& g = grads.at(0);
    if (g.defined() && meta_) {
      meta_->grad = meta_->grad.defined() ? autograd_ops().add(meta_->grad, g)
                                          : autograd_ops().clone(g);
    }
    return grads;
  }

  // The tensor dies; a node that it had before detach_() may have the hook.
  void forget() {
    meta_ = nullptr;
  }

 private:
  AutogradMeta* meta_;
};

} // namespace

void retain_grad(const Tensor& tensor) {
  FL_CHECK(
      requires_grad(tensor),
      "can't retain_grad on Tensor that has requires_grad=False");
  AutogradMeta& meta = ensure_autograd_meta(tensor);
  if (!meta.grad_fn || meta.retains_grad) {
    return; // a leaf, also one that is a stale view
  }
  auto node = grad_fn(tensor);
  meta.retain_hook = std::make_shared<RetainGrad>(&meta);
  node->retains_grad_hooks.push_back({meta.output_nr, meta.retain_hook});
  meta.retains_grad = true;
}

AutogradMeta::~AutogradMeta() {
  if (retain_hook) {
    static_cast<RetainGrad&>(*retain_hook).forget();
  }
  if (retain_hook && grad_fn) {
    std::erase_if(grad_fn->retains_grad_hooks, [&](const auto& h) {
      return h.hook == retain_hook;
    });
  }
  free_iteratively(std::move(grad_fn));
}

void set_history(const Tensor& tensor, const std::shared_ptr<Node>& node) {
  AutogradMeta& meta = ensure_autograd_meta(tensor);
  meta.output_nr = node->add_input(tensor);
  meta.grad_fn = node;
}

bool is_view(const Tensor& tensor) {
  const AutogradMeta* meta = autograd_meta(tensor);
  return meta && meta->is_view;
}

Tensor base_of(const Tensor& tensor) {
  const AutogradMeta* meta = autograd_meta(tensor);
  return meta && meta->is_view ? meta->base : Tensor();
}

void make_view(const Tensor& view, const Tensor& of, CreationMeta creation) {
  AutogradMeta& meta = ensure_autograd_meta(view);
  const AutogradMeta* parent = autograd_meta(of);
  meta.is_view = true;
  meta.base = parent && parent->is_view ? parent->base : of;
  meta.attr_version = view.version();
  meta.without_tangent = parent && parent->without_tangent;
  // What a view may not do, its views may not do either.
  bool inherits = parent && parent->is_view &&
                  (creation == CreationMeta::Default ||
                   parent->creation == CreationMeta::InferenceMode);
  meta.creation = inherits ? parent->creation : creation;
}

Tensor detached(const Tensor& tensor) {
  if (is_dispatching(tensor)) [[unlikely]] {
    return dispatching_hooks().detach(tensor);
  }
  Tensor out = tensor.alias();
  if (out->inference) { // its writes are counted outside the mode, by itself
    out->version = autograd_state().inference_mode ? Ref<VersionCounter>()
                                                   : make_ref<VersionCounter>();
  }
  return out;
}

} // namespace flashlight
