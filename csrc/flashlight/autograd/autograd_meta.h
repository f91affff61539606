// What autograd keeps on a tensor.
//
// Note [Views and autograd]
// A differentiable view remembers its base (never itself a view). Writing to
// the base, or to a sibling, makes the view's grad_fn stale: grad_fn() compares
// the version at which it was made (attr_version) and makes an AsStrided node
// onto the base's history, since every view is a geometry. Writing through the
// view rebases the base's history: CopySlices routes the gradient of the base
// around the written window (view_autograd.cpp).
#pragma once

#include <functional>
#include <mutex>

#include "flashlight/autograd/node.h"
#include "flashlight/core/tensor.h"

namespace flashlight {

// How a view came to be, for the errors that writing to it raises.
enum class CreationMeta : uint8_t {
  Default,
  InCustomFunction,
  MultiOutputNode,
  NoGradMode,
  InferenceMode,
};

// The tangent of a dual tensor; emptied when its level ends.
struct TangentSlot {
  Tensor tangent;
  int64_t depth = 0; // of the levels at which it counts
};

class FL_API AutogradMeta : public AutogradMetaBase {
 public:
  AutogradMeta() = default;
  ~AutogradMeta() override;

  Tensor grad;
  std::shared_ptr<Node> grad_fn;
  uint32_t output_nr = 0;
  bool requires_grad = false; // of a leaf
  bool retains_grad = false;
  std::weak_ptr<Node> accumulator;
  std::vector<std::shared_ptr<NodeHook>> hooks; // a leaf's; else on its node
  std::vector<std::shared_ptr<NodeHook>> post_accumulate_hooks;
  bool hooks_behind = false; // on the node before the one of an in-place view
  std::shared_ptr<NodeHook> retain_hook;
  std::shared_ptr<TangentSlot> tangent; // see autograd/forward_mode.h

  // Views only.
  bool is_view = false;
  Tensor base;
  CreationMeta creation = CreationMeta::Default;
  uint32_t attr_version = 0;
  bool without_tangent = false; // a dual tensor's primal: the base's is not its
  // Makes it again from the base, where a geometry alone does not tell: the two
  // are not both complex, or the one shows conjugates.
  std::function<Tensor(const Tensor& base)> replay;
};

// nullptr if the tensor has none.
inline AutogradMeta* autograd_meta(const Tensor& tensor) {
  return static_cast<AutogradMeta*>(tensor->autograd.get());
}
FL_API AutogradMeta& ensure_autograd_meta(const Tensor& tensor);

inline bool requires_grad(const Tensor& tensor) {
  const AutogradMeta* meta = autograd_meta(tensor);
  // As PyTorch: a view does where its base does, in whatever mode it was made.
  return meta && (meta->requires_grad || meta->grad_fn ||
                  (meta->is_view && requires_grad(meta->base)));
}
FL_API void set_requires_grad(const Tensor& tensor, bool requires_grad);
FL_API bool is_leaf(const Tensor& tensor);
// The node that made it, or nullptr; a stale view gets a new one here.
FL_API std::shared_ptr<Node> grad_fn(const Tensor& tensor);
// Where its gradient goes: its grad_fn, or its accumulator. Empty if neither.
FL_API Edge gradient_edge(const Tensor& tensor);
FL_API std::shared_ptr<Node> grad_accumulator(const Tensor& tensor);
FL_API Tensor grad(const Tensor& tensor);
FL_API void set_grad(const Tensor& tensor, Tensor grad);
FL_API void retain_grad(const Tensor& tensor);

// Makes `node` the origin of `tensor`, as its next output.
FL_API void set_history(
    const Tensor& tensor,
    const std::shared_ptr<Node>& node);

FL_API bool is_view(const Tensor& tensor);
// The base of a view; undefined otherwise.
FL_API Tensor base_of(const Tensor& tensor);
// Marks `view` as a view of `of` (or of its base).
FL_API void
make_view(const Tensor& view, const Tensor& of, CreationMeta creation);

// Raises what PyTorch raises if `tensor` may not be written to now.
FL_API void check_inplace(const Tensor& tensor, bool requires_grad);
// After an in-place op: version + 1, and the new history if there is one.
FL_API void rebase_history(
    const Tensor& tensor,
    const std::shared_ptr<Node>& node);

// The same after an in-place view op, which changes what the tensor shows and
// nothing of its storage: `node` may be null.
FL_API void replace_history(
    const Tensor& tensor,
    const std::shared_ptr<Node>& node);

// As torch.Tensor.detach: an alias without history.
FL_API Tensor detached(const Tensor& tensor);

} // namespace flashlight
