// Elements by mask and by place in the flattened tensor.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/core/wrapped.h"
#include "flashlight/kernels/along.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/index_along.h"
#include "flashlight/ops/functions/indexing.h"
#include "flashlight/ops/functions/masks.h"
#include "flashlight/ops/functions/scans.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/indices.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// Where a mask of that many elements is true, in order.
mx::array true_places(const mx::array& mask) {
  mx::array m = mx::contiguous(mask);
  flashlight::eval({m});
  const bool* data = m.data<bool>();
  std::vector<int64_t> at;
  for (size_t i = 0; i < m.size(); ++i) {
    if (data[i]) {
      at.push_back(static_cast<int64_t>(i));
    }
  }
  return mx::array(
      at.begin(), {static_cast<mx::ShapeElem>(at.size())}, mx::int64);
}

mx::array flat(const mx::array& x) {
  return mx::reshape(x, {-1});
}

// Indices into n elements, checked and counted from the front.
mx::array flat_places(const Tensor& index, int64_t n, const char* name) {
  FL_CHECK(
      index.dtype() == Dtype::Int64,
      name,
      "(): Expected a long tensor for index, but got ",
      scalar_name(index.dtype()));
  IndexRange range = range_of(index);
  FL_CHECK_INDEX(
      range.within(-n, n),
      "out of range: tried to access index ",
      range.low < -n ? range.low : range.high,
      " on a tensor of ",
      n,
      " elements.");
  return flat(wrapped_indices(index.value(), n));
}

mx::array take_kernel(const Tensor& self, const Tensor& index) {
  FL_CHECK_INDEX(
      self.numel() > 0 || index.numel() == 0 || index.dtype() != Dtype::Int64,
      "take(): tried to take from an empty tensor");
  mx::array at = flat_places(index, self.numel(), "take");
  return mx::reshape(
      select_along(flat(self.value()), at, 0), to_shape(index.sizes()));
}

Tensor put_kernel(
    const Tensor& self,
    const Tensor& index,
    const Tensor& source,
    bool accumulate) {
  FL_CHECK(
      index.dtype() == Dtype::Int64,
      "put_(): Expected a long tensor for index, but got ",
      scalar_name(index.dtype()));
  FL_CHECK(
      self.dtype() == source.dtype(),
      "put_(): self and source expected to have the same dtype, but got "
      "self.dtype = ",
      scalar_name(self.dtype()),
      " and source.dtype = ",
      scalar_name(source.dtype()));
  FL_CHECK_INDEX(
      source.numel() == index.numel(),
      "put_(): Expected source and index to have the same number of elements, "
      "but got source.numel() = ",
      source.numel(),
      ", index.numel() = ",
      index.numel());
  FL_CHECK_INDEX(
      self.numel() > 0 || index.numel() == 0,
      "put_(): Tried to put elements into an empty tensor");
  if (index.numel() == 0) {
    return lying_as(self, self.value());
  }
  mx::array out = scatter_along(
      flat(self.value()),
      flat_places(index, self.numel(), "put_"),
      flat(source.value()),
      0,
      accumulate ? Reduce::Sum : Reduce::Set);
  return lying_as(self, mx::reshape(out, to_shape(self.sizes())));
}

mx::array select_kernel(const Tensor& self, const Tensor& mask) {
  FL_CHECK(
      mask.dtype() == Dtype::Bool,
      "masked_select: expected BoolTensor for mask");
  // PyTorch names the mask first where the sizes do not fit.
  mx::Shape shape = to_shape(broadcast_sizes(mask.sizes(), self.sizes()));
  mx::array at = true_places(mx::broadcast_to(mask.value(), shape));
  if (at.size() == 0) {
    return mx::zeros({0}, to_mlx(self.dtype()));
  }
  return select_along(flat(mx::broadcast_to(self.value(), shape)), at, 0);
}

mx::array
scatter_kernel(const Tensor& self, const Tensor& mask, const Tensor& source) {
  FL_CHECK(
      self.dtype() == source.dtype(),
      "masked_scatter: expected self and source to have same dtypes but got",
      scalar_name(self.dtype()),
      " and ",
      scalar_name(source.dtype()));
  FL_CHECK(
      mask.dtype() == Dtype::Bool,
      "masked_scatter_ only supports boolean masks, but got mask with dtype ",
      scalar_name(mask.dtype()));
  IntList sizes = broadcast_sizes(mask.sizes(), self.sizes());
  mx::array at = true_places(mx::broadcast_to(mask.value(), to_shape(sizes)));
  FL_CHECK(
      source.numel() >= static_cast<int64_t>(at.size()),
      "Number of elements of source < number of ones in mask");
  mx::array x = mx::broadcast_to(self.value(), to_shape(sizes));
  if (at.size() == 0) {
    return x;
  }
  mx::array from =
      mx::slice(flat(source.value()), {0}, {static_cast<int>(at.size())});
  return mx::reshape(
      scatter_along(flat(x), at, from, 0, Reduce::Set), to_shape(sizes));
}

// Entries of a batch, which may have as many each, are asked one by one.
void check_one_value(Tensor self) {
  while (self->wrapped) {
    FL_CHECK_AS(
        NotOneValue,
        self->wrapped->level->kind != LevelKind::Batch,
        "vmap: how many elements are not zero is told by their values");
    Tensor inner = self->wrapped->inner;
    self = std::move(inner);
  }
}

// The gradients of the elements of source that masked_scatter has taken.
Tensor scattered_source_grad(
    const Tensor& grad,
    const Tensor& mask,
    const Tensor& source) {
  if (!mask->wrapped) {
    Tensor used = masked_select(grad, mask);
    Tensor unused =
        zeros({source.numel() - used.numel()}, grad.dtype(), {}, grad.device());
    return reshape(cat({used, unused}, 0), source.sizes());
  }
  // How many are taken is told by values: of a batch, by those of each entry.
  Tensor takes = reshape(expand(mask, grad.sizes()), {-1});
  Tensor from = clamp(cumsum(takes, 0) - Scalar(1), Scalar(0));
  Tensor out = index_add(
      new_zeros(grad, {source.numel()}),
      0,
      from,
      masked_fill(reshape(grad, {-1}), logical_not(takes), Scalar(0)));
  return reshape(out, source.sizes());
}

} // namespace

void register_masks() {
  op("take(Tensor self, Tensor index) -> Tensor")
      .forms("function method")
      .kernel(take_kernel)
      .complex128(parts())
      .grad(
          "self",
          "self index", // saved whole, as in PyTorch, for what writes to it
                        // raise
          [](const Tensor& grad, const Tensor& self, const Tensor& index) {
            return put(
                zeros(self.sizes(), grad.dtype(), {}, grad.device()),
                index,
                grad,
                true);
          })
      .zero_grad("index")
      .doc("Elements of the flattened `self`.");
  op("take.out(Tensor self, Tensor index, *, Tensor(a!) out) -> Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self, const Tensor& index, const Tensor& out) {
        return write_out(
            "take",
            {self, index},
            out,
            self.dtype(),
            detail::concat(
                "take(): self and out expected to have the same dtype, but got "
                "self.dtype = ",
                scalar_name(self.dtype()),
                " and out.dtype = ",
                scalar_name(out.dtype())),
            [&] { return take(self, index); });
      })
      .doc("take into `out`.");
  op("put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> "
     "Tensor")
      .forms("function method inplace")
      .kernel(put_kernel)
      .complex128(parts())
      .grad(
          "self",
          "index source.shape accumulate",
          [](const Tensor& grad,
             const Tensor& index,
             const Tensor& source,
             bool accumulate) {
            return accumulate ? grad
                              : put(grad,
                                    index,
                                    zeros(
                                        source.sizes(),
                                        grad.dtype(),
                                        {},
                                        grad.device()),
                                    false);
          })
      .zero_grad("index")
      .grad(
          "source",
          "index source.shape",
          [](const Tensor& grad, const Tensor& index, const Tensor& source) {
            return reshape(take(grad, index), source.sizes());
          })
      .doc("A copy of `self`, flattened, with `source` written to `index`.");
  op("masked_select(Tensor self, Tensor mask) -> Tensor")
      .forms("function method")
      .kernel(select_kernel)
      .complex128(parts())
      .grad(
          "self",
          "self mask", // as take
          [](const Tensor& grad, const Tensor& self, const Tensor& mask) {
            IntList sizes = broadcast_sizes(self.sizes(), mask.sizes());
            Tensor to = zeros_like(expand(self, sizes), grad.dtype());
            // In place it lies as self; what is batched cannot be.
            return grad->wrapped || mask->wrapped
                       ? masked_scatter(to, mask, grad)
                       : masked_scatter_(to, mask, grad);
          })
      .zero_grad("mask")
      .doc("The elements where `mask` is true, in one dimension.");
  op("masked_select.out(Tensor self, Tensor mask, *, Tensor(a!) out) -> "
     "Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self, const Tensor& mask, const Tensor& out) {
        return write_out(
            "masked_select",
            {self, mask},
            out,
            self.dtype(),
            "masked_select(): self and result must have the same scalar type",
            [&] { return masked_select(self, mask); });
      })
      .doc("masked_select into `out`.");
  op("masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor")
      .forms("function method inplace")
      .kernel(scatter_kernel)
      .complex128(parts())
      .grad(
          "self",
          "mask",
          [](const Tensor& grad, const Tensor& mask) {
            return masked_fill(grad, mask, Scalar(0));
          })
      .zero_grad("mask")
      .grad("source", "mask source.shape", scattered_source_grad)
      .doc("A copy of `self`, the elements of `source` where `mask` is true.");
  op("argwhere(Tensor self) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self) {
        check_one_value(self);
        return nonzero(self);
      })
      .doc("The coordinates of the elements that are not zero, a row each.");
  op("nonzero_static(Tensor self, *, SymInt size, int fill_value=-1) -> Tensor")
      .forms("function method out")
      .exact_out(
          "nonzero_static: Expected out tensor to have scalar type Long but "
          "got scalar type%O")
      .kernel([](const Tensor& self, int64_t size, int64_t fill_value) {
        FL_CHECK(
            size >= 0,
            "nonzero_static: 'size' must be an non-negative integer");
        mx::array found = nonzero(self).value();
        auto rows = static_cast<mx::ShapeElem>(size);
        if (found.shape(0) >= rows) {
          return mx::slice(found, {0, 0}, {rows, found.shape(1)});
        }
        mx::array rest = mx::full(
            {rows - found.shape(0), found.shape(1)},
            mx::array(fill_value, mx::int64));
        return mx::concatenate({found, rest}, 0);
      })
      .complex128(itself())
      .not_differentiable()
      .doc("nonzero with a given number of rows, cut or filled.");
}

} // namespace flashlight
