// Grids, products and combinations of vectors, blocks, quarter turns and
// differences of neighbours.
#include <algorithm>
#include <numeric>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/combining.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/index_along.h"
#include "flashlight/ops/functions/masks.h"
#include "flashlight/ops/functions/padding.h"
#include "flashlight/ops/functions/repeating.h"
#include "flashlight/ops/functions/reshaping.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

// --- grids -------------------------------------------------------------------

TensorList meshgrid_of(const TensorList& tensors) {
  FL_CHECK(!tensors.empty(), "meshgrid expects a non-empty TensorList");
  IntList sizes;
  for (const Tensor& t : tensors) {
    FL_CHECK(
        t.dtype() == tensors[0].dtype(),
        "meshgrid expects all tensors to have the same dtype");
    FL_CHECK(
        t.dim() <= 1,
        "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
        "a tensor of size ",
        t.sizes());
    sizes.push_back(t.numel());
  }
  TensorList out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    IntList along(sizes.size(), int64_t{1});
    along[i] = sizes[i];
    out.push_back(expand(view(tensors[i], along), sizes));
  }
  return out;
}

TensorList meshgrid_indexed(
    const TensorList& tensors,
    const std::string& indexing) {
  FL_CHECK(
      indexing == "ij" || indexing == "xy",
      "torch.meshgrid: indexing must be one of \"xy\" or \"ij\", but "
      "received: ",
      indexing);
  if (indexing == "ij" || tensors.size() < 2) {
    return meshgrid_of(tensors);
  }
  TensorList swapped = tensors;
  std::swap(swapped[0], swapped[1]);
  TensorList grids = meshgrid_of(swapped);
  std::swap(grids[0], grids[1]);
  return grids;
}

void check_vector(const Tensor& t) {
  FL_CHECK(t.dim() == 1, "Expect a 1D vector, but got shape ", t.sizes());
}

Tensor product_of_vectors(const TensorList& tensors) {
  for (const Tensor& t : tensors) {
    check_vector(t);
  }
  if (tensors.size() == 1) {
    return tensors[0];
  }
  TensorList columns;
  for (const Tensor& grid : meshgrid_of(tensors)) {
    columns.push_back(reshape(grid, {-1}));
  }
  return stack(columns, 1);
}

Tensor combinations_of(const Tensor& self, int64_t r, bool with_replacement) {
  check_vector(self);
  FL_CHECK(r >= 0, "Expect a non-negative number, but got ", r);
  if (r == 0) {
    return empty({0}, self.dtype(), {}, self.device());
  }
  auto width = static_cast<size_t>(r);
  // Of all rows those whose places are in order.
  Tensor range = constant(mx::arange(static_cast<int>(self.size(0))), self);
  TensorList places = meshgrid_of(TensorList(width, range));
  Tensor mask = ones(places[0].sizes(), Dtype::Bool, {}, self.device());
  for (size_t i = 1; i < width; ++i) {
    const Tensor &a = places[i - 1], &b = places[i];
    mask = logical_and(mask, with_replacement ? le(a, b) : lt(a, b));
  }
  TensorList columns;
  for (const Tensor& grid : meshgrid_of(TensorList(width, self))) {
    columns.push_back(masked_select(grid, mask));
  }
  return stack(columns, 1);
}

Tensor blocks(const TensorList& tensors) {
  TensorList matrices;
  int64_t columns = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    FL_CHECK(
        t.dim() <= 2,
        "torch.block_diag: Input tensors must have 2 or fewer dimensions. "
        "Input ",
        i,
        " has ",
        t.dim(),
        " dimensions");
    matrices.push_back(t.dim() == 2 ? t : reshape(t, {1, t.numel()}));
    columns += matrices.back().size(1);
  }
  if (matrices.empty()) {
    return empty({1, 0});
  }
  int64_t before = 0;
  for (Tensor& t : matrices) {
    int64_t width = t.size(1);
    t = constant_pad_nd(t, {before, columns - before - width});
    before += width;
  }
  return cat(matrices, 0);
}

Tensor turned(const Tensor& self, int64_t k, const IntList& dims) {
  FL_CHECK(
      dims.size() == 2,
      "expected total rotation dims == 2, but got dims = ",
      dims.size());
  FL_CHECK(
      self.dim() >= 2,
      "expected total dims >= 2, but got total dims = ",
      self.dim());
  FL_CHECK(
      dims[0] != dims[1] && std::abs(dims[0] - dims[1]) != self.dim(),
      "expected rotation dims to be different, but got dim0 = ",
      dims[0],
      " and dim1 = ",
      dims[1]);
  int64_t a = wrap_dim(dims[0], self.dim()), b = wrap_dim(dims[1], self.dim());
  switch (((k % 4) + 4) % 4) {
    case 1:
      return transpose(flip(self, {b}), a, b);
    case 2:
      return flip(self, {a, b});
    case 3:
      return transpose(flip(self, {a}), a, b);
    default:
      return clone(self, MemoryFormat::Contiguous);
  }
}

// --- differences -------------------------------------------------------------

constexpr std::string_view kGradient = "torch.gradient";

IntList checked_dims(
    const Tensor& self,
    std::optional<size_t> spacings,
    const std::optional<IntList>& dim,
    int64_t edge_order) {
  FL_CHECK(
      self.dtype() != Dtype::UInt8,
      kGradient,
      " does not support uint8 input.");
  if (spacings && !dim) {
    FL_CHECK(
        static_cast<int64_t>(*spacings) == self.dim(),
        kGradient,
        " expected spacing to be unspecified, a scalar, or a list of length "
        "equal to 'self.dim() = ",
        self.dim(),
        "', since dim argument was not given, but got a list of length ",
        *spacings);
  }
  if (spacings && dim) {
    FL_CHECK(
        *spacings == dim->size(),
        kGradient,
        " expected spacing to be unspecified, a scalar or it's spacing and dim "
        "arguments to have the same length, but got a spacing argument of "
        "length ",
        *spacings,
        " and a dim argument of length ",
        dim->size(),
        ".");
  }
  FL_CHECK(
      edge_order == 1 || edge_order == 2,
      kGradient,
      " only supports edge_order=1 and edge_order=2.");
  IntList dims;
  if (dim) {
    for (int64_t d : *dim) {
      d = wrap_dim(d, self.dim());
      FL_CHECK(
          std::find(dims.begin(), dims.end(), d) == dims.end(),
          "dim ",
          d,
          " appears multiple times in the list of dims");
      dims.push_back(d);
    }
  } else {
    for (int64_t d = 0; d < self.dim(); ++d) {
      dims.push_back(d);
    }
  }
  for (int64_t d : dims) {
    FL_CHECK(
        self.size(d) >= edge_order + 1,
        kGradient,
        " expected each dimension size to be at least edge_order+1");
  }
  return dims;
}

// Neighbours a fixed distance apart.
Tensor
even_differences(const Tensor& x, int64_t d, const Scalar& h, int64_t order) {
  int64_t n = x.size(d);
  auto at = [&](int64_t i) { return narrow(x, d, i, 1); };
  double step = h.to_double();
  Tensor first, last;
  if (order == 1) {
    first = (at(1) - at(0)) / h;
    last = (at(n - 1) - at(n - 2)) / h;
  } else {
    first = at(0) * Scalar(-1.5 / step) + at(1) * Scalar(2 / step) +
            at(2) * Scalar(-0.5 / step);
    last = at(n - 3) * Scalar(0.5 / step) + at(n - 2) * Scalar(-2 / step) +
           at(n - 1) * Scalar(1.5 / step);
  }
  Tensor middle = (slice(x, d, 2) - slice(x, d, 0, -2)) / Scalar(2 * step);
  return cat({first, middle, last}, d);
}

// ... at these places.
Tensor uneven_differences(
    const Tensor& x,
    int64_t d,
    const Tensor& places,
    int64_t order) {
  int64_t n = x.size(d);
  auto at = [&](int64_t i) { return narrow(x, d, i, 1); };
  Tensor steps = slice(places, 0, 1) - slice(places, 0, 0, -1);
  IntList shape(static_cast<size_t>(x.dim()), int64_t{1});
  auto along = [&](const Tensor& t) {
    shape[static_cast<size_t>(d)] = -1;
    return reshape(t, shape);
  };
  auto step = [&](int64_t i) { return along(narrow(steps, 0, i, 1)); };
  Tensor first, last;
  if (order == 1) {
    first = (at(1) - at(0)) / step(0);
    last = (at(n - 1) - at(n - 2)) / step(n - 2);
  } else {
    // The parabola through three points.
    Tensor p = step(0), q = step(1), both = p + q;
    first = at(1) * (both / (p * q)) - at(0) * ((p + both) / (p * both)) -
            at(2) * (p / (q * both));
    p = step(n - 3);
    q = step(n - 2);
    both = p + q;
    last = at(n - 3) * (q / (p * both)) - at(n - 2) * (both / (p * q)) +
           at(n - 1) * ((q + both) / (q * both));
  }
  Tensor p = along(slice(steps, 0, 0, -1)), q = along(slice(steps, 0, 1));
  Tensor middle = slice(x, d, 2) * (p / (q * (p + q))) +
                  slice(x, d, 1, -1) * ((q - p) / (p * q)) -
                  slice(x, d, 0, -2) * (q / (p * (p + q)));
  return cat({first, middle, last}, d);
}

TensorList gradients(
    const Tensor& self,
    const ScalarList& spacing,
    bool listed,
    const std::optional<IntList>& dim,
    int64_t edge_order) {
  IntList dims = checked_dims(
      self,
      listed ? std::optional(spacing.size()) : std::nullopt,
      dim,
      edge_order);
  TensorList out;
  for (size_t i = 0; i < dims.size(); ++i) {
    const Scalar& h = listed ? spacing[i] : spacing[0];
    out.push_back(even_differences(self, dims[i], h, edge_order));
  }
  return out;
}

TensorList gradients_at(
    const Tensor& self,
    const TensorList& spacing,
    const std::optional<IntList>& dim,
    int64_t edge_order) {
  IntList dims = checked_dims(self, spacing.size(), dim, edge_order);
  for (size_t i = 0; i < dims.size(); ++i) {
    FL_CHECK(
        spacing[i].dim() == 1,
        kGradient,
        " expected each element of spacing to have one dimension, but got an "
        "element with ",
        spacing[i].dim(),
        " dimensions!");
  }
  TensorList out;
  for (size_t i = 0; i < dims.size(); ++i) {
    out.push_back(uneven_differences(self, dims[i], spacing[i], edge_order));
  }
  return out;
}

std::optional<IntList> one_dim(std::optional<int64_t> dim) {
  return dim ? std::optional(IntList{*dim}) : std::nullopt;
}

void register_gradient() {
  op("gradient.scalarint(Tensor self, *, Scalar? spacing=None, int? dim=None, "
     "int edge_order=1) -> Tensor[]")
      .forms("function")
      .composite([](const Tensor& self,
                    const std::optional<Scalar>& spacing,
                    std::optional<int64_t> dim,
                    int64_t edge_order) {
        ScalarList h{spacing.value_or(Scalar(1))};
        return gradients(self, h, false, one_dim(dim), edge_order);
      })
      .doc("Differences of neighbours over their distance.");
  op("gradient.scalararray(Tensor self, *, Scalar spacing, int[] dim, int "
     "edge_order=1) -> Tensor[]")
      .forms("function")
      .composite([](const Tensor& self,
                    const Scalar& spacing,
                    const IntList& dim,
                    int64_t edge_order) {
        return gradients(self, {spacing}, false, dim, edge_order);
      })
      .doc("Differences of neighbours over their distance.");
  op("gradient.array(Tensor self, *, int[] dim, int edge_order=1) -> Tensor[]")
      .forms("function")
      .composite(
          [](const Tensor& self, const IntList& dim, int64_t edge_order) {
            return gradients(self, {Scalar(1)}, false, dim, edge_order);
          })
      .doc("Differences of neighbours.");
  op("gradient.scalarrayint(Tensor self, *, Scalar[] spacing, int? dim=None, "
     "int edge_order=1) -> Tensor[]")
      .forms("function")
      .composite([](const Tensor& self,
                    const ScalarList& spacing,
                    std::optional<int64_t> dim,
                    int64_t edge_order) {
        return gradients(self, spacing, true, one_dim(dim), edge_order);
      })
      .doc("Differences of neighbours over their distance.");
  op("gradient.scalarrayarray(Tensor self, *, Scalar[] spacing, int[] dim, int "
     "edge_order=1) -> Tensor[]")
      .forms("function")
      .composite([](const Tensor& self,
                    const ScalarList& spacing,
                    const IntList& dim,
                    int64_t edge_order) {
        return gradients(self, spacing, true, dim, edge_order);
      })
      .doc("Differences of neighbours over their distance.");
  op("gradient.tensorarrayint(Tensor self, *, Tensor[] spacing, int? dim=None, "
     "int edge_order=1) -> Tensor[]")
      .forms("function")
      .composite([](const Tensor& self,
                    const TensorList& spacing,
                    std::optional<int64_t> dim,
                    int64_t edge_order) {
        return gradients_at(self, spacing, one_dim(dim), edge_order);
      })
      .doc("Slopes between neighbours at these places.");
  op("gradient.tensorarray(Tensor self, *, Tensor[] spacing, int[] dim, int "
     "edge_order=1) -> Tensor[]")
      .forms("function")
      .composite([](const Tensor& self,
                    const TensorList& spacing,
                    const IntList& dim,
                    int64_t edge_order) {
        return gradients_at(self, spacing, dim, edge_order);
      })
      .doc("Slopes between neighbours at these places.");
}

} // namespace

void register_combining() {
  op("meshgrid(Tensor[] tensors) -> Tensor[]")
      .forms("function")
      .composite(meshgrid_of)
      .doc("Each vector along a dimension of its own, as often as all ask.");
  op("meshgrid.indexing(Tensor[] tensors, *, str indexing) -> Tensor[]")
      .forms("function")
      .composite(meshgrid_indexed)
      .doc("Each vector along a dimension of its own, as often as all ask.");
  op("cartesian_prod(Tensor[] tensors) -> Tensor")
      .forms("function")
      .composite(product_of_vectors)
      .doc("All rows with one element of each vector.");
  op("combinations(Tensor self, int r=2, bool with_replacement=False) -> "
     "Tensor")
      .forms("function")
      .composite(combinations_of)
      .doc("All rows of r elements of a vector, in its order.");
  op("block_diag(Tensor[] tensors) -> Tensor")
      .forms("function")
      .composite(blocks)
      .doc("A matrix with these on its diagonal, zeros elsewhere.");
  op("rot90(Tensor self, int k=1, int[] dims=[0,1]) -> Tensor")
      .forms("function method")
      .composite(turned)
      .doc("Turned by k quarters, from the first dimension to the second.");
  alias_op("concat", "cat");
  alias_op("concatenate", "cat");
  register_gradient();
}

} // namespace flashlight
