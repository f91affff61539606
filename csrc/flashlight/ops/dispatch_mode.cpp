#include "flashlight/ops/dispatch_mode.h"

#include <optional>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

namespace {

DispatchHandler handler = nullptr;

bool is_operand(const Op& op, const Value* args, const Tensor& tensor) {
  bool found = false;
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(
        args[i], [&](const Tensor& t) { found = found || t.is_same(tensor); });
  }
  return found;
}

// One write is one version, though two write: the handler, and who asked it.
// Autograd is off for what the handler does.
class BelowAutograd {
 public:
  BelowAutograd() : before_(grad_before_dispatch()) {
    grad_before_dispatch() = grad_enabled();
    off_.emplace();
  }
  ~BelowAutograd() {
    grad_before_dispatch() = before_;
  }
  BelowAutograd(const BelowAutograd&) = delete;
  BelowAutograd& operator=(const BelowAutograd&) = delete;

 private:
  bool before_;
  std::optional<NoGrad> off_;
};

template <typename F>
void as_one_write(const Tensor& to, F&& write) {
  uint32_t before = to->version ? to.version() : 0;
  {
    BelowAutograd guard;
    write();
  }
  if (to->version) {
    to->version->set(before);
  }
}

// A result that is recorded next.
Tensor without_history(const Op& op, const Value* args, const Tensor& t) {
  if (is_dispatching(t)) {
    // Who else holds the object means this very tensor.
    const Tensor* self = args[0].tensor();
    bool aliases = op.view || op.schema.name == "detach";
    if (aliases && self && is_dispatching(*self) && !t->inference) {
      t->version = (*self)->version;
    }
    return t;
  }
  // An argument keeps its own history; a leaf made in the mode is left be.
  if (is_operand(op, args, t) || requires_grad(t)) {
    return t.alias();
  }
  t->autograd.reset();
  return t;
}

} // namespace

bool& grad_before_dispatch() {
  thread_local bool enabled = true;
  return enabled;
}

void set_dispatch_handler(DispatchHandler h) {
  handler = h;
}

bool detail::any_operand_dispatching(const Op& op, const Value* args) {
  bool any = false;
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(
        args[i], [&](const Tensor& t) { any = any || is_dispatching(t); });
  }
  return any;
}

Results dispatched(const Op& op, OpForm form, const Value* args) {
  if (op.mutates) {
    return handler(op, form, args, nullptr); // its parts are what records
  }
  Results results;
  if (form == OpForm::Inplace) {
    Tensor self = *args[0].tensor();
    as_one_write(self, [&] { results = handler(op, form, args, nullptr); });
    return results;
  }
  {
    BelowAutograd guard;
    results = handler(op, form, args, nullptr);
  }
  for (Value& r : results) {
    r = mapped_tensors(
        r, [&](const Tensor& t) { return without_history(op, args, t); });
  }
  return results;
}

void dispatched_out(const Op& op, const Value* args, const TensorList& outs) {
  as_one_write(outs.at(0), [&] { handler(op, OpForm::Out, args, &outs); });
  outs.at(0).bump_version();
}

} // namespace flashlight
