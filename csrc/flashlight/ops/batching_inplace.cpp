// Writes to the entries of a batch.
#include "flashlight/autograd/forward_mode.h"
#include "flashlight/ops/batching.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/write_checks.h"

namespace flashlight {

namespace {

// PyTorch has three words for it.
[[noreturn]] void fail_unbatched_write(const Batched& b) {
  const std::string& name = b.op.schema.name;
  if (name == "add") {
    IntList sizes;
    for (size_t i = 0; i < b.count(); ++i) {
      for_tensors(b.args[i], [&](const Tensor& t) {
        sizes = broadcast_sizes(sizes, t.sizes());
      });
    }
    sizes.insert(sizes.begin(), b.level->batch_size);
    fail(
        "output with shape ",
        b.args[0].tensor()->sizes(),
        " doesn't match the broadcast shape ",
        sizes);
  }
  std::string what = "aten::" + name + "_";
  std::string where = detail::concat("at level ", b.level->depth);
  if (name == "copy" || name == "sub" || name == "mul" || name == "div" ||
      name == "masked_fill") {
    what = "inplace arithmetic";
    where = "in a vmap";
  } else if (name == "bernoulli") {
    what = "inplace bernoulli";
    where = "in a vmap";
  } else if (name == "fill" || name == "_index_put") {
    what = name == "fill" ? "fill_" : "index_put_";
    where = "in a vmap";
  }
  fail(
      "vmap: ",
      what,
      "(self, *extra_args) is not possible because there exists a Tensor "
      "`other` in extra_args that has more elements than `self`. This happened "
      "due to `other` being vmapped over but `self` not being vmapped over ",
      where,
      ". Please try to use out-of-place operators instead of ",
      what,
      ". If said operator is being called inside the PyTorch framework, please "
      "file a bug report instead.");
}

} // namespace

Tensor
run_batched_inplace(const LevelHandle& level, const Op& op, const Value* args) {
  LevelHandle here = level;
  std::vector<Value> living = alive(op, args);
  Batched b{here, op, living.data()};
  Tensor self = *living[0].tensor();
  bool any = false;
  for (size_t i = 1; i < b.count(); ++i) {
    any = any || b.is_batched(i);
  }
  bool random = is_random(op, living.data());
  if (random) {
    check_random(*here);
    if (any && here->randomness == Randomness::Same) {
      fail_same_of_batch();
    }
  }
  if (!b.is_batched(self)) {
    if (any) {
      fail_unbatched_write(b);
    }
    FL_CHECK(
        !random || here->randomness == Randomness::Same,
        "vmap: Cannot ask for different inplace randomness on an unbatched "
        "tensor. This will appear like same randomness. If this is necessary "
        "for your usage, please file an issue with functorch.");
    BelowLevel below(*here);
    call_inplace(op, living.data());
    return *args[0].tensor();
  }
  // The write changes self, which a node below may have saved.
  bool saved = false;
  for (const Value& v : living) {
    for_tensors(
        v, [&](const Tensor& t) { saved = saved || is_differentiated(t); });
  }
  if (saved && !op.view) {
    living[0] = copied_below(self);
  }
  Results results = random && here->randomness == Randomness::Same
                        ? same_numbers(b)
                        : run_batched(here, op, living.data());
  const Tensor& result = *results[0].tensor();
  const Wrapped& to = *self->wrapped;
  if (op.view) {
    rewrap(self, result->wrapped->inner, result->wrapped->batch_dim);
    return self;
  }
  check_sizes(result, self);
  check_result_cast(result, self);
  {
    BelowLevel below(*here);
    const Wrapped* from =
        is_at(result, *here) ? result->wrapped.get() : nullptr;
    Tensor value = from ? batch_first(from->inner, from->batch_dim) : result;
    copy_(batch_first(to.inner, to.batch_dim), value, false);
  }
  self.bump_version();
  return self;
}

} // namespace flashlight
