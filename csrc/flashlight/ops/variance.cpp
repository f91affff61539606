// Variances, standard deviations, covariances.
#include <algorithm>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/variance.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

using Dims = std::optional<IntList>;
using Correction = std::optional<Scalar>;

double correction_of(const Correction& correction) {
  return correction ? correction->to_double() : 1.0;
}
Correction unbiased_correction(bool unbiased) {
  return Scalar(unbiased ? 1 : 0);
}

double count(const IntList& sizes, const Dims& dims) {
  double n = 1;
  for (int axis : axes_of(dims, ndim_of(sizes))) {
    n *= static_cast<double>(sizes[static_cast<size_t>(axis)]);
  }
  return n;
}

// (variance, mean), in the widened type.
std::pair<mx::array, mx::array> moments(
    const mx::array& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim,
    const char* name) {
  auto axes = axes_of(dims, static_cast<int64_t>(self.ndim()));
  double n = count(to_int_list(self.shape()), dims);
  double free = n - correction_of(correction);
  if (free <= 0 && self.size() != 0) {
    warn(
        std::string(name) +
        "(): degrees of freedom is <= 0. Correction should be strictly less "
        "than the reduction factor (input numel divided by output numel).");
  }
  mx::array x = widened(self);
  bool complex = is_complex(from_mlx(x.dtype()));
  Dtype real = to_real(from_mlx(x.dtype()));
  mx::array m =
      mx::divide(mx::sum(x, axes, true), scalar_array(n, from_mlx(x.dtype())));
  mx::array d = mx::subtract(x, m);
  mx::array square =
      complex ? mx::add(mx::square(mx::real(d)), mx::square(mx::imag(d)))
              : mx::square(d);
  mx::array var = mx::divide(
      mx::sum(square, axes, keepdim), scalar_array(std::max(free, 0.0), real));
  return {var, keepdim ? m : mx::squeeze(m, axes)};
}

void check_dtype(const mx::array& self, const char* names) {
  Dtype d = from_mlx(self.dtype());
  FL_CHECK(
      is_floating(d) || is_complex(d),
      names,
      " only support floating point and complex dtypes");
}

mx::array var_kernel(
    const mx::array& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim) {
  check_dtype(self, "std and var");
  mx::array v = moments(self, dims, correction, keepdim, "var").first;
  return mx::astype(v, to_mlx(to_real(from_mlx(self.dtype()))));
}

mx::array std_kernel(
    const mx::array& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim) {
  check_dtype(self, "std and var");
  mx::array v = moments(self, dims, correction, keepdim, "std").first;
  return mx::astype(mx::sqrt(v), to_mlx(to_real(from_mlx(self.dtype()))));
}

template <bool root>
std::tuple<mx::array, mx::array> with_mean_kernel(
    const mx::array& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim) {
  const char* name = root ? "std_mean" : "var_mean";
  check_dtype(self, name);
  auto [v, m] = moments(self, dims, correction, keepdim, name);
  // PyTorch's running mean outlives an infinity only at the very end.
  auto axes = axes_of(dims, static_cast<int64_t>(self.ndim()));
  mx::Shape from(self.ndim(), 0), to = self.shape();
  for (int axis : axes) {
    from[static_cast<size_t>(axis)] =
        std::max(to[static_cast<size_t>(axis)] - 1, 0);
  }
  mx::array odd = mx::astype(mx::logical_not(mx::isfinite(self)), mx::int32);
  mx::array last = mx::sum(mx::slice(odd, from, to), axes, keepdim);
  m = mx::where(
      mx::greater(mx::sum(odd, axes, keepdim), last),
      mx::array(std::numeric_limits<float>::quiet_NaN(), m.dtype()),
      m);
  mx::Dtype real = to_mlx(to_real(from_mlx(self.dtype())));
  return {
      mx::astype(root ? mx::sqrt(v) : v, real), mx::astype(m, self.dtype())};
}

Tensor var_grad(
    const Tensor& grad,
    const Tensor& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim) {
  double free = count(self.sizes(), dims) - correction_of(correction);
  return restore_dims(grad, self.sizes(), dims, keepdim) * Scalar(2.0 / free) *
         (self - mean(self, dims.value_or(IntList()), true));
}

// Of complex128: the sum of those of the parts.
Tensor var_form(
    const Tensor& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim) {
  return var(real(self), dims, correction, keepdim) +
         var(imag(self), dims, correction, keepdim);
}

Tensor std_form(
    const Tensor& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim) {
  return sqrt(var_form(self, dims, correction, keepdim));
}

std::tuple<Tensor, Tensor> var_mean_form(
    const Tensor& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim) {
  return {
      var_form(self, dims, correction, keepdim),
      mean(self, dims.value_or(IntList()), keepdim)};
}

std::tuple<Tensor, Tensor> std_mean_form(
    const Tensor& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim) {
  return {
      std_form(self, dims, correction, keepdim),
      mean(self, dims.value_or(IntList()), keepdim)};
}

// The gradient is zero where the deviation is.
Tensor std_grad(
    const Tensor& grad,
    const Tensor& self,
    const Dims& dims,
    const Correction& correction,
    bool keepdim,
    const Tensor& result) {
  mx::array zero =
      mx::equal(result.value(), mx::array(0, to_mlx(result.dtype())));
  mx::Dtype type = to_mlx(result.dtype());
  Tensor keep = constant(mx::astype(mx::logical_not(zero), type), result);
  Tensor fill = constant(mx::astype(zero, type), result);
  return var_grad(
      grad * keep / (result * Scalar(2) + fill),
      self,
      dims,
      correction,
      keepdim);
}

Tensor mean_grad(
    const Tensor& grad,
    const Tensor& self,
    const Dims& dims,
    bool keepdim) {
  return restore_dims(grad, self.sizes(), dims, keepdim) /
         Scalar(count(self.sizes(), dims));
}

Tensor sum_of(const Tensor& a, const Tensor& b) {
  return !a.defined() ? b : !b.defined() ? a : a + b;
}

// Observations with their weights: torch.cov's steps.
Tensor covariance(
    const Tensor& self,
    int64_t correction,
    const Tensor& fweights,
    const Tensor& aweights) {
  FL_CHECK(
      self.dim() <= 2,
      "cov(): expected input to have two or fewer dimensions but got an input "
      "with ",
      self.dim(),
      " dimensions");
  FL_CHECK(
      self.dtype() != Dtype::Bool,
      "cov(): bool dtype is not supported for input");
  Tensor in =
      self.dim() < 2 ? view(reshape(self, {self.numel()}), {1, -1}) : self;
  int64_t n = in.sizes()[1];
  Tensor w;
  auto check = [&](const Tensor& x, const char* name, bool integral) {
    FL_CHECK(
        x.dim() <= 1,
        "cov(): expected ",
        name,
        " to have one or fewer dimensions but got ",
        name,
        " with ",
        x.dim(),
        " dimensions");
    FL_CHECK(
        integral ? is_integral(x.dtype(), false) : x.is_floating_point(),
        "cov(): expected ",
        name,
        integral ? " to have integral dtype but got "
                 : " to have floating point dtype but got ",
        name,
        " with ",
        scalar_name(x.dtype()),
        " dtype");
    FL_CHECK(
        x.numel() == n,
        "cov(): expected ",
        name,
        " to have the same numel as there are observations in the input but "
        "got ",
        x.numel(),
        " != ",
        n);
    if (x.numel() > 0) {
      FL_CHECK(
          !mx::min(x.value()).ndim() &&
              Tensor(mx::min(x.value())).item().to_double() >= 0,
          "cov(): ",
          name,
          " cannot be negative");
    }
    w = w.defined() ? w * x : x;
  };
  if (fweights.defined()) {
    check(fweights, "fweights", true);
  }
  if (aweights.defined()) {
    check(aweights, "aweights", false);
  }
  bool weighted = w.defined();
  Tensor total = weighted ? sum(w) : Tensor();
  Tensor avg = weighted ? sum(in * w, IntList{1}) / total
                        : sum(in, IntList{1}) / Scalar(static_cast<double>(n));
  Tensor factor;
  if (weighted) {
    FL_CHECK(
        w.numel() == 0 || total.item().to_double() != 0,
        "cov(): weights sum to zero, can't be normalized");
    Tensor by = aweights.defined() && correction != 0
                    ? sum(w * aweights) / total * Scalar(correction)
                    : Tensor(wrapped_number(Scalar(correction)));
    factor = total - by;
  } else {
    factor = wrapped_number(Scalar(static_cast<double>(n - correction)));
  }
  if (factor.item().to_double() <= 0) {
    warn(
        "cov(): degrees of freedom is <= 0. Correction should be strictly "
        "less than the number of observations.");
    factor = wrapped_number(Scalar(0.0));
  }
  Tensor centered = in - unsqueeze(avg, 1);
  Tensor c = mm(centered, conj(t(weighted ? centered * w : centered)));
  return squeeze(c / factor);
}

} // namespace

void register_variance() {
  op("var(Tensor self, bool unbiased=True) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self, bool unbiased) {
        return var(self, Dims(), unbiased_correction(unbiased), false);
      })
      .doc("The variance of all elements.");
  op("var.dim(Tensor self, int[1]? dim, bool unbiased=True, bool "
     "keepdim=False) -> Tensor")
      .forms("function method out")
      .composite(
          [](const Tensor& self, const Dims& dim, bool unbiased, bool keepdim) {
            return var(self, dim, unbiased_correction(unbiased), keepdim);
          })
      .doc("The variance over dimensions.");
  op("var.correction(Tensor self, int[1]? dim=None, *, Scalar? "
     "correction=None, bool keepdim=False) -> Tensor")
      .forms("function method out")
      .kernel(var_kernel)
      .complex128(formula(var_form))
      .grad("self", "self dim correction keepdim", var_grad)
      .doc("The variance over dimensions.");
  op("std(Tensor self, bool unbiased=True) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self, bool unbiased) {
        return std(self, Dims(), unbiased_correction(unbiased), false);
      })
      .doc("The standard deviation of all elements.");
  op("std.dim(Tensor self, int[1]? dim, bool unbiased=True, bool "
     "keepdim=False) -> Tensor")
      .forms("function method out")
      .composite(
          [](const Tensor& self, const Dims& dim, bool unbiased, bool keepdim) {
            return std(self, dim, unbiased_correction(unbiased), keepdim);
          })
      .doc("The standard deviation over dimensions.");
  op("std.correction(Tensor self, int[1]? dim=None, *, Scalar? "
     "correction=None, bool keepdim=False) -> Tensor")
      .forms("function method out")
      .kernel(std_kernel)
      .complex128(formula(std_form))
      .grad("self", "self dim correction keepdim result", std_grad)
      .doc("The standard deviation over dimensions.");
  op("var_mean(Tensor self, bool unbiased=True) -> (Tensor, Tensor)")
      .forms("function")
      .composite([](const Tensor& self, bool unbiased) {
        return var_mean(self, Dims(), unbiased_correction(unbiased), false);
      })
      .doc("The variance and the mean of all elements.");
  op("var_mean.dim(Tensor self, int[1]? dim, bool unbiased=True, bool "
     "keepdim=False) -> (Tensor, Tensor)")
      .forms("function")
      .composite(
          [](const Tensor& self, const Dims& dim, bool unbiased, bool keepdim) {
            return var_mean(self, dim, unbiased_correction(unbiased), keepdim);
          })
      .doc("The variance and the mean over dimensions.");
  op("var_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? "
     "correction=None, bool keepdim=False) -> (Tensor, Tensor)")
      .forms("function")
      .kernel(with_mean_kernel<false>)
      .complex128(formula(var_mean_form))
      .grad(
          "self",
          "self dim correction keepdim",
          [](const TensorList& grads,
             const Tensor& self,
             const Dims& dim,
             const Correction& correction,
             bool keepdim) {
            Tensor a, b;
            if (grads[0].defined()) {
              a = var_grad(grads[0], self, dim, correction, keepdim);
            }
            if (grads[1].defined()) {
              b = mean_grad(grads[1], self, dim, keepdim);
            }
            return TensorList{sum_of(a, b)};
          })
      .doc("The variance and the mean over dimensions.");
  op("std_mean(Tensor self, bool unbiased=True) -> (Tensor, Tensor)")
      .forms("function")
      .composite([](const Tensor& self, bool unbiased) {
        return std_mean(self, Dims(), unbiased_correction(unbiased), false);
      })
      .doc("The standard deviation and the mean of all elements.");
  op("std_mean.dim(Tensor self, int[1]? dim, bool unbiased=True, bool "
     "keepdim=False) -> (Tensor, Tensor)")
      .forms("function")
      .composite(
          [](const Tensor& self, const Dims& dim, bool unbiased, bool keepdim) {
            return std_mean(self, dim, unbiased_correction(unbiased), keepdim);
          })
      .doc("The standard deviation and the mean over dimensions.");
  op("std_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? "
     "correction=None, bool keepdim=False) -> (Tensor, Tensor)")
      .forms("function")
      .kernel(with_mean_kernel<true>)
      .complex128(formula(std_mean_form))
      .grad(
          "self",
          "self dim correction keepdim result0",
          [](const TensorList& grads,
             const Tensor& self,
             const Dims& dim,
             const Correction& correction,
             bool keepdim,
             const Tensor& result) {
            Tensor a, b;
            if (grads[0].defined()) {
              a = std_grad(grads[0], self, dim, correction, keepdim, result);
            }
            if (grads[1].defined()) {
              b = mean_grad(grads[1], self, dim, keepdim);
            }
            return TensorList{sum_of(a, b)};
          })
      .doc("The standard deviation and the mean over dimensions.");
  op("cov(Tensor self, *, int correction=1, Tensor? fweights=None, Tensor? "
     "aweights=None) -> Tensor")
      .forms("function method")
      .composite(covariance)
      .doc("The covariance matrix of variables, a row each.");
  op("corrcoef(Tensor self) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self) {
        FL_CHECK(
            self.dim() <= 2,
            "corrcoef(): expected input to have two or fewer dimensions but "
            "got an input with ",
            self.dim(),
            " dimensions");
        Tensor c = cov(self);
        if (c.dim() == 0) {
          return c / c;
        }
        int64_t n = c.sizes()[0];
        // The diagonal, as a view.
        Tensor d = contiguous(c);
        d = as_strided(d, {n}, {n + 1}, d.storage_offset());
        Tensor dev = sqrt(d.is_complex() ? real(d) : d);
        return c / unsqueeze(dev, 1) / unsqueeze(dev, 0);
      })
      .doc("The correlation matrix of variables, a row each.");
}

} // namespace flashlight
