// gather and scatter: an index for each element, along one dimension.
#include <mlx/ops.h>

#include "flashlight/core/complex128.h"
#include "flashlight/core/runtime.h"
#include "flashlight/kernels/along.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/bitwise.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/scatter.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/indices.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce_along.h"

namespace flashlight {

namespace {

// As error texts of structured kernels have it.
const char* cpp_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::Float32:
      return "float";
    case Dtype::Float64:
      return "double";
    case Dtype::Int64:
      return "long int";
    case Dtype::Int32:
      return "int";
    case Dtype::Int16:
      return "short int";
    case Dtype::Int8:
      return "signed char";
    case Dtype::UInt8:
      return "unsigned char";
    case Dtype::Bool:
      return "bool";
    case Dtype::Float16:
      return "c10::Half";
    case Dtype::BFloat16:
      return "c10::BFloat16";
    default:
      return "c10::complex<float>";
  }
}

void check_index_dtype(const Tensor& index, const char* name) {
  FL_CHECK(
      index.dtype() == Dtype::Int64 || index.dtype() == Dtype::Int32,
      name,
      "(): Expected dtype int32/int64 for index");
}

int64_t dim_or_one(const Tensor& t, int64_t d) {
  return t.dim() == 0 ? 1 : t.size(d);
}

// RuntimeError, as PyTorch's kernels raise here.
void check_places(const Tensor& index, int64_t dim, int64_t size) {
  IndexRange range = range_of(index);
  FL_CHECK(
      range.within(0, size),
      "index ",
      range.low < 0 ? range.low : range.high,
      " is out of bounds for dimension ",
      dim,
      " with size ",
      size);
}

mx::array at_least_1d(const mx::array& x) {
  return x.ndim() == 0 ? mx::reshape(x, {1}) : x;
}

// x cut to these sizes in every dimension but `axis` (all, if it is -1).
mx::array cut(const mx::array& x, const mx::Shape& sizes, int axis) {
  mx::Shape stops = x.shape();
  for (int d = 0; d < static_cast<int>(x.ndim()); ++d) {
    if (d != axis) {
      stops[static_cast<size_t>(d)] = sizes[static_cast<size_t>(d)];
    }
  }
  return stops == x.shape() ? x : mx::slice(x, mx::Shape(x.ndim(), 0), stops);
}

mx::array places(const Tensor& index) {
  return at_least_1d(mx::astype(index.value(), mx::int64));
}

mx::array
gather_kernel(const Tensor& self, int64_t dim, const Tensor& index, bool) {
  int64_t d = wrap_dim(dim, self.dim());
  if (index.numel() == 0) {
    return mx::zeros(to_shape(index.sizes()), to_mlx(self.dtype()));
  }
  check_index_dtype(index, "gather");
  FL_CHECK(
      std::max<int64_t>(self.dim(), 1) == std::max<int64_t>(index.dim(), 1),
      "Index tensor must have the same number of dimensions as input tensor");
  for (int64_t k = 0; k < self.dim(); ++k) {
    FL_CHECK(
        k == d || dim_or_one(index, k) <= self.size(k),
        "Size does not match at dimension ",
        k,
        " expected index ",
        index.sizes(),
        " to be no larger than self ",
        self.sizes(),
        " apart from dimension ",
        d);
  }
  check_places(index, d, dim_or_one(self, d));
  mx::array at = places(index);
  mx::array x = cut(at_least_1d(self.value()), at.shape(), static_cast<int>(d));
  return mx::reshape(
      gather_along(x, at, static_cast<int>(d)), to_shape(index.sizes()));
}

// What the shapes and dtypes of all forms must be, said before what is written
// to is looked at; `source` is undefined where a number is written.
void check_scatter(
    const Tensor& self,
    int64_t dim,
    const Tensor& index,
    const Tensor& source) {
  int64_t d = wrap_dim(dim, self.dim());
  check_index_dtype(index, "scatter");
  FL_CHECK(
      !source.defined() || source.dtype() == self.dtype(),
      "scatter(): Expected self.dtype to be equal to src.dtype");
  if (index.numel() == 0) {
    return;
  }
  int64_t n = std::max<int64_t>(self.dim(), 1);
  FL_CHECK(
      std::max<int64_t>(index.dim(), 1) == n,
      "Index tensor must have the same number of dimensions as self tensor");
  bool fits = true, fits_source = true;
  for (int64_t k = 0; k < n; ++k) {
    fits = fits && (k == d || dim_or_one(index, k) <= dim_or_one(self, k));
  }
  if (source.defined()) {
    FL_CHECK(
        std::max<int64_t>(source.dim(), 1) == n,
        "Index tensor must have the same number of dimensions as src tensor");
    for (int64_t k = 0; k < n; ++k) {
      fits_source =
          fits_source && dim_or_one(index, k) <= dim_or_one(source, k);
    }
    FL_CHECK(
        fits && fits_source,
        "Expected index ",
        index.sizes(),
        " to be no larger than self ",
        self.sizes(),
        " apart from dimension ",
        d,
        " and to be no larger size than src ",
        source.sizes());
  }
  FL_CHECK(
      fits,
      "Expected index ",
      index.sizes(),
      " to be no larger than self ",
      self.sizes(),
      " apart from dimension ",
      d);
}

int64_t checked_dim(const Tensor& self, int64_t dim, const Tensor& index) {
  int64_t d = wrap_dim(dim, self.dim());
  if (index.numel() != 0) {
    check_places(index, d, dim_or_one(self, d));
  }
  return d;
}

void check_scatter_number(
    const Tensor& self,
    int64_t dim,
    const Tensor& index) {
  check_scatter(self, dim, index, {});
}

mx::array scattered(
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
  auto axis = static_cast<int>(d);
  bool pairs = self.dtype() == Dtype::Complex128;
  mx::array at = places(index);
  mx::Shape sizes = at.shape();
  if (pairs) {
    sizes.push_back(2);
  }
  mx::array from = source.size() == (pairs ? 2 : 1)
                       ? mx::broadcast_to(source, sizes)
                       : cut(source, sizes, -1);
  mx::array x = self.dim() == 0 ? mx::expand_dims(value, 0) : value;
  mx::array part = cut(x, sizes, axis);
  mx::array out = scatter_along(part, at, from, axis, reduce, with_self, pairs);
  if (part.shape() != x.shape()) {
    out = mx::slice_update(
        x, out, mx::Shape(x.ndim(), 0), mx::Shape(part.shape()));
  }
  return mx::reshape(out, value.shape());
}

Reduce old_reduce(const std::string& name) {
  FL_CHECK(
      name == "add" || name == "multiply",
      "reduce argument must be either add or multiply.");
  return name == "add" ? Reduce::Sum : Reduce::Prod;
}

mx::array scatter_reduced(
    const Tensor& self,
    int64_t dim,
    const Tensor& index,
    const Tensor& src,
    const std::string& reduce) {
  warn(
      "The reduce argument of torch.scatter with Tensor src is deprecated and "
      "will be removed in a future PyTorch release. Use torch.scatter_reduce "
      "instead for more reduction options.");
  Reduce r = old_reduce(reduce);
  int64_t d = checked_dim(self, dim, index);
  return scattered(self, d, index, any_value(src), r);
}

mx::array scatter_number_reduced(
    const Tensor& self,
    int64_t dim,
    const Tensor& index,
    const Scalar& value,
    const std::string& reduce) {
  Reduce r = old_reduce(reduce);
  int64_t d = checked_dim(self, dim, index);
  Dtype dtype = self.dtype();
  mx::array number =
      dtype == Dtype::Complex128
          ? pairs_of(complex128_number(value, {}, {}, self.device()))
          : number_within(value, dtype);
  return scattered(self, d, index, number, r);
}

mx::array scatter_reduce_kernel(
    const Tensor& self,
    int64_t dim,
    const Tensor& index,
    const Tensor& src,
    const std::string& reduce,
    bool include_self) {
  Reduce r = reduce_of(reduce);
  int64_t d = checked_dim(self, dim, index);
  check_ordered(self, r, "scatter_gather_tensor_cpu_reduce_");
  return scattered(self, d, index, any_value(src), r, include_self);
}

// The gradient of what was written. As in PyTorch, a source that is larger than
// the index has none: the engine finds the sizes wrong.
Tensor written(const Tensor& grad, int64_t dim, const Tensor& index) {
  return gather(grad, dim, index);
}

// What is overwritten has no gradient.
Tensor cleared(const Tensor& grad, int64_t dim, const Tensor& index) {
  return scatter(grad, dim, index, Scalar(0));
}

} // namespace

void register_scatter() {
  op("gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> "
     "Tensor")
      .forms("function method")
      .kernel(gather_kernel)
      .complex128(parts())
      .grad(
          "self",
          "self dim index", // saved whole, as PyTorch: writes to it raise
          [](const Tensor& grad,
             const Tensor& self,
             int64_t dim,
             const Tensor& index) {
            bool any = index.numel() != 0; // none may be of any type
            return scatter_add(
                zeros(self.sizes(), grad.dtype(), {}, grad.device()),
                dim,
                any ? index : _to_copy(index, Dtype::Int64),
                grad);
          })
      .zero_grad("index")
      .doc("Elements of `self` at `index` along `dim`.");
  op("gather.out(Tensor self, int dim, Tensor index, *, bool "
     "sparse_grad=False, Tensor(a!) out) -> Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self,
                   int64_t dim,
                   const Tensor& index,
                   bool,
                   const Tensor& out) {
        return write_out(
            "gather",
            {self, index},
            out,
            self.dtype(),
            detail::concat(
                "Expected out tensor to have dtype ",
                cpp_name(self.dtype()),
                ", but got ",
                cpp_name(out.dtype()),
                " instead"),
            [&] { return gather(self, dim, index); });
      })
      .doc("gather into `out`.");
  op("scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .node("ScatterBackward0")
      .check(check_scatter)
      .kernel([](const Tensor& self,
                 int64_t dim,
                 const Tensor& index,
                 const Tensor& src) {
        int64_t d = checked_dim(self, dim, index);
        return scattered(self, d, index, src.value(), Reduce::Set);
      })
      .complex128(parts())
      .grad("self", "dim index", cleared)
      .zero_grad("index")
      .grad("src", "dim index", written)
      .doc("A copy of `self` with `src` written to `index` along `dim`.");
  op("scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> "
     "Tensor")
      .forms("function method inplace out")
      .exact_out()
      .node("ScatterBackward1")
      .check(check_scatter_number)
      .kernel([](const Tensor& self,
                 int64_t dim,
                 const Tensor& index,
                 const Scalar& value) {
        int64_t d = checked_dim(self, dim, index);
        return scattered(
            self, d, index, number_within(value, self.dtype()), Reduce::Set);
      })
      .complex128(parts())
      .grad("self", "dim index", cleared)
      .zero_grad("index")
      .doc("A copy of `self` with a number written to `index` along `dim`.");
  op("scatter.reduce(Tensor self, int dim, Tensor index, Tensor src, *, str "
     "reduce) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .check(check_scatter)
      .kernel(scatter_reduced)
      .complex128(of_pairs(scatter_reduced))
      .no_derivative()
      .doc("scatter that adds or multiplies.");
  op("scatter.value_reduce(Tensor self, int dim, Tensor index, Scalar value, "
     "*, str reduce) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .check(check_scatter_number)
      .kernel(scatter_number_reduced)
      .complex128(of_pairs(scatter_number_reduced))
      .no_derivative()
      .doc("scatter that adds or multiplies a number.");
  op("scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .check(check_scatter)
      .kernel([](const Tensor& self,
                 int64_t dim,
                 const Tensor& index,
                 const Tensor& src) {
        int64_t d = checked_dim(self, dim, index);
        return scattered(self, d, index, src.value(), Reduce::Sum);
      })
      .complex128(parts())
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .zero_grad("index")
      .grad("src", "dim index", written)
      .doc("A copy of `self` with `src` added at `index` along `dim`.");
  op("scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str "
     "reduce, *, bool include_self=True) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .node("ScatterReduceBackward0")
      .check(check_scatter)
      .kernel(scatter_reduce_kernel)
      .complex128(of_pairs(scatter_reduce_kernel))
      .grad(
          "self src",
          "self dim index src reduce include_self result",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t dim,
             const Tensor& index,
             const Tensor& src,
             const std::string& reduce,
             bool include_self,
             const Tensor& result) {
            Along along{"scatter_reduce", "src", {}, {}, {}, {}};
            along.read = [=](const Tensor& x) { return gather(x, dim, index); };
            along.add = [=](const Tensor& x, const Tensor& y) {
              return scatter_add(x, dim, index, y);
            };
            along.clear = [=](const Tensor& x) {
              return cleared(x, dim, index);
            };
            along.reduce = [=](const Tensor& x, const Tensor& y) {
              return scatter_reduce(x, dim, index, y, reduce, include_self);
            };
            Tensor used = src;
            for (int64_t d = 0; d < src.dim(); ++d) {
              if (index.size(d) != src.size(d)) {
                used = slice(used, d, 0, index.size(d), 1);
              }
            }
            TensorList out = reduce_gradients(
                along,
                grad,
                self,
                used,
                reduce_of(reduce),
                include_self,
                result);
            return out;
          })
      .zero_grad("index")
      .doc("`self` with `src` brought in at `index` along `dim`.");
  op("take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor")
      .forms("function method out")
      .exact_out()
      .composite([](const Tensor& self,
                    const Tensor& indices,
                    std::optional<int64_t> dim) {
        FL_CHECK(
            indices.dtype() == Dtype::Int64,
            "torch.take_along_dim(): dtype of indices should be Long but got ",
            scalar_name(indices.dtype()));
        if (!dim) {
          return gather(flatten(self), 0, flatten(indices));
        }
        FL_CHECK(
            self.dim() == indices.dim(),
            "torch.take_along_dim(): input and indices should have the same "
            "number of dimensions, but got ",
            self.dim(),
            " dimensions for input, and ",
            indices.dim(),
            " dimensions for indices");
        int64_t d = wrap_dim(*dim, self.dim());
        auto with = [&](IntList sizes, int64_t n) {
          if (!sizes.empty()) {
            sizes[static_cast<size_t>(d)] = n;
          }
          return sizes;
        };
        int64_t n = dim_or_one(self, d), m = dim_or_one(indices, d);
        IntList sizes = broadcast_sizes(with(self.sizes(), m), indices.sizes());
        // Negative indices count from the end; gather refuses the others.
        Tensor wrapped = where(lt(indices, 0), indices + n, indices);
        return gather(
            expand(self, with(sizes, n)), d, expand(wrapped, with(sizes, m)));
      })
      .doc("Elements of `self` at `indices` along `dim`, broadcast together.");
}

} // namespace flashlight
