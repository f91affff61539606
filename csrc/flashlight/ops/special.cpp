// torch.special, gamma functions and Bessel functions.
#include <cmath>
#include <limits>
#include <numbers>

#include <mlx/ops.h>

#include "flashlight/kernels/map.h"
#include "flashlight/kernels/special_functions.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/special.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

constexpr double kPi = std::numbers::pi;

template <double F(double)>
mx::array unary(const mx::array& x) {
  return host_map("Special", x, [](double a) { return F(a); });
}

template <double F(double, double)>
mx::array binary(const mx::array& x, const mx::array& y) {
  return host_map("Special", x, y, [](double a, double b) { return F(a, b); });
}

// On [0, 1] what the others are on [-1, 1].
template <double F(double, double)>
double shifted(double x, double n) {
  return F(2 * x - 1, n);
}

double xlog1py(double x, double y) {
  return std::isnan(y) ? y : x == 0 ? 0 : x * std::log1p(y);
}

double log_gamma(double x) {
  return std::lgamma(x);
}

[[noreturn]] void no_derivative(const char* of) {
  fail<NotImplementedError>(
      "the derivative for '", of, "' is not implemented.");
}

Tensor no_derivative_of_igamma(const Tensor&) {
  no_derivative("igamma: input");
}
Tensor no_derivative_of_igammac(const Tensor&) {
  no_derivative("igammac: input");
}
Tensor no_derivative_of_zeta(const Tensor&) {
  no_derivative("zeta");
}

// x^(a-1) e^-x / gamma(a)
Tensor gamma_density(const Tensor& a, const Tensor& x) {
  return exp((a - Scalar(1)) * log(x) - x - lgamma(a));
}

// Safe to divide by: x, and 1 where it is 0.
Tensor nonzero_of(const Tensor& x, const Tensor& zero) {
  return where(zero, ones_like(x), x);
}

Tensor i1_grad(const Tensor& grad, const Tensor& x, const Tensor& result) {
  Tensor zero = eq(x, Scalar(0));
  Tensor slope = i0(x) - result / nonzero_of(x, zero);
  return grad * where(zero, full_like(x, Scalar(0.5)), slope);
}

Tensor i1e_grad(const Tensor& grad, const Tensor& x, const Tensor& result) {
  Tensor zero = eq(x, Scalar(0)), safe = nonzero_of(x, zero);
  Tensor slope = special_i0e(x) - result * (sgn(x) + reciprocal(safe));
  return grad * where(zero, full_like(x, Scalar(0.5)), slope);
}

void check_order(int64_t n) {
  FL_CHECK(n >= 0, "polygamma(n, x) does not support negative n.");
}

Tensor multigamma(const Tensor& self, int64_t p) {
  FL_CHECK(p >= 1, "p has to be greater than or equal to 1");
  Tensor x = self.is_floating_point() ? self : to(self, default_dtype());
  Tensor sum;
  for (int64_t j = 0; j < p; ++j) {
    Tensor term = lgamma(x - Scalar(0.5 * static_cast<double>(j)));
    sum = j ? sum + term : term;
  }
  auto count = static_cast<double>(p);
  return sum + Scalar(count * (count - 1) / 4 * std::log(kPi));
}

// A polynomial of a degree: of tensors, and with a number for either.
template <double F(double, double)>
void polynomial_rows(
    Tensor (*f)(const Tensor&, const Tensor&),
    const std::string& name,
    const char* doc,
    Row both,
    Row of_number,
    Row of_degree) {
  std::move(both)
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, name + "_cpu")
      .kernel(binary<F>)
      .not_differentiable()
      .doc(doc);
  std::move(of_number)
      .module("special")
      .composite([f](const Scalar& x, const Tensor& n) {
        return f(wrapped_number(x), n);
      })
      .doc(name + " of a number.");
  std::move(of_degree)
      .module("special")
      .composite([f](const Tensor& x, const Scalar& n) {
        return f(x, wrapped_number(n));
      })
      .doc(name + " of a number.");
}

} // namespace

void register_special() {
  op("lgamma(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "lgamma_vml_cpu")
      .kernel(unary<log_gamma>)
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * digamma(self);
          })
      .doc("The logarithm of the gamma function's size.");
  op("digamma(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "digamma")
      .kernel(unary<special::digamma>)
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * polygamma(1, self);
          })
      .doc("The derivative of lgamma.");
  op("polygamma(int n, Tensor self) -> Tensor")
      .forms("function method out")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "polygamma")
      .check(check_order)
      .kernel([](int64_t n, const mx::array& x) {
        bool narrow = x.dtype() != mx::float64;
        return host_map("Special", x, [n, narrow](double a) {
          return special::polygamma(n, a, narrow);
        });
      })
      .grad(
          "self",
          "n self",
          [](const Tensor& grad, int64_t n, const Tensor& self) {
            return grad * polygamma(n + 1, self);
          })
      .doc("The n-th derivative of digamma.");
  op("polygamma_(Tensor(a!) self, int n) -> Tensor(a!)")
      .forms("method")
      .mutating([](const Tensor& self, int64_t n) {
        return copy_(self, polygamma(n, self), false);
      })
      .doc("The n-th derivative of digamma, in place.");
  op("mvlgamma(Tensor self, int p) -> Tensor")
      .forms("function method inplace out")
      .exact_out(
          "%?mvlgamma: result type %R can't be cast to the desired output type "
          "%R")
      .composite(multigamma)
      .doc("The logarithm of the multivariate gamma function.");
  op("igamma(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools + kIntegers + kComplexes, "igamma_cpu")
      .kernel(binary<special::gammainc>)
      .grad("self", "", no_derivative_of_igamma)
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return grad * gamma_density(self, other);
          })
      .doc("The regularized lower incomplete gamma function.");
  op("igammac(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools + kIntegers + kComplexes, "igammac_cpu")
      .kernel(binary<special::gammaincc>)
      .grad("self", "", no_derivative_of_igammac)
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return -grad * gamma_density(self, other);
          })
      .doc("The regularized upper incomplete gamma function.");
  op("i0(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "i0_vml_cpu")
      .kernel(unary<special::i0>)
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * special_i1(self);
          })
      .doc("The modified Bessel function of the first kind, of order 0.");
  op("special_i0e(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "i0e_cpu")
      .kernel(unary<special::i0e>)
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            return grad * (special_i1e(self) - sgn(self) * result);
          })
      .doc("i0 scaled by exp(-|x|).");
  op("special_i1(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "i1_cpu")
      .kernel(unary<special::i1>)
      .grad("self", "self result", i1_grad)
      .doc("The modified Bessel function of the first kind, of order 1.");
  op("special_i1e(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "i1e_cpu")
      .kernel(unary<special::i1e>)
      .grad("self", "self result", i1e_grad)
      .doc("i1 scaled by exp(-|x|).");
  op("special_entr(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "entr_cpu")
      .kernel(unary<special::entr>)
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * (-log(self) - Scalar(1));
          })
      .doc("-x * log(x), the entropy of each element.");
  op("special_erfcx(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "erfcx_cpu")
      .kernel(unary<special::erfcx>)
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            return grad * (self * result * Scalar(2) -
                           Scalar(2 * std::numbers::inv_sqrtpi));
          })
      .doc("erfc scaled by exp(x * x).");
  op("special_ndtri(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "ndtri_cpu")
      .kernel(unary<special::ndtri>)
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * exp(result * result * Scalar(0.5)) *
                   Scalar(std::sqrt(2 * kPi));
          })
      .doc("The inverse of ndtr.");
  op("special_log_ndtr(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "log_ndtr_cpu")
      .kernel(unary<special::log_ndtr>)
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad /
                   special_erfcx(self * Scalar(-std::numbers::sqrt2 / 2)) *
                   Scalar(std::sqrt(2 / kPi));
          })
      .doc("The logarithm of ndtr.");
  op("special_ndtr(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .composite([](const Tensor& self) {
        Tensor x = self.is_floating_point() || self.is_complex()
                       ? self
                       : to(self, default_dtype());
        return erfc(x * Scalar(-std::numbers::sqrt2 / 2)) * Scalar(0.5);
      })
      .doc("The normal distribution's cumulative function.");
  op("special_xlog1py(Tensor self, Tensor other) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kComplexes, "xlog1py_cpu")
      .kernel(binary<xlog1py>)
      .grad(
          "self",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            Tensor flat =
                logical_and(eq(self, Scalar(0)), le(other, Scalar(-1)));
            return where(flat, zeros_like(grad), special_xlog1py(grad, other));
          })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return grad * self / (other + Scalar(1));
          })
      .doc("self * log1p(other), and 0 where self is.");
  op("special_zeta(Tensor self, Tensor other) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "zeta_cpu")
      .kernel(binary<special::zeta>)
      .grad("self", "", no_derivative_of_zeta)
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return -grad * self * special_zeta(self + Scalar(1), other);
          })
      .doc("The Hurwitz zeta function.");
  op("special_xlog1py.self_scalar(Scalar self, Tensor other) -> Tensor")
      .forms("function out")
      .module("special")
      .numbers_of("special_xlog1py")
      .node("SpecialXlog1PyBackward1")
      .doc("xlog1py of a number.");
  op("special_xlog1py.other_scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function out")
      .module("special")
      .numbers_of("special_xlog1py")
      .node("SpecialXlog1PyBackward2")
      .doc("xlog1py of a number.");
  op("special_zeta.self_scalar(Scalar self, Tensor other) -> Tensor")
      .forms("function out")
      .module("special")
      .numbers_of("special_zeta")
      .node("SpecialZetaBackward1")
      .doc("zeta of a number.");
  op("special_zeta.other_scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function out")
      .module("special")
      .numbers_of("special_zeta")
      .node("SpecialZetaBackward2")
      .doc("zeta of a number.");
  op("special_bessel_j0(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "bessel_j0_cpu")
      .kernel(unary<special::j0>)
      .not_differentiable()
      .doc("The Bessel function of the first kind, of order 0.");
  op("special_bessel_j1(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "bessel_j1_cpu")
      .kernel(unary<special::j1>)
      .not_differentiable()
      .doc("The Bessel function of the first kind, of order 1.");
  op("special_bessel_y0(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "bessel_y0_cpu")
      .kernel(unary<special::y0>)
      .not_differentiable()
      .doc("The Bessel function of the second kind, of order 0.");
  op("special_bessel_y1(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "bessel_y1_cpu")
      .kernel(unary<special::y1>)
      .not_differentiable()
      .doc("The Bessel function of the second kind, of order 1.");
  op("special_modified_bessel_i0(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "modified_bessel_i0_cpu")
      .kernel(unary<special::i0>)
      .not_differentiable()
      .doc("The modified Bessel function of the first kind, of order 0.");
  op("special_modified_bessel_i1(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "modified_bessel_i1_cpu")
      .kernel(unary<special::i1>)
      .not_differentiable()
      .doc("The modified Bessel function of the first kind, of order 1.");
  op("special_modified_bessel_k0(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "modified_bessel_k0_cpu")
      .kernel(unary<special::k0>)
      .not_differentiable()
      .doc("The modified Bessel function of the second kind, of order 0.");
  op("special_modified_bessel_k1(Tensor self) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "modified_bessel_k1_cpu")
      .kernel(unary<special::k1>)
      .not_differentiable()
      .doc("The modified Bessel function of the second kind, of order 1.");
  op("special_scaled_modified_bessel_k0(Tensor x) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "scaled_modified_bessel_k0_cpu")
      .kernel(unary<special::k0e>)
      .not_differentiable()
      .doc("modified_bessel_k0 scaled by exp(x).");
  op("special_scaled_modified_bessel_k1(Tensor x) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "scaled_modified_bessel_k1_cpu")
      .kernel(unary<special::k1e>)
      .not_differentiable()
      .doc("modified_bessel_k1 scaled by exp(x).");
  op("special_spherical_bessel_j0(Tensor x) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "spherical_bessel_j0_cpu")
      .kernel(unary<special::spherical_j0>)
      .not_differentiable()
      .doc("sin(x) / x.");
  op("special_airy_ai(Tensor x) -> Tensor")
      .forms("function out")
      .module("special")
      .promote_float()
      .elementwise()
      .refuse(kHalves + kComplexes, "airy_ai_cpu")
      .kernel(unary<special::airy_ai>)
      .not_differentiable()
      .doc("The Airy function Ai.");
  polynomial_rows<special::chebyshev_t>(
      special_chebyshev_polynomial_t,
      "chebyshev_polynomial_t",
      "The Chebyshev polynomial of the first kind.",
      op("special_chebyshev_polynomial_t(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_chebyshev_polynomial_t.x_scalar(Scalar x, Tensor n) -> "
         "Tensor")
          .forms("function out"),
      op("special_chebyshev_polynomial_t.n_scalar(Tensor x, Scalar n) -> "
         "Tensor")
          .forms("function out"));
  polynomial_rows<special::chebyshev_u>(
      special_chebyshev_polynomial_u,
      "chebyshev_polynomial_u",
      "The Chebyshev polynomial of the second kind.",
      op("special_chebyshev_polynomial_u(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_chebyshev_polynomial_u.x_scalar(Scalar x, Tensor n) -> "
         "Tensor")
          .forms("function out"),
      op("special_chebyshev_polynomial_u.n_scalar(Tensor x, Scalar n) -> "
         "Tensor")
          .forms("function out"));
  polynomial_rows<special::chebyshev_v>(
      special_chebyshev_polynomial_v,
      "chebyshev_polynomial_v",
      "The Chebyshev polynomial of the third kind.",
      op("special_chebyshev_polynomial_v(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_chebyshev_polynomial_v.x_scalar(Scalar x, Tensor n) -> "
         "Tensor")
          .forms("function out"),
      op("special_chebyshev_polynomial_v.n_scalar(Tensor x, Scalar n) -> "
         "Tensor")
          .forms("function out"));
  polynomial_rows<special::chebyshev_w>(
      special_chebyshev_polynomial_w,
      "chebyshev_polynomial_w",
      "The Chebyshev polynomial of the fourth kind.",
      op("special_chebyshev_polynomial_w(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_chebyshev_polynomial_w.x_scalar(Scalar x, Tensor n) -> "
         "Tensor")
          .forms("function out"),
      op("special_chebyshev_polynomial_w.n_scalar(Tensor x, Scalar n) -> "
         "Tensor")
          .forms("function out"));
  polynomial_rows<shifted<special::chebyshev_t>>(
      special_shifted_chebyshev_polynomial_t,
      "shifted_chebyshev_polynomial_t",
      "The Chebyshev polynomial of the first kind, on [0, 1].",
      op("special_shifted_chebyshev_polynomial_t(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_shifted_chebyshev_polynomial_t.x_scalar(Scalar x, Tensor n) "
         "-> Tensor")
          .forms("function out"),
      op("special_shifted_chebyshev_polynomial_t.n_scalar(Tensor x, Scalar n) "
         "-> Tensor")
          .forms("function out"));
  polynomial_rows<shifted<special::chebyshev_u>>(
      special_shifted_chebyshev_polynomial_u,
      "shifted_chebyshev_polynomial_u",
      "The Chebyshev polynomial of the second kind, on [0, 1].",
      op("special_shifted_chebyshev_polynomial_u(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_shifted_chebyshev_polynomial_u.x_scalar(Scalar x, Tensor n) "
         "-> Tensor")
          .forms("function out"),
      op("special_shifted_chebyshev_polynomial_u.n_scalar(Tensor x, Scalar n) "
         "-> Tensor")
          .forms("function out"));
  polynomial_rows<shifted<special::chebyshev_v>>(
      special_shifted_chebyshev_polynomial_v,
      "shifted_chebyshev_polynomial_v",
      "The Chebyshev polynomial of the third kind, on [0, 1].",
      op("special_shifted_chebyshev_polynomial_v(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_shifted_chebyshev_polynomial_v.x_scalar(Scalar x, Tensor n) "
         "-> Tensor")
          .forms("function out"),
      op("special_shifted_chebyshev_polynomial_v.n_scalar(Tensor x, Scalar n) "
         "-> Tensor")
          .forms("function out"));
  polynomial_rows<shifted<special::chebyshev_w>>(
      special_shifted_chebyshev_polynomial_w,
      "shifted_chebyshev_polynomial_w",
      "The Chebyshev polynomial of the fourth kind, on [0, 1].",
      op("special_shifted_chebyshev_polynomial_w(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_shifted_chebyshev_polynomial_w.x_scalar(Scalar x, Tensor n) "
         "-> Tensor")
          .forms("function out"),
      op("special_shifted_chebyshev_polynomial_w.n_scalar(Tensor x, Scalar n) "
         "-> Tensor")
          .forms("function out"));
  polynomial_rows<special::hermite_h>(
      special_hermite_polynomial_h,
      "hermite_polynomial_h",
      "The Hermite polynomial, as in physics.",
      op("special_hermite_polynomial_h(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_hermite_polynomial_h.x_scalar(Scalar x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_hermite_polynomial_h.n_scalar(Tensor x, Scalar n) -> Tensor")
          .forms("function out"));
  polynomial_rows<special::hermite_he>(
      special_hermite_polynomial_he,
      "hermite_polynomial_he",
      "The Hermite polynomial, as in probability.",
      op("special_hermite_polynomial_he(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_hermite_polynomial_he.x_scalar(Scalar x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_hermite_polynomial_he.n_scalar(Tensor x, Scalar n) -> Tensor")
          .forms("function out"));
  polynomial_rows<special::laguerre_l>(
      special_laguerre_polynomial_l,
      "laguerre_polynomial_l",
      "The Laguerre polynomial.",
      op("special_laguerre_polynomial_l(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_laguerre_polynomial_l.x_scalar(Scalar x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_laguerre_polynomial_l.n_scalar(Tensor x, Scalar n) -> Tensor")
          .forms("function out"));
  polynomial_rows<special::legendre_p>(
      special_legendre_polynomial_p,
      "legendre_polynomial_p",
      "The Legendre polynomial.",
      op("special_legendre_polynomial_p(Tensor x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_legendre_polynomial_p.x_scalar(Scalar x, Tensor n) -> Tensor")
          .forms("function out"),
      op("special_legendre_polynomial_p.n_scalar(Tensor x, Scalar n) -> Tensor")
          .forms("function out"));
  // Names that torch.special has for functions of torch.
  alias_op(
      "special_expm1(Tensor self) -> Tensor",
      "expm1",
      "function out",
      "special");
  alias_op(
      "special_exp2(Tensor self) -> Tensor", "exp2", "function out", "special");
  alias_op(
      "special_psi(Tensor self) -> Tensor",
      "digamma",
      "function out",
      "special");
  alias_op(
      "special_digamma(Tensor self) -> Tensor",
      "digamma",
      "function out",
      "special");
  alias_op(
      "special_gammaln(Tensor self) -> Tensor",
      "lgamma",
      "function out",
      "special");
  alias_op(
      "special_erf(Tensor self) -> Tensor", "erf", "function out", "special");
  alias_op(
      "special_erfc(Tensor self) -> Tensor", "erfc", "function out", "special");
  alias_op(
      "special_erfinv(Tensor self) -> Tensor",
      "erfinv",
      "function out",
      "special");
  alias_op(
      "special_xlogy(Tensor self, Tensor other) -> Tensor",
      "xlogy.Tensor",
      "function out",
      "special");
  alias_op(
      "special_xlogy.self_scalar(Scalar self, Tensor other) -> Tensor",
      "xlogy.Scalar_Self",
      "function out",
      "special");
  alias_op(
      "special_xlogy.other_scalar(Tensor self, Scalar other) -> Tensor",
      "xlogy.Scalar_Other",
      "function out",
      "special");
  alias_op(
      "special_i0(Tensor self) -> Tensor", "i0", "function out", "special");
  alias_op(
      "special_logit(Tensor self, float? eps=None) -> Tensor",
      "logit",
      "function out",
      "special");
  alias_op(
      "special_polygamma(int n, Tensor self) -> Tensor",
      "polygamma",
      "function out",
      "special");
  alias_op(
      "special_logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> "
      "Tensor",
      "logsumexp",
      "function out",
      "special");
  alias_op(
      "special_expit(Tensor self) -> Tensor",
      "sigmoid",
      "function out",
      "special");
  alias_op(
      "special_sinc(Tensor self) -> Tensor", "sinc", "function out", "special");
  alias_op(
      "special_log1p(Tensor self) -> Tensor",
      "log1p",
      "function out",
      "special");
  alias_op(
      "special_gammainc(Tensor self, Tensor other) -> Tensor",
      "igamma",
      "function out",
      "special");
  alias_op(
      "special_gammaincc(Tensor self, Tensor other) -> Tensor",
      "igammac",
      "function out",
      "special");
  alias_op(
      "special_multigammaln(Tensor self, int p) -> Tensor",
      "mvlgamma",
      "function out",
      "special");
  alias_op(
      "special_round(Tensor self, *, int decimals=0) -> Tensor",
      "round.decimals",
      "function out",
      "special");
  alias_op(
      "special_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor",
      "softmax.int",
      "function",
      "special");
  alias_op(
      "special_log_softmax(Tensor self, int dim, *, ScalarType? dtype=None) -> "
      "Tensor",
      "log_softmax.int",
      "function",
      "special");
}

} // namespace flashlight
