// Functions of one number, element by element.
#include <cmath>
#include <numbers>

#include <mlx/ops.h>

#include "flashlight/kernels/accurate.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

constexpr double kLn2 = std::numbers::ln2;
constexpr double kLn10 = std::numbers::ln10;
constexpr double kInvSqrtPi = std::numbers::inv_sqrtpi;

template <auto F>
mx::array unary(const mx::array& x) {
  if constexpr (std::is_invocable_v<decltype(F), const mx::array&>) {
    return F(x);
  } else {
    return F(x, {});
  }
}

mx::array number(double value, const mx::array& like) {
  return mx::array(value, like.dtype());
}

bool is_int(const mx::array& x) {
  return is_integral(from_mlx(x.dtype()), true);
}

// Rounding leaves integers as they are.
template <auto F>
mx::array rounding(const mx::array& x) {
  FL_CHECK_AS(
      NotImplementedError,
      x.dtype() != mx::bool_ && !is_complex(from_mlx(x.dtype())),
      "\"rounding_cpu\" not implemented for '",
      scalar_name(from_mlx(x.dtype())),
      "'");
  return is_int(x) ? x : F(x, {});
}

mx::array trunc_array(const mx::array& x, mx::StreamOrDevice = {}) {
  return mx::where(mx::less(x, number(0, x)), mx::ceil(x), mx::floor(x));
}

mx::array round_even(const mx::array& x, mx::StreamOrDevice = {}) {
  return mx::round(x, 0);
}

// The real result of a complex tensor lies as empty_like does, others as those
// of TensorIterator: they differ in dimensions of size 1.
Tensor abs_kernel(const Tensor& self) {
  const Geometry& g = self.geometry();
  mx::array x = self.value();
  return Tensor(
      x.dtype() == mx::bool_ ? x : mx::abs(x),
      g.sizes,
      self.is_complex() ? dense_like(g) : elementwise_strides(g.sizes, {&g}),
      self.device());
}

// Of complex numbers: x / |x|, and 0 at 0.
mx::array sgn_kernel(const mx::array& x) {
  if (x.dtype() != mx::complex64) {
    return x.dtype() == mx::bool_ ? x : mx::sign(x);
  }
  mx::array size = mx::abs(x);
  mx::array zero = mx::equal(size, mx::array(0.0f));
  mx::array by = mx::where(zero, mx::array(1.0f), size);
  return mx::divide(x, mx::astype(by, mx::complex64));
}

// Sign bits, of -0.0 and NaN too.
mx::array signbit_kernel(const mx::array& x) {
  Dtype d = from_mlx(x.dtype());
  if (!is_floating(d)) {
    return d == Dtype::Bool ? mx::zeros_like(x) : mx::less(x, number(0, x));
  }
  switch (itemsize(d)) {
    case 2:
      return mx::greater_equal(
          mx::view(x, mx::uint16), mx::array(0x8000, mx::uint16));
    case 4:
      return mx::less(mx::view(x, mx::int32), mx::array(0, mx::int32));
    default:
      return mx::less(mx::view(x, mx::int64), mx::array(0, mx::int64));
  }
}

mx::array angle_kernel(const mx::array& x) {
  if (x.dtype() == mx::complex64) {
    return mx::arctan2(mx::imag(x), mx::real(x));
  }
  mx::array pi = mx::where(
      mx::less(x, number(0, x)), number(std::numbers::pi, x), number(0, x));
  return mx::where(mx::isnan(x), x, pi);
}

mx::array expm1_kernel(const mx::array& x) {
  if (x.dtype() != mx::complex64) {
    return mx::expm1(x);
  }
  return mx::subtract(accurate::exp(x), mx::array(1.0f, mx::complex64));
}

// MLX has these of real numbers only.
mx::array log1p_kernel(const mx::array& x) {
  if (x.dtype() != mx::complex64) {
    return mx::log1p(x);
  }
  return mx::log(mx::add(x, mx::array(1.0f, mx::complex64)));
}

mx::array sigmoid_kernel(const mx::array& x) {
  if (x.dtype() != mx::complex64) {
    return accurate::sigmoid(x);
  }
  mx::array one(1.0f, mx::complex64);
  return mx::divide(one, mx::add(one, accurate::exp(mx::negative(x))));
}

mx::array sinc_kernel(const mx::array& x) {
  mx::array y = mx::multiply(x, number(std::numbers::pi, x));
  mx::array zero = mx::equal(x, number(0, x));
  mx::array safe = mx::where(zero, number(1, x), y);
  return mx::where(zero, number(1, x), mx::divide(accurate::sin(safe), safe));
}

mx::array nan_to_num_kernel(
    const mx::array& x,
    std::optional<double> nan,
    std::optional<double> posinf,
    std::optional<double> neginf) {
  Dtype d = from_mlx(x.dtype());
  if (is_int(x)) {
    return x;
  }
  FL_CHECK(!is_complex(d), "nan_to_num() of complex tensors is not supported");
  mx::array high = posinf ? number(*posinf, x)
                          : mx::array(mx::finfo(x.dtype()).max, x.dtype());
  mx::array low = neginf ? number(*neginf, x)
                         : mx::array(mx::finfo(x.dtype()).min, x.dtype());
  mx::array y = mx::where(mx::isnan(x), number(nan.value_or(0), x), x);
  y = mx::where(mx::isposinf(x), high, y);
  return mx::where(mx::isneginf(x), low, y);
}

// Of complex numbers, exact near 0.
Z expm1_of(Z x) {
  double half = std::sin(x.imag() / 2);
  return {
      std::expm1(x.real()) * std::cos(x.imag()) - 2 * half * half,
      std::exp(x.real()) * std::sin(x.imag())};
}

Z log1p_of(Z x) {
  double re = x.real(), im = x.imag();
  double size = std::abs(x) < 0.5 ? std::log1p(re * (2 + re) + im * im) / 2
                                  : std::log(std::hypot(1 + re, im));
  return {size, std::atan2(im, 1 + re)};
}

Z sinc_of(Z x) {
  Z y = x * std::numbers::pi;
  return x == 0.0 ? Z(1) : over(std::sin(y), y);
}

Tensor twice(const Tensor& x) {
  return x * Scalar(2);
}

Tensor one_minus_square(const Tensor& x) {
  return Scalar(1) - x * x;
}

// The second names that NumPy's users know.
void add_aliases() {
  alias_op("arcsin", "asin");
  alias_op("arccos", "acos");
  alias_op("arctan", "atan");
  alias_op("arcsinh", "asinh");
  alias_op("arccosh", "acosh");
  alias_op("arctanh", "atanh");
  alias_op("absolute", "abs");
  alias_op("negative", "neg");
  alias_op("fix", "trunc");
}

} // namespace

void register_pointwise() {
  add_aliases();
  op("exp(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<accurate::exp>)
      .complex128(each([](Z x) { return std::exp(x); }))
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj(result);
          })
      .doc("e to the power of each element.");
  op("exp2(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) {
        return x.dtype() == mx::complex64
                   ? accurate::exp(
                         mx::multiply(x, mx::array(kLn2, mx::complex64)))
                   : mx::power(number(2, x), x);
      })
      .complex128(each([](Z x) { return std::exp(x * kLn2); }))
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj(result) * Scalar(kLn2);
          })
      .doc("2 to the power of each element.");
  op("expm1(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(expm1_kernel)
      .complex128(each(expm1_of))
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * (conj(result) + Scalar(1));
          })
      .doc("exp(x) - 1, exact near 0.");
  op("log(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::log>)
      .complex128(each([](Z x) { return std::log(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad / conj(self);
          })
      .doc("The natural logarithm.");
  op("log2(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) {
        return x.dtype() == mx::complex64
                   ? mx::divide(mx::log(x), mx::array(kLn2, mx::complex64))
                   : mx::log2(x);
      })
      .complex128(each([](Z x) { return std::log(x) / kLn2; }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad / (conj(self) * Scalar(kLn2));
          })
      .doc("The logarithm to base 2.");
  op("log10(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) {
        return x.dtype() == mx::complex64
                   ? mx::divide(mx::log(x), mx::array(kLn10, mx::complex64))
                   : mx::log10(x);
      })
      .complex128(each([](Z x) { return std::log10(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad / (conj(self) * Scalar(kLn10));
          })
      .doc("The logarithm to base 10.");
  op("log1p(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(log1p_kernel)
      .complex128(each(log1p_of))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad / conj(self + Scalar(1));
          })
      .doc("log(1 + x), exact near 0.");
  op("sqrt(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::sqrt>)
      .complex128(each([](Z x) { return std::sqrt(x); }))
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad / twice(conj(result));
          })
      .doc("The square root.");
  op("rsqrt(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) {
        return x.dtype() == mx::complex64 ? mx::reciprocal(mx::sqrt(x))
                                          : mx::rsqrt(x);
      })
      .complex128(each([](Z x) { return over(1.0, std::sqrt(x)); }))
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj(result * result * result) * Scalar(-0.5);
          })
      .doc("The reciprocal of the square root.");
  op("square(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .composite([](const Tensor& self) { return pow(self, Scalar(2)); })
      .doc("x * x.");
  op("reciprocal(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::reciprocal>)
      .complex128(each([](Z x) { return over(1.0, x); }))
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return -grad * conj(result * result);
          })
      .doc("1 / x.");

  op("sin(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<accurate::sin>)
      .complex128(each([](Z x) { return std::sin(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * conj(cos(self));
          })
      .doc("The sine.");
  op("cos(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<accurate::cos>)
      .complex128(each([](Z x) { return std::cos(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * -conj(sin(self));
          })
      .doc("The cosine.");
  op("tan(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::tan>)
      .complex128(each([](Z x) { return std::tan(x); }))
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj(result * result + Scalar(1));
          })
      .doc("The tangent.");
  op("asin(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::arcsin>)
      .complex128(each([](Z x) { return std::asin(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * conj(rsqrt(one_minus_square(self)));
          })
      .doc("The inverse of the sine.");
  op("acos(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::arccos>)
      .complex128(each([](Z x) { return std::acos(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * -conj(rsqrt(one_minus_square(self)));
          })
      .doc("The inverse of the cosine.");
  op("atan(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::arctan>)
      .complex128(each([](Z x) { return std::atan(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad / conj(self * self + Scalar(1));
          })
      .doc("The inverse of the tangent.");
  op("sinh(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::sinh>)
      .complex128(each([](Z x) { return std::sinh(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * conj(cosh(self));
          })
      .doc("The hyperbolic sine.");
  op("cosh(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::cosh>)
      .complex128(each([](Z x) { return std::cosh(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * conj(sinh(self));
          })
      .doc("The hyperbolic cosine.");
  op("tanh(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::tanh>)
      .complex128(each([](Z x) { return std::tanh(x); }))
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj(one_minus_square(result));
          })
      .doc("The hyperbolic tangent.");
  op("asinh(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::arcsinh>)
      .complex128(each([](Z x) { return std::asinh(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * conj(rsqrt(self * self + Scalar(1)));
          })
      .doc("The inverse of the hyperbolic sine.");
  op("acosh(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::arccosh>)
      .complex128(each([](Z x) { return std::acosh(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            // By parts, so that complex numbers take the right branch.
            return grad *
                   conj(rsqrt(self + Scalar(1)) * rsqrt(self - Scalar(1)));
          })
      .doc("The inverse of the hyperbolic cosine.");
  op("atanh(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<mx::arctanh>)
      .complex128(each([](Z x) { return std::atanh(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad / conj(one_minus_square(self));
          })
      .doc("The inverse of the hyperbolic tangent.");

  op("sigmoid(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(sigmoid_kernel)
      .complex128(each([](Z x) { return over(1.0, 1.0 + std::exp(-x)); }))
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj((Scalar(1) - result) * result);
          })
      .doc("1 / (1 + exp(-x)).");
  op("logit(Tensor self, float? eps=None) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x, std::optional<double> eps) {
        mx::array y =
            eps ? mx::clip(x, number(*eps, x), number(1 - *eps, x)) : x;
        return mx::log(mx::divide(y, mx::subtract(number(1, x), y)));
      })
      .grad(
          "self",
          "self eps",
          [](const Tensor& grad,
             const Tensor& self,
             std::optional<double> eps) {
            Tensor g = grad / (self * (Scalar(1) - self));
            Scalar low(eps.value_or(0.0)), high(1 - eps.value_or(0.0));
            Tensor inside = logical_and(ge(self, low), le(self, high));
            Scalar outside(eps ? 0.0 : std::nan(""));
            return where(inside, g, full_like(g, outside));
          })
      .doc("log(x / (1 - x)), of x clamped to [eps, 1 - eps].");
  op("erf(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<accurate::erf>)
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * exp(-(self * self)) * Scalar(2 * kInvSqrtPi);
          })
      .doc("The error function.");
  op("erfc(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return accurate::erfc(x); })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * exp(-(self * self)) * Scalar(-2 * kInvSqrtPi);
          })
      .doc("1 - erf(x).");
  op("erfinv(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(unary<accurate::erfinv>)
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * exp(result * result) * Scalar(0.5 / kInvSqrtPi);
          })
      .doc("The inverse of the error function.");
  op("sinc(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel(sinc_kernel)
      .complex128(each(sinc_of))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            Tensor x = self * Scalar(std::numbers::pi);
            Tensor squared = x * self;
            Tensor slope = (x * cos(x) - sin(x)) / squared;
            return grad *
                   conj(where(
                       eq(squared, Scalar(0.0)), zeros_like(slope), slope));
          })
      .doc("sin(pi x) / (pi x), and 1 at 0.");
  op("deg2rad(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .composite([](const Tensor& self) {
        return self * Scalar(std::numbers::pi / 180);
      })
      .doc("Degrees in radians.");
  op("rad2deg(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .composite([](const Tensor& self) {
        return self * Scalar(180 / std::numbers::pi);
      })
      .doc("Radians in degrees.");

  op("abs(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .refuse(kBools, "abs_cpu")
      .elementwise()
      .kernel(abs_kernel)
      .complex128(each([](Z x) { return std::abs(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * sgn(self);
          })
      .doc("The absolute value.");
  op("neg(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .check([](const Tensor& self) {
        FL_CHECK(
            self.dtype() != Dtype::Bool,
            "Negation, the `-` operator, on a bool tensor is not supported. If "
            "you are trying to invert a mask, use the `~` or `logical_not()` "
            "operator instead.");
      })
      .kernel([](const mx::array& self) { return mx::negative(self); })
      .complex128(each([](Z x) { return -x; }))
      .grad("self", "", [](const Tensor& grad) { return -grad; })
      .doc("The negative of each element.");
  op("positive(Tensor(a) self) -> Tensor(a)")
      .forms("function method")
      .composite([](const Tensor& self) {
        FL_CHECK(
            self.dtype() != Dtype::Bool,
            "The `+` operator, on a bool tensor is not supported.");
        return self;
      })
      .doc("The tensor itself.");
  op("sign(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .kernel([](const mx::array& x) {
        FL_CHECK_AS(
            NotImplementedError,
            x.dtype() != mx::complex64,
            "Unlike NumPy, torch.sign is not intended to support complex "
            "numbers. Please use torch.sgn instead.");
        return sgn_kernel(x);
      })
      .zero_grad("self")
      .doc("-1, 0 or 1.");
  op("sgn(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .kernel(sgn_kernel)
      .complex128(each([](Z x) {
        double size = std::abs(x);
        return size == 0 ? Z() : x / size;
      }))
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            if (!self.is_complex()) {
              return zeros(grad.sizes(), grad.dtype(), {}, grad.device());
            }
            // The part of grad that turns the direction, over the length.
            Tensor size = abs(self);
            Tensor along = real(grad * conj(result));
            Tensor g = (grad - result * along) / size;
            return where(eq(size, Scalar(0.0)), zeros_like(g), g);
          })
      .doc("The sign; of a complex number its direction.");
  op("signbit(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out("signbit does not support non-boolean outputs.")
      .elementwise()
      .kernel(signbit_kernel)
      .not_differentiable()
      .doc("True where the sign is negative, also of -0.0.");
  op("angle(Tensor self) -> Tensor")
      .forms("function method out")
      .promote_float()
      .elementwise()
      .kernel(angle_kernel)
      .complex128(each([](Z x) { return std::arg(x); }))
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            if (!self.is_complex()) {
              return zeros_like(grad);
            }
            Tensor size = abs(self);
            Tensor g = self / (size * size) * grad;
            g = view_as_complex(stack(
                {-select(view_as_real(g), -1, 1),
                 select(view_as_real(g), -1, 0)},
                -1));
            return where(eq(size, Scalar(0.0)), zeros_like(g), g);
          })
      .doc("The angle of a complex number; 0 or pi of a real one.");

  op("floor(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .kernel(rounding<mx::floor>)
      .zero_grad("self")
      .doc("Rounds down.");
  op("ceil(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .kernel(rounding<mx::ceil>)
      .zero_grad("self")
      .doc("Rounds up.");
  op("trunc(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .kernel(rounding<trunc_array>)
      .zero_grad("self")
      .doc("Rounds towards 0.");
  op("round(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .kernel(rounding<round_even>)
      .zero_grad("self")
      .doc("Rounds to the nearest, halves to even.");
  op("round.decimals(Tensor self, *, int decimals) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .node("RoundBackward1")
      .elementwise()
      .kernel([](const mx::array& x, int64_t decimals) {
        FL_CHECK_AS(
            NotImplementedError,
            !is_int(x),
            "\"round_cpu\" not implemented for '",
            scalar_name(from_mlx(x.dtype())),
            "'");
        mx::array ten = number(std::pow(10, std::abs(decimals)), x);
        return decimals < 0
                   ? mx::multiply(mx::round(mx::divide(x, ten), 0), ten)
                   : mx::divide(mx::round(mx::multiply(x, ten), 0), ten);
      })
      .zero_grad("self")
      .doc("Rounds to so many decimals.");
  op("frac(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .kernel([](const mx::array& x) {
        FL_CHECK_AS(
            NotImplementedError,
            !is_int(x),
            "\"frac_cpu\" not implemented for '",
            scalar_name(from_mlx(x.dtype())),
            "'");
        return mx::subtract(x, trunc_array(x));
      })
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .doc("What follows the point.");
  op("nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? "
     "neginf=None) -> Tensor")
      .forms("function method inplace out")
      .exact_out("nan_to_num: dtype of out: %O should be same as input: %R")
      .elementwise()
      .kernel(nan_to_num_kernel)
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return where(isfinite(self), grad, zeros_like(grad));
          })
      .doc("NaN and infinities replaced.");

  op("isnan(Tensor self) -> Tensor")
      .forms("function method")
      .elementwise()
      .kernel([](const mx::array& x) { return mx::isnan(x); })
      .complex128(each(
          [](Z x) { return std::isnan(x.real()) || std::isnan(x.imag()); }))
      .not_differentiable()
      .doc("True where an element is NaN.");
  op("isinf(Tensor self) -> Tensor")
      .forms("function method")
      .elementwise()
      .kernel([](const mx::array& x) {
        return x.dtype() == mx::complex64
                   ? mx::logical_or(
                         mx::isinf(mx::real(x)), mx::isinf(mx::imag(x)))
                   : mx::isinf(x);
      })
      .complex128(each(
          [](Z x) { return std::isinf(x.real()) || std::isinf(x.imag()); }))
      .not_differentiable()
      .doc("True where an element is infinite.");
  op("isfinite(Tensor self) -> Tensor")
      .forms("function method")
      .elementwise()
      .kernel([](const mx::array& x) {
        return x.dtype() == mx::complex64
                   ? mx::logical_and(
                         mx::isfinite(mx::real(x)), mx::isfinite(mx::imag(x)))
                   : mx::isfinite(x);
      })
      .complex128(each([](Z x) {
        return std::isfinite(x.real()) && std::isfinite(x.imag());
      }))
      .not_differentiable()
      .doc("True where an element is neither infinite nor NaN.");
  op("isposinf(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out("isposinf does not support non-boolean outputs.")
      .elementwise()
      .kernel([](const mx::array& x) {
        FL_CHECK(
            x.dtype() != mx::complex64,
            "isposinf does not support complex inputs.");
        return mx::isposinf(x);
      })
      .not_differentiable()
      .doc("True where an element is +inf.");
  op("isneginf(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out("isneginf does not support non-boolean outputs.")
      .elementwise()
      .kernel([](const mx::array& x) {
        FL_CHECK(
            x.dtype() != mx::complex64,
            "isneginf does not support complex inputs.");
        return mx::isneginf(x);
      })
      .not_differentiable()
      .doc("True where an element is -inf.");
  op("isreal(Tensor self) -> Tensor")
      .forms("function method")
      .elementwise()
      .kernel([](const mx::array& x) {
        return x.dtype() == mx::complex64
                   ? mx::equal(mx::imag(x), mx::array(0.0f))
                   : mx::ones(x.shape(), mx::bool_);
      })
      .complex128(each([](Z x) { return x.imag() == 0; }))
      .not_differentiable()
      .doc("True where the imaginary part is 0.");
}

} // namespace flashlight
