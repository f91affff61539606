#include "flashlight/autograd/view_autograd.h"

#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/complex128.h"

namespace flashlight {

namespace {

// The layout of a base, for gradients that lie as it does.
struct BaseInfo {
  Geometry geometry;
  Dtype dtype;
  Device device;

  // Zeros that lie as the base does, as a window from 0 on a flat storage.
  Geometry window(const Geometry& view) const {
    Geometry g = view;
    g.offset -= geometry.offset;
    return g;
  }
};

BaseInfo info_of(const Tensor& base) {
  return {base.geometry(), base.dtype(), base.device()};
}

// The gradient of the base, flat in storage order and back.
Geometry flat_geometry(const BaseInfo& base) {
  Geometry g = base.geometry;
  g.offset = 0;
  return {IntList{storage_extent(g)}, IntList{1}, 0};
}

// How a view shows its base. Where one of the two is complex and the other is
// not, the windows of both are counted in reals, and so are the gradients.
class Shown {
 public:
  Shown(const Tensor& base, const Tensor& view)
      : base(info_of(base)),
        window(view.geometry()),
        sizes_(view.sizes()),
        complex_(view.is_complex()),
        conj_(view->conj),
        neg_(view->neg) {
    if (base.is_complex() == view.is_complex()) {
      return;
    }
    if (base.is_complex()) {
      base_pairs_ = true;
      this->base.geometry = pairs_geometry(base.geometry());
    } else {
      view_pairs_ = true;
      window = pairs_geometry(window);
    }
  }

  // The gradient of the view in the units of the window, and back.
  Tensor of_view(const Tensor& grad) const {
    const AutogradOps& ops = autograd_ops();
    Tensor g = grad.sizes() == sizes_ ? grad : ops.sum_to(grad, sizes_);
    if (g.is_complex() != complex_) {
      g = complex_ ? ops.to_dtype(g, to_complex(g.dtype())) : ops.real(g);
    }
    g = with_bits(g);
    return view_pairs_ ? autograd_ops().view_as_real(g) : g;
  }
  Tensor to_view(const Tensor& grad) const {
    return with_bits(view_pairs_ ? autograd_ops().view_as_complex(grad) : grad);
  }
  // The gradient of the base in those units, and back.
  Tensor of_base(const Tensor& grad) const {
    return base_pairs_ ? autograd_ops().view_as_real(grad) : grad;
  }
  Tensor to_base(const Tensor& grad) const {
    return base_pairs_ ? autograd_ops().view_as_complex(grad) : grad;
  }

  BaseInfo base;
  Geometry window;

 private:
  Tensor with_bits(const Tensor& grad) const {
    Tensor g = conj_ ? autograd_ops().conj(grad) : grad;
    return neg_ ? autograd_ops().neg(g) : g;
  }

  IntList sizes_;
  bool complex_, conj_, neg_;
  bool base_pairs_ = false, view_pairs_ = false;
};

class AsStridedBackward : public Node {
 public:
  AsStridedBackward(const Tensor& base, const Tensor& view)
      : shown_(base, view) {}

  std::string name() const override {
    return "AsStridedBackward0";
  }

  TensorList apply(TensorList grads) override {
    const Tensor& g = grads.at(0);
    if (!g.defined() || !should_compute(0)) {
      return {Tensor()};
    }
    return {shown_.to_base(
        autograd_ops().scatter_window(
            shown_.of_view(g), shown_.window, shown_.base.geometry))};
  }

 private:
  Shown shown_;
};

// The history of a base after a write through one of its views: outside the
// window the gradient goes on to the base's old history, inside it goes through
// the op that wrote.
class CopySlices : public Node {
 public:
  CopySlices(const Tensor& base, const Tensor& view, std::shared_ptr<Node> fn)
      : shown_(base, view), fn_(std::move(fn)) {
    add_edge(gradient_edge(base));
    for (size_t i = 1; i < fn_->next_edges().size(); ++i) {
      add_edge(fn_->next_edges()[i]);
    }
    add_input(base);
    update_topological();
  }

  std::string name() const override {
    return "torch::autograd::CopySlices";
  }

  void release() override {
    released_ = true;
    fn_->release();
  }

  TensorList apply(TensorList grads) override {
    TensorList out(next_edges().size());
    const Tensor& g = grads.at(0);
    if (!g.defined()) {
      return out;
    }
    FL_CHECK(!released_, kBackwardTwice);
    const AutogradOps& ops = autograd_ops();
    // g, laid out as the base's storage is.
    const BaseInfo& base = shown_.base;
    Geometry whole = base.geometry;
    whole.offset = 0;
    Tensor all = shown_.of_base(g);
    Tensor flat =
        ops.zeros(flat_geometry(base).sizes, all.dtype(), base.device);
    flat = ops.as_strided_scatter(flat, all, whole);
    Geometry window = base.window(shown_.window);
    Tensor inside = ops.clone(ops.as_strided(flat, window));
    // What wrote leads to the view's old history, which stands for the base's.
    bool to_base = should_compute(0) && fn_->has_edge(0);
    AlsoNeeded old(to_base ? fn_->next_edges()[0].node.get() : nullptr);
    TensorList results = (*fn_)({shown_.to_view(inside)});
    for (size_t i = 0; i < out.size() && i < results.size(); ++i) {
      if (!should_compute(i)) {
        continue;
      }
      if (i > 0) {
        out[i] = results[i];
        continue;
      }
      if (!results[0].defined()) {
        continue; // a custom function's None is none for the whole base
      }
      FL_CHECK(
          !has_internal_overlap(window),
          "unsupported operation: more than one element of the written-to "
          "tensor refers to a single memory location. Please clone() the "
          "tensor before performing the operation.");
      Tensor slice = shown_.of_view(results[0]);
      out[0] = shown_.to_base(
          ops.as_strided(ops.as_strided_scatter(flat, slice, window), whole));
    }
    return out;
  }

 private:
  Shown shown_;
  std::shared_ptr<Node> fn_;
  bool released_ = false;
};

// "Output 0 of Split is a view and is being modified inplace. "
std::string view_description(const AutogradMeta& meta, bool is_inplace) {
  const char* written = is_inplace
                            ? "is being modified inplace"
                            : "its base or another view of its base has been "
                              "modified inplace";
  std::string output = detail::concat("Output ", meta.output_nr, " of ");
  if (meta.grad_fn) {
    output += forward_name(*meta.grad_fn) + " is a view";
  }
  bool inference = meta.creation == CreationMeta::InferenceMode;
  if (meta.grad_fn && !inference && meta.creation != CreationMeta::NoGradMode) {
    return detail::concat(output, " and ", written, ". ");
  }
  return detail::concat(
      meta.grad_fn ? output + " of a view which" : "A view",
      " was created in ",
      inference ? "inference" : "no_grad",
      " mode and ",
      written,
      inference ? " in normal mode. " : " with grad mode enabled. ");
}

// Raises if `creation` forbids a write through (or beside) the view.
void check_view_write(const AutogradMeta& meta, bool is_inplace) {
  if (meta.creation == CreationMeta::Default) {
    return;
  }
  std::string text = view_description(meta, is_inplace);
  switch (meta.creation) {
    case CreationMeta::MultiOutputNode:
      text +=
          "This view is the output of a function that returns multiple views. "
          "Such functions do not allow the output views to be modified "
          "inplace. "
          "You should replace the inplace operation by an out-of-place one.";
      break;
    case CreationMeta::NoGradMode:
      text +=
          "Given that this use case is ambiguous and error-prone, it is "
          "forbidden. You can clarify your code by moving both the view and "
          "the "
          "inplace either both inside the no_grad block (if you don't want the "
          "inplace to be tracked) or both outside (if you want the inplace to "
          "be tracked).";
      break;
    case CreationMeta::InferenceMode:
      text +=
          "Given that this use case is ambiguous and error-prone, it is "
          "forbidden. You can clarify your code by moving both the view and "
          "the "
          "inplace either both inside the inference_mode block (if you don't "
          "want the inplace to be tracked) or both outside (if you want the "
          "inplace to be tracked).";
      break;
    default:
      text +=
          "This view was created inside a custom Function (or because an input "
          "was returned as-is) and the autograd logic to handle view+inplace "
          "would override the custom backward associated with the custom "
          "Function, leading to incorrect gradients. This behavior is "
          "forbidden. You can fix this by cloning the output of the custom "
          "Function.";
  }
  fail(text);
}

} // namespace

std::shared_ptr<Node> as_strided_node(const Tensor& base, const Tensor& view) {
  auto node = std::make_shared<AsStridedBackward>(base, view);
  node->add_edge(gradient_edge(base));
  node->update_topological();
  return node;
}

void check_stale_view(const AutogradMeta& meta) {
  check_view_write(meta, /*is_inplace=*/false);
}

void check_inplace(const Tensor& tensor, bool records) {
  if (!records || !grad_enabled()) {
    return;
  }
  const AutogradMeta* meta = autograd_meta(tensor);
  if (!meta) {
    return;
  }
  if (meta->is_view) {
    check_view_write(*meta, /*is_inplace=*/true);
    FL_CHECK(
        !requires_grad(tensor) || !is_leaf(meta->base),
        "a view of a leaf Variable that requires grad is being used in an "
        "in-place operation.");
  }
  FL_CHECK(
      // As PyTorch: also a view of which nobody has asked for the history.
      !requires_grad(tensor) || meta->grad_fn,
      "a leaf Variable that requires grad is being used in an in-place "
      "operation.");
}

Tensor made_now(const Tensor& tensor) {
  bool inference = autograd_state().inference_mode;
  if (tensor->inference || inference) {
    tensor->inference = inference;
    tensor->version =
        inference ? Ref<VersionCounter>() : make_ref<VersionCounter>();
  }
  return tensor;
}

void check_inference_write(const Tensor& tensor) {
  FL_CHECK(
      tensor->version || autograd_state().inference_mode,
      "Inplace update to inference tensor outside InferenceMode is not "
      "allowed.You can make a clone to get a normal tensor before doing "
      "inplace update.See https://github.com/pytorch/rfcs/pull/17 for more "
      "details.");
}

ForgetHooks& forget_hooks() {
  static ForgetHooks forget = nullptr;
  return forget;
}

void leave_hooks(const Tensor& tensor, const std::shared_ptr<Node>& from) {
  AutogradMeta& meta = ensure_autograd_meta(tensor);
  bool any = !meta.hooks.empty() || meta.hooks_behind;
  meta.hooks.clear();
  meta.hooks_behind = false;
  if (from) {
    any = any || !from->tensor_pre_hooks.empty();
  }
  if (any && tensor->python && forget_hooks()) {
    forget_hooks()(tensor->python);
  }
}

void take_retain_hook(const Tensor& tensor, Node* from, Node& to) {
  AutogradMeta& meta = ensure_autograd_meta(tensor);
  if (!meta.retain_hook) {
    return;
  }
  if (from) {
    std::erase_if(from->retains_grad_hooks, [&](const auto& h) {
      return h.hook == meta.retain_hook;
    });
  }
  to.retains_grad_hooks.push_back({meta.output_nr, meta.retain_hook});
}

void rebase_history(const Tensor& tensor, const std::shared_ptr<Node>& node) {
  tensor.bump_version();
  if (node) {
    move_history(tensor, node);
  }
}

namespace {

void swap_history(const Tensor& tensor, const std::shared_ptr<Node>& node) {
  AutogradMeta& meta = ensure_autograd_meta(tensor);
  std::shared_ptr<Node> before = std::move(meta.grad_fn);
  leave_hooks(tensor, before);
  meta.requires_grad = false;
  meta.grad_fn = node;
  take_retain_hook(tensor, before.get(), *node);
  free_iteratively(std::move(before));
}

// The base's history goes through the node inside the view's window.
void write_through_view(const Tensor& view, const std::shared_ptr<Node>& node) {
  AutogradMeta& meta = ensure_autograd_meta(view);
  Tensor base = meta.base;
  auto copy = std::make_shared<CopySlices>(base, view, node);
  ensure_autograd_meta(base).output_nr = 0;
  swap_history(base, copy);
  // The view's own history follows from the base's now.
  meta.attr_version = view.version() - 1;
  meta.creation = CreationMeta::Default;
  (void)grad_fn(view);
}

} // namespace

bool can_adopt_history(const Tensor& tensor, const Tensor& from) {
  const AutogradMeta* meta = autograd_meta(from);
  if (!meta || !meta->grad_fn || meta->is_view) {
    return false;
  }
  if (!is_view(tensor)) {
    return true;
  }
  // Through a view: the gradient that goes to the view is the node's first.
  const Edge to = gradient_edge(tensor);
  const auto& edges = meta->grad_fn->next_edges();
  return meta->grad_fn->inputs().size() == 1 && !edges.empty() &&
         edges[0].node == to.node && edges[0].input == to.input;
}

void adopt_history(const Tensor& tensor, const Tensor& from) {
  const AutogradMeta* meta = autograd_meta(from);
  tensor.bump_version();
  if (is_view(tensor)) {
    write_through_view(tensor, meta->grad_fn);
    return;
  }
  ensure_autograd_meta(tensor).output_nr = meta->output_nr;
  swap_history(tensor, meta->grad_fn);
}

void replace_history(const Tensor& tensor, const std::shared_ptr<Node>& node) {
  tensor.bump_version();
  if (!node) {
    return;
  }
  // As PyTorch, hooks stay with the node that the tensor had.
  AutogradMeta& meta = ensure_autograd_meta(tensor);
  std::shared_ptr<Node> before = std::move(meta.grad_fn);
  meta.hooks_behind =
      meta.hooks_behind || (before && !before->tensor_pre_hooks.empty());
  meta.output_nr = node->add_input(tensor);
  meta.requires_grad = false;
  meta.grad_fn = node;
  free_iteratively(std::move(before));
  if (meta.is_view) {
    meta.attr_version = tensor.version();
  }
}

void move_history(const Tensor& tensor, const std::shared_ptr<Node>& node) {
  AutogradMeta& meta = ensure_autograd_meta(tensor);
  uint32_t output = node->add_input(tensor);
  if (!meta.is_view) {
    meta.output_nr = output;
    swap_history(tensor, node);
    return;
  }
  write_through_view(tensor, node);
}

} // namespace flashlight
