#include "flashlight/ops/dispatch_mode.h"

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

DispatchMode& detail::dispatch_mode_slot() {
  thread_local DispatchMode mode = nullptr;
  return mode;
}

void set_dispatch_mode(DispatchMode mode) {
  detail::dispatch_mode_slot() = mode;
  autograd_state().in_dispatch_mode = mode != nullptr;
}

Results run_in_mode(const Op& op, OpForm form, const Value* args) {
  if (op.mutates) {
    return dispatch_mode()(op, form, args); // its parts are what records
  }
  if (form == OpForm::Inplace) {
    // One write is one version, though two write: the mode, and who asked it.
    Tensor self = *args[0].tensor();
    uint32_t before = self->version ? self.version() : 0;
    Results results;
    {
      NoGrad guard;
      results = dispatch_mode()(op, form, args);
    }
    if (self->version) {
      self->version->set(before);
    }
    return results;
  }
  Results results;
  {
    NoGrad guard;
    results = dispatch_mode()(op, form, args);
  }
  for (Value& r : results) {
    r = mapped_tensors(r, [&](const Tensor& t) {
      bool given = false;
      for (size_t i = 0; i < op.schema.args.size(); ++i) {
        for_tensors(
            args[i], [&](const Tensor& a) { given = given || a.is_same(t); });
      }
      // An argument keeps its own history; a leaf made in the mode is left be.
      if (given || requires_grad(t)) {
        return t.alias();
      }
      t->autograd.reset();
      return t;
    });
  }
  return results;
}

} // namespace flashlight
