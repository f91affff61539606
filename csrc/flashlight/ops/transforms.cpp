#include "flashlight/ops/transforms.h"

#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

std::vector<Value> arguments(const Op& op, const Value* args) {
  return std::vector<Value>(args, args + op.schema.args.size());
}

std::vector<Value>
lifted(const LevelHandle& level, const Op& op, const Value* args) {
  std::vector<Value> out = arguments(op, args);
  for (Value& v : out) {
    v = mapped_tensors(v, [&](const Tensor& tensor) {
      Tensor t = without_dead_levels(tensor);
      return is_at(t, *level) ? t : wrap_at(level, t);
    });
  }
  return out;
}

namespace {

std::vector<Value>
inner_arguments(const Level& level, const Op& op, const Value* args) {
  std::vector<Value> inner = arguments(op, args);
  for (Value& v : inner) {
    v = mapped_tensors(v, [&](const Tensor& t) {
      return is_at(t, level) ? t->wrapped->inner : t;
    });
  }
  return inner;
}

} // namespace

Results run_below(const LevelHandle& level, const Op& op, const Value* args) {
  std::vector<Value> inner = inner_arguments(*level, op, args);
  Results results;
  {
    BelowLevel below(*level);
    results = call(op, inner.data());
  }
  const Tensor* base = op.view ? args[0].tensor() : nullptr;
  for (Value& r : results) {
    r = mapped_tensors(
        r, [&](const Tensor& t) { return wrap_at(level, t, -1, base); });
  }
  return results;
}

void run_inplace_below(
    const LevelHandle& level,
    const Op& op,
    const Value* args) {
  std::vector<Value> inner = inner_arguments(*level, op, args);
  BelowLevel below(*level);
  call_inplace(op, inner.data());
}

Tensor copied_below(const Tensor& self) {
  const Wrapped& from = *self->wrapped;
  Tensor copy;
  {
    BelowLevel below(*from.level);
    copy = clone(from.inner);
  }
  return wrap_at(from.level, copy, from.batch_dim);
}

void check_captured(
    const LevelHandle& level,
    const Op& op,
    const Tensor& self) {
  FL_CHECK(
      is_at(self, *level),
      "During a grad (vjp, jvp, grad, etc) transform, the function provided "
      "attempted to call in-place operation (aten::",
      op.schema.name,
      "_) that would mutate a captured Tensor. This is not supported; please "
      "rewrite the function being transformed to explicitly accept the mutated "
      "Tensor(s) as inputs.");
}

} // namespace flashlight
