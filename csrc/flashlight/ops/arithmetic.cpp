// + - * / and their relatives.
#include <cmath>
#include <limits>
#include <numbers>

#include <mlx/ops.h>

#include "flashlight/kernels/accurate.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/direct.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/halves.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

mx::array scaled(mx::array x, const Scalar& alpha) {
  if (alpha == Scalar(1)) {
    return x;
  }
  return mx::multiply(x, scalar_array(alpha, from_mlx(x.dtype())));
}

// self + value * x, x of the widened dtype.
mx::array
plus_scaled(const mx::array& self, const mx::array& x, const Scalar& value) {
  mx::array y =
      value == Scalar(1) ? x : mx::multiply(number_for(self, value), x);
  return mx::astype(mx::add(widened(self), y), self.dtype());
}

void check_alpha(Dtype d, const Scalar& alpha) {
  FL_CHECK(
      !alpha.is_bool() || d == Dtype::Bool,
      "Boolean alpha only supported for Boolean results.");
  FL_CHECK(
      is_floating(d) || is_complex(d) || alpha.is_integral(),
      "For integral input tensors, argument alpha must not be a floating "
      "point number.");
  FL_CHECK(
      is_complex(d) || !alpha.is_complex(),
      "For non-complex input tensors, argument alpha must not be a complex "
      "number.");
}

mx::array add_kernel(mx::array self, mx::array other, const Scalar& alpha) {
  check_alpha(from_mlx(self.dtype()), alpha);
  if (self.dtype() == mx::bool_) {
    return alpha.to_bool() ? mx::logical_or(self, other)
                           : mx::add(self, mx::zeros_like(other));
  }
  if (is_half(self) && alpha != Scalar(1)) {
    mx::array y = mx::multiply(
        widened(scalar_array(alpha, from_mlx(self.dtype()))), widened(other));
    return mx::astype(mx::add(widened(self), y), self.dtype());
  }
  return binary_node(
      std::move(self),
      scaled(std::move(other), alpha),
      [](const mx::array& a, const mx::array& b) { return mx::add(a, b); });
}

Z scaled(Z x, const Scalar& alpha) {
  return alpha == Scalar(1) ? x : times(alpha.to_complex(), x);
}

// The complex128 form of a row whose third argument is a factor.
template <typename F>
ForwardFn with_alpha(F f) {
  return [form = each(f)](const Call& call) {
    check_alpha(Dtype::Complex128, call.args[2].as<Scalar>());
    return form(call);
  };
}

// Exact where there is a function for it, as in PyTorch.
Z power_of(Z x, Z exponent) {
  if (exponent.imag() == 0) {
    double e = exponent.real();
    if (e == 1) {
      return x;
    }
    if (e == 2) {
      return times(x, x);
    }
    if (e == 3) {
      return times(times(x, x), x);
    }
    if (e == 0.5) {
      return std::sqrt(x);
    }
    if (e == -1) {
      return over(1.0, x);
    }
    if (e == -2) {
      return over(1.0, times(x, x));
    }
    if (e == -0.5) {
      return over(1.0, std::sqrt(x));
    }
  }
  return std::pow(x, exponent);
}

Z lerp_of(Z a, Z b, Z w) {
  Z d = b - a;
  return std::abs(w) < 0.5 ? a + times(w, d) : b - times(d, 1.0 - w);
}

// From the one of greater real part, so that no exponential overflows.
Z log_add_of(Z a, Z b) {
  bool first = a.real() >= b.real();
  Z big = first ? a : b, small = first ? b : a;
  if (big.real() == small.real() && std::isinf(big.real())) {
    return big.real() < 0 ? small : std::log(std::exp(big) + std::exp(small));
  }
  return big + std::log(1.0 + std::exp(small - big));
}

// Asked of the operands as they came, before promotion.
void check_no_bools(const Tensor& self, const Tensor& other) {
  bool a = self.dtype() == Dtype::Bool, b = other.dtype() == Dtype::Bool;
  FL_CHECK(
      !a || !b,
      "Subtraction, the `-` operator, with two bool tensors is not supported. "
      "Use the `^` or `logical_xor()` operator instead.");
  FL_CHECK(
      !a && !b,
      "Subtraction, the `-` operator, with a bool tensor is not supported. If "
      "you are trying to invert a mask, use the `~` or `logical_not()` "
      "operator instead.");
}

mx::array sub_kernel(mx::array self, mx::array other, const Scalar& alpha) {
  check_alpha(from_mlx(self.dtype()), alpha);
  if (is_half(self) && alpha != Scalar(1)) {
    mx::array y = mx::multiply(
        widened(scalar_array(alpha, from_mlx(self.dtype()))), widened(other));
    return mx::astype(mx::subtract(widened(self), y), self.dtype());
  }
  return binary_node(
      std::move(self),
      scaled(std::move(other), alpha),
      [](const mx::array& a, const mx::array& b) {
        return mx::subtract(a, b);
      });
}

// What was computed of a half and of a wide number, as the half.
mx::array
narrow_result(const mx::array& result, const mx::array& a, const mx::array& b) {
  return mx::astype(result, is_half(a) ? a.dtype() : b.dtype());
}

mx::array mul_kernel(mx::array self, mx::array other) {
  if (self.dtype() == mx::bool_) {
    return mx::logical_and(self, other);
  }
  if (self.dtype() != other.dtype()) { // a half, and a number
    return narrow_result(mx::multiply(self, other), self, other);
  }
  return binary_node(
      std::move(self),
      std::move(other),
      [](const mx::array& a, const mx::array& b) {
        return mx::multiply(a, b);
      });
}

mx::array div_kernel(mx::array self, mx::array other) {
  if (self.dtype() != other.dtype()) {
    return narrow_result(mx::divide(self, other), self, other);
  }
  return binary_node(
      std::move(self),
      std::move(other),
      [](const mx::array& a, const mx::array& b) { return mx::divide(a, b); });
}

// MLX and C++ divide integers by cutting off; by zero they end the process.
void check_divisor(const mx::array& dividend, const mx::array& divisor) {
  if (dividend.size() == 0 || !is_integral(from_mlx(divisor.dtype()), true)) {
    return;
  }
  mx::array zero = mx::any(mx::equal(divisor, mx::array(0, divisor.dtype())));
  eval({zero});
  FL_CHECK(!zero.item<bool>(), "ZeroDivisionError");
}

bool is_float(const mx::array& x) {
  return is_floating(from_mlx(x.dtype()));
}

// The remainder with the sign of the dividend (C's fmod), exact.
mx::array fmod_array(const mx::array& a, const mx::array& b) {
  if (!is_float(a)) {
    check_divisor(a, b);
  }
  if (is_integral(from_mlx(a.dtype()), true) &&
      !info(from_mlx(a.dtype())).is_signed) {
    return mx::remainder(a, b);
  }
  mx::array r = mx::remainder(mx::abs(a), mx::abs(b));
  return mx::where(mx::less(a, mx::array(0, a.dtype())), mx::negative(r), r);
}

mx::array remainder_kernel(const mx::array& a, const mx::array& b) {
  check_divisor(a, b);
  if (!is_float(a)) {
    return mx::remainder(a, b);
  }
  mx::array r = fmod_array(a, b);
  mx::array zero(0, a.dtype());
  mx::array turn = mx::logical_and(
      mx::not_equal(r, zero),
      mx::not_equal(mx::less(r, zero), mx::less(b, zero)));
  return mx::where(turn, mx::add(r, b), r);
}

// As PyTorch: what a - fmod(a, b) is divided by b, so that
// a == b * floor_divide(a, b) + remainder(a, b) as nearly as floats can.
mx::array floor_divide_kernel(const mx::array& a, const mx::array& b) {
  check_divisor(a, b);
  mx::array zero(0, a.dtype());
  if (!is_float(a)) {
    return mx::divmod(a, b)[0];
  }
  mx::array quotient = mx::divide(a, b);
  mx::array mod = fmod_array(a, b);
  mx::array d = mx::divide(mx::subtract(a, mod), b);
  mx::array turn = mx::logical_and(
      mx::not_equal(mod, zero),
      mx::not_equal(mx::less(b, zero), mx::less(mod, zero)));
  d = mx::where(turn, mx::subtract(d, mx::array(1, a.dtype())), d);
  mx::array down = mx::floor(d);
  mx::array up = mx::greater(mx::subtract(d, down), mx::array(0.5, a.dtype()));
  down = mx::where(up, mx::add(down, mx::array(1, a.dtype())), down);
  mx::array signed_zero =
      mx::where(mx::less(quotient, zero), mx::negative(zero), mx::abs(zero));
  down = mx::where(mx::equal(d, zero), signed_zero, down);
  return mx::where(mx::equal(b, zero), quotient, down);
}

mx::array trunc_divide_kernel(const mx::array& a, const mx::array& b) {
  if (!is_float(a)) {
    check_divisor(a, b);
    return mx::divmod(mx::subtract(a, fmod_array(a, b)), b)[0]; // exact
  }
  mx::array q = mx::divide(a, b);
  return mx::where(
      mx::less(q, mx::array(0, q.dtype())), mx::ceil(q), mx::floor(q));
}

// The last argument of div() says how the quotient is rounded.
Tensor divide_mode(
    const Tensor& self,
    const Tensor& other,
    const std::optional<std::string>& mode) {
  if (!mode) {
    return div(self, other);
  }
  if (*mode == "floor") {
    return _div_floor(self, other);
  }
  FL_CHECK(
      *mode == "trunc",
      "div expected rounding_mode to be one of None, 'trunc', or 'floor' but "
      "found '",
      *mode,
      "'");
  return _div_trunc(self, other);
}

// Integers to a power that may be negative: 1 / x^n is 0 unless x is 1 or -1.
mx::array power_kernel(const mx::array& a, const mx::array& b) {
  Dtype d = from_mlx(a.dtype());
  if (!is_integral(d, false) || !info(d).is_signed) {
    return mx::power(a, b);
  }
  mx::array zero(0, a.dtype()), one(1, a.dtype());
  mx::array negative = mx::less(b, zero);
  mx::array p = mx::power(a, mx::where(negative, zero, b));
  mx::array odd = mx::not_equal(mx::bitwise_and(b, one), zero);
  mx::array inverse = mx::where(
      mx::equal(a, one),
      one,
      mx::where(
          mx::equal(a, mx::array(-1, a.dtype())),
          mx::where(odd, mx::array(-1, a.dtype()), one),
          zero));
  return mx::where(negative, inverse, p);
}

mx::array power_scalar(const mx::array& x, const Scalar& exponent) {
  Dtype d = from_mlx(x.dtype());
  if (is_integral(d, true)) {
    FL_CHECK(
        exponent.to_int() >= 0,
        "Integers to negative integer powers are not allowed.");
  } else if (!exponent.is_complex()) {
    // Exact and quick where there is a function for it.
    double e = exponent.to_double();
    if (e == 1) {
      return x;
    }
    if (e == 2) {
      return mx::square(x);
    }
    if (e == 3) {
      return mx::multiply(mx::square(x), x);
    }
    if (e == 0.5) {
      return mx::sqrt(x);
    }
    if (e == -1) {
      return mx::reciprocal(x);
    }
    if (e == -2) {
      return mx::reciprocal(mx::square(x));
    }
    if (e == -0.5 && !is_complex(d)) {
      return mx::rsqrt(x);
    }
  }
  return mx::power(x, scalar_array(exponent, d));
}

constexpr char kFloatPowerOut[] =
    "the output given to float_power has dtype %O but the operation's result "
    "requires dtype %R";

Tensor in_float64(const Tensor& x) {
  return to(x, x.is_complex() ? Dtype::Complex128 : Dtype::Float64);
}

Scalar in_float64(const Scalar& x) {
  return x.is_complex() ? x : Scalar(x.to_double());
}

void check_float_power(const Tensor& self, bool complex) {
  Dtype want =
      complex || self.is_complex() ? Dtype::Complex128 : Dtype::Float64;
  FL_CHECK(
      self.dtype() == want,
      "the base given to float_power_ has dtype ",
      scalar_name(self.dtype()),
      " but the operation's result requires dtype ",
      scalar_name(want));
}

void check_lerp_dtype(const Tensor& self, const Tensor& x, const char* name) {
  FL_CHECK(
      self.dtype() == x.dtype(),
      "expected dtype ",
      c_name(self.dtype()),
      " for `",
      name,
      "` but got dtype ",
      c_name(x.dtype()));
}

void check_lerp_end(const Tensor& self, const Tensor& end) {
  check_lerp_dtype(self, end, "end");
}

void check_lerp_weight(
    const Tensor& self,
    const Tensor& end,
    const Tensor& weight) {
  check_lerp_end(self, end);
  if (weight.dim() > 0) {
    check_lerp_dtype(self, weight, "weight");
  }
}

Tensor zero_where(const Tensor& condition, const Tensor& x) {
  return where(condition, zeros_like(x), x);
}

Tensor power_grad_self(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& exponent) {
  Tensor slope = exponent * pow(self, exponent - Scalar(1));
  return zero_where(eq(exponent, Scalar(0.0)), grad * conj(slope));
}

// At base 0 the limit is taken: 0 for exponents >= 0.
Tensor power_grad_exponent(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& exponent,
    const Tensor& result) {
  Tensor flat = eq(self, Scalar(0));
  if (exponent.is_complex()) {
    Tensor right = logical_and(
        eq(imag(exponent), Scalar(0.0)), ge(real(exponent), Scalar(0.0)));
    flat = logical_and(flat, right);
  } else {
    flat = logical_and(flat, ge(exponent, Scalar(0)));
  }
  // Of a negative base there is a logarithm where the result is complex.
  Tensor base = result.is_complex() ? _to_copy(self, result.dtype()) : self;
  return zero_where(flat, grad * conj(result * log(base)));
}

mx::array copysign_kernel(const mx::array& a, const mx::array& b) {
  mx::array size = mx::abs(a);
  mx::array bits =
      itemsize(from_mlx(b.dtype())) == 8
          ? mx::less(mx::view(b, mx::int64), mx::array(0, mx::int64))
      : itemsize(from_mlx(b.dtype())) == 4
          ? mx::less(mx::view(b, mx::int32), mx::array(0))
          : mx::less(mx::view(b, mx::int16), mx::array(0, mx::int16));
  return mx::where(bits, mx::negative(size), size);
}

// sqrt(a^2 + b^2) without overflow.
mx::array hypot_kernel(const mx::array& a, const mx::array& b) {
  mx::array x = mx::abs(a), y = mx::abs(b);
  mx::array large = mx::maximum(x, y), small = mx::minimum(x, y);
  mx::array zero(0, a.dtype());
  mx::array ratio = mx::divide(
      small, mx::where(mx::equal(large, zero), mx::array(1, a.dtype()), large));
  mx::array h = mx::multiply(
      large, mx::sqrt(mx::add(mx::array(1, a.dtype()), mx::square(ratio))));
  mx::array infinite = mx::logical_or(mx::isinf(x), mx::isinf(y));
  return mx::where(
      infinite,
      mx::array(std::numeric_limits<float>::infinity(), a.dtype()),
      h);
}

// Stable at both ends: from self below the middle, from end above it.
mx::array
lerp_kernel(const mx::array& a, const mx::array& b, const mx::array& w) {
  if (is_half(a)) {
    return mx::astype(
        lerp_kernel(widened(a), widened(b), widened(w)), a.dtype());
  }
  mx::array d = mx::subtract(b, a);
  mx::array rest = mx::subtract(mx::array(1, a.dtype()), w);
  mx::array size = mx::abs(w);
  return mx::where(
      mx::less(size, mx::array(0.5, size.dtype())),
      mx::add(a, mx::multiply(w, d)),
      mx::subtract(b, mx::multiply(d, rest)));
}

} // namespace

void register_arithmetic() {
  op("add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
      .forms("function method inplace out")
      .promote("self other")
      .elementwise()
      .kernel(add_kernel)
      .complex128(with_alpha(
          [](Z a, Z b, const Scalar& alpha) { return a + scaled(b, alpha); }))
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .grad(
          "other",
          "alpha",
          [](const Tensor& grad, const Scalar& alpha) {
            return alpha == Scalar(1) ? grad : grad * alpha;
          })
      .doc("Adds `other`, scaled by `alpha`.");
  op("sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
      .forms("function method inplace out")
      .promote("self other")
      .elementwise()
      .check(check_no_bools)
      .kernel(sub_kernel)
      .complex128(with_alpha(
          [](Z a, Z b, const Scalar& alpha) { return a - scaled(b, alpha); }))
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .grad(
          "other",
          "alpha",
          [](const Tensor& grad, const Scalar& alpha) {
            return alpha == Scalar(1) ? -grad : -(grad * alpha);
          })
      .doc("Subtracts `other`, scaled by `alpha`.");
  op("mul.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out wide_numbers")
      .promote()
      .elementwise()
      .kernel(mul_kernel)
      .complex128(each([](Z a, Z b) { return times(a, b); }))
      .grad(
          "self",
          "other",
          [](const Tensor& grad, const Tensor& other) {
            return grad * conj(other);
          })
      .grad(
          "other",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * conj(self);
          })
      .doc("Multiplies by `other`.");
  op("div.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out wide_numbers")
      .promote_float()
      .elementwise()
      .kernel(div_kernel)
      .complex128(each([](Z a, Z b) { return over(a, b); }))
      .grad(
          "self",
          "other",
          [](const Tensor& grad, const Tensor& other) {
            return grad / conj(other);
          })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return -grad * conj((self / other) / other);
          })
      .doc("Divides by `other`.");
  op("_div_floor(Tensor self, Tensor other) -> Tensor")
      .forms("")
      .promote()
      .elementwise()
      .refuse(kBools + kComplexes, "div_floor_cpu")
      .kernel(floor_divide_kernel)
      .node("DivBackward2")
      .zero_grad("self other")
      .doc("The quotient rounded down.");
  op("_div_trunc(Tensor self, Tensor other) -> Tensor")
      .forms("")
      .promote()
      .elementwise()
      .refuse(kBools + kComplexes, "div_trunc_cpu")
      .kernel(trunc_divide_kernel)
      .node("DivBackward2")
      .zero_grad("self other")
      .doc("The quotient rounded towards 0.");
  op("div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> "
     "Tensor")
      .forms("function method inplace out")
      .composite(divide_mode)
      .doc("Divides by `other`, and rounds.");
  op("floor_divide(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools + kComplexes, "div_floor_cpu")
      .kernel(floor_divide_kernel)
      .no_derivative()
      .doc("The quotient rounded down.");
  op("remainder.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools + kComplexes, "remainder_cpu")
      .node("RemainderBackward1")
      .kernel(remainder_kernel)
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return -grad * _div_floor(self, other);
          })
      .doc("The remainder, with the sign of the divisor.");
  op("remainder.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .numbers_of("remainder.Tensor")
      .node("RemainderBackward0")
      .doc("The remainder, with the sign of the divisor.");
  op("remainder.Scalar_Tensor(Scalar self, Tensor other) -> Tensor")
      .forms("function")
      .numbers_of("remainder.Tensor")
      .no_derivative()
      .doc("The remainder, with the sign of the divisor.");
  op("fmod.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools + kComplexes, "fmod_cpu")
      .node("FmodBackward1")
      .kernel(fmod_array)
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return -grad * _div_trunc(self, other);
          })
      .doc("The remainder, with the sign of the dividend.");
  op("fmod.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .numbers_of("fmod.Tensor")
      .node("FmodBackward0")
      .doc("The remainder, with the sign of the dividend.");
  op("rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
      .forms("function")
      .promote("self other")
      .elementwise()
      .check(check_no_bools)
      .kernel([](mx::array self, mx::array other, const Scalar& alpha) {
        return sub_kernel(std::move(other), std::move(self), alpha);
      })
      .complex128(with_alpha(
          [](Z a, Z b, const Scalar& alpha) { return b - scaled(a, alpha); }))
      .grad(
          "self",
          "alpha",
          [](const Tensor& grad, const Scalar& alpha) {
            return alpha == Scalar(1) ? -grad : -(grad * alpha);
          })
      .grad("other", "", [](const Tensor& grad) { return grad; })
      .doc("other - alpha * self.");
  op("rsub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor")
      .forms("function")
      .numbers_of("rsub.Tensor")
      .node("RsubBackward1")
      .doc("other - alpha * self.");

  op("pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools, "pow")
      .autocast(Autocast::None, Autocast::Float32)
      .kernel(power_kernel)
      .complex128(each([](Z a, Z b) { return power_of(a, b); }))
      .node("PowBackward1")
      .grad("self", "self exponent", power_grad_self)
      .grad("exponent", "self exponent result", power_grad_exponent)
      .doc("self to the power of `exponent`.");
  op("pow.Scalar(Scalar self, Tensor exponent) -> Tensor")
      .forms("function out")
      .numbers_of("pow.Tensor_Tensor")
      .node("PowBackward2")
      .doc("self to the power of `exponent`.");
  op("pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools, "pow")
      .autocast(Autocast::None, Autocast::Float32)
      .kernel(power_scalar)
      .complex128(each(
          [](Z a, const Scalar& b) { return power_of(a, b.to_complex()); }))
      .grad(
          "self",
          "self exponent",
          [](const Tensor& grad, const Tensor& self, const Scalar& exponent) {
            if (exponent == Scalar(0)) {
              return zeros_like(grad);
            }
            Scalar less = exponent.is_complex()
                              ? Scalar(exponent.to_complex() - 1.0)
                              : Scalar(exponent.to_double() - 1);
            return grad * conj(pow(self, less) * exponent);
          })
      .doc("self to the power of a number.");
  op("float_power.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor")
      .forms("function method out")
      .exact_out(kFloatPowerOut)
      .composite([](const Tensor& self, const Tensor& exponent) {
        return pow(in_float64(self), in_float64(exponent));
      })
      .doc("The power, in float64.");
  op("float_power.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor")
      .forms("function method out")
      .exact_out(kFloatPowerOut)
      .composite([](const Tensor& self, const Scalar& exponent) {
        return pow(in_float64(self), in_float64(exponent));
      })
      .doc("The power, in float64.");
  op("float_power.Scalar(Scalar self, Tensor exponent) -> Tensor")
      .forms("function out")
      .exact_out(kFloatPowerOut)
      .composite([](const Scalar& self, const Tensor& exponent) {
        return pow(in_float64(self), in_float64(exponent));
      })
      .doc("The power, in float64.");
  op("float_power_.Tensor(Tensor(a!) self, Tensor exponent) -> Tensor(a!)")
      .forms("method")
      .mutating([](const Tensor& self, const Tensor& exponent) {
        check_float_power(self, exponent.is_complex());
        return pow_(self, in_float64(exponent));
      })
      .doc("The power, of float64.");
  op("float_power_.Scalar(Tensor(a!) self, Scalar exponent) -> Tensor(a!)")
      .forms("method")
      .mutating([](const Tensor& self, const Scalar& exponent) {
        check_float_power(self, exponent.is_complex());
        return pow_(self, in_float64(exponent));
      })
      .doc("The power, of float64.");

  op("atan2(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "atan2_cpu")
      .kernel([](const mx::array& a, const mx::array& b) {
        return mx::arctan2(a, b);
      })
      .grad(
          "self",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return grad * other / (self * self + other * other);
          })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return grad * -self / (self * self + other * other);
          })
      .doc("The angle of the point (other, self).");
  op("hypot(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools + kIntegers + kComplexes, "hypot_cpu")
      .kernel(hypot_kernel)
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            return grad * (self / result);
          })
      .grad(
          "other",
          "other result",
          [](const Tensor& grad, const Tensor& other, const Tensor& result) {
            return grad * (other / result);
          })
      .doc("The length of (self, other).");
  op("copysign.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "copysign_cpu")
      .kernel(copysign_kernel)
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            Tensor ratio = result / self;
            return grad * zero_where(eq(self, Scalar(0.0)), ratio);
          })
      .zero_grad("other")
      .doc("|self| with the sign of `other`.");
  op("copysign.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .numbers_of("copysign.Tensor")
      .node("CopysignBackward1")
      .doc("|self| with the sign of `other`.");
  op("logaddexp(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .promote()
      .elementwise()
      .refuse(kBools + kIntegers, "logaddexp_cpu")
      .kernel([](const mx::array& a, const mx::array& b) {
        return accurate::logaddexp(a, b);
      })
      .complex128(each(log_add_of))
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            return grad * conj(exp(self - result));
          })
      .grad(
          "other",
          "other result",
          [](const Tensor& grad, const Tensor& other, const Tensor& result) {
            return grad * conj(exp(other - result));
          })
      .doc("log(exp(self) + exp(other)).");
  op("logaddexp2(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .promote()
      .elementwise()
      .refuse(kBools + kIntegers + kComplexes, "logaddexp2_cpu")
      .kernel([](const mx::array& a, const mx::array& b) {
        mx::array ln2(std::numbers::ln2, a.dtype());
        return mx::divide(
            accurate::logaddexp(mx::multiply(a, ln2), mx::multiply(b, ln2)),
            ln2);
      })
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            return grad * exp2(self - result);
          })
      .grad(
          "other",
          "other result",
          [](const Tensor& grad, const Tensor& other, const Tensor& result) {
            return grad * exp2(other - result);
          })
      .doc("log2(2^self + 2^other).");
  op("xlogy.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "xlogy_cpu")
      .kernel([](const mx::array& a, const mx::array& b) {
        mx::array zero(0, a.dtype());
        mx::array y =
            mx::where(mx::equal(a, zero), zero, mx::multiply(a, mx::log(b)));
        return mx::where(mx::isnan(b), mx::array(std::nanf(""), a.dtype()), y);
      })
      .grad(
          "self",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            Tensor flat =
                logical_and(eq(self, Scalar(0.0)), le(other, Scalar(0.0)));
            return zero_where(flat, xlogy(grad, other));
          })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return grad * self / other;
          })
      .doc("self * log(other), and 0 where self is.");
  op("xlogy.Scalar_Self(Scalar self, Tensor other) -> Tensor")
      .forms("function out")
      .numbers_of("xlogy.Tensor")
      .node("XlogyBackward1")
      .doc("self * log(other), and 0 where self is.");
  op("xlogy.Scalar_Other(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .numbers_of("xlogy.Tensor")
      .node("XlogyBackward2")
      .doc("self * log(other), and 0 where self is.");
  op("lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor")
      .forms("function method inplace out")
      .promote("self end")
      .elementwise()
      .refuse(kBools + kIntegers, "lerp_kernel_scalar")
      .check(check_lerp_end)
      .kernel([](const mx::array& a, const mx::array& b, const Scalar& w) {
        return lerp_kernel(a, b, number_for(a, w));
      })
      .complex128(each([](Z a, Z b, const Scalar& w) {
        return lerp_of(a, b, w.to_complex());
      }))
      .grad(
          "self",
          "weight",
          [](const Tensor& grad, const Scalar& weight) {
            return weight.is_complex()
                       ? grad * Scalar(1.0 - std::conj(weight.to_complex()))
                       : grad * Scalar(1 - weight.to_double());
          })
      .grad(
          "end",
          "weight",
          [](const Tensor& grad, const Scalar& weight) {
            return weight.is_complex()
                       ? grad * Scalar(std::conj(weight.to_complex()))
                       : grad * weight;
          })
      .doc("self + weight * (end - self).");
  op("lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .promote()
      .elementwise()
      .refuse(kBools + kIntegers, "lerp_kernel_tensor")
      .check(check_lerp_weight)
      .kernel(lerp_kernel)
      .complex128(each(lerp_of))
      .node("LerpBackward1")
      .grad(
          "self",
          "weight",
          [](const Tensor& grad, const Tensor& weight) {
            return grad * conj(Scalar(1) - weight);
          })
      .grad(
          "end",
          "weight",
          [](const Tensor& grad, const Tensor& weight) {
            return grad * conj(weight);
          })
      .grad(
          "weight",
          "self end",
          [](const Tensor& grad, const Tensor& self, const Tensor& end) {
            return grad * conj(end - self);
          })
      .doc("self + weight * (end - self).");
  op("addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) "
     "-> Tensor")
      .forms("function method inplace out")
      .promote("self tensor1 tensor2")
      .refuse(kBools, "addcmul_cpu_out")
      .elementwise()
      .kernel([](const mx::array& self,
                 const mx::array& a,
                 const mx::array& b,
                 const Scalar& value) {
        return plus_scaled(self, mx::multiply(widened(a), widened(b)), value);
      })
      .complex128(each([](Z self, Z a, Z b, const Scalar& value) {
        return self + times(times(value.to_complex(), a), b);
      }))
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .grad(
          "tensor1",
          "tensor2 value",
          [](const Tensor& grad, const Tensor& tensor2, const Scalar& value) {
            return grad * conj(tensor2 * value);
          })
      .grad(
          "tensor2",
          "tensor1 value",
          [](const Tensor& grad, const Tensor& tensor1, const Scalar& value) {
            return grad * conj(tensor1 * value);
          })
      .doc("self + value * tensor1 * tensor2.");
  op("addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) "
     "-> Tensor")
      .forms("function method inplace out")
      .promote("self tensor1 tensor2")
      .elementwise()
      .kernel([](const mx::array& self,
                 const mx::array& a,
                 const mx::array& b,
                 const Scalar& value) {
        FL_CHECK(
            !is_integral(from_mlx(a.dtype()), true),
            "Integer division with addcdiv is no longer supported, and in a "
            "future  release addcdiv will perform a true division of tensor1 "
            "and tensor2. The historic addcdiv behavior can be implemented as "
            "(input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) "
            "for integer inputs and as (input + value * tensor1 / tensor2) for "
            "float inputs. The future addcdiv behavior is just the latter "
            "implementation: (input + value * tensor1 / tensor2), for all "
            "dtypes.");
        return plus_scaled(self, mx::divide(widened(a), widened(b)), value);
      })
      .complex128(each([](Z self, Z a, Z b, const Scalar& value) {
        return self + over(times(value.to_complex(), a), b);
      }))
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .grad(
          "tensor1",
          "tensor2 value",
          [](const Tensor& grad, const Tensor& tensor2, const Scalar& value) {
            return grad * conj(value / tensor2);
          })
      .grad(
          "tensor2",
          "tensor1 tensor2 value",
          [](const Tensor& grad,
             const Tensor& tensor1,
             const Tensor& tensor2,
             const Scalar& value) {
            return -grad * conj(tensor1 / (tensor2 * tensor2) * value);
          })
      .doc("self + value * tensor1 / tensor2.");

  alias_op("multiply", "mul");
  alias_op("subtract", "sub");
  alias_op("divide", "div");
  alias_op(
      "true_divide.Tensor(Tensor self, Tensor other) -> Tensor",
      "div.Tensor",
      "function method inplace out");
  alias_op("arctan2", "atan2");
}

} // namespace flashlight
