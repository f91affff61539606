// Ops at a Batch level (vmap).
//
// Note [Batching]
// An op of operands that stand for entries of a batch is an op of the whole
// batch, one level down. Which one follows from what the row says of itself:
//
//   views        are geometries, so the whole batch's is the entry's with one
//                dimension more: one rule for all of them
//   elementwise  the batch dimension comes first, and broadcasting does the
//   rest others       a rule below, by name; or the entries one after another,
//   whose
//                results are stacked: right for every row, at the price of a
//                call an entry
//
// Composites need nothing: their parts come by here.
#include <array>
#include <atomic>
#include <unordered_map>
#include <unordered_set>

#include "flashlight/autograd/forward_mode.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/batching.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/conv.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/extrema.h"
#include "flashlight/ops/functions/index_along.h"
#include "flashlight/ops/functions/indexing.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/reshaping.h"
#include "flashlight/ops/functions/scatter.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/sorting.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

Tensor batch_first(const Tensor& inner, int64_t batch_dim) {
  return batch_dim == 0 ? inner : movedim(inner, batch_dim, 0);
}

namespace {

using Rule = std::function<std::optional<Results>(const Batched&)>;

// --- views -------------------------------------------------------------------

Results batched_view(const Batched& b) {
  const Tensor& self = *b.args[0].tensor();
  const Wrapped& wrapped = *self->wrapped;
  std::vector<ViewSpec> specs = b.op.view_fn(Call{b.op, b.args});
  auto same_kind = [&](const ViewSpec& s) {
    return s.dtype == self.dtype() && s.conj == self->conj &&
           s.neg == self->neg;
  };
  TensorList views;
  if (!std::all_of(specs.begin(), specs.end(), same_kind)) {
    // These change what an element is, not where it lies.
    std::vector<Value> inner(b.args, b.args + b.count());
    inner[0] = b.first(self);
    return call(b.op, inner.data());
  }
  auto at = static_cast<size_t>(wrapped.batch_dim);
  for (ViewSpec& spec : specs) {
    Geometry& g = spec.geometry;
    g.sizes.insert(g.sizes.begin(), wrapped.inner.sizes()[at]);
    g.strides.insert(g.strides.begin(), wrapped.inner.strides()[at]);
    views.push_back(as_strided(wrapped.inner, g.sizes, g.strides, g.offset));
  }
  Results results;
  if (b.op.list_result) {
    results.push_back(Value(std::move(views)));
  } else {
    results.push_back(Value(std::move(views.at(0))));
  }
  return results;
}

// --- elementwise -------------------------------------------------------------

Results batched_elementwise(const Batched& b) {
  int64_t ndim = 0;
  std::vector<const Value*> operands;
  for (size_t i = 0; i < b.count(); ++i) {
    for_tensors(
        b.args[i], [&](const Tensor& t) { ndim = std::max(ndim, t.dim()); });
    if (!b.op.promoted.empty() && b.op.promoted[i]) {
      operands.push_back(&b.args[i]);
    }
  }
  // Promotion sees how many dimensions an entry has, not the batch.
  bool promotes =
      b.op.promotion == Promotion::Common || b.op.promotion == Promotion::Float;
  std::optional<Dtype> common;
  if (promotes) {
    common = result_type(operands);
  }
  std::vector<Value> inner(b.args, b.args + b.count());
  for (size_t i = 0; i < b.count(); ++i) {
    bool cast = common && b.op.promoted[i];
    inner[i] = mapped_tensors(b.args[i], [&](const Tensor& t) {
      Tensor out = b.aligned(t, ndim);
      bool weak = t->wrapped_number;
      return cast && !weak && out.dtype() != *common ? _to_copy(out, *common)
                                                     : out;
    });
  }
  return call(b.op, inner.data());
}

// --- rules by name -----------------------------------------------------------

std::optional<Results> one(Tensor t) {
  Results results;
  results.push_back(Value(std::move(t)));
  return results;
}

Value& dims_of(const Batched& b, std::vector<Value>& inner) {
  int i = b.op.schema.index_of("dim");
  if (i < 0) {
    i = b.op.schema.index_of("dims");
  }
  return inner[static_cast<size_t>(i)];
}

// ... of tensors without dimensions, which have one element along the only one
// there could be.
std::optional<Results> along_one(const Batched& b, bool all_if_none) {
  std::vector<Value> inner(b.args, b.args + b.count());
  for (size_t i = 0; i < b.count(); ++i) {
    if (b.args[i].is<TensorList>()) {
      return {};
    }
    if (const Tensor* t = b.args[i].tensor()) {
      if (t->dim() != 0) {
        return {};
      }
      inner[i] = unsqueeze(b.expanded(*t), 1);
    }
  }
  Value& dim = dims_of(b, inner);
  if (const auto* one = dim.get_if<int64_t>()) {
    dim = wrap_dim(*one, 1) + 1;
  } else {
    const auto* given = dim.get_if<IntList>();
    if ((!given || given->empty()) && !all_if_none) {
      return {};
    }
    for (int64_t d : given ? *given : IntList{}) {
      wrap_dim(d, 1);
    }
    dim = Value(IntList{1});
  }
  Results results = call(b.op, inner.data());
  for (Value& r : results) {
    r = mapped_tensors(
        r, [](const Tensor& t) { return t.dim() == 2 ? squeeze(t, 1) : t; });
  }
  return results;
}

// Ops along dimensions that leave the others alone: each is one further on.
// Empty: without dimensions they reduce all; else that is another op.
std::optional<Results>
along(const Batched& b, bool all_if_none, bool others = true) {
  const Tensor& self = b.tensor(0);
  if (!self.defined()) {
    return {};
  }
  if (self.dim() == 0) {
    return others ? along_one(b, all_if_none) : std::nullopt;
  }
  std::vector<Value> inner(b.args, b.args + b.count());
  for (size_t i = 0; i < b.count(); ++i) {
    if (b.args[i].is<TensorList>()) {
      return {};
    }
    const Tensor* t = b.args[i].tensor();
    if (!t) {
      continue;
    }
    if (i == 0 || (others && t->dim() == self.dim())) {
      inner[i] = b.expanded(*t);
    } else if (others || b.is_batched(*t)) {
      return {}; // of which the row says whether it fits
    }
  }
  Value& dim = dims_of(b, inner);
  if (const auto* one = dim.get_if<int64_t>()) {
    dim = wrap_dim(*one, self.dim()) + 1;
    return call(b.op, inner.data());
  }
  IntList dims;
  if (const auto* given = dim.get_if<IntList>()) {
    for (int64_t d : *given) {
      dims.push_back(wrap_dim(d, self.dim()) + 1);
    }
  }
  if (dims.empty()) {
    if (!all_if_none) {
      return {};
    }
    for (int64_t d = 1; d <= self.dim(); ++d) {
      dims.push_back(d);
    }
  }
  dim = Value(std::move(dims));
  return call(b.op, inner.data());
}

// Ops whose leading dimensions are a batch already.
std::optional<Results> leading(const Batched& b, int64_t least) {
  const Tensor& self = b.tensor(0);
  if (!self.defined() || self.dim() < least) {
    return {};
  }
  std::vector<Value> inner(b.args, b.args + b.count());
  for (size_t i = 0; i < b.count(); ++i) {
    if (b.args[i].is<TensorList>()) {
      return {};
    }
    if (const Tensor* t = b.args[i].tensor()) {
      if (t->dim() != self.dim()) {
        return {};
      }
      inner[i] = b.expanded(*t);
    }
  }
  return call(b.op, inner.data());
}

// Ops of tensors of `ndim` dimensions whose first one is a batch already: the
// batch becomes a part of it.
std::optional<Results> merged(const Batched& b, int64_t ndim) {
  std::vector<Value> inner(b.args, b.args + b.count());
  for (size_t i = 0; i < b.count(); ++i) {
    if (const Tensor* t = b.args[i].tensor()) {
      if (t->dim() != ndim) {
        return {};
      }
      inner[i] = flatten(b.expanded(*t), 0, 1);
    }
  }
  Results results = call(b.op, inner.data());
  for (Value& r : results) {
    r = mapped_tensors(r, [&](const Tensor& t) {
      return unflatten(t, 0, IntList{b.level->batch_size, -1});
    });
  }
  return results;
}

// self.masked_fill(mask, value), with another value for each entry.
std::optional<Results> batched_masked_fill(const Batched& b) {
  const Tensor& self = b.tensor(0);
  const Tensor& mask = b.tensor(1);
  if (mask.dtype() != Dtype::Bool || b.tensor(2).dim() > 0) {
    return {}; // of which the row says what is wrong
  }
  int64_t ndim = std::max(self.dim(), mask.dim());
  Tensor value = _to_copy(b.aligned(b.tensor(2), ndim), self.dtype());
  return one(where(b.aligned(mask, ndim), value, b.aligned(self, ndim)));
}

// self.fill_(value), likewise.
std::optional<Results> batched_fill(const Batched& b) {
  const Tensor& self = b.tensor(0);
  if (b.tensor(1).dim() > 0) {
    return {};
  }
  Tensor value = b.aligned(b.tensor(1), self.dim());
  IntList sizes = self.sizes();
  sizes.insert(sizes.begin(), b.level->batch_size);
  return one(_to_copy(expand(value, sizes), self.dtype()));
}

// (N, C, spatial...) or (C, spatial...) of the first tensor alone: the batch is
// a part of N.
std::optional<Results> images(const Batched& b, int64_t spatial) {
  const Tensor& self = b.tensor(0);
  for (size_t i = 1; i < b.count(); ++i) {
    if (b.is_batched(i)) {
      return {};
    }
  }
  std::vector<Value> inner(b.args, b.args + b.count());
  if (self.dim() == spatial + 1) {
    inner[0] = b.first(self);
    return call(b.op, inner.data());
  }
  if (self.dim() != spatial + 2) {
    return {};
  }
  inner[0] = flatten(b.first(self), 0, 1);
  Results results = call(b.op, inner.data());
  for (Value& r : results) {
    r = mapped_tensors(r, [&](const Tensor& t) {
      return unflatten(t, 0, IntList{b.level->batch_size, self.size(0)});
    });
  }
  return results;
}

// Are they matrices (ndim 2) or batches of them (3) that can be multiplied? Of
// others the row says what is wrong.
bool multiply(const Tensor& x, const Tensor& y, int64_t ndim) {
  return x.dim() == ndim && y.dim() == ndim && x.size(-1) == y.size(-2);
}

std::optional<Results> batched_mm(const Batched& b, int64_t ndim) {
  if (!multiply(b.tensor(0), b.tensor(1), ndim)) {
    return {};
  }
  return one(matmul(b.first(b.tensor(0)), b.first(b.tensor(1))));
}

std::optional<Results> batched_mv(const Batched& b) {
  const Tensor& m = b.tensor(0);
  const Tensor& v = b.tensor(1);
  if (m.dim() != 2 || v.dim() != 1 || m.size(1) != v.size(0)) {
    return {};
  }
  if (!b.is_batched(v)) {
    return one(matmul(b.first(b.tensor(0)), v));
  }
  return one(
      squeeze(matmul(b.first(b.tensor(0)), unsqueeze(b.first(v), -1)), -1));
}

std::optional<Results> batched_dot(const Batched& b) {
  if (b.tensor(0).dim() != 1 || b.tensor(0).sizes() != b.tensor(1).sizes()) {
    return {};
  }
  Tensor x = unsqueeze(b.first(b.tensor(0)), -2);
  Tensor y = unsqueeze(b.first(b.tensor(1)), -1);
  return one(squeeze(squeeze(matmul(x, y), -1), -1));
}

// beta * self + alpha * (a @ b)
std::optional<Results> batched_addmm(const Batched& b, int64_t ndim) {
  if (!multiply(b.tensor(1), b.tensor(2), ndim)) {
    return {};
  }
  Tensor out = matmul(b.first(b.tensor(1)), b.first(b.tensor(2)));
  const Scalar& beta = b.args[3].as<Scalar>();
  const Scalar& alpha = b.args[4].as<Scalar>();
  if (b.is_batched(0) && !b.is_batched(1) && !b.is_batched(2)) {
    out = unsqueeze(out, 0);
  }
  IntList sizes = out.sizes();
  sizes[0] = b.level->batch_size;
  Tensor self = expand(b.aligned(b.tensor(0), ndim), sizes);
  out = out * alpha;
  return one(
      beta.to_double() == 0 ? out + zeros_like(self) : self * beta + out);
}

std::optional<Results> batched_linear(const Batched& b) {
  const Tensor& input = b.tensor(0);
  const Tensor& bias = b.tensor(2);
  Tensor weight = transpose(b.first(b.tensor(1)), -1, -2);
  bool product_batched = b.is_batched(input) || b.is_batched(b.tensor(1));
  Tensor x = product_batched ? b.first(input) : b.expanded(input);
  if (b.is_batched(b.tensor(1)) && input.dim() != 2) {
    int64_t rows = 1;
    for (int64_t d = 0; d + 1 < input.dim(); ++d) {
      rows *= input.size(d);
    }
    IntList sizes{b.level->batch_size, rows, input.size(-1)};
    x = reshape(b.expanded(input), sizes);
  }
  Tensor out = matmul(x, weight);
  if (bias.defined()) {
    out = out + b.aligned(bias, out.dim() - 1);
  }
  IntList sizes = input.sizes();
  sizes.back() = b.tensor(1).size(0);
  sizes.insert(sizes.begin(), b.level->batch_size);
  return one(reshape(out, sizes));
}

// Weights of each entry are groups of one convolution.
std::optional<Results> batched_convolution(const Batched& b) {
  const Tensor& input = b.tensor(0);
  const Tensor& weight = b.tensor(1);
  const Tensor& bias = b.tensor(2);
  std::vector<Value> inner(b.args, b.args + b.count());
  int64_t batch = b.level->batch_size;
  bool bias_batched = bias.defined() && b.is_batched(bias);
  if (!b.is_batched(weight) && !bias_batched) {
    return images(b, weight.dim() - 2);
  }
  if (input.dim() != weight.dim()) {
    return {};
  }
  int i = b.op.schema.index_of("groups");
  int64_t groups = b.args[i].as<int64_t>();
  inner[0] = flatten(movedim(b.expanded(input), 0, 1), 1, 2);
  inner[1] = flatten(b.expanded(weight), 0, 1);
  if (bias.defined()) {
    inner[2] = flatten(b.expanded(bias), 0, 1);
  }
  inner[static_cast<size_t>(i)] = groups * batch;
  Results results = call(b.op, inner.data());
  Tensor out = unflatten(*results[0].tensor(), 1, IntList{batch, -1});
  return one(movedim(out, 1, 0));
}

// sum(x) and the like, without dimensions: over the rest of each entry.
std::optional<Results> reduce_all(const Batched& b) {
  const Tensor& self = b.tensor(0);
  std::vector<Value> inner(b.args, b.args + b.count());
  Tensor flat = reshape(b.first(self), {b.level->batch_size, self.numel()});
  const std::string& name = b.op.schema.name;
  if (name == "max" || name == "min") {
    if (self.numel() == 0) {
      return {};
    }
    return one(name == "max" ? amax(flat, IntList{1}) : amin(flat, IntList{1}));
  }
  if (name == "prod") {
    const Dtype* d = b.args[1].get_if<Dtype>();
    return one(
        prod(flat, 1, false, d ? std::optional<Dtype>(*d) : std::nullopt));
  }
  if (name == "median" || name == "nanmedian") {
    if (self.numel() == 0) {
      return {};
    }
    return one(
        name == "median" ? std::get<0>(median(flat, 1))
                         : std::get<0>(nanmedian(flat, 1)));
  }
  if (name == "sum" || name == "mean") {
    std::optional<Dtype> dtype;
    if (const Dtype* d = b.args[1].get_if<Dtype>()) {
      dtype = *d;
    }
    return one(
        name == "sum" ? sum(flat, IntList{1}, false, dtype)
                      : mean(flat, IntList{1}, false, dtype));
  }
  return one(name == "any" ? any(flat, 1, false) : all(flat, 1, false));
}

// Losses of pairs of elements, reduced over each entry.
std::optional<Results> batched_loss(const Batched& b) {
  const Tensor& self = b.tensor(0);
  std::vector<Value> inner(b.args, b.args + b.count());
  for (size_t i = 0; i < b.count(); ++i) {
    if (const Tensor* t = b.args[i].tensor()) {
      if (t->sizes() != self.sizes()) {
        return {};
      }
      inner[i] = b.expanded(*t);
    }
  }
  auto i = static_cast<size_t>(b.op.schema.index_of("reduction"));
  auto reduction = b.args[i].as<int64_t>();
  inner[i] = int64_t{0};
  Results results = call(b.op, inner.data());
  if (reduction != 0) {
    Tensor flat =
        reshape(*results[0].tensor(), {b.level->batch_size, self.numel()});
    results[0] =
        reduction == 1 ? mean(flat, IntList{1}) : sum(flat, IntList{1});
  }
  return results;
}

// Pads from the last dimension on.
std::optional<Results> batched_pad(const Batched& b) {
  const Tensor& self = b.tensor(0);
  if (std::ssize(b.args[1].as<IntList>()) > 2 * self.dim()) {
    return {};
  }
  std::vector<Value> inner(b.args, b.args + b.count());
  inner[0] = b.first(self);
  return call(b.op, inner.data());
}

std::optional<Results> batched_cat(const Batched& b, bool new_dim) {
  const auto& list = b.args[0].as<TensorList>();
  TensorList inner;
  for (const Tensor& t : list) {
    if (!t.defined() || (!new_dim && t.dim() != list[0].dim())) {
      return {}; // an empty one, which PyTorch skips
    }
    inner.push_back(b.expanded(t));
  }
  int64_t ndim = list[0].dim() + (new_dim ? 1 : 0);
  int64_t dim = wrap_dim(b.args[1].as<int64_t>(), ndim) + 1;
  return one(new_dim ? stack(inner, dim) : cat(inner, dim));
}

// Of the row's values alone: (indices) of any shape.
std::optional<Results> batched_embedding(const Batched& b) {
  if (b.is_batched(b.tensor(0))) {
    return {};
  }
  std::vector<Value> inner(b.args, b.args + b.count());
  inner[1] = b.first(b.tensor(1));
  return call(b.op, inner.data());
}

// zeros_like(x) and the like: x's sizes are those of the batch.
std::optional<Results> batched_like(const Batched& b) {
  std::vector<Value> inner(b.args, b.args + b.count());
  inner[0] = b.first(b.tensor(0));
  return call(b.op, inner.data());
}

// x.new_zeros(sizes) and the like: of the batch, so that entries of one may be
// written to.
std::optional<Results> batched_new(const Batched& b) {
  std::vector<Value> inner(b.args, b.args + b.count());
  inner[0] = b.first(b.tensor(0));
  int i = b.op.schema.index_of("size");
  IntList sizes = b.args[i].as<IntList>();
  sizes.insert(sizes.begin(), b.level->batch_size);
  inner[static_cast<size_t>(i)] = std::move(sizes);
  return call(b.op, inner.data());
}

// self[mask], where all entries are asked for the same places.
std::optional<Results> batched_masked_select(const Batched& b) {
  const Tensor& self = b.tensor(0);
  const Tensor& mask = b.tensor(1);
  if (b.is_batched(mask) || mask.dtype() != Dtype::Bool) {
    return {};
  }
  IntList sizes = broadcast_sizes(self.sizes(), mask.sizes());
  Tensor places = nonzero(reshape(expand(mask, sizes), {-1}));
  int64_t batch = b.level->batch_size;
  int64_t n = 1;
  for (int64_t size : sizes) {
    n *= size;
  }
  IntList all = sizes;
  all.insert(all.begin(), batch);
  Tensor x = expand(b.aligned(self, ndim_of(sizes)), all);
  return one(index_select(reshape(x, {batch, n}), 1, squeeze(places, 1)));
}

// index_fill with other indices for each entry: a mask of what is filled.
std::optional<Results> batched_index_fill(const Batched& b) {
  const Tensor& self = b.tensor(0);
  const Tensor& index = b.tensor(2);
  const Tensor* value = b.args[3].tensor();
  if (self.dim() == 0 || index.dim() > 1 || (value && value->dim() > 0) ||
      !is_integral(index.dtype(), false)) {
    return {};
  }
  if (!b.is_batched(index) && !value) {
    return along(b, false, false);
  }
  int64_t d = wrap_dim(b.args[1].as<int64_t>(), self.dim()) + 1;
  Tensor x = b.expanded(self);
  Tensor i = _to_copy(b.expanded(index), Dtype::Int64);
  IntList sizes = x.sizes();
  IntList lying(sizes.size(), 1);
  lying[0] = sizes[0];
  auto at = static_cast<size_t>(d);
  lying[at] = index.dim() == 0 ? 1 : index.size(0);
  Tensor places = reshape(i, lying);
  places = where(lt(places, Scalar(0)), places + Scalar(sizes[at]), places);
  IntList all = sizes;
  all[at] = lying[at];
  Tensor mask = zeros(sizes, Dtype::Bool, {}, x.device());
  mask = scatter(mask, d, expand(places, all), Scalar(true));
  if (!value) {
    return one(masked_fill(x, mask, b.args[3].as<Scalar>()));
  }
  Tensor number = _to_copy(b.aligned(*value, self.dim()), self.dtype());
  return one(where(mask, number, x));
}

std::optional<Results> batched_trace(const Batched& b) {
  const Tensor& self = b.tensor(0);
  if (self.dim() != 2) {
    return {};
  }
  return one(sum(diagonal(b.first(self), 0, 1, 2), IntList{1}));
}

// A view that is no view to autograd.
std::optional<Results> batched_unsafe_view(const Batched& b) {
  IntList sizes = b.args[1].as<IntList>();
  std::replace(sizes.begin(), sizes.end(), int64_t{-1}, [&] {
    int64_t others = 1;
    for (int64_t size : sizes) {
      others *= size == -1 ? 1 : size;
    }
    return others ? b.tensor(0).numel() / others : 0;
  }());
  sizes.insert(sizes.begin(), b.level->batch_size);
  return one(reshape(b.first(b.tensor(0)), sizes));
}

std::optional<Results> batched_new_strided(const Batched& b) {
  std::vector<Value> inner(b.args, b.args + b.count());
  inner[0] = b.first(b.tensor(0));
  Geometry g{b.args[1].as<IntList>(), b.args[2].as<IntList>(), 0};
  int64_t extent = storage_extent(g);
  g.sizes.insert(g.sizes.begin(), b.level->batch_size);
  g.strides.insert(g.strides.begin(), extent);
  inner[1] = g.sizes;
  inner[2] = g.strides;
  return call(b.op, inner.data());
}

const std::unordered_map<const Op*, Rule>& rules() {
  static const auto* table = [] {
    auto* t = new std::unordered_map<const Op*, Rule>;
    auto add = [&](std::initializer_list<const char*> names, const Rule& rule) {
      for (const char* name : names) {
        t->emplace(&get_op(name), rule);
      }
    };
    add({"sum.dim_IntList",
         "nansum",
         "mean.dim",
         "amax",
         "amin",
         "any.dims",
         "all.dims",
         "count_nonzero.dim_IntList",
         "linalg_vector_norm",
         "var.correction",
         "std.correction",
         "var_mean.correction",
         "std_mean.correction"},
        [](const Batched& b) { return along(b, true); });
    add({"glu",
         "_softmax",
         "_log_softmax",
         "_log_softmax_backward_data",
         "_safe_softmax",
         "linalg_cross",
         "max.dim",
         "min.dim",
         "aminmax",
         "argmax",
         "argmin",
         "prod.dim_int",
         "any.dim",
         "all.dim",
         "logsumexp",
         "flip",
         "roll",
         "cumsum",
         "_cumsum_backward",
         "cumprod",
         "logcumsumexp",
         "cummax",
         "cummin",
         "sort",
         "sort.stable",
         "topk",
         "kthvalue",
         "median.dim",
         "nanmedian.dim",
         "mode",
         "gather",
         "scatter.src",
         "scatter.value",
         "scatter.reduce",
         "scatter.value_reduce",
         "scatter_add",
         "scatter_reduce.two"},
        [](const Batched& b) { return along(b, false); });
    add({"index_select"},
        [](const Batched& b) { return along(b, false, false); });
    add({"index_fill.int_Scalar", "index_fill.int_Tensor"}, batched_index_fill);
    add({"masked_select"}, batched_masked_select);
    add({"trace"}, batched_trace);
    add({"_unsafe_view"}, batched_unsafe_view);
    add({"tril",
         "triu",
         "linalg_cholesky_ex",
         "linalg_qr",
         "linalg_eigh",
         "_linalg_svd",
         "_linalg_eig",
         "linalg_inv_ex",
         "linalg_det",
         "linalg_slogdet",
         "linalg_matrix_exp",
         "linalg_lu_factor_ex",
         "_solve_triangular",
         "cholesky_inverse",
         "cholesky_solve",
         "geqrf",
         "linalg_ldl_factor_ex",
         "linalg_householder_product"},
        [](const Batched& b) { return leading(b, 2); });
    add({"_fused_attention"}, [](const Batched& b) { return merged(b, 4); });
    add({"masked_fill.Tensor"}, batched_masked_fill);
    add({"fill.Tensor"}, batched_fill);
    add({"pixel_shuffle", "pixel_unshuffle"},
        [](const Batched& b) { return leading(b, 3); });
    add({"_layer_norm"}, [](const Batched& b) -> std::optional<Results> {
      for (size_t i = 1; i < b.count(); ++i) {
        if (b.is_batched(i)) {
          return {};
        }
      }
      return batched_like(b);
    });
    add({"zeros_like", "ones_like", "full_like", "clone", "_to_copy", "copy"},
        [](const Batched& b) -> std::optional<Results> {
          int i = b.op.schema.index_of("memory_format");
          const auto* f = i < 0 ? nullptr : b.args[i].get_if<MemoryFormat>();
          bool plain = !f || *f == MemoryFormat::Contiguous ||
                       *f == MemoryFormat::Preserve;
          FL_CHECK(
              plain || b.op.schema.name != "clone",
              "NYI: Tensor.clone(memory_format) inside vmap is only supported "
              "with memory_format torch.preserve_format or "
              "torch.contiguous_format (got ",
              plain || *f == MemoryFormat::ChannelsLast ? "ChannelsLast"
                                                        : "ChannelsLast3d",
              ")");
          return b.op.elementwise || !plain ? std::nullopt : batched_like(b);
        });
    for (int64_t n = 1; n <= 3; ++n) {
      std::string d = std::to_string(n) + "d";
      for (const char* name :
           {"max_pool%_with_indices",
            "avg_pool%",
            "_adaptive_avg_pool%",
            "reflection_pad%",
            "replication_pad%",
            "upsample_nearest%",
            "_upsample_nearest_exact%",
            "upsample_linear%",
            "upsample_bilinear%",
            "upsample_bicubic%",
            "upsample_trilinear%"}) {
        std::string full = name;
        full.replace(full.find('%'), 1, d);
        if (const Op* op = find_op(full)) {
          t->emplace(op, [n](const Batched& b) { return images(b, n); });
        }
      }
    }
    add({"new_zeros", "new_ones", "new_empty", "new_full"}, batched_new);
    add({"new_empty_strided"}, batched_new_strided);
    add({"mm"}, [](const Batched& b) { return batched_mm(b, 2); });
    add({"bmm"}, [](const Batched& b) { return batched_mm(b, 3); });
    add({"mv"}, batched_mv);
    add({"dot"}, batched_dot);
    add({"addmm"}, [](const Batched& b) { return batched_addmm(b, 2); });
    add({"baddbmm"}, [](const Batched& b) { return batched_addmm(b, 3); });
    add({"_linear"}, batched_linear);
    add({"convolution"}, batched_convolution);
    add({"sum",
         "mean",
         "any",
         "all",
         "max",
         "min",
         "prod",
         "median",
         "nanmedian"},
        reduce_all);
    add({"cat"}, [](const Batched& b) { return batched_cat(b, false); });
    add({"stack"}, [](const Batched& b) { return batched_cat(b, true); });
    add({"embedding"}, batched_embedding);
    add({"mse_loss",
         "smooth_l1_loss",
         "huber_loss",
         "soft_margin_loss",
         "binary_cross_entropy",
         "binary_cross_entropy_with_logits"},
        batched_loss);
    add({"constant_pad_nd"}, batched_pad);
    add({"detach"}, [](const Batched& b) { // what is written to it stays
      return one(detach(b.first(b.tensor(0))));
    });
    add({"frexp.Tensor", "empty_like"}, batched_like);
    add({"_fft_c2c", "_fft_r2c", "_fft_c2r"}, [](const Batched& b) {
      return b.tensor(0).dim() ? along(b, false) : std::nullopt;
    });
    return t;
  }();
  return *table;
}

// --- one entry after another -------------------------------------------------

} // namespace

Value stacked(
    const std::vector<Results>& all,
    size_t k,
    const Op& op,
    const std::function<Tensor(const TensorList&)>& put_together) {
  const Value& first = all[0][k];
  if (first.is<Tensor>()) {
    if (!first.tensor()) {
      return first;
    }
    TensorList list;
    for (const Results& r : all) {
      const Tensor& t = *r[k].tensor();
      FL_CHECK(
          t.sizes() == first.tensor()->sizes(),
          "stack expects each tensor to be equal size, but got ",
          first.tensor()->sizes(),
          " at entry 0 and ",
          t.sizes(),
          " at entry ",
          list.size());
      list.push_back(t);
    }
    return Value(put_together(list));
  }
  if (const auto* list = first.get_if<TensorList>()) {
    TensorList out;
    for (size_t i = 0; i < list->size(); ++i) {
      TensorList each;
      for (const Results& r : all) {
        each.push_back(r[k].as<TensorList>().at(i));
      }
      out.push_back(each[0].defined() ? put_together(each) : Tensor());
    }
    return Value(std::move(out));
  }
  for (const Results& r : all) {
    const bool* a = first.get_if<bool>();
    const bool* c = r[k].get_if<bool>();
    FL_CHECK(
        a && c && *a == *c,
        "vmap: ",
        op.schema.name,
        "() gives a number, which is not the same for all entries of the "
        "batch");
  }
  return first;
}

namespace {

std::atomic<bool> fallback_allowed{true}, fallback_warns{true};

// The ops that have no rule in PyTorch either. It tells of these; that others
// run entry by entry here nobody could do anything about.
bool has_no_rule(const Op& op) {
  static const auto* names = new std::unordered_set<std::string_view>{
      "_embedding_bag",
      "_pack_padded_sequence",
      "_pad_packed_sequence",
      "argwhere",
      "bincount",
      "conv_tbc",
      "ctc_loss.IntList",
      "ctc_loss.Tensor",
      "embedding_bag",
      "embedding_bag.padding_idx",
      "embedding_renorm_",
      "fill_diagonal_",
      "fractional_max_pool2d",
      "fractional_max_pool3d",
      "gru_cell",
      "hash_tensor",
      "histc",
      "histogram.bin_ct",
      "histogram.bins_tensor",
      "index_reduce",
      "isin.Scalar_Tensor",
      "isin.Tensor_Scalar",
      "isin.Tensor_Tensor",
      "linalg_ldl_solve",
      "linalg_lu",
      "lu_solve",
      "masked_scatter",
      "max_unpool2d",
      "max_unpool3d",
      "multi_margin_loss",
      "multilabel_margin_loss",
      "native_channel_shuffle",
      "nonzero_static",
      "ormqr",
      "pdist",
      "put",
      "renorm",
      "repeat_interleave.Tensor",
      "searchsorted.Scalar",
      "segment_reduce",
      "take",
  };
  return names->contains(op.schema.full_name());
}

void check_fallback(const Op& op) {
  FL_CHECK(
      fallback_allowed.load(std::memory_order_relaxed),
      "aten::",
      op.schema.full_name(),
      " hit the vmap fallback which is currently disabled");
  if (fallback_warns.load(std::memory_order_relaxed) && has_no_rule(op)) {
    warn(
        "There is a performance drop because we have not yet implemented the "
        "batching rule for aten::" +
        op.schema.full_name() +
        ". Please file us an issue on GitHub so that we can prioritize its "
        "implementation.");
  }
}

// How many results there are is told by the values.
bool is_dynamic(const Op& op) {
  const std::string& name = op.schema.name;
  return name == "nonzero" || name.starts_with("unique") ||
         name.starts_with("_unique");
}

// What the offset is for one entry, or for a copy of it.
void move_offset(const Batched& b, Value& offset, bool copied, int64_t k) {
  const Wrapped& w = *(*b.args[0].tensor())->wrapped;
  if (const auto* given = offset.get_if<int64_t>()) {
    offset = copied ? *given - w.inner.storage_offset()
                    : *given + k * w.inner.stride(w.batch_dim);
  }
}

} // namespace

Results entry_by_entry(const Batched& b) {
  FL_CHECK(
      b.op.schema.name != "masked_select",
      "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) "
      "We cannot support this because for each batch this would return a "
      "differently shaped Tensor. Please file an issue at "
      "https://github.com/pytorch/pytorch/issues if you need this feature.");
  FL_CHECK(
      b.op.schema.name != "allclose",
      "vmap over torch.allclose isn't supported yet. Please file an issue at "
      "https://github.com/pytorch/pytorch/issues if you need this feature.");
  FL_CHECK(
      b.op.schema.name != "equal",
      "Batching rule not implemented for aten::equal. We could not generate a "
      "fallback.");
  FL_CHECK(
      !is_dynamic(b.op),
      "vmap: We do not support batching operators that can output dynamic "
      "shape. "
      "Attempted to vmap over aten::",
      b.op.schema.name,
      ". Please file an issue at https://github.com/pytorch/pytorch/issues if "
      "you need this feature.");
  int64_t n = b.level->batch_size;
  FL_CHECK(
      n > 0, "The fallback path does not support vmap over dims of size 0.");
  // The offset counts from where the storage begins, not the entry.
  bool moves = b.op.schema.name == "as_strided_copy";
  bool copies = b.op.schema.name == "as_strided_scatter";
  int storage_offset =
      moves || copies ? b.op.schema.index_of("storage_offset") : -1;
  std::vector<Results> all;
  for (int64_t k = 0; k < n; ++k) {
    std::vector<Value> entry(b.args, b.args + b.count());
    for (Value& v : entry) {
      v = mapped_tensors(v, [&](const Tensor& t) {
        return b.is_batched(t)
                   ? select(t->wrapped->inner, t->wrapped->batch_dim, k)
                   : t;
      });
    }
    if (storage_offset >= 0 && b.is_batched(0)) {
      if (copies) {
        entry[0] = clone(*entry[0].tensor());
      }
      move_offset(b, entry[static_cast<size_t>(storage_offset)], copies, k);
    }
    all.push_back(call(b.op, entry.data()));
  }
  Results out;
  for (size_t k = 0; k < all[0].size(); ++k) {
    out.push_back(stacked(
        all, k, b.op, [](const TensorList& list) { return stack(list, 0); }));
  }
  return out;
}

namespace {

// Results with the batch first; `same`: they are not batched after all.
Results batched_results(const Batched& b, bool& same) {
  if (b.op.schema.name == "as_strided") {
    const auto& sizes = b.args[1].as<IntList>();
    const auto& strides = b.args[2].as<IntList>();
    FL_CHECK(
        sizes.size() == strides.size(),
        "Tensor.as_strided(size, stride, ...): size and stride must have the "
        "same length! Got size ",
        sizes,
        " and stride ",
        strides);
  }
  bool any = false, only_first = true;
  for (size_t i = 0; i < b.count(); ++i) {
    bool is = b.is_batched(i);
    any = any || is;
    only_first = only_first && (i == 0 || !is);
  }
  if (std::optional<Results> entries = batched_entries(b, same)) {
    return std::move(*entries);
  }
  if (is_random(b.op, b.args)) {
    return random_batched(b, any, same);
  }
  if (!any) {
    same = true;
    std::vector<Value> inner(b.args, b.args + b.count());
    return call(b.op, inner.data());
  }
  if (b.op.view && only_first) {
    return batched_view(b);
  }
  if (auto it = rules().find(&b.op); it != rules().end()) {
    if (std::optional<Results> results = it->second(b)) {
      return std::move(*results);
    }
  }
  if (b.op.elementwise) {
    return batched_elementwise(b);
  }
  check_fallback(b.op);
  return entry_by_entry(b);
}

// PyTorch's vmap has words of its own for products.
void check_product(const Batched& b) {
  const std::string& name = b.op.schema.name;
  int64_t first = name == "bmm" ? 3 : 2, second = name == "mv" ? 1 : first;
  if (name != "mm" && name != "bmm" && name != "mv") {
    return;
  }
  const Tensor& x = b.tensor(0);
  const Tensor& y = b.tensor(1);
  FL_CHECK(
      x.dim() == first && y.dim() == second,
      "Shape mismatch: Got incorrect dims for ",
      name,
      "(a, b). a has dim ",
      x.dim(),
      "and b has dim ",
      y.dim(),
      "but expected them to have dim ",
      first,
      " and dim ",
      second);
}

// What the row says of one entry, before the batch is seen as a dimension.
void check_entries(const Batched& b) {
  try {
    b.op.check(Call{b.op, b.args});
  } catch (const NotOneValue&) { // it reads values
  }
}

} // namespace

std::vector<Value> alive(const Op& op, const Value* args) {
  std::vector<Value> out = arguments(op, args);
  for (Value& v : out) {
    v = mapped_tensors(
        v, [](const Tensor& t) { return without_dead_levels(t); });
  }
  return out;
}

bool vmap_fallback_allowed() {
  return fallback_allowed;
}
void set_vmap_fallback_allowed(bool allowed) {
  fallback_allowed = allowed;
}
bool vmap_fallback_warns() {
  return fallback_warns;
}
void set_vmap_fallback_warns(bool warns) {
  fallback_warns = warns;
}

std::optional<Results> run_entries(const Op& op, const Value* args) {
  LevelHandle here = top_level();
  std::vector<Value> living = alive(op, args);
  Batched b{here, op, living.data()};
  bool of_top = false;
  if (here && here->kind == LevelKind::Batch) {
    for (size_t i = 0; i < b.count(); ++i) {
      of_top = of_top || b.is_batched(i);
    }
  }
  check_fallback(op);
  if (!of_top) {
    return results_by_entries(op, living.data());
  }
  Results results;
  {
    BelowLevel below(*here);
    results = entry_by_entry(b);
  }
  for (Value& r : results) {
    r = mapped_tensors(r, [&](const Tensor& t) { return wrap_at(here, t, 0); });
  }
  return results;
}

Results run_batched(const LevelHandle& level, const Op& op, const Value* args) {
  std::vector<Value> living = alive(op, args);
  LevelHandle here = level; // the stack's own slot changes below
  Batched b{here, op, living.data()};
  check_product(b);
  if (op.check) {
    check_entries(b);
  }
  Results results;
  bool same = false;
  {
    BelowLevel below(*here);
    results = batched_results(b, same);
  }
  if (same) {
    return results;
  }
  const Tensor* self = op.view ? living[0].tensor() : nullptr;
  for (Value& r : results) {
    r = mapped_tensors(
        r, [&](const Tensor& t) { return wrap_at(here, t, 0, self); });
  }
  return results;
}

} // namespace flashlight
