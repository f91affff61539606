// Sums, products, means and tests over dimensions.
#include <algorithm>

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/runtime.h"
#include "flashlight/kernels/accurate.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/extrema.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/repeating.h"
#include "flashlight/ops/functions/scans.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

// Of another dtype than the one that was asked for.
constexpr const char* kSumOut =
    "%=Expected out tensor to have dtype %r, but got %o instead";

Dtype sum_dtype(const mx::array& self, std::optional<Dtype> dtype) {
  Dtype d = from_mlx(self.dtype());
  return dtype.value_or(is_integral(d, true) ? Dtype::Int64 : d);
}

mx::array sum_kernel(
    const mx::array& self,
    const std::optional<IntList>& dims,
    bool keepdim,
    std::optional<Dtype> dtype) {
  mx::Dtype to = to_mlx(sum_dtype(self, dtype));
  auto axes = axes_of(dims, static_cast<int64_t>(self.ndim()));
  mx::array x = mx::astype(self, to);
  if (to == mx::bool_) {
    return mx::any(x, axes, keepdim);
  }
  return mx::astype(mx::sum(widened(x), axes, keepdim), to);
}

mx::array without_nan(const mx::array& x) {
  return mx::issubdtype(x.dtype(), mx::floating)
             ? mx::where(mx::isnan(x), mx::zeros_like(x), x)
             : x;
}

// How many elements each result of a reduction is made of.
int64_t reduced_numel(
    const IntList& sizes,
    const std::optional<IntList>& dims) {
  int64_t n = 1;
  for (int axis : axes_of(dims, ndim_of(sizes))) {
    n *= sizes[static_cast<size_t>(axis)];
  }
  return n;
}

mx::array mean_kernel(
    const mx::array& self,
    const std::optional<IntList>& dims,
    bool keepdim,
    std::optional<Dtype> dtype) {
  Dtype d = dtype.value_or(from_mlx(self.dtype()));
  FL_CHECK(
      is_floating(d) || is_complex(d),
      "mean(): could not infer output dtype. ",
      dtype ? "Optional dtype" : "Input dtype",
      " must be either a floating point or complex dtype. Got: ",
      scalar_name(d));
  mx::array x = widened(mx::astype(self, to_mlx(d)));
  auto axes = axes_of(dims, static_cast<int64_t>(self.ndim()));
  auto n = static_cast<double>(reduced_numel(to_int_list(self.shape()), dims));
  mx::array count = scalar_array(n, from_mlx(x.dtype()));
  return mx::astype(mx::divide(mx::sum(x, axes, keepdim), count), to_mlx(d));
}

// The product along an axis, as a tree of multiplications: its derivative by
// mx::vjp is right where elements are zero, and itself differentiable.
mx::array tree_prod(mx::array x, int axis) {
  auto part = [&](int start, int stop) {
    mx::Shape from(x.ndim(), 0), to = x.shape();
    from[static_cast<size_t>(axis)] = start;
    to[static_cast<size_t>(axis)] = stop;
    return mx::slice(x, from, to);
  };
  for (int n = x.shape(axis); n > 1; n = x.shape(axis)) {
    int half = n / 2;
    mx::array y = mx::multiply(part(0, half), part(half, 2 * half));
    x = n % 2 ? mx::concatenate({y, part(n - 1, n)}, axis) : y;
  }
  return x;
}

mx::array prod_kernel(
    const mx::array& self,
    std::optional<int64_t> dim,
    bool keepdim,
    std::optional<Dtype> dtype) {
  mx::Dtype to = to_mlx(sum_dtype(self, dtype));
  std::optional<IntList> dims;
  if (dim) {
    dims = IntList{*dim};
  }
  auto axes = axes_of(dims, static_cast<int64_t>(self.ndim()));
  mx::array x = mx::astype(self, to);
  if (to == mx::bool_) {
    return mx::all(x, axes, keepdim);
  }
  return mx::astype(mx::prod(widened(x), axes, keepdim), to);
}

int64_t count_zeros(const Tensor& x) {
  return sum(eq(x, Scalar(0))).item().to_int();
}

// The product of complex numbers along a dimension.
Tensor product_form(
    const Tensor& self,
    int64_t dim,
    bool keepdim,
    std::optional<Dtype> dtype) {
  if (dtype && *dtype != Dtype::Complex128) {
    return prod(_to_copy(self, *dtype), dim, keepdim);
  }
  Tensor x = to(self, Dtype::Complex128);
  if (x.dim() == 0) {
    return clone(x);
  }
  int64_t d = wrap_dim(dim, x.dim());
  if (x.size(d) == 0) {
    IntList sizes = x.sizes();
    sizes[static_cast<size_t>(d)] = 1;
    x = ones(sizes, x.dtype(), {}, x.device());
  }
  for (int64_t n = x.size(d); n > 1; n = x.size(d)) {
    int64_t half = n / 2;
    Tensor y = narrow(x, d, 0, half) * narrow(x, d, half, half);
    x = n % 2 ? cat({y, narrow(x, d, n - 1, 1)}, d) : y;
  }
  return clone(keepdim ? x : squeeze(x, d));
}

// Its gradient: of each element, the product of the others.
Tensor product_grad_form(const Tensor& grad, const Tensor& self, int64_t dim) {
  int64_t d = wrap_dim(dim, self.dim()), n = self.size(d);
  if (n == 0 || self.numel() == 0) {
    return zeros_like(self);
  }
  IntList one = self.sizes();
  one[static_cast<size_t>(d)] = 1;
  Tensor first = ones(one, self.dtype(), {}, self.device());
  Tensor before = cumprod(cat({first, narrow(self, d, 0, n - 1)}, d), d);
  Tensor after = flip(
      cumprod(cat({first, flip(narrow(self, d, 1, n - 1), {d})}, d), d), {d});
  return grad * conj(before * after);
}

// log(sum(exp(x))) of complex numbers.
Tensor logsumexp_form(const Tensor& self, const IntList& dims, bool keepdim) {
  if (self.numel() == 0) {
    return log(sum(exp(self), dims, keepdim));
  }
  IntList all = wrap_dims(dims, self.dim());
  Tensor m = amax(real(self), all, /*keepdim=*/true);
  m = where(isinf(m), zeros_like(m), m);
  Tensor y = log(sum(exp(self - m), all, /*keepdim=*/true)) + m;
  return keepdim ? y : squeeze(y, all);
}

enum class Test : uint8_t { Any, All };

// uint8 answers in uint8, as in PyTorch.
template <Test test>
mx::array
tested(const mx::array& self, const std::vector<int>& axes, bool keepdim) {
  mx::array x = mx::not_equal(self, mx::array(0, self.dtype()));
  x = test == Test::Any ? mx::any(x, axes, keepdim) : mx::all(x, axes, keepdim);
  return self.dtype() == mx::uint8 ? mx::astype(x, mx::uint8) : x;
}

template <Test test>
mx::array test_all(const mx::array& self) {
  return tested<test>(
      self, axes_of({}, static_cast<int64_t>(self.ndim())), false);
}

template <Test test>
mx::array test_dim(const mx::array& self, int64_t dim, bool keepdim) {
  return tested<test>(
      self, axes_of(IntList{dim}, static_cast<int64_t>(self.ndim())), keepdim);
}

// No dimensions named are none at all; None is all of them.
template <Test test>
mx::array test_dims(
    const mx::array& self,
    const std::optional<IntList>& dims,
    bool keepdim) {
  auto axes = dims && dims->empty()
                  ? std::vector<int>{}
                  : axes_of(dims, static_cast<int64_t>(self.ndim()));
  return tested<test>(self, axes, keepdim);
}

mx::array count_kernel(const mx::array& self, const IntList& dims) {
  mx::array x = mx::not_equal(self, mx::array(0, self.dtype()));
  return mx::sum(
      mx::astype(x, mx::int64),
      axes_of(dims, static_cast<int64_t>(self.ndim())));
}

mx::array
logsumexp_kernel(const mx::array& self, const IntList& dims, bool keepdim) {
  auto axes = axes_of(dims, static_cast<int64_t>(self.ndim()));
  mx::array x = widened(self);
  if (x.size() == 0) {
    return mx::astype(
        mx::log(mx::sum(accurate::exp(x), axes, keepdim)), self.dtype());
  }
  // An infinite maximum is not subtracted: inf - inf is NaN.
  mx::array real = is_complex(from_mlx(x.dtype())) ? mx::real(x) : x;
  mx::array m = mx::max(real, axes, true);
  m = mx::where(mx::isinf(m), mx::zeros_like(m), m);
  mx::array y = mx::log(mx::sum(accurate::exp(mx::subtract(x, m)), axes, true));
  y = mx::add(y, m);
  return mx::astype(keepdim ? y : mx::squeeze(y, axes), self.dtype());
}

} // namespace

void register_reductions() {
  op("sum(Tensor self, *, ScalarType? dtype=None) -> Tensor")
      .forms("function method")
      .autocast(Autocast::None, Autocast::Float32)
      .kernel([](const mx::array& self, std::optional<Dtype> dtype) {
        return sum_kernel(self, std::nullopt, false, dtype);
      })
      .complex128(parts())
      .grad(
          "self",
          "self.shape",
          [](const Tensor& grad, const Tensor& self) {
            return expand(grad, self.sizes());
          })
      .doc("The sum of all elements.");
  op("sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, "
     "ScalarType? dtype=None) -> Tensor")
      .forms("function method out")
      .exact_out(kSumOut)
      .autocast(Autocast::None, Autocast::Float32)
      .kernel(sum_kernel)
      .complex128(parts())
      .node("SumBackward1")
      .grad(
          "self",
          "self.shape dim keepdim",
          [](const Tensor& grad,
             const Tensor& self,
             const std::optional<IntList>& dim,
             bool keepdim) {
            return restore_dims(grad, self.sizes(), dim, keepdim);
          })
      .doc("The sum over dimensions.");
  op("sum_to_size(Tensor self, SymInt[] size) -> Tensor")
      .forms("method")
      .composite([](const Tensor& self, const IntList& size) {
        bool fits = size.size() <= self.sizes().size();
        for (size_t i = 0; fits && i < size.size(); ++i) {
          int64_t n = size[size.size() - 1 - i];
          fits = n == 1 || n == self.sizes()[self.sizes().size() - 1 - i];
        }
        if (size.empty()) {
          return sum(self);
        }
        FL_CHECK(
            fits,
            "size {",
            size,
            "} is not expandable to size {",
            self.sizes(),
            "}.");
        return unbroadcast(self, size);
      })
      .doc("The sum over what broadcasting to this size would repeat.");
  op("nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, "
     "ScalarType? dtype=None) -> Tensor")
      .forms("function method out")
      .exact_out("%r%i\"nansum_cpu\" not implemented for '%O'")
      .kernel([](const mx::array& self,
                 const std::optional<IntList>& dim,
                 bool keepdim,
                 std::optional<Dtype> dtype) {
        FL_CHECK(
            !is_complex(from_mlx(self.dtype())),
            "nansum on CPU does not support complex inputs");
        return sum_kernel(without_nan(self), dim, keepdim, dtype);
      })
      .grad(
          "self",
          "self dim keepdim",
          [](const Tensor& grad,
             const Tensor& self,
             const std::optional<IntList>& dim,
             bool keepdim) {
            mx::array there = mx::logical_not(mx::isnan(self.value()));
            mx::array mask = mx::astype(there, to_mlx(grad.dtype()));
            return restore_dims(grad, self.sizes(), dim, keepdim) *
                   constant(mask, self);
          })
      .doc("The sum, with NaN as zero.");
  op("mean(Tensor self, *, ScalarType? dtype=None) -> Tensor")
      .forms("function method out")
      .exact_out(
          "%?mean.dtype_out(): input types can't be cast to the desired output "
          "type %O")
      .kernel([](const mx::array& self, std::optional<Dtype> dtype) {
        return mean_kernel(self, std::nullopt, false, dtype);
      })
      .complex128(parts())
      .grad(
          "self",
          "self.shape",
          [](const Tensor& grad, const Tensor& self) {
            return expand(grad, self.sizes()) / Scalar(self.numel());
          })
      .doc("The mean of all elements.");
  op("mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? "
     "dtype=None) -> Tensor")
      .forms("function method out")
      .kernel(mean_kernel)
      .complex128(parts())
      .node("MeanBackward1")
      .grad(
          "self",
          "self.shape dim keepdim",
          [](const Tensor& grad,
             const Tensor& self,
             const std::optional<IntList>& dim,
             bool keepdim) {
            return restore_dims(grad, self.sizes(), dim, keepdim) /
                   Scalar(reduced_numel(self.sizes(), dim));
          })
      .doc("The mean over dimensions.");
  op("nanmean(Tensor self, int[1]? dim=None, bool keepdim=False, *, "
     "ScalarType? dtype=None) -> Tensor")
      .forms("function method out")
      .exact_out("%r%i\"nansum_cpu\" not implemented for '%O'")
      .composite([](const Tensor& self,
                    const std::optional<IntList>& dim,
                    bool keepdim,
                    std::optional<Dtype> dtype) {
        FL_CHECK(
            self.is_floating_point() || self.is_complex(),
            "nanmean(): expected input to have floating point or complex "
            "dtype but got ",
            scalar_name(self.dtype()));
        mx::array there = mx::logical_not(mx::isnan(self.value()));
        auto axes = axes_of(dim, self.dim());
        mx::array n = mx::sum(mx::astype(there, mx::int64), axes, keepdim);
        return nansum(self, dim, keepdim, dtype) / constant(n, self);
      })
      .doc("The mean of what is not NaN.");
  op("prod(Tensor self, *, ScalarType? dtype=None) -> Tensor")
      .forms("function method")
      .autocast(Autocast::Float32)
      .kernel([](const mx::array& self, std::optional<Dtype> dtype) {
        return prod_kernel(self, std::nullopt, false, dtype);
      })
      .complex128(
          formula([](const Tensor& self, const std::optional<Dtype>& dtype) {
            return product_form(reshape(self, {self.numel()}), 0, false, dtype);
          }))
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            int64_t n = self.dim() ? count_zeros(self) : 0;
            if (n == 0) {
              return self.dim() ? grad * conj(result / self) : grad;
            }
            if (n > 1 && !grad_enabled()) {
              return zeros_like(self);
            }
            Tensor flat = reshape(self, {self.numel()});
            return view(
                _prod_backward(unsqueeze(grad, 0), flat, 0), self.sizes());
          })
      .doc("The product of all elements.");
  op("prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? "
     "dtype=None) -> Tensor")
      .forms("function method out")
      .exact_out(kSumOut)
      .autocast(Autocast::Float32)
      .node("ProdBackward1")
      .kernel([](const mx::array& self,
                 int64_t dim,
                 bool keepdim,
                 std::optional<Dtype> dtype) {
        return prod_kernel(self, dim, keepdim, dtype);
      })
      .complex128(formula(product_form))
      .grad(
          "self",
          "self dim keepdim result",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t dim,
             bool keepdim,
             const Tensor& result) {
            if (self.dim() == 0) {
              return grad;
            }
            auto kept = [&](const Tensor& x) {
              return keepdim ? x : unsqueeze(x, wrap_dim(dim, self.dim()));
            };
            return count_zeros(self) == 0
                       ? kept(grad) * conj(kept(result) / self)
                       : _prod_backward(kept(grad), self, dim);
          })
      .doc("The product over a dimension.");
  // The gradient of a product; `grad` has kept the dimension.
  op("_prod_backward(Tensor grad, Tensor self, int dim) -> Tensor")
      .forms("")
      .kernel([](const mx::array& grad, const mx::array& self, int64_t dim) {
        int axis = axis_of(dim, self);
        if (self.shape(axis) <= 1 || self.size() == 0) {
          return mx::broadcast_to(grad, self.shape());
        }
        auto forward = [axis](const std::vector<mx::array>& x) {
          return std::vector<mx::array>{tree_prod(x[0], axis)};
        };
        mx::array x = mx::astype(self, grad.dtype());
        return mx::vjp(forward, {x}, {grad}).second[0];
      })
      .complex128(formula(product_grad_form))
      .vjp()
      .doc("The gradient of prod.");
  op("any(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out("%uany only supports bool tensor for result, got: %O")
      .kernel(test_all<Test::Any>)
      .complex128(
          formula([](const Tensor& self) { return any(ne(self, Scalar(0))); }))
      .not_differentiable()
      .doc("True if any element is.");
  op("any.dim(Tensor self, int dim, bool keepdim=False) -> Tensor")
      .forms("function method out")
      .exact_out("%uany only supports bool tensor for result, got: %O")
      .kernel(test_dim<Test::Any>)
      .complex128(formula([](const Tensor& self, int64_t dim, bool keepdim) {
        return any(ne(self, Scalar(0)), dim, keepdim);
      }))
      .not_differentiable()
      .doc("True where any element over a dimension is.");
  op("any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor")
      .forms("function method out")
      .exact_out("%uany only supports bool tensor for result, got: %O")
      .kernel(test_dims<Test::Any>)
      .complex128(formula(
          [](const Tensor& self,
             const std::optional<IntList>& dim,
             bool keepdim) { return any(ne(self, Scalar(0)), dim, keepdim); }))
      .not_differentiable()
      .doc("True where any element over dimensions is.");
  op("all(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out("%uall only supports bool tensor for result, got: %O")
      .kernel(test_all<Test::All>)
      .complex128(
          formula([](const Tensor& self) { return all(ne(self, Scalar(0))); }))
      .not_differentiable()
      .doc("True if all elements are.");
  op("all.dim(Tensor self, int dim, bool keepdim=False) -> Tensor")
      .forms("function method out")
      .exact_out("%uall only supports bool tensor for result, got: %O")
      .kernel(test_dim<Test::All>)
      .complex128(formula([](const Tensor& self, int64_t dim, bool keepdim) {
        return all(ne(self, Scalar(0)), dim, keepdim);
      }))
      .not_differentiable()
      .doc("True where all elements over a dimension are.");
  op("all.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor")
      .forms("function method out")
      .exact_out("%uall only supports bool tensor for result, got: %O")
      .kernel(test_dims<Test::All>)
      .complex128(formula(
          [](const Tensor& self,
             const std::optional<IntList>& dim,
             bool keepdim) { return all(ne(self, Scalar(0)), dim, keepdim); }))
      .not_differentiable()
      .doc("True where all elements over dimensions are.");
  op("count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor")
      .forms("function method")
      .kernel(count_kernel)
      .complex128(formula([](const Tensor& self, const IntList& dim) {
        return count_nonzero(ne(self, Scalar(0)), dim);
      }))
      .not_differentiable()
      .doc("How many elements over dimensions are not zero.");
  op("count_nonzero(Tensor self, int? dim=None) -> Tensor")
      .forms("function method")
      .kernel([](const mx::array& self, std::optional<int64_t> dim) {
        return count_kernel(self, dim ? IntList{*dim} : IntList());
      })
      .complex128(
          formula([](const Tensor& self, const std::optional<int64_t>& dim) {
            return count_nonzero(ne(self, Scalar(0)), dim);
          }))
      .not_differentiable()
      .doc("How many elements are not zero.");
  op("logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor")
      .forms("function method out")
      .exact_out(
          "%?logsumexp(): Expected floating point type for result tensor, but "
          "got: %O")
      .promote_float()
      .kernel(logsumexp_kernel)
      .complex128(formula(logsumexp_form))
      .grad(
          "self",
          "self dim keepdim result",
          [](const Tensor& grad,
             const Tensor& self,
             const IntList& dim,
             bool keepdim,
             const Tensor& result) {
            Tensor r = restore_dims(result, self.sizes(), dim, keepdim);
            return restore_dims(grad, self.sizes(), dim, keepdim) *
                   conj(exp(self - r));
          })
      .doc("The logarithm of the sum of exponentials.");
}

} // namespace flashlight
