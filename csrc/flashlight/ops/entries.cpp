// The entries of a batch one after another, with the history of levels above.
//
// Note [Entries]
// A composite or a derivative that reads values cannot be run for a batch,
// whose tensors are not one value; and the Batch level may lie below others: a
// tensor of `grad` under `vmap` has a history at a level of its own. So the
// batch is taken apart by an op (_vmap_unstack), which is recorded like any
// other on the way down to its level, and put together by another; each is the
// other's derivative.
#include "flashlight/ops/functions/entries.h"
#include "flashlight/ops/batching.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/views.h"

namespace flashlight {

namespace {

// Calls f with the levels of the tensor, from the top.
template <typename F>
void for_levels(Tensor t, F&& f) {
  while (t.defined() && t->wrapped) {
    f(t->wrapped->level);
    Tensor inner = t->wrapped->inner;
    t = std::move(inner);
  }
}

// Does the tensor have another value, or another gradient, for each entry? What
// belongs to a level above has a gradient for each, though it is one value.
bool differs(const Tensor& t, const LevelHandle& level) {
  bool does = false;
  for_levels(t, [&](const LevelHandle& l) {
    does = does || l->depth >= level->depth;
  });
  return does;
}

// The last Batch level that any of the tensors is of.
LevelHandle last_batch(const std::vector<Value>& values) {
  LevelHandle last;
  for (const Value& v : values) {
    for_tensors(v, [&](const Tensor& t) {
      for_levels(t, [&](const LevelHandle& l) {
        if (l->kind == LevelKind::Batch && l->alive &&
            (!last || l->depth > last->depth)) {
          last = l;
        }
      });
    });
  }
  return last;
}

// The values of each entry.
std::vector<std::vector<Value>> taken_apart(
    const std::vector<Value>& values,
    const LevelHandle& level) {
  FL_CHECK(
      level->batch_size > 0,
      "The fallback path does not support vmap over dims of size 0.");
  auto n = static_cast<size_t>(level->batch_size);
  std::vector<std::vector<Value>> all(n, values);
  for (size_t i = 0; i < values.size(); ++i) {
    std::vector<TensorList> parts; // of each tensor in it
    for_tensors(values[i], [&](const Tensor& t) {
      parts.push_back(
          differs(t, level) ? _vmap_unstack(t, level->depth)
                            : TensorList(n, t));
    });
    for (size_t k = 0; k < n && !parts.empty(); ++k) {
      size_t j = 0;
      all[k][i] = mapped_tensors(
          values[i], [&](const Tensor&) { return parts[j++][k]; });
    }
  }
  return all;
}

} // namespace

std::optional<Results> results_by_entries(const Op& op, const Value* args) {
  std::vector<Value> values = arguments(op, args);
  LevelHandle level = last_batch(values);
  if (!level) {
    return {};
  }
  std::vector<Results> all;
  for (std::vector<Value>& entry : taken_apart(values, level)) {
    all.push_back(call(op, entry.data()));
  }
  Results out;
  for (size_t r = 0; r < all[0].size(); ++r) {
    out.push_back(stacked(all, r, op, [&](const TensorList& list) {
      return _vmap_stack(list, level->depth);
    }));
  }
  return out;
}

namespace {

TensorList gradients_by_entries(
    const Formula& formula,
    const TensorList& grads,
    std::vector<Value> values,
    const LevelHandle& level) {
  values.emplace_back(grads);
  std::vector<TensorList> all;
  for (std::vector<Value>& entry : taken_apart(values, level)) {
    TensorList of_entry = entry.back().as<TensorList>();
    entry.pop_back();
    all.push_back(derived(formula, of_entry, std::move(entry)));
  }
  TensorList out;
  for (size_t r = 0; r < all[0].size(); ++r) {
    TensorList list;
    for (const TensorList& each : all) {
      list.push_back(each[r]);
    }
    out.push_back(
        list[0].defined() ? _vmap_stack(list, level->depth) : Tensor());
  }
  return out;
}

} // namespace

TensorList derived(
    const Formula& formula,
    const TensorList& grads,
    std::vector<Value> values) {
  try {
    return formula.fn(grads, values.data());
  } catch (const NotOneValue&) {
    std::vector<Value> all = values;
    all.emplace_back(grads);
    LevelHandle level = last_batch(all);
    if (!level) {
      throw;
    }
    return gradients_by_entries(formula, grads, std::move(values), level);
  }
}

// At a Batch level; one that is not meant leaves its own dimension in front.
std::optional<Results> batched_entries(const Batched& b, bool& same) {
  static const Op& unstack = get_op("_vmap_unstack");
  static const Op& put = get_op("_vmap_stack");
  if (&b.op != &unstack && &b.op != &put) {
    return {};
  }
  bool meant = b.args[1].as<int64_t>() == b.level->depth;
  if (!meant && !b.is_batched(size_t{0})) {
    return {};
  }
  Results results;
  if (&b.op == &unstack) {
    const Tensor& self = *b.args[0].tensor();
    if (!meant) {
      Value inner[] = {b.expanded(self), b.args[1]};
      return call(b.op, inner);
    }
    same = true;
    auto n = static_cast<size_t>(b.level->batch_size);
    results.push_back(
        b.is_batched(self) ? Value(unbind(b.first(self), 0))
                           : Value(TensorList(n, self)));
    return results;
  }
  TensorList list;
  for (const Tensor& t : b.args[0].as<TensorList>()) {
    list.push_back(meant ? t : b.expanded(t));
  }
  if (!meant) {
    Value inner[] = {Value(std::move(list)), b.args[1]};
    return call(b.op, inner);
  }
  results.push_back(Value(stack(list, 0)));
  return results;
}

void register_entries() {
  auto nowhere = [](const Tensor&, int64_t level) -> TensorList {
    fail("there is no batch at level ", level);
  };
  op("_vmap_unstack(Tensor self, int level) -> Tensor[]")
      .forms("")
      .kernel(nowhere)
      .grad(
          "self",
          "self.shape level",
          [](const TensorList& grads, const Tensor& self, int64_t level) {
            TensorList all;
            for (size_t k = 0; k < grads.size(); ++k) {
              all.push_back(part_or_zeros(grads, k, self.sizes()));
            }
            return TensorList{_vmap_stack(all, level)};
          })
      .doc("The entries of a batch, which its level does not know as such.");
  op("_vmap_stack(Tensor[] tensors, int level) -> Tensor")
      .forms("")
      .kernel([](const TensorList&, int64_t level) -> Tensor {
        fail("there is no batch at level ", level);
      })
      .grad(
          "tensors",
          "level",
          [](const Tensor& grad, int64_t level) {
            return _vmap_unstack(grad, level);
          })
      .doc("A batch of these entries.");
}

} // namespace flashlight
