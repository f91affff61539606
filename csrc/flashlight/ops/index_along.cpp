// One index for each slice along a dimension: index_select and its kin.
#include <mlx/ops.h>

#include "flashlight/core/complex128.h"
#include "flashlight/kernels/along.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/index_along.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/indices.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce_along.h"

namespace flashlight {

namespace {

mx::array at_least_1d(const mx::array& x) {
  return x.ndim() == 0 ? mx::reshape(x, {1}) : x;
}

mx::array places(const Tensor& index) {
  return mx::reshape(mx::astype(index.value(), mx::int64), {-1});
}

int64_t size_along(const Tensor& t, int64_t d) {
  return t.dim() == 0 ? 1 : t.size(d);
}

bool is_index(const Tensor& index) {
  return index.dtype() == Dtype::Int64 || index.dtype() == Dtype::Int32;
}

// The place that is out of range, if there is one.
std::optional<int64_t>
misplaced(const Tensor& index, int64_t size, bool negative = false) {
  IndexRange range = range_of(index);
  int64_t first = negative ? -size : 0;
  if (range.within(first, size)) {
    return std::nullopt;
  }
  return range.low < first ? range.low : range.high;
}

mx::array select_kernel(const Tensor& self, int64_t dim, const Tensor& index) {
  FL_CHECK_INDEX(
      index.dim() <= 1, "index_select(): Index is supposed to be a vector");
  FL_CHECK(
      self.dim() > 0 || index.numel() == 1,
      "index_select(): Index to scalar can have only 1 value, got ",
      index.numel(),
      " value(s)");
  FL_CHECK(
      is_index(index),
      "index_select(): Expected dtype int32 or int64 for index");
  int64_t d = wrap_dim(dim, self.dim());
  int64_t size = size_along(self, d);
  if (auto at = misplaced(index, size)) {
    // PyTorch's loops over whole slices and over parts word it differently.
    FL_CHECK(
        self.dim() < 2 || d == 0,
        "INDICES element is out of DATA bounds, id=",
        *at,
        " axis_dim=",
        size);
    fail<IndexError>("index out of range in self");
  }
  IntList sizes = self.sizes();
  if (!sizes.empty()) {
    sizes[static_cast<size_t>(d)] = index.numel();
  }
  mx::array out = select_along(
      at_least_1d(self.value()), places(index), static_cast<int>(d));
  return mx::reshape(out, to_shape(sizes));
}

// The checks that index_add and index_reduce share.
void check_source(
    const Tensor& self,
    int64_t dim,
    const Tensor& index,
    const Tensor& source,
    const char* name) {
  int64_t d = wrap_dim(dim, self.dim());
  FL_CHECK_INDEX(
      index.dim() <= 1,
      name,
      "(): Index is supposed to be a vector, but got dim: ",
      index.dim(),
      " with type: ",
      scalar_name(index.dtype()),
      " and size: ",
      index.sizes());
  FL_CHECK(
      is_index(index),
      name,
      "(): Expected dtype int32/int64 for index but got: ",
      scalar_name(index.dtype()));
  FL_CHECK(
      self.dtype() == source.dtype(),
      name,
      "(): self (",
      scalar_name(self.dtype()),
      ") and source (",
      scalar_name(source.dtype()),
      ") must have the same scalar type");
  FL_CHECK(
      d == 0 || d < source.dim(),
      name,
      "(): Indexing dim ",
      d,
      " is out of bounds of the source tensor with dim ",
      source.dim());
  FL_CHECK(
      index.numel() == size_along(source, d),
      name,
      "(): Number of indices (",
      index.numel(),
      ") should be equal to source.size(dim): (",
      size_along(source, d),
      "), for dim: ",
      d);
  IntList own = self.sizes(), other = source.sizes();
  if (self.dim() > 0 && source.dim() > 0) {
    own[static_cast<size_t>(d)] = 0;
    other[static_cast<size_t>(d)] = 0;
  }
  FL_CHECK(
      own == other || (self.dim() == 0 && source.dim() == 0) ||
          (self.dim() == 1 && source.dim() == 0),
      "source tensor shape must match self tensor shape, excluding the "
      "specified dimension. Got self.shape = ",
      self.sizes(),
      " source.shape = ",
      source.sizes());
}

mx::array brought(
    const Tensor& self,
    int64_t d,
    const Tensor& index,
    const mx::array& source,
    Reduce reduce,
    bool with_self = true) {
  mx::array value = any_value(self);
  if (index.numel() == 0) {
    return value;
  }
  bool pairs = self.dtype() == Dtype::Complex128;
  mx::array x = self.dim() == 0 ? mx::expand_dims(value, 0) : value;
  mx::Shape shape = x.shape();
  shape[static_cast<size_t>(d)] = static_cast<int>(index.numel());
  mx::array from = source.size() == (pairs ? 2 : 1)
                       ? mx::broadcast_to(mx::flatten(source), shape)
                       : mx::reshape(source, shape);
  mx::array out = scatter_along(
      x, places(index), from, static_cast<int>(d), reduce, with_self, pairs);
  return mx::reshape(out, value.shape());
}

void check_index_add(
    const Tensor& self,
    int64_t dim,
    const Tensor& index,
    const Tensor& source) {
  check_source(self, dim, index, source, "index_add_");
}

void check_index_reduce(
    const Tensor& self,
    int64_t dim,
    const Tensor& index,
    const Tensor& source,
    const std::string& reduce) {
  FL_CHECK(
      reduce == "prod" || reduce == "mean" || reduce == "amax" ||
          reduce == "amin",
      "index_reduce(): Expected reduce to be one of prod, mean, amax or amin "
      "but got ",
      reduce,
      ".");
  check_source(self, dim, index, source, "index_reduce_");
}

mx::array index_reduce_kernel(
    const Tensor& self,
    int64_t dim,
    const Tensor& index,
    const Tensor& source,
    const std::string& reduce,
    bool include_self) {
  Reduce r = reduce_of(reduce);
  int64_t d = wrap_dim(dim, self.dim());
  check_ordered(self, r, "index_func_");
  FL_CHECK_INDEX(
      !misplaced(index, size_along(self, d)), "index out of range in self");
  return brought(self, d, index, any_value(source), r, include_self);
}

void check_fill(const Tensor& self, const Tensor& index, int64_t d) {
  FL_CHECK_INDEX(
      index.dtype() == Dtype::Int64,
      "index_fill_(): Expected dtype int64 for index.");
  FL_CHECK(index.dim() <= 1, "Index has to be a vector/scalar");
  if (self.numel() == 0) { // as PyTorch, which looks at what it fills only
    IntList sizes = self.sizes(), strides = self.strides();
    if (self.dim() > 0) {
      sizes[static_cast<size_t>(d)] = index.numel();
      strides[static_cast<size_t>(d)] = 0;
    }
    as_strided(self, sizes, strides, self.storage_offset());
    return;
  }
  check_bounds(index, d, size_along(self, d), true);
}

Tensor fill_kernel(
    const Tensor& self,
    int64_t dim,
    const Tensor& index,
    const Scalar& value) {
  int64_t d = wrap_dim(dim, self.dim());
  check_fill(self, index, d);
  FL_CHECK(
      !value.is_complex() || self.is_complex(),
      "index_fill_(): Converting complex Scalar to non-complex type is not "
      "supported");
  Tensor wrapped(wrapped_indices(index.value(), size_along(self, d)));
  mx::array number = number_within(value, self.dtype());
  return lying_as(self, brought(self, d, wrapped, number, Reduce::Set));
}

// What is overwritten has no gradient.
Tensor cleared(const Tensor& grad, int64_t dim, const Tensor& index) {
  return index_fill(grad, dim, index, Scalar(0));
}

} // namespace

void register_index_along() {
  op("index_select(Tensor self, int dim, Tensor index) -> Tensor")
      .forms("function method")
      .kernel(select_kernel)
      .complex128(parts())
      .grad(
          "self",
          "self.shape dim index",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t dim,
             const Tensor& index) {
            return index_add(
                zeros(self.sizes(), grad.dtype(), {}, grad.device()),
                dim,
                index,
                grad);
          })
      .zero_grad("index")
      .doc("Slices of `self` at `index` along `dim`.");
  op("index_select.out(Tensor self, int dim, Tensor index, *, Tensor(a!) out) "
     "-> Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self,
                   int64_t dim,
                   const Tensor& index,
                   const Tensor& out) {
        return write_out(
            "index_select",
            {self, index},
            out,
            self.dtype(),
            "index_select(): self and result must have the same scalar type",
            [&] { return index_select(self, dim, index); });
      })
      .doc("index_select into `out`.");
  op("index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar "
     "alpha=1) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .check(check_index_add)
      .kernel([](const Tensor& self,
                 int64_t dim,
                 const Tensor& index,
                 const Tensor& source,
                 const Scalar& alpha) {
        int64_t d = wrap_dim(dim, self.dim());
        if (auto at = misplaced(index, size_along(self, d))) {
          FL_CHECK_INDEX(self.dim() > 1, "index out of range in self");
          fail(
              "index ",
              *at,
              " is out of bounds for dimension ",
              d,
              " with size ",
              size_along(self, d));
        }
        mx::array from = source.value();
        if (!(alpha.dtype() == Dtype::Int64 && alpha.to_int() == 1) &&
            self.dtype() != Dtype::Bool) {
          from = mx::multiply(from, scalar_array(alpha, self.dtype()));
        }
        return brought(self, d, index, from, Reduce::Sum);
      })
      .complex128(parts("alpha"))
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .zero_grad("index")
      .grad(
          "source",
          "dim index source.shape alpha",
          [](const Tensor& grad,
             int64_t dim,
             const Tensor& index,
             const Tensor& source,
             const Scalar& alpha) {
            Tensor out = index_select(grad, dim, index);
            return reshape(out * alpha, source.sizes());
          })
      .doc("A copy of `self` with slices of `source` added at `index`.");
  op("index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .kernel([](const Tensor& self,
                 int64_t dim,
                 const Tensor& index,
                 const Tensor& source) {
        int64_t d = wrap_dim(dim, self.dim());
        FL_CHECK_INDEX(
            index.dim() < 2,
            "index_copy_(): Index should have dimension 1 or 0 (got ",
            index.dim(),
            ")");
        FL_CHECK_INDEX(
            source.dim() > 0 || index.numel() == 1,
            "index_copy_(): When source is scalar, index should have one "
            "element (got ",
            index.numel(),
            ")");
        FL_CHECK_INDEX(
            self.dim() == source.dim() || self.dim() == 0 || source.dim() == 0,
            "index_copy_(): When source and destination are not scalars, their "
            "dimensionality must match. Source dimensionality (",
            source.dim(),
            "), destination dimensionality (",
            self.dim(),
            ")");
        FL_CHECK(
            index.dtype() == Dtype::Int64,
            "index_copy_(): Expected a long tensor for index, but got ",
            scalar_name(index.dtype()));
        FL_CHECK(
            self.dtype() == source.dtype(),
            "index_copy_(): self and source expected to have the same dtype, "
            "but got (self) ",
            scalar_name(self.dtype()),
            " and (source) ",
            scalar_name(source.dtype()));
        IntList own = self.sizes(), other = source.sizes();
        if (self.dim() > 0) {
          own.erase(own.begin() + d);
        }
        if (source.dim() > 0) {
          FL_CHECK(
              d >= 0 && d < source.dim(),
              "index_copy_(): Source/destination tensor must have same slice "
              "shapes.");
          other.erase(other.begin() + d);
        }
        FL_CHECK(
            own == other,
            "index_copy_(): Source/destination tensor must have same slice "
            "shapes. Destination slice shape: ",
            own.empty() ? 0 : own[0],
            " at dimension ",
            d,
            " and source slice shape: ",
            other.empty() ? 0 : other[0],
            " at dimension 0.");
        FL_CHECK_INDEX(
            source.dim() == 0 || index.numel() == source.size(d),
            "index_copy_(): Number of indices (",
            index.numel(),
            ") should be equal to source.size(dim) (",
            size_along(source, d),
            ")");
        auto at = misplaced(index, size_along(self, d));
        FL_CHECK_INDEX(
            !at || self.numel() == 0,
            "index_copy_(): index ",
            at.value_or(0),
            " is out of bounds for dimension ",
            d,
            " with size ",
            size_along(self, d));
        return self.numel() == 0
                   ? self.value()
                   : brought(self, d, index, source.value(), Reduce::Set);
      })
      .complex128(parts())
      .grad("self", "dim index", cleared)
      .zero_grad("index")
      .grad(
          "source",
          "dim index source.shape",
          [](const Tensor& grad,
             int64_t dim,
             const Tensor& index,
             const Tensor& source) {
            return reshape(index_select(grad, dim, index), source.sizes());
          })
      .doc("A copy of `self` with slices of `source` written to `index`.");
  op("index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) "
     "-> Tensor")
      .forms("function method inplace")
      .kernel(fill_kernel)
      .complex128(parts())
      .grad("self", "dim index", cleared)
      .zero_grad("index")
      .doc("A copy of `self` with a number written to `index` along `dim`.");
  op("index_fill.int_Tensor(Tensor self, int dim, Tensor index, Tensor value) "
     "-> Tensor")
      .forms("function method inplace")
      .node("IndexFillBackward1")
      .kernel([](const Tensor& self,
                 int64_t dim,
                 const Tensor& index,
                 const Tensor& value) {
        FL_CHECK(
            value.dim() == 0,
            "index_fill_ only supports a 0-dimensional value tensor, but got "
            "tensor with ",
            value.dim(),
            " dimension(s).");
        int64_t d = wrap_dim(dim, self.dim());
        check_fill(self, index, d);
        FL_CHECK(
            !value.is_complex() || self.is_complex(),
            "index_fill_(): Converting complex Scalar to non-complex type is "
            "not supported");
        Tensor wrapped(wrapped_indices(index.value(), size_along(self, d)));
        mx::array number = mx::astype(value.value(), to_mlx(self.dtype()));
        return lying_as(self, brought(self, d, wrapped, number, Reduce::Set));
      })
      .complex128(formula([](const Tensor& self,
                             int64_t dim,
                             const Tensor& index,
                             const Tensor& value) {
        return index_fill(self, dim, index, value.item());
      }))
      .grad("self", "dim index", cleared)
      .zero_grad("index")
      .grad(
          "value",
          "dim index",
          [](const Tensor& grad, int64_t dim, const Tensor& index) {
            return sum(index_select(
                grad,
                dim,
                Tensor(wrapped_indices(
                    index.value(),
                    size_along(grad, wrap_dim(dim, grad.dim()))))));
          })
      .doc("index_fill with the value of a tensor without dimensions.");
  op("index_reduce(Tensor self, int dim, Tensor index, Tensor source, str "
     "reduce, *, bool include_self=True) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .check(check_index_reduce)
      .kernel(index_reduce_kernel)
      .complex128(of_pairs(index_reduce_kernel))
      .grad(
          "self source",
          "self dim index source reduce include_self result",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t dim,
             const Tensor& index,
             const Tensor& source,
             const std::string& reduce,
             bool include_self,
             const Tensor& result) {
            Along along{"index_reduce", "source", {}, {}, {}, {}};
            along.read = [=](const Tensor& x) {
              return reshape(index_select(x, dim, index), source.sizes());
            };
            along.add = [=](const Tensor& x, const Tensor& y) {
              return index_add(x, dim, index, y);
            };
            along.clear = [=](const Tensor& x) {
              return cleared(x, dim, index);
            };
            along.reduce = [=](const Tensor& x, const Tensor& y) {
              return index_reduce(x, dim, index, y, reduce, include_self);
            };
            return reduce_gradients(
                along,
                grad,
                self,
                source,
                reduce_of(reduce),
                include_self,
                result);
          })
      .zero_grad("index")
      .doc("`self` with slices of `source` brought in at `index`.");
}

} // namespace flashlight
