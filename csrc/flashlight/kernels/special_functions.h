// Special functions of real numbers, to float64's accuracy.
//
// Each is written for one double: series where they do not cancel, continued
// fractions, and the trapezoidal rule on integrals over the whole line, which
// converges to all digits where the integrand dies off in a strip.
#pragma once

#include <cstdint>

#include "flashlight/core/api.h"

namespace flashlight::special {

FL_API double digamma(double x);
// Hurwitz: the sum of (q + k)^-s.
FL_API double zeta(double s, double q);
// The n-th derivative of digamma. `narrow`: at its poles, as large as rounding
// to float32 makes it.
FL_API double polygamma(int64_t n, double x, bool narrow = false);
// The regularized incomplete gamma functions, lower and upper.
FL_API double gammainc(double a, double x);
FL_API double gammaincc(double a, double x);

// exp(x * x) * erfc(x)
FL_API double erfcx(double x);
FL_API double log_ndtr(double x);
FL_API double ndtri(double p);
FL_API double entr(double x);

// Modified Bessel functions; ...e is scaled by exp(-|x|), of K by exp(x).
FL_API double i0(double x);
FL_API double i0e(double x);
FL_API double i1(double x);
FL_API double i1e(double x);
FL_API double k0(double x);
FL_API double k0e(double x);
FL_API double k1(double x);
FL_API double k1e(double x);
FL_API double j0(double x);
FL_API double j1(double x);
FL_API double y0(double x);
FL_API double y1(double x);
FL_API double spherical_j0(double x);
FL_API double airy_ai(double x);

// Polynomials of degree n, which is cut to an integer.
FL_API double chebyshev_t(double x, double n);
FL_API double chebyshev_u(double x, double n);
FL_API double chebyshev_v(double x, double n);
FL_API double chebyshev_w(double x, double n);
FL_API double hermite_h(double x, double n);
FL_API double hermite_he(double x, double n);
FL_API double laguerre_l(double x, double n);
FL_API double legendre_p(double x, double n);

} // namespace flashlight::special
