// Cumulative ops, differences and integrals along a dimension.
#include <algorithm>

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/kernels/accurate.h"
#include "flashlight/kernels/host.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/repeating.h"
#include "flashlight/ops/functions/scans.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/sorting.h"
#include "flashlight/ops/functions/triangular.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

// Of another dtype than the one that was asked for.
constexpr const char* kSumOut =
    "%=Expected out tensor to have dtype %r, but got %o instead";

// What is summed, in the type of the result.
mx::array scanned(
    const mx::array& self,
    std::optional<Dtype> dtype,
    std::string_view name) {
  Dtype d = from_mlx(self.dtype());
  Dtype to = dtype.value_or(is_integral(d, true) ? Dtype::Int64 : d);
  if (to == Dtype::Bool) {
    not_implemented(name, to);
  }
  return mx::astype(self, to_mlx(to));
}

mx::array
cumsum_kernel(const mx::array& self, int64_t dim, std::optional<Dtype> dtype) {
  int axis = axis_of(dim, self);
  mx::array x = scanned(self, dtype, "cumsum_out_cpu");
  if (x.ndim() == 0 || x.size() == 0) {
    return x;
  }
  return mx::astype(mx::cumsum(widened(x), axis), x.dtype());
}

mx::array
cumprod_kernel(const mx::array& self, int64_t dim, std::optional<Dtype> dtype) {
  int axis = axis_of(dim, self);
  mx::array x = scanned(self, dtype, "cumprod_out_cpu");
  if (x.ndim() == 0 || x.size() == 0) {
    return x;
  }
  return mx::astype(mx::cumprod(widened(x), axis), x.dtype());
}

// An inclusive scan in log2(n) steps of whole arrays, so that mx::vjp of it is
// right where a division would not be, and can be differentiated again.
template <typename F>
mx::array stepwise_scan(mx::array x, int axis, F combine) {
  int n = x.shape(axis);
  auto part = [&](int start, int stop) {
    mx::Shape from(x.ndim(), 0), to = x.shape();
    from[static_cast<size_t>(axis)] = start;
    to[static_cast<size_t>(axis)] = stop;
    return mx::slice(x, from, to);
  };
  for (int step = 1; step < n; step *= 2) {
    x = mx::concatenate(
        {part(0, step), combine(part(step, n), part(0, n - step))}, axis);
  }
  return x;
}

// log(exp(a) + exp(b)), of complex numbers too.
mx::array log_add(const mx::array& a, const mx::array& b) {
  if (a.dtype() != mx::complex64) {
    return accurate::logaddexp(a, b);
  }
  // From the one of greater real part, whose phase it keeps near.
  mx::array first = mx::greater_equal(mx::real(a), mx::real(b));
  mx::array big = mx::where(first, a, b), small = mx::where(first, b, a);
  mx::array one = mx::ones_like(big);
  return mx::add(
      big, mx::log(mx::add(one, accurate::exp(mx::subtract(small, big)))));
}

Z log_add_of(Z sum, Z next) {
  bool first = sum.real() >= next.real();
  Z big = first ? sum : next, small = first ? next : sum;
  if (big.real() == small.real() && std::isinf(big.real())) {
    return big.real() < 0 ? small : std::log(std::exp(big) + std::exp(small));
  }
  return big + std::log(1.0 + std::exp(small - big));
}

// combine(sum so far, next) along an axis, in order (on which the phase of the
// result depends). x holds numbers of type T in these sizes.
template <typename T, typename F>
mx::array complex_scan(
    const char* name,
    const mx::array& x,
    const mx::Shape& sizes,
    int axis,
    F combine) {
  auto loop = [rows = Rows(sizes, axis), combine](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    const auto* from =
        reinterpret_cast<const std::complex<T>*>(in[0].data<T>());
    auto* to = reinterpret_cast<std::complex<T>*>(out[0].data<T>());
    rows.each([&](int64_t start) {
      Z sum(from[start]);
      for (int64_t i = 0; i < rows.size; ++i) {
        int64_t at = start + i * rows.inner;
        if (i > 0) {
          sum = combine(sum, Z(from[at]));
        }
        to[at] = std::complex<T>(sum);
      }
    });
  };
  return host_op(name, {x}, {{x.shape(), x.dtype()}}, loop)[0];
}

mx::array complex_logcumsumexp(const mx::array& x, int axis) {
  return complex_scan<float>("LogCumSumExp", x, x.shape(), axis, log_add_of);
}

template <typename F>
Tensor
complex128_scan(const char* name, const Tensor& x, int64_t dim, F combine) {
  auto axis = static_cast<int>(wrap_dim(dim, x.dim()));
  if (x.dim() == 0 || x.numel() == 0) {
    return clone(x);
  }
  return from_pairs(
      complex_scan<double>(name, x.pairs(), to_shape(x.sizes()), axis, combine),
      contiguous_strides(x.sizes()),
      x.device());
}

Tensor logcumsumexp_form(const Tensor& self, int64_t dim) {
  return complex128_scan("LogCumSumExp", self, dim, log_add_of);
}

Tensor
cumprod_form(const Tensor& self, int64_t dim, std::optional<Dtype> dtype) {
  if (dtype && *dtype != Dtype::Complex128) {
    return cumprod(_to_copy(self, *dtype), dim);
  }
  return complex128_scan("CumProd", to(self, Dtype::Complex128), dim, times);
}

template <typename F>
mx::array scan_backward(
    const mx::array& grad,
    const mx::array& self,
    int64_t dim,
    F combine) {
  if (self.ndim() == 0 || self.size() == 0) {
    return grad;
  }
  int axis = axis_of(dim, self);
  auto forward = [axis, combine](const std::vector<mx::array>& x) {
    return std::vector<mx::array>{stepwise_scan(x[0], axis, combine)};
  };
  mx::array x = mx::astype(self, grad.dtype());
  return mx::vjp(forward, {x}, {grad}).second[0];
}

// By division, which is right up to the first zero; there, by the product of
// the others; and 0 after it. No derivative of this would be right at a zero.
Tensor cumprod_grad(const Tensor& grad, const Tensor& self, int64_t dim) {
  if (self.dim() == 0 || self.numel() == 0) {
    return grad;
  }
  Tensor zero = eq(self, Scalar(0)), zeros = cumsum(zero, dim);
  Tensor x = where(zero, ones_like(self), self);
  Tensor terms = grad * conj(cumprod(x, dim)), none = zeros_like(terms);
  Tensor before = eq(zeros, Scalar(0)), one = eq(zeros, Scalar(1));
  Tensor left = _cumsum_backward(where(before, terms, none), dim) / conj(x);
  Tensor there = _cumsum_backward(where(one, terms, none), dim);
  return where(
      before, left, where(logical_and(one, zero), there, zeros_like(there)));
}

// Of complex128, at zeros too and differentiable: element j of the result is
// the product of the others before it, for each that is left out.
Tensor cumprod_grad_form(const Tensor& grad, const Tensor& self, int64_t dim) {
  if (self.dim() == 0 || self.numel() == 0) {
    return grad;
  }
  Tensor x = unsqueeze(transpose(self, dim, -1), -2);
  int64_t n = x.size(-1);
  IntList sizes = x.sizes();
  sizes[sizes.size() - 2] = n;
  Tensor left_out = eye(n, Dtype::Bool, {}, self.device());
  Tensor others =
      cumprod(masked_fill(expand(x, sizes), left_out, Scalar(1)), -1);
  Tensor g = unsqueeze(transpose(grad, dim, -1), -2) * conj(others);
  return transpose(sum(triu(g), IntList{-1}), dim, -1);
}

// Of complex numbers: in logarithms, so that no exponential overflows.
Tensor logcumsumexp_grad(const Tensor& grad, const Tensor& self, int64_t dim) {
  if (self.dim() == 0 || self.numel() == 0) {
    return grad;
  }
  Tensor weight = log(conj(grad)) - logcumsumexp(self, dim);
  Tensor rest = flip(logcumsumexp(flip(weight, {dim}), dim), {dim});
  return conj(exp(rest + self));
}

template <bool greatest>
std::tuple<mx::array, mx::array> cumulative_extremum(
    const mx::array& self,
    int64_t dim) {
  check_orders(self, greatest ? "cummax_cpu" : "cummin_cpu");
  int axis = axis_of(dim, self);
  if (self.ndim() == 0 || self.size() == 0) {
    return {self, mx::zeros(self.shape(), mx::int64)};
  }
  return pick_rows(
      greatest ? "CumMax" : "CumMin",
      self,
      axis,
      self.shape(axis),
      [](const auto& row, auto& values, auto& indices) {
        auto best = row[0];
        int64_t at = 0;
        for (size_t i = 0; i < row.size(); ++i) {
          auto x = row[i];
          bool better = greatest ? x >= best : x <= best;
          if (x != x || (best == best && better)) {
            best = x;
            at = static_cast<int64_t>(i);
          }
          values[i] = best;
          indices[i] = at;
        }
      });
}

Tensor extremum_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& indices,
    int64_t dim) {
  return cummaxmin_backward(grad, self, indices, dim);
}

// --- differences and integrals -----------------------------------------------

Tensor with_ends(
    const Tensor& self,
    int64_t dim,
    const Tensor& prepend,
    const Tensor& append) {
  if (!prepend.defined() && !append.defined()) {
    return self;
  }
  TensorList parts;
  for (const Tensor* t : {&prepend, &self, &append}) {
    if (t->defined()) {
      FL_CHECK(
          t->dim() == self.dim(),
          "diff expects prepend or append to be the same dimension as input");
      for (int64_t d = 0; d < self.dim(); ++d) {
        FL_CHECK(
            d == wrap_dim(dim, self.dim()) || t->size(d) == self.size(d),
            "diff expects the shape of tensor to prepend or append to match "
            "that of input except along the differencing dimension; input."
            "size(",
            d,
            ") = ",
            self.size(d),
            ", but got tensor.size(",
            d,
            ") = ",
            t->size(d));
      }
      parts.push_back(*t);
    }
  }
  return cat(parts, dim);
}

Tensor diff_kernel(
    const Tensor& self,
    int64_t n,
    int64_t dim,
    const Tensor& prepend,
    const Tensor& append) {
  FL_CHECK(self.dim() > 0, "diff expects input to be at least one-dimensional");
  FL_CHECK(n >= 0, "order must be non-negative but got ", n);
  if (n == 0) {
    return clone(self);
  }
  Tensor x = with_ends(self, dim, prepend, append);
  int64_t size = x.size(dim);
  if (n > size) {
    n = size;
  }
  for (; n > 0; --n, --size) {
    Tensor late = slice(x, dim, std::min<int64_t>(1, size), size);
    Tensor early = slice(x, dim, 0, std::max<int64_t>(size - 1, 0));
    x = x.dtype() == Dtype::Bool ? ne(late, early) : late - early;
  }
  return x;
}

// The sums of neighbours along a dimension.
Tensor neighbours(const Tensor& y, int64_t dim) {
  int64_t n = y.size(dim);
  return slice(y, dim, 0, n - 1) + slice(y, dim, 1, n);
}

// x as the widths of y's intervals, of y's dimensions.
Tensor widths_of(
    const Tensor& y,
    const Tensor& x,
    int64_t dim,
    std::string_view name) {
  if (x.dim() == 1) {
    FL_CHECK(
        y.size(dim) == x.sizes()[0],
        name,
        ": There must be one `x` value for each sample point");
    IntList sizes(y.sizes().size(), 1);
    sizes[static_cast<size_t>(wrap_dim(dim, y.dim()))] = x.sizes()[0] - 1;
    return view(diff(x), sizes);
  }
  Tensor wide = x;
  while (wide.dim() < y.dim()) {
    wide = unsqueeze(wide, 0);
  }
  return diff(wide, 1, dim);
}

Tensor no_area(const Tensor& y, int64_t dim) {
  IntList sizes = y.sizes();
  sizes.erase(sizes.begin() + wrap_dim(dim, y.dim()));
  return zeros(sizes, y.dtype(), {}, y.device());
}

Tensor trapezoid_x(const Tensor& y, const Tensor& x, int64_t dim) {
  wrap_dim(dim, y.dim());
  if (y.size(dim) == 0) {
    return no_area(y, dim);
  }
  FL_CHECK(
      y.dtype() != Dtype::Bool && x.dtype() != Dtype::Bool,
      "trapezoid: received a bool input for `x` or `y`, but bool is not "
      "supported");
  Tensor widths = widths_of(y, x, dim, "trapezoid");
  return sum(neighbours(y, dim) * widths, IntList{dim}) / Scalar(2.0);
}

Tensor trapezoid_dx(const Tensor& y, const Scalar& dx, int64_t dim) {
  wrap_dim(dim, y.dim());
  if (y.size(dim) == 0) {
    return no_area(y, dim);
  }
  FL_CHECK(
      y.dtype() != Dtype::Bool,
      "trapezoid: received a bool input for `y`, but bool is not supported");
  FL_CHECK(
      !dx.is_bool(),
      "trapezoid: Currently, we only support dx as a real number.");
  Tensor ends = select(y, dim, 0) + select(y, dim, -1);
  return (sum(y, IntList{dim}) - ends * Scalar(0.5)) * dx;
}

} // namespace

void register_scans() {
  op("cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor")
      .forms("function method inplace out")
      .exact_out(kSumOut)
      .kernel(cumsum_kernel)
      .complex128(parts())
      .grad(
          "self",
          "dim",
          [](const Tensor& grad, int64_t dim) {
            return _cumsum_backward(grad, dim);
          })
      .doc("The sums of elements so far along a dimension.");
  op("_cumsum_backward(Tensor grad, int dim) -> Tensor")
      .forms("")
      .kernel([](const mx::array& grad, int64_t dim) {
        if (grad.ndim() == 0 || grad.size() == 0) {
          return grad;
        }
        mx::array y =
            mx::cumsum(widened(grad), axis_of(dim, grad), /*reverse=*/true);
        return mx::astype(y, grad.dtype());
      })
      .complex128(parts())
      .grad(
          "grad",
          "dim",
          [](const Tensor& grad, int64_t dim) { return cumsum(grad, dim); })
      .doc("The sums of elements from here on along a dimension.");
  op("cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor")
      .forms("function method inplace out")
      .exact_out(kSumOut)
      .kernel(cumprod_kernel)
      .complex128(formula(cumprod_form))
      .grad(
          "self",
          "self dim",
          [](const Tensor& grad, const Tensor& self, int64_t dim) {
            return grad_enabled() ? _cumprod_backward(grad, self, dim)
                                  : cumprod_grad(grad, self, dim);
          })
      .doc("The products of elements so far along a dimension.");
  op("_cumprod_backward(Tensor grad, Tensor self, int dim) -> Tensor")
      .forms("")
      .kernel([](const mx::array& grad, const mx::array& self, int64_t dim) {
        return scan_backward(
            grad, self, dim, [](const mx::array& a, const mx::array& b) {
              return mx::multiply(a, b);
            });
      })
      .complex128(formula(cumprod_grad_form))
      .vjp()
      .doc("The gradient of cumprod.");
  op("logcumsumexp(Tensor self, int dim) -> Tensor")
      .forms("function method out")
      .exact_out("expected scalar_type %R but found %O")
      .kernel([](const mx::array& self, int64_t dim) {
        Dtype d = from_mlx(self.dtype());
        if (!is_floating(d) && !is_complex(d)) {
          not_implemented("logcumsumexp_out_cpu", d);
        }
        int axis = axis_of(dim, self);
        if (self.ndim() == 0 || self.size() == 0) {
          return self;
        }
        if (is_complex(d)) {
          return complex_logcumsumexp(self, axis);
        }
        if (self.dtype() == mx::float64) { // MLX's has float32's digits
          return stepwise_scan(self, axis, log_add);
        }
        return mx::astype(mx::logcumsumexp(widened(self), axis), self.dtype());
      })
      .complex128(formula(logcumsumexp_form))
      .grad(
          "self",
          "self dim",
          [](const Tensor& grad, const Tensor& self, int64_t dim) {
            return grad.is_complex() ? logcumsumexp_grad(grad, self, dim)
                                     : _logcumsumexp_backward(grad, self, dim);
          })
      .doc("The logarithms of the sums of exponentials so far.");
  op("_logcumsumexp_backward(Tensor grad, Tensor self, int dim) -> Tensor")
      .forms("")
      .kernel([](const mx::array& grad, const mx::array& self, int64_t dim) {
        return scan_backward(grad, self, dim, log_add);
      })
      .vjp()
      .doc("The gradient of logcumsumexp.");
  op("cummax(Tensor self, int dim) -> (Tensor values, Tensor indices)")
      .forms("function method out")
      .exact_out("expected scalar_type %R but found %O")
      .kernel(cumulative_extremum<true>)
      .grad("self", "self indices dim", extremum_grad)
      .doc("The greatest elements so far, and where they are.");
  op("cummin(Tensor self, int dim) -> (Tensor values, Tensor indices)")
      .forms("function method out")
      .exact_out("expected scalar_type %R but found %O")
      .kernel(cumulative_extremum<false>)
      .grad("self", "self indices dim", extremum_grad)
      .doc("The least elements so far, and where they are.");
  op("cummaxmin_backward(Tensor grad, Tensor input, Tensor indices, int dim) "
     "-> Tensor")
      .forms("")
      .kernel([](const mx::array& grad,
                 const mx::array& input,
                 const mx::array& indices,
                 int64_t dim) {
        if (input.ndim() == 0 || input.size() == 0) {
          return grad;
        }
        return mx::scatter_add_axis(
            mx::zeros(input.shape(), grad.dtype()),
            indices,
            grad,
            axis_of(dim, input));
      })
      .vjp()
      .doc("The gradient of cummax and cummin.");
  op("diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None, Tensor? "
     "append=None) -> Tensor")
      .forms("function method out")
      .exact_out("expected scalar_type %R but found %O")
      .composite(diff_kernel)
      .doc("The differences of neighbours along a dimension.");
  op("trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor")
      .forms("function")
      .composite(trapezoid_x)
      .doc("The integral along a dimension, by trapezoids.");
  op("trapezoid.dx(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor")
      .forms("function")
      .composite(trapezoid_dx)
      .doc("The integral along a dimension, by trapezoids.");
  op("trapz.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor")
      .forms("function")
      .composite(trapezoid_x)
      .doc("The integral along a dimension, by trapezoids.");
  op("trapz.dx(Tensor y, *, float dx=1, int dim=-1) -> Tensor")
      .forms("function")
      .composite([](const Tensor& y, double dx, int64_t dim) {
        return trapezoid_dx(y, Scalar(dx), dim);
      })
      .doc("The integral along a dimension, by trapezoids.");
  op("cumulative_trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor")
      .forms("function")
      .composite([](const Tensor& y, const Tensor& x, int64_t dim) {
        wrap_dim(dim, y.dim());
        FL_CHECK(
            y.dtype() != Dtype::Bool && x.dtype() != Dtype::Bool,
            "cumulative_trapezoid: received a bool input for `x` or `y`, but "
            "bool is not supported");
        Tensor widths = widths_of(y, x, dim, "cumulative_trapezoid");
        return cumsum(neighbours(y, dim) * widths, dim) / Scalar(2.0);
      })
      .doc("The integrals so far along a dimension, by trapezoids.");
  op("cumulative_trapezoid.dx(Tensor y, *, Scalar dx=1, int dim=-1) -> "
     "Tensor")
      .forms("function")
      .composite([](const Tensor& y, const Scalar& dx, int64_t dim) {
        wrap_dim(dim, y.dim());
        FL_CHECK(
            y.dtype() != Dtype::Bool,
            "cumulative_trapezoid: received a bool input for `y`, but bool is "
            "not supported");
        FL_CHECK(
            !dx.is_bool(),
            "cumulative_trapezoid: Currently, we only support dx as a real "
            "number.");
        Scalar half = dx.is_complex() ? Scalar(dx.to_complex() / 2.0)
                                      : Scalar(dx.to_double() / 2);
        return cumsum(neighbours(y, dim) * half, dim);
      })
      .doc("The integrals so far along a dimension, by trapezoids.");
}

} // namespace flashlight
