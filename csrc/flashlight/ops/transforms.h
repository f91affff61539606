// Ops at the levels of function transforms; see Note [Levels] in
// core/wrapped.h.
#pragma once

#include "flashlight/autograd/levels.h"
#include "flashlight/ops/op.h"

namespace flashlight {

template <typename F>
void for_tensors(const Value& v, F&& f) {
  if (const Tensor* t = v.tensor()) {
    f(*t);
  } else if (const auto* list = v.get_if<TensorList>()) {
    for (const Tensor& t : *list) {
      if (t.defined()) {
        f(t);
      }
    }
  }
}

// Each tensor of `v` replaced by what f makes of it.
template <typename F>
Value mapped_tensors(const Value& v, F&& f) {
  if (const Tensor* t = v.tensor()) {
    return Value(f(*t));
  }
  if (const auto* list = v.get_if<TensorList>()) {
    TensorList out;
    for (const Tensor& t : *list) {
      out.push_back(t.defined() ? f(t) : t);
    }
    return Value(std::move(out));
  }
  return v;
}

std::vector<Value> arguments(const Op& op, const Value* args);

// An Autograd level: every tensor made one of the level's.
std::vector<Value>
lifted(const LevelHandle& level, const Op& op, const Value* args);
// ... and the kernel, which is the op one level down.
Results run_below(const LevelHandle& level, const Op& op, const Value* args);
// The in-place op, one level down.
void run_inplace_below(
    const LevelHandle& level,
    const Op& op,
    const Value* args);
// A tensor of the same level that stands for a copy.
Tensor copied_below(const Tensor& self);
// Raises if `self` is written to and is not the level's own.
void check_captured(const LevelHandle& level, const Op& op, const Tensor& self);

// A Batch level (batching.cpp).
Results run_batched(const LevelHandle& level, const Op& op, const Value* args);
// ... one entry after another, for what reads values; nothing where no tensor
// is of a batch.
std::optional<Results> run_entries(const Op& op, const Value* args);
// The gradients that a formula gives; where it reads values of a batch, those
// of each entry.
TensorList derived(
    const Formula& formula,
    const TensorList& grads,
    std::vector<Value> values);
Tensor
run_batched_inplace(const LevelHandle& level, const Op& op, const Value* args);
// May ops without a rule run one entry after another, and do they tell?
FL_API bool vmap_fallback_allowed();
FL_API void set_vmap_fallback_allowed(bool allowed);
FL_API bool vmap_fallback_warns();
FL_API void set_vmap_fallback_warns(bool warns);
// `inner` with its batch dimension first.
Tensor batch_first(const Tensor& inner, int64_t batch_dim);

// Forward mode (forward_mode.cpp).
//
// Note [Tangents]
// The derivative of an op along tangents needs no formula of its own. The
// gradient g(v) = J^T v of a row is linear in v, so the gradient of g along the
// tangents is J t: the row's formula, differentiated once more. It is taken at
// an Autograd level of its own, so that what the tangents and operands stand
// for stays in the graphs of those that come after. View rows need not even
// that: the tangent of a view is the view of the tangent, and shares its
// memory, so that writes through views reach the tangents of their bases.
bool any_tangent(const Op& op, const Value* args);
// The tangent as the tensor lies: a view row may be a geometry.
FL_API Tensor laid_out_as(const Tensor& like, const Tensor& tangent);
Results call_dual(const Op& op, Value* args);
Tensor call_inplace_dual(const Op& op, Value* args);

} // namespace flashlight
