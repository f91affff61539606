// Ops that write to their first argument.
#include "flashlight/autograd/forward_mode.h"
#include "flashlight/autograd/view_autograd.h"
#include "flashlight/ops/call_parts.h"
#include "flashlight/ops/dispatch_mode.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/in_parts.h"
#include "flashlight/ops/op_node.h"
#include "flashlight/ops/profiled.h"
#include "flashlight/ops/write_checks.h"

namespace flashlight {

namespace {

// Among inference tensors, in inference mode, writes are not counted.
bool counts_writes(const Op& op, const Value* args) {
  return !autograd_state().inference_mode || any_normal(op, args);
}

// Does copy_() give what is there already, as the last step of x[1:] += 1?
bool copies_itself(const Op& op, const Value* args, const Tensor& to) {
  if (op.schema.name != "copy") {
    return false;
  }
  const Tensor& from = *args[1].tensor();
  return from->storage.get() == to->storage.get() &&
         from.geometry() == to.geometry() && from.dtype() == to.dtype() &&
         from->conj == to->conj && from->neg == to->neg;
}

void check_fits(const Tensor& result, const Tensor& self) {
  check_sizes(result, self);
  check_result_cast(result, self);
}

void check_write(const Tensor& result, const Tensor& self) {
  check_fits(result, self);
  check_inference_write(self);
}

void check_copy(const Tensor& result, const Tensor& self) {
  check_fits(result, self);
  check_writable(self);
  check_inference_write(self);
}

// ... whose errors name the in-place form.
ViewSpec inplace_spec(const Op& op, Value* args) {
  try {
    return std::move(op.view_fn(Call{op, args}).at(0));
  } catch (const Error& e) {
    std::string text = e.what(), name = op.schema.name + "()";
    if (text.substr(0, name.size()) == name) {
      fail(text.insert(op.schema.name.size(), "_"));
    }
    throw;
  }
}

// The view's geometry put on `self`. Its storage is not written to.
Tensor call_inplace_view(const Op& op, Value* args) {
  Tensor self = *args[0].tensor();
  bool any = recording() && any_requires_grad(op, args) && any_normal(op, args);
  check_inplace(self, any);
  // What is shown then: a window on the storage, or on what it stands for.
  Geometry geometry;
  Tensor view;
  bool by_handler = !self->wrapped && is_dispatched(op, args);
  if (self->wrapped) [[unlikely]] {
    view = *run(op, args)[0].tensor();
  } else if (!by_handler) [[likely]] {
    geometry = inplace_spec(op, args).geometry;
  }
  std::shared_ptr<OpNode> node;
  if (any && differentiable_dtype(self.dtype())) {
    node = std::make_shared<OpNode>(op, args, /*inplace=*/true);
  }
  check_inference_write(self);
  if (self->wrapped) [[unlikely]] {
    rewrap(self, view->wrapped->inner, view->wrapped->batch_dim);
  } else if (by_handler) [[unlikely]] {
    dispatched(op, OpForm::Inplace, args); // who sets the geometry
  } else {
    self->geometry = std::move(geometry);
  }
  if (counts_writes(op, args)) [[likely]] {
    replace_history(self, node);
  }
  if (forward_enabled() && has_tangent(self)) [[unlikely]] {
    std::vector<Value> of_tangent = arguments(op, args);
    of_tangent[0] = tangent(self);
    HideTangents hidden;
    call_inplace(op, of_tangent.data());
  }
  return self;
}

// The parts run on what self was; self takes their result and its history.
Tensor call_composite_inplace(const Op& op, Value* args) {
  Tensor self = *args[0].tensor();
  bool any = false;
  for (size_t i = 0; recording() && i < op.schema.args.size(); ++i) {
    for_tensors(
        args[i], [&](const Tensor& t) { any = any || requires_grad(t); });
  }
  any = any && any_normal(op, args);
  check_inplace(self, any);
  bool beside = on_copy(op, self);
  if (!beside) {
    check_overlap(op, args, self);
  }
  // Who is dispatched to is to see the write.
  bool plain = !top_level() && !forward_enabled() && !is_dispatched(op, args);
  bool adopt = plain && any && differentiable_dtype(self.dtype());
  if (adopt) {
    args[0] = Value(snapshot(self));
  }
  Results results = call(op, args);
  const Tensor& result = results[0].as<Tensor>();
  (beside ? check_copy : check_write)(result, self);
  if (adopt && result.dtype() == self.dtype() &&
      fresh_output(result, op, args) && can_adopt_history(self, result)) {
    self.assign(result);
    adopt_history(self, result);
  } else {
    copy_(self, result, false);
  }
  return self;
}

Tensor call_inplace_behind(const Op& op, Value* args);

} // namespace

Tensor call_inplace(const Op& op, Value* args) {
  enter(op);
  if (profiling()) [[unlikely]] {
    OpScope scope(op, OpForm::Inplace, args);
    Tensor self = call_inplace_behind(op, args);
    scope.settle(self);
    return self;
  }
  return call_inplace_behind(op, args);
}

namespace {

Tensor call_inplace_behind(const Op& op, Value* args) {
  if (op.target) [[unlikely]] {
    return call_inplace(*op.target, args);
  }
  if (op.composite) {
    return call_composite_inplace(op, args);
  }
  if (!op.view && forward_enabled() && any_tangent(op, args)) [[unlikely]] {
    return call_inplace_dual(op, args);
  }
  std::vector<Value> at_level;
  if (const LevelHandle& level = top_level()) [[unlikely]] {
    if (level->kind == LevelKind::Batch) {
      return run_batched_inplace(level, op, args);
    }
    check_captured(level, op, *args[0].tensor());
    at_level = lifted(level, op, args);
    args = at_level.data();
  }
  if (op.view) {
    return call_inplace_view(op, args);
  }
  Tensor self = *args[0].tensor();
  bool any = recording() && !op.differentiable.empty() &&
             any_requires_grad(op, args) && any_normal(op, args);
  if (op.schema.name == "copy") { // integers are written without history
    any = any && differentiable_dtype(self.dtype());
  }
  check_inplace(self, any);
  if (op.check && has_internal_overlap(self.geometry())) {
    op.check(Call{op, args}); // before what is said of the overlap
  }
  FL_CHECK(
      op.schema.name != "abs" || !self.is_complex(),
      "In-place abs is not supported for complex tensors.");
  bool record = any && differentiable_dtype(self.dtype());
  std::shared_ptr<OpNode> node;
  if (record) {
    node = std::make_shared<OpNode>(op, args, /*inplace=*/true);
  } else if (any) {
    for (int i : op.differentiable) { // raises of what is a stale view
      for_tensors(args[i], [](const Tensor& t) { (void)grad_fn(t); });
    }
  }
  bool beside = on_copy(op, self);
  if (!beside) {
    check_overlap(op, args, self);
  }
  Results results;
  if (self->wrapped) [[unlikely]] {
    run_inplace_below(top_level(), op, args);
    results.push_back(Value(self));
  } else if (is_dispatched(op, args)) [[unlikely]] {
    dispatched(op, OpForm::Inplace, args);
    results.push_back(Value(self));
  } else if (copies_itself(op, args, self)) {
    check_inference_write(self);
    results.push_back(Value(self));
  } else if (node || beside || !run_in_parts(op, args, self, check_write)) {
    results = run_kernel(op, args);
    const Tensor& result = results[0].as<Tensor>();
    (beside ? check_copy : check_write)(result, self);
    self.assign(result);
  }
  if (counts_writes(op, args)) [[likely]] {
    rebase_history(self, node);
  }
  if (node) {
    results[0] = self;
    node->save_results(results, /*inplace_view=*/is_view(self));
  }
  return self;
}

} // namespace

} // namespace flashlight
