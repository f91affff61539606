#include "flashlight/autograd/forward_mode.h"

#include <algorithm>

#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/levels.h"
#include "flashlight/core/error.h"

namespace flashlight {

namespace {

// A scope, and the tangents of the level that it was entered at. An inner scope
// is that of an inner level; below it, the outer one counts.
struct DualScope {
  int64_t depth = 0;
  std::vector<std::weak_ptr<TangentSlot>> tangents;
};

std::vector<DualScope>& dual_scopes() {
  thread_local std::vector<DualScope> scopes;
  return scopes;
}

int64_t depth_of_top() {
  return top_level() ? top_level()->depth : 0;
}

} // namespace

bool tangents_shown() {
  const AutogradState& state = autograd_state();
  return state.forward_mode && state.hidden_tangents != depth_of_top();
}

HideTangents::HideTangents() : before_(autograd_state().hidden_tangents) {
  autograd_state().hidden_tangents = depth_of_top();
}

namespace {

bool has_own_tangent(const AutogradMeta* meta) {
  return meta && meta->tangent && meta->tangent->tangent.defined() &&
         meta->tangent->depth == depth_of_top();
}

// The window on the base's tangent that the view is on the base: a write
// through another view may have given the base one since.
Tensor tangent_from_base(const Tensor& view, const AutogradMeta& meta) {
  Tensor of_base = autograd_meta(meta.base)->tangent->tangent;
  HideTangents hidden;
  if (meta.replay) {
    return meta.replay(of_base);
  }
  Geometry window = view.geometry();
  window.offset += of_base.storage_offset() - meta.base.storage_offset();
  return autograd_ops().as_strided(of_base, window);
}

} // namespace

bool has_tangent(const Tensor& tensor) {
  const AutogradMeta* meta = autograd_meta(tensor);
  return has_own_tangent(meta) ||
         (meta && meta->is_view && !meta->without_tangent &&
          has_own_tangent(autograd_meta(meta->base)));
}

Tensor tangent(const Tensor& tensor) {
  if (!has_tangent(tensor)) {
    return {};
  }
  const AutogradMeta* meta = autograd_meta(tensor);
  if (!has_own_tangent(meta)) {
    set_tangent(tensor, tangent_from_base(tensor, *meta));
  }
  return meta->tangent->tangent;
}

bool is_differentiated(Tensor tensor) {
  for (;;) {
    const AutogradMeta* meta = autograd_meta(tensor);
    if ((grad_enabled() && requires_grad(tensor)) ||
        (meta && meta->tangent && meta->tangent->tangent.defined())) {
      return true;
    }
    if (!tensor->wrapped) {
      return false;
    }
    Tensor inner = tensor->wrapped->inner;
    tensor = std::move(inner);
  }
}

void set_tangent(const Tensor& tensor, const Tensor& tangent) {
  auto& scopes = dual_scopes();
  auto scope = std::find_if(
      scopes.rbegin(), scopes.rend(), [depth = depth_of_top()](const auto& s) {
        return s.depth <= depth;
      });
  FL_CHECK(
      scope != scopes.rend(),
      "Trying to create a dual Tensor for forward AD but no level exists, make "
      "sure to enter_dual_level() first.");
  auto slot =
      std::make_shared<TangentSlot>(TangentSlot{tangent, depth_of_top()});
  scope->tangents.push_back(slot);
  ensure_autograd_meta(tensor).tangent = std::move(slot);
}

void enter_dual_level() {
  dual_scopes().push_back({depth_of_top(), {}});
  ++autograd_state().dual_levels;
}

void exit_dual_level() {
  FL_CHECK(
      !dual_scopes().empty(),
      "Trying to exit a forward AD level that was not entered");
  DualScope scope = std::move(dual_scopes().back());
  dual_scopes().pop_back();
  --autograd_state().dual_levels;
  for (const auto& weak : scope.tangents) {
    if (auto slot = weak.lock()) {
      slot->tangent = Tensor();
    }
  }
}

} // namespace flashlight
