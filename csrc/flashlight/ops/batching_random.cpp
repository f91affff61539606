// Random numbers of the entries of a batch: PyTorch's, under each randomness.
#include "flashlight/ops/batching.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

bool is_random(const Op& op, const Value* args) {
  if (op.schema.name == "native_dropout") {
    const bool* train = args[2].get_if<bool>();
    return !train || *train;
  }
  return op.schema.index_of("generator") >= 0;
}

void check_random(const Level& level) {
  FL_CHECK(
      level.randomness != Randomness::Error,
      "vmap: called random operation while in randomness error mode. Please "
      "either use the 'same' or 'different' randomness flags on vmap or "
      "perform the randomness operation out of vmap");
}

[[noreturn]] void fail_same_of_batch() {
  fail(
      "Vmap does not currently support same randomness with a batched tensor "
      "input. Please file an issue with functorch");
}

namespace {

// Any entry, where only how it looks matters.
Tensor any_entry(const Tensor& t) {
  const Wrapped& w = *t->wrapped;
  IntList sizes = t.sizes();
  return new_empty(w.inner, sizes);
}

// The batch first, and then `ndim` dimensions.
Tensor expanded_to(const Batched& b, const Tensor& t, int64_t ndim) {
  Tensor out = b.expanded(t);
  IntList sizes = out.sizes();
  sizes.insert(
      sizes.begin() + 1, static_cast<size_t>(ndim - t.dim()), int64_t{1});
  return reshape(out, sizes);
}

// Dropout by one mask for all entries.
Results same_dropout(const Batched& b) {
  const Tensor& input = b.tensor(0);
  std::vector<Value> inner(b.args, b.args + b.count());
  inner[0] = ones_like(any_entry(input));
  Results results = call(b.op, inner.data());
  results[0] = Value(b.first(input) * *results[0].tensor());
  IntList sizes = input.sizes();
  sizes.insert(sizes.begin(), b.level->batch_size);
  results[1] = Value(expand(*results[1].tensor(), sizes));
  return results;
}

} // namespace

Results random_batched(const Batched& b, bool any, bool& same) {
  check_random(*b.level);
  std::vector<Value> inner(b.args, b.args + b.count());
  const std::string& name = b.op.schema.name;
  if (b.level->randomness == Randomness::Same) {
    if (any && name == "native_dropout") {
      return same_dropout(b);
    }
    same = true;
    if (any) {
      if (!name.ends_with("_like")) {
        fail_same_of_batch();
      }
      inner[0] = any_entry(b.tensor(0));
    }
    return call(b.op, inner.data());
  }
  if (int i = b.op.schema.index_of("size"); i >= 0 && !any) {
    IntList sizes = b.args[i].as<IntList>();
    sizes.insert(sizes.begin(), b.level->batch_size);
    inner[static_cast<size_t>(i)] = sizes;
    return call(b.op, inner.data());
  }
  int64_t ndim = -1;
  std::optional<size_t> first;
  for (size_t i = 0; i < b.count(); ++i) {
    for_tensors(b.args[i], [&](const Tensor& t) {
      first = first.value_or(i);
      ndim = std::max(ndim, t.dim());
    });
  }
  if (!first) { // randperm
    return entry_by_entry(b);
  }
  if (name == "multinomial") { // of rows, of which it takes a matrix
    Tensor rows = b.expanded(b.tensor(0));
    inner[0] = ndim == 2 ? flatten(rows, 0, 1) : rows;
    Results results = call(b.op, inner.data());
    if (ndim == 2) {
      results[0] = Value(unflatten(
          *results[0].tensor(),
          0,
          IntList{b.level->batch_size, b.tensor(0).size(0)}));
    }
    return results;
  }
  for (size_t i = 0; i < b.count(); ++i) {
    inner[i] = mapped_tensors(b.args[i], [&](const Tensor& t) {
      return i == *first ? expanded_to(b, t, ndim) : b.aligned(t, ndim);
    });
  }
  return call(b.op, inner.data());
}

Results same_numbers(const Batched& b) {
  BelowLevel below(*b.level);
  std::vector<Value> inner(b.args, b.args + b.count());
  inner[0] = any_entry(b.tensor(0));
  return call(b.op, inner.data());
}

} // namespace flashlight
