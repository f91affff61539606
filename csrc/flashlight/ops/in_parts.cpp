// See Note [In parts].
#include "flashlight/ops/in_parts.h"

#include <algorithm>

#include "flashlight/core/complex128.h"
#include "flashlight/core/host_access.h"
#include "flashlight/core/overlap.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/small_graph.h"
#include "flashlight/ops/extras.h"

namespace flashlight {

namespace {

// Elements of a part: what this thread computes by itself, or what is worth
// handing to MLX's.
constexpr auto kOwnPart = static_cast<int64_t>(kSmallCopySize);
constexpr int64_t kPart = int64_t{1} << 17;
static_assert(kOwnPart < kPart && kPart <= kMostWritten);

// Its elements may be taken in any order, beside those of `self`.
bool goes_beside(const Tensor& t, const Tensor& self) {
  bool same = t->storage.get() == self->storage.get();
  return t.dtype() != Dtype::Complex128 &&
         (same ? t.geometry() == self.geometry() && t.dtype() == self.dtype()
               : broadcast_sizes(self.sizes(), t.sizes()) == self.sizes());
}

bool is_for_parts(const Op& op, const Value* args, const Tensor& self) {
  const Storage& storage = *self->storage;
  if (!op.elementwise || op.schema.name == "copy" || self.numel() < 2 * kPart ||
      self.numel() >= storage.numel() || !kernels_enabled() ||
      self.dtype() != storage.dtype() ||
      self.device().type != DeviceType::Cpu || storage.is_lent() ||
      storage.array().is_tracer() || may_overlap(self.geometry())) {
    return false;
  }
  for (size_t i = 1; i < op.schema.args.size(); ++i) {
    const Tensor* t = args[i].tensor();
    if (args[i].is<TensorList>() || (t && !goes_beside(*t, self))) {
      return false;
    }
    // Zeros that integers are divided by are an error, before any is written.
    if (t && t->numel() > 1 && is_integral(self.dtype(), true)) {
      return false;
    }
  }
  return true;
}

// The first dimension that is long enough to be cut into parts, or the longest.
size_t dimension_to_cut(const IntList& sizes, int64_t parts) {
  auto longest = std::max_element(sizes.begin(), sizes.end());
  auto first = std::find_if(
      sizes.begin(), sizes.end(), [&](int64_t n) { return n >= parts; });
  return static_cast<size_t>(
      (first == sizes.end() ? longest : first) - sizes.begin());
}

// Elements begin ... begin + n along what is dimension d of `sizes`.
Tensor piece(
    const Tensor& t,
    const IntList& sizes,
    size_t d,
    int64_t begin,
    int64_t n) {
  size_t ahead = sizes.size() - t.sizes().size(); // dimensions that t lacks
  if (d < ahead || t.sizes()[d - ahead] == 1) {
    return t;
  }
  Geometry g = t.geometry();
  g.sizes[d - ahead] = n;
  g.offset += begin * g.strides[d - ahead];
  return t.alias(std::move(g), t.dtype());
}

} // namespace

bool run_in_parts(
    const Op& op,
    const Value* args,
    const Tensor& self,
    void (*check)(const Tensor& result, const Tensor& self)) {
  if (!is_for_parts(op, args, self)) {
    return false;
  }
  const mx::array& array = self->storage->array();
  flashlight::eval({array}); // the first part would do so
  if (!array.is_donatable()) {
    return false;
  }
  IntList sizes = self.sizes();
  int64_t parts = self.numel() / kOwnPart + 1;
  size_t d = dimension_to_cut(sizes, parts);
  int64_t step = std::max<int64_t>(sizes[d] / parts, 1);
  std::vector<Value> part(args, args + op.schema.args.size());
  for (int64_t begin = 0; begin < sizes[d];) {
    int64_t n = std::min(step, sizes[d] - begin);
    for (size_t i = 0; i < part.size(); ++i) {
      if (const Tensor* t = args[i].tensor()) {
        part[i] = Value(piece(*t, sizes, d, begin, n));
      }
    }
    Results results = run_kernel(op, part.data());
    const Tensor& to = part[0].as<Tensor>();
    const Tensor& result = results[0].as<Tensor>();
    if (begin == 0) {
      check(result, to);
    }
    mx::array value = any_value(result);
    if (!eval_if_small(value)) {
      flashlight::eval({value});
      step = std::max<int64_t>(sizes[d] / (self.numel() / kPart + 1), 1);
    }
    to.assign(result);
    begin += n;
  }
  return true;
}

} // namespace flashlight
