// Indexing with tensors: gather and scatter over PyTorch's rules.
#include <algorithm>
#include <numeric>

#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/wrapped.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/indexing.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/indices.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

bool is_mask(const Tensor& index) {
  return index.dtype() == Dtype::Bool || index.dtype() == Dtype::UInt8;
}

// Raises for indices that `self` cannot be indexed with.
void check_indices(const Tensor& self, const TensorList& indices) {
  int64_t dim = 0; // that the next one is of
  for (const Tensor& index : indices) {
    if (!index.defined()) {
      ++dim;
      continue;
    }
    Dtype d = index.dtype();
    FL_CHECK_INDEX(
        d == Dtype::Int64 || d == Dtype::Int32 || is_mask(index),
        "tensors used as indices must be long, int, byte or bool tensors");
    if (!is_mask(index)) {
      ++dim;
      continue;
    }
    if (d == Dtype::UInt8) {
      warn(
          "indexing with dtype torch.uint8 is now deprecated, please use a "
          "dtype torch.bool instead.");
    }
    for (int64_t k = 0; k < index.dim(); ++k) {
      int64_t src = dim + k;
      FL_CHECK_INDEX(
          src < self.dim() && index.size(k) == self.size(src),
          "The shape of the mask ",
          index.sizes(),
          " at index ",
          k,
          " does not match the shape of the indexed tensor ",
          self.sizes(),
          " at index ",
          src);
    }
    FL_CHECK(
        !index->wrapped || index->wrapped->level->kind != LevelKind::Batch,
        "vmap: We do not support batching operators that can support dynamic "
        "shape. Attempting to batch over indexing with a boolean mask.");
    dim += index.dim();
  }
  FL_CHECK_INDEX(
      dim <= self.dim(),
      "too many indices for tensor of dimension ",
      self.dim(),
      " (got ",
      dim,
      ")");
}

// The indices as int64 tensors: masks replaced by the coordinates of their true
// elements, one undefined Tensor per dimension taken whole. Only kernels do so:
// what is saved is what was given, and a write to it since is noticed.
TensorList expand_masks(const TensorList& indices) {
  TensorList out;
  for (const Tensor& index : indices) {
    if (!index.defined() || index.dtype() == Dtype::Int64) {
      out.push_back(index);
    } else if (!is_mask(index)) {
      out.push_back(_to_copy(index, Dtype::Int64));
    } else if (index.dim() > 0) {
      Tensor coordinates = nonzero(index);
      for (int64_t k = 0; k < index.dim(); ++k) {
        out.push_back(select(coordinates, 1, k));
      }
    }
  }
  return out;
}

// As PyTorch: one number where one mask says is masked_fill, which casts it.
bool fills(
    const Tensor& self,
    const TensorList& indices,
    const Tensor& values,
    bool accumulate) {
  const Tensor* mask = nullptr;
  if (accumulate || values.numel() != 1) {
    return false;
  }
  for (const Tensor& index : indices) {
    if (index.defined()) {
      if (mask || !is_mask(index)) {
        return false;
      }
      mask = &index;
    }
  }
  FL_CHECK(
      !mask || mask->dtype() == Dtype::Bool,
      "masked_fill_ only supports boolean masks, but got mask with dtype "
      "unsigned char");
  if (mask) {
    check_number_within(values, self.dtype());
  }
  return mask;
}

// Where the indexed dimensions are, and where the result has them.
struct Plan {
  std::vector<int> axes;          // indexed
  std::vector<mx::array> indices; // broadcast together
  mx::Shape slice_sizes;
  IntList index_sizes;
  bool adjacent = true;
  int64_t front = 0; // dimensions before the first indexed one
};

Plan make_plan(const Tensor& self, const TensorList& indices) {
  Plan plan;
  IntList sizes;
  bool first = true;
  for (const Tensor& index : indices) {
    if (index.defined()) {
      if (first) {
        sizes = index.sizes();
        first = false;
        continue;
      }
      bool fits = true;
      IntList other = index.sizes();
      for (size_t i = 0; i < std::min(sizes.size(), other.size()); ++i) {
        int64_t a = sizes[sizes.size() - 1 - i];
        int64_t b = other[other.size() - 1 - i];
        fits = fits && (a == b || a == 1 || b == 1);
      }
      if (!fits) {
        std::string shapes;
        for (const Tensor& t : indices) {
          if (t.defined()) {
            shapes += detail::concat(shapes.empty() ? "" : ", ", t.sizes());
          }
        }
        fail<IndexError>(
            "shape mismatch: indexing tensors could not be broadcast together "
            "with shapes ",
            shapes);
      }
      sizes = broadcast_sizes(sizes, other);
    }
  }
  plan.index_sizes = sizes;
  plan.slice_sizes = to_shape(self.sizes());
  for (size_t i = 0; i < indices.size(); ++i) {
    if (!indices[i].defined()) {
      continue;
    }
    if (plan.axes.empty()) {
      plan.front = static_cast<int64_t>(i);
    } else if (plan.axes.back() != static_cast<int>(i) - 1) {
      plan.adjacent = false;
    }
    auto dim = static_cast<int64_t>(i);
    FL_CHECK_INDEX(
        self.size(dim) > 0 || product(sizes) == 0,
        "index is out of bounds for dimension with size 0");
    plan.axes.push_back(static_cast<int>(i));
    plan.slice_sizes[i] = 1;
    mx::array index = wrapped_indices(indices[i].value(), self.size(dim));
    plan.indices.push_back(mx::broadcast_to(index, to_shape(sizes)));
  }
  if (!plan.adjacent) {
    plan.front = 0;
  }
  return plan;
}

// As they lie in memory, which is how PyTorch goes over them.
Tensor in_memory_order(const Tensor& index) {
  const IntList &sizes = index.sizes(), &strides = index.strides();
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return strides[a] > strides[b];
  });
  Geometry g{{}, {}, index.storage_offset()};
  for (size_t d : order) {
    g.sizes.push_back(sizes[d]);
    g.strides.push_back(strides[d]);
  }
  return index.alias(std::move(g), index.dtype());
}

// Not where nothing is read or written. PyTorch's text counts the indices, not
// the dimensions.
void check_within(const Tensor& self, const TensorList& indices) {
  int64_t place = 0;
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i].defined()) {
      int64_t size = self.size(static_cast<int64_t>(i));
      if (!range_of(indices[i]).within(-size, size)) {
        check_bounds(in_memory_order(indices[i]), place, size, true);
      }
      ++place;
    }
  }
}

IntList result_sizes(const Tensor& self, const Plan& plan) {
  IntList out;
  int64_t n = 0;
  for (int64_t d = 0; d < self.dim(); ++d) {
    bool indexed =
        std::find(plan.axes.begin(), plan.axes.end(), d) != plan.axes.end();
    if (n == plan.front && out.size() == static_cast<size_t>(n)) {
      // placed below
    }
    if (!indexed) {
      out.push_back(self.size(d));
      ++n;
    }
  }
  out.insert(
      out.begin() + plan.front,
      plan.index_sizes.begin(),
      plan.index_sizes.end());
  return out;
}

// mx::gather puts the index dimensions first; PyTorch puts them where the first
// index was if all are adjacent.
std::vector<int> from_front(const Plan& plan, size_t ndim) {
  auto k = static_cast<int>(plan.index_sizes.size());
  auto front = static_cast<int>(plan.front);
  std::vector<int> order;
  for (int i = 0; i < front; ++i) {
    order.push_back(k + i);
  }
  for (int i = 0; i < k; ++i) {
    order.push_back(i);
  }
  for (int i = k + front; i < static_cast<int>(ndim); ++i) {
    order.push_back(i);
  }
  return order;
}

// As TensorIterator chooses them over self, without the indexed dimensions, and
// the indices, each broadcast to `sizes`.
IntList result_strides(
    const Tensor& self,
    const TensorList& indices,
    const Plan& plan,
    const IntList& sizes) {
  size_t k = plan.index_sizes.size();
  auto front = static_cast<size_t>(plan.front);
  std::vector<Geometry> inputs;
  IntList strides;
  for (size_t d = 0; d < self.sizes().size(); ++d) {
    if (d >= indices.size() || !indices[d].defined()) {
      strides.push_back(self.strides()[d]);
    }
  }
  strides.insert(strides.begin() + plan.front, k, int64_t{0});
  inputs.push_back({sizes, strides, 0});
  for (const Tensor& index : indices) {
    if (!index.defined()) {
      continue;
    }
    IntList own(k, int64_t{0}), shape(sizes.size(), int64_t{1});
    size_t lead = k - index.sizes().size();
    for (size_t d = 0; d < k; ++d) {
      shape[front + d] = plan.index_sizes[d];
      if (d >= lead && index.sizes()[d - lead] == plan.index_sizes[d]) {
        own[d] = index.strides()[d - lead];
      }
    }
    auto viewed = view_strides(plan.index_sizes, own, shape);
    IntList lying = viewed ? *viewed : contiguous_strides(shape);
    inputs.push_back({std::move(shape), std::move(lying), 0});
  }
  std::vector<const Geometry*> all;
  for (const Geometry& g : inputs) {
    all.push_back(&g);
  }
  return elementwise_strides(sizes, all);
}

Tensor index_kernel(const Tensor& self, const TensorList& given) {
  TensorList indices = expand_masks(given);
  Plan plan = make_plan(self, indices);
  IntList sizes = result_sizes(self, plan);
  IntList strides = result_strides(self, indices, plan, sizes);
  if (product(sizes) == 0) {
    mx::array none = mx::zeros(to_shape(sizes), to_mlx(self.dtype()));
    return Tensor(none, strides, self.device());
  }
  check_within(self, indices);
  mx::array out =
      mx::gather(self.value(), plan.indices, plan.axes, plan.slice_sizes);
  std::vector<int> ones;
  for (int axis : plan.axes) {
    ones.push_back(axis + static_cast<int>(plan.index_sizes.size()));
  }
  out = mx::squeeze(out, ones);
  out = mx::transpose(out, from_front(plan, out.ndim()));
  return Tensor(std::move(out), std::move(strides), self.device());
}

Tensor index_put_kernel(
    const Tensor& self,
    const TensorList& masks,
    const Tensor& values,
    bool accumulate,
    bool fill) {
  TensorList indices = expand_masks(masks);
  Plan plan = make_plan(self, indices);
  IntList sizes = result_sizes(self, plan);
  IntList given = values.sizes();
  bool fits = given.size() <= sizes.size();
  for (size_t i = 0; fits && i < given.size(); ++i) {
    int64_t a = given[given.size() - 1 - i], b = sizes[sizes.size() - 1 - i];
    fits = a == b || a == 1;
  }
  FL_CHECK(
      fits,
      "shape mismatch: value tensor of shape ",
      given,
      " cannot be broadcast to indexing result of shape ",
      sizes);
  FL_CHECK(
      self.dtype() == values.dtype() || fill,
      "Index put requires the source and destination dtypes match, got ",
      scalar_name(self.dtype()),
      " for the destination and ",
      scalar_name(values.dtype()),
      " for the source.");
  if (product(sizes) == 0) {
    return lying_as(self, self.value());
  }
  check_within(self, indices);
  mx::array updates =
      mx::broadcast_to(value_as(values, self.dtype()), to_shape(sizes));
  std::vector<int> order = from_front(plan, sizes.size());
  std::vector<int> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    inverse[static_cast<size_t>(order[i])] = static_cast<int>(i);
  }
  updates = mx::transpose(updates, inverse);
  std::vector<int> ones;
  for (int axis : plan.axes) {
    ones.push_back(axis + static_cast<int>(plan.index_sizes.size()));
  }
  updates = mx::expand_dims(updates, ones);
  mx::array x = self.value();
  return lying_as(
      self,
      accumulate ? mx::scatter_add(x, plan.indices, updates, plan.axes)
                 : mx::scatter(x, plan.indices, updates, plan.axes));
}

// Coordinates of the true elements, [count, ndim] and as in PyTorch a column
// after the other: data-dependent, so evaluated.
Tensor nonzero_kernel(const Tensor& self) {
  mx::array mask = mx::contiguous(
      mx::not_equal(self.value(), mx::array(0, to_mlx(self.dtype()))));
  flashlight::eval({mask});
  const bool* data = mask.data<bool>();
  std::vector<int64_t> found;
  for (size_t i = 0; i < mask.size(); ++i) {
    if (data[i]) {
      found.push_back(static_cast<int64_t>(i));
    }
  }
  size_t n = self.sizes().size(), count = found.size();
  std::vector<int64_t> out(n * count);
  for (size_t d = n; d-- > 0;) {
    int64_t size = self.sizes()[d];
    for (size_t k = 0; k < count; ++k) {
      out[d * count + k] = found[k] % size;
      found[k] /= size;
    }
  }
  mx::Shape columns{
      static_cast<mx::ShapeElem>(n), static_cast<mx::ShapeElem>(count)};
  return Tensor(
      mx::transpose(mx::array(out.begin(), columns, mx::int64)),
      {1, static_cast<int64_t>(count)},
      self.device());
}

} // namespace

void register_indexing() {
  op("index.Tensor(Tensor self, Tensor?[] indices) -> Tensor")
      .composite([](const Tensor& self, const TensorList& indices) {
        if (grad_enabled()) {
          (void)grad_fn(self); // raises of a stale view, before all else
        }
        check_indices(self, indices);
        return _index(self, indices);
      })
      .doc("self[indices]; an absent index takes the dimension whole.");
  op("_index(Tensor self, Tensor?[] indices) -> Tensor")
      .node("IndexBackward0")
      .kernel(index_kernel)
      .complex128(parts())
      .grad(
          "self",
          "self.shape indices",
          [](const Tensor& grad,
             const Tensor& self,
             const TensorList& indices) {
            return _index_put(
                zeros(self.sizes(), grad.dtype(), {}, grad.device()),
                indices,
                grad,
                true);
          })
      .zero_grad("indices")
      .doc("index, where the indices are checked.");
  op("_index_put(Tensor self, Tensor?[] indices, Tensor values, bool "
     "accumulate=False, bool fill=False) -> Tensor")
      .forms("inplace")
      .node("IndexPutBackward0")
      .kernel(index_put_kernel)
      .complex128([put = parts()](const Call& c) {
        bool fill = c.args[4].as<bool>();
        bool fits = c.args[2].tensor()->dtype() == Dtype::Complex128;
        return fits || fill ? put(c) : c.op.forward(c); // which says so
      })
      .grad(
          "self",
          "indices values.shape accumulate",
          [](const Tensor& grad,
             const TensorList& indices,
             const Tensor& values,
             bool accumulate) {
            if (accumulate) {
              return grad;
            }
            return _index_put(
                grad,
                indices,
                zeros({}, grad.dtype(), {}, values.device()),
                false);
          })
      .zero_grad("indices")
      .grad(
          "values",
          "indices",
          [](const Tensor& grad, const TensorList& indices) {
            return _index(grad, indices);
          })
      .doc("index_put, where the indices are checked.");
  op("index_put(Tensor self, Tensor?[] indices, Tensor values, bool "
     "accumulate=False) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self,
                    const TensorList& indices,
                    const Tensor& values,
                    bool accumulate) {
        check_indices(self, indices);
        return _index_put(
            self,
            indices,
            values,
            accumulate,
            fills(self, indices, values, accumulate));
      })
      .doc("A copy of `self` with `values` at `indices`.");
  op("index_put_(Tensor(a!) self, Tensor?[] indices, Tensor values, bool "
     "accumulate=False) -> Tensor(a!)")
      .forms("function method")
      .mutating([](const Tensor& self,
                   const TensorList& indices,
                   const Tensor& values,
                   bool accumulate) {
        check_inplace(self, requires_grad(self) || requires_grad(values));
        check_indices(self, indices);
        return _index_put_(
            self,
            indices,
            values,
            accumulate,
            fills(self, indices, values, accumulate));
      })
      .doc("Writes `values` at `indices`.");
  op("nonzero(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out(
          "nonzero: Expected out tensor to have scalar type Long but got "
          "scalar type%O")
      .kernel(nonzero_kernel)
      .complex128(formula(
          [](const Tensor& self) { return nonzero(ne(self, Scalar(0))); }))
      .not_differentiable()
      .doc("The coordinates of the elements that are not zero, a row each.");
}

} // namespace flashlight
