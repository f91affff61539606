// What the files of ops at a Batch level share; see Note [Batching].
#pragma once

#include "flashlight/ops/functions/reshaping.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

// One call at a Batch level. Its rules run one level down, and give results
// whose first dimension is the batch's.
struct Batched {
  const LevelHandle& level;
  const Op& op;
  const Value* args;

  size_t count() const {
    return op.schema.args.size();
  }
  bool is_batched(const Tensor& t) const {
    return is_at(t, *level);
  }
  bool is_batched(size_t i) const {
    bool any = false;
    for_tensors(args[i], [&](const Tensor& t) { any = any || is_batched(t); });
    return any;
  }
  // What it stands for, the batch first; as it is, where it is not batched.
  Tensor first(const Tensor& t) const {
    return is_batched(t) ? batch_first(t->wrapped->inner, t->wrapped->batch_dim)
                         : t;
  }
  // ... expanded to the batch.
  Tensor expanded(const Tensor& t) const {
    if (is_batched(t)) {
      return first(t);
    }
    IntList sizes = t.sizes();
    sizes.insert(sizes.begin(), level->batch_size);
    return expand(t, sizes);
  }
  // The batch first, and then at least `ndim` dimensions.
  Tensor aligned(const Tensor& t, int64_t ndim) const {
    Tensor out = first(t);
    if (!is_batched(t) || t.dim() >= ndim) {
      return out;
    }
    IntList sizes = out.sizes();
    sizes.insert(
        sizes.begin() + 1, static_cast<size_t>(ndim - t.dim()), int64_t{1});
    return view_or_copy(out, sizes);
  }
  static Tensor view_or_copy(const Tensor& t, const IntList& sizes) {
    return reshape(t, sizes);
  }
  const Tensor& tensor(size_t i) const {
    const Tensor* t = args[i].tensor();
    return t ? *t : detail::undefined_tensor();
  }
};

// The arguments; one that a vmap has left behind raises.
std::vector<Value> alive(const Op& op, const Value* args);
// Every entry by itself; the results stacked.
Results entry_by_entry(const Batched& b);
// The k-th results of all entries, put together.
Value stacked(
    const std::vector<Results>& all,
    size_t k,
    const Op& op,
    const std::function<Tensor(const TensorList&)>& put_together);

// ... where levels are above (entries.cpp); see Note [Entries]. Nothing where
// no tensor is of a batch.
std::optional<Results> results_by_entries(const Op& op, const Value* args);
std::optional<Results> batched_entries(const Batched& b, bool& same);

// Random numbers (batching_random.cpp).
bool is_random(const Op& op, const Value* args);
// Raises where vmap's randomness is "error".
void check_random(const Level& level);
[[noreturn]] void fail_same_of_batch();
// Results in a batch of their own, or not batched (in `same`).
Results random_batched(const Batched& b, bool any, bool& same);
// What an op that draws numbers writes to all entries of self alike.
Results same_numbers(const Batched& b);

} // namespace flashlight
