#include "flashlight/kernels/special_functions.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>

namespace flashlight::special {

namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kEps = std::numeric_limits<double>::epsilon();

// B(2k) / (2k)!
constexpr double kBernoulli[] = {
    1.0 / 12,
    -1.0 / 720,
    1.0 / 30240,
    -1.0 / 1209600,
    1.0 / 47900160,
    -691.0 / 1307674368000,
    1.0 / 74724249600,
    -3617.0 / 10670622842880000,
    43867.0 / 5109094217170944000,
};

// log(1 + x) - x, of small x.
double log1pmx(double x) {
  double sum = 0, power = x;
  for (int k = 2; k < 60; ++k) {
    power *= -x;
    double term = power / k;
    sum += term;
    if (std::abs(term) < kEps * std::abs(sum)) {
      break;
    }
  }
  return sum;
}

// What Stirling's formula leaves over of lgamma(a), for a >= 10.
double stirling_rest(double a) {
  double inverse = 1 / (a * a);
  return (1.0 / 12 -
          inverse *
              (1.0 / 360 -
               inverse * (1.0 / 1260 -
                          inverse * (1.0 / 1680 -
                                     inverse * (1.0 / 1188 -
                                                inverse * 691.0 / 360360))))) /
         a;
}

// x^a e^-x / gamma(a + 1)
double gamma_density(double a, double x) {
  if (a < 10) {
    return std::exp(a * std::log(x) - x - std::lgamma(a + 1));
  }
  // Where x is near a, a * log(x) - x loses what this keeps.
  double away = (x - a) / a;
  double rate = std::abs(away) > 0.3 ? std::log(x / a) - away : log1pmx(away);
  return std::exp(a * rate - stirling_rest(a)) / std::sqrt(2 * kPi * a);
}

double lower_series(double a, double x) {
  double sum = 1, term = 1;
  for (int k = 1; k < 1000000; ++k) {
    term *= x / (a + k);
    sum += term;
    if (term < kEps * sum) {
      break;
    }
  }
  return gamma_density(a, x) * sum;
}

// Lentz's evaluation of the continued fraction of the upper function.
double upper_fraction(double a, double x) {
  double b = x + 1 - a, c = 1 / std::numeric_limits<double>::min();
  double d = 1 / b, h = d;
  for (int k = 1; k < 1000000; ++k) {
    double n = -k * (k - a);
    b += 2;
    d = n * d + b;
    c = b + n / c;
    d = 1 / (d == 0 ? 1e-300 : d);
    c = c == 0 ? 1e-300 : c;
    double step = c * d;
    h *= step;
    if (std::abs(step - 1) < kEps) {
      break;
    }
  }
  return gamma_density(a, x) * a * h;
}

// Small x: 1 - x^a / gamma(a + 1) * (...), without the cancellation.
double upper_series(double a, double x) {
  double sum = 0, term = 1;
  for (int k = 1; k < 1000; ++k) {
    term *= -x / k;
    sum += term / (a + k);
    if (std::abs(term / (a + k)) < kEps * std::abs(sum)) {
      break;
    }
  }
  double log_x = std::log(x);
  double first = -std::expm1(a * log_x - std::lgamma(1 + a));
  return first - std::exp(a * log_x - std::lgamma(a + 1)) * a * sum;
}

// The sum of (x^2 / 4)^k / (k! (k + nu)!), for nu of 0 and 1.
double modified_series(double x, int nu) {
  double y = x * x / 4, sum = 1, term = 1;
  for (int k = 1; k < 200; ++k) {
    term *= y / (static_cast<double>(k) * (k + nu));
    sum += term;
    if (term < kEps * sum) {
      break;
    }
  }
  return sum;
}

// e^-x I_nu(x) far out, where its asymptotic series has all digits.
double modified_far(double x, double nu) {
  double sum = 1, term = 1, mu = 4 * nu * nu;
  for (int k = 1; k < 60; ++k) {
    double odd = 2 * k - 1;
    double next = term * -(mu - odd * odd) / (8 * x * k);
    if (std::abs(next) < kEps * std::abs(sum) ||
        std::abs(next) > std::abs(term)) {
      break;
    }
    term = next;
    sum += term;
  }
  return sum / std::sqrt(2 * kPi * x);
}

constexpr double kFar = 30;

// e^x K_nu(x), the integral of exp(-x (cosh t - 1)) cosh(nu t).
double modified_k(double x, double nu) {
  double step = std::min(0.125, 0.6 / std::sqrt(x));
  double sum = 0.5;
  for (int i = 1;; ++i) {
    double t = i * step, s = std::sinh(t / 2);
    double exponent = 2 * x * s * s;
    if (exponent - nu * t > 45 && exponent > 45) {
      break;
    }
    sum += std::exp(-exponent) * std::cosh(nu * t);
  }
  return step * sum;
}

bool is_odd(int64_t n) {
  return n % 2 != 0;
}

// p(k + 1) = step(k, p(k), p(k - 1)), up to n.
template <typename F>
double recur(int64_t n, double zeroth, double first, F step) {
  if (n == 0) {
    return zeroth;
  }
  double p = zeroth, q = first;
  for (int64_t k = 1; k < n && !std::isnan(q); ++k) {
    double r = step(static_cast<double>(k), q, p);
    p = q;
    q = r;
  }
  return q;
}

double chebyshev_step(double x, double q, double p) {
  return 2 * x * q - p;
}

} // namespace

double digamma(double x) {
  if (x == 0) {
    return std::copysign(kInf, -x);
  }
  if (x < 0) {
    double whole;
    double rest = std::modf(x, &whole);
    return rest == 0 ? kNan : digamma(1 - x) - kPi / std::tan(kPi * rest);
  }
  double sum = 0;
  while (x < 10) {
    sum -= 1 / x;
    x += 1;
  }
  if (std::isinf(x)) {
    return x;
  }
  double inverse = 1 / (x * x);
  double rest =
      inverse *
      (1.0 / 12 -
       inverse *
           (1.0 / 120 -
            inverse * (1.0 / 252 -
                       inverse * (1.0 / 240 -
                                  inverse * (1.0 / 132 -
                                             inverse * (691.0 / 32760 -
                                                        inverse / 12.0))))));
  return sum + std::log(x) - 0.5 / x - rest;
}

// By Euler and Maclaurin's sum from a far term on.
double zeta(double s, double q) {
  if (s == 1) {
    return kInf;
  }
  if (s < 1) {
    return kNan;
  }
  if (q <= 0) {
    if (q == std::floor(q)) {
      return kInf;
    }
    if (s != std::floor(s)) {
      return kNan; // powers of negative numbers
    }
  }
  if (std::isnan(s) || std::isnan(q)) {
    return kNan;
  }
  if (std::isinf(s) || std::isinf(q)) { // PyTorch takes no limits above 1
    return q < 1 ? kInf : q == 1 ? 1 : kNan;
  }
  double sum = 0, at = q;
  do {
    double term = std::pow(at, -s);
    sum += term;
    at += 1;
    if (at > 1 && std::abs(term) <= kEps / 4 * std::abs(sum)) {
      return sum;
    }
  } while (at < 12 + s);
  double power = std::pow(at, -s);
  sum += power * at / (s - 1) + 0.5 * power;
  double factor = s * power / at;
  for (int k = 0; k < 9; ++k) {
    double term = kBernoulli[k] * factor;
    sum += term;
    if (std::abs(term) < kEps / 4 * std::abs(sum)) {
      break;
    }
    double j = 2 * k + 1;
    factor *= (s + j) * (s + j + 1) / (at * at);
  }
  return sum;
}

double polygamma(int64_t n, double x, bool narrow) {
  if (n == 0) {
    return digamma(x);
  }
  if (n == 1 && x < 0.5) {
    double sine =
        narrow ? std::sin(static_cast<float>(kPi) * static_cast<float>(x))
               : std::sin(kPi * x);
    return kPi / sine * (kPi / sine) - zeta(2, 1 - x);
  }
  if (n == 1 && std::isinf(x)) {
    return 0;
  }
  auto order = static_cast<double>(n);
  double size = std::exp(std::lgamma(order + 1)) * zeta(order + 1, x);
  return is_odd(n) ? size : -size;
}

double gammainc(double a, double x) {
  if (a < 0 || x < 0) {
    return kNan;
  }
  if (a == 0) {
    return x > 0 ? 1 : kNan;
  }
  if (x == 0) {
    return 0;
  }
  if (std::isinf(a)) {
    return std::isinf(x) ? kNan : 0;
  }
  if (std::isinf(x)) {
    return 1;
  }
  if (std::isnan(a) || std::isnan(x)) {
    return kNan;
  }
  if (x <= 1 || x <= a) {
    return lower_series(a, x);
  }
  return 1 - upper_fraction(a, x);
}

double gammaincc(double a, double x) {
  if (a < 0 || x < 0) {
    return kNan;
  }
  if (a == 0) {
    return x > 0 ? 0 : kNan;
  }
  if (x == 0) {
    return 1;
  }
  if (std::isinf(a)) {
    return std::isinf(x) ? kNan : 1;
  }
  if (std::isinf(x)) {
    return 0;
  }
  if (std::isnan(a) || std::isnan(x)) {
    return kNan;
  }
  if (x > 1.1) {
    return x < a ? 1 - lower_series(a, x) : upper_fraction(a, x);
  }
  // Which side is the small one.
  bool lower = x <= 0.5 ? -0.4 / std::log(x) < a : x * 1.1 < a;
  return lower ? 1 - lower_series(a, x) : upper_series(a, x);
}

double erfcx(double x) {
  if (x < 0) {
    double square = x * x;
    return x < -26.7 ? kInf : 2 * std::exp(square) - erfcx(-x);
  }
  if (x < 25) {
    // The square's lower half too: exp doubles its error 625 times here.
    double high = x * x, low = std::fma(x, x, -high);
    return std::exp(high) * (1 + low) * std::erfc(x);
  }
  double y = 1 / (2 * x * x);
  double series =
      1 -
      y * (1 - 3 * y * (1 - 5 * y * (1 - 7 * y * (1 - 9 * y * (1 - 11 * y)))));
  return series * std::numbers::inv_sqrtpi / x;
}

double log_ndtr(double x) {
  double t = x * std::numbers::sqrt2 / 2;
  return x < -1 ? std::log(erfcx(-t) / 2) - t * t
                : std::log1p(-std::erfc(t) / 2);
}

// The start of Abramowitz and Stegun 26.2.23, and Newton's method on the
// logarithm, which is nearly a parabola in the tail.
double ndtri(double p) {
  if (p == 0) {
    return -kInf;
  }
  if (p == 1) {
    return kInf;
  }
  if (!(p > 0 && p < 1)) {
    return kNan;
  }
  if (p > 0.5) {
    return -ndtri(1 - p);
  }
  if (p > 0.25) {
    // Around the middle, from the distance to it.
    double away = p - 0.5, x = away * std::sqrt(2 * kPi);
    for (int i = 0; i < 5; ++i) {
      double error = std::erf(x / std::numbers::sqrt2) / 2 - away;
      double step = error * std::sqrt(2 * kPi) * std::exp(x * x / 2);
      x -= step / (1 + 0.5 * step * x);
    }
    return x;
  }
  double target = std::log(p), t = std::sqrt(-2 * target);
  double x = (2.515517 + t * (0.802853 + t * 0.010328)) /
                 (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) -
             t;
  for (int i = 0; i < 5; ++i) {
    double tail = erfcx(-x / std::numbers::sqrt2);
    double slope = std::sqrt(2 / kPi) / tail; // of log_ndtr
    double error = log_ndtr(x) - target;
    // Halley's: the second derivative is -slope * (x + slope).
    double step = error / slope;
    step /= 1 + 0.5 * step * (x + slope);
    x -= step;
    if (std::abs(step) <= kEps * std::abs(x)) {
      break;
    }
  }
  return x;
}

double entr(double x) {
  return std::isnan(x) ? x : x > 0 ? -x * std::log(x) : x == 0 ? 0 : -kInf;
}

double i0e(double x) {
  x = std::abs(x);
  return x < kFar        ? std::exp(-x) * modified_series(x, 0)
         : std::isinf(x) ? 0
                         : modified_far(x, 0);
}

double i0(double x) {
  x = std::abs(x);
  return x < kFar        ? modified_series(x, 0)
         : std::isinf(x) ? kNan // as PyTorch's
         : x > 720 ? kInf
                   : std::exp(x / 2) * modified_far(x, 0) * std::exp(x / 2);
}

double i1e(double x) {
  double y = std::abs(x);
  double v = y < kFar        ? std::exp(-y) * y / 2 * modified_series(y, 1)
             : std::isinf(y) ? 0
                             : modified_far(y, 1);
  return x < 0 ? -v : v;
}

double i1(double x) {
  double y = std::abs(x);
  double v = y < kFar        ? y / 2 * modified_series(y, 1)
             : std::isinf(y) ? kNan
             : y > 720 ? kInf
                       : std::exp(y / 2) * modified_far(y, 1) * std::exp(y / 2);
  return x < 0 ? -v : v;
}

double k0e(double x) {
  return x == 0 ? kInf : x > 0 ? (std::isinf(x) ? 0 : modified_k(x, 0)) : kNan;
}

double k0(double x) {
  return x > 0 ? std::exp(-x) * k0e(x) : k0e(x);
}

double k1e(double x) {
  return x == 0 ? kInf : x > 0 ? (std::isinf(x) ? 0 : modified_k(x, 1)) : kNan;
}

double k1(double x) {
  return x > 0 ? std::exp(-x) * k1e(x) : k1e(x);
}

double j0(double x) {
  return std::isinf(x) ? kNan : ::j0(x);
}

double j1(double x) {
  return std::isinf(x) ? kNan : ::j1(x);
}

double y0(double x) {
  return x < 0 || std::isinf(x) ? kNan : ::y0(x);
}

double y1(double x) {
  return x < 0 || std::isinf(x) ? kNan : ::y1(x);
}

double spherical_j0(double x) {
  if (std::isinf(x)) {
    return 0;
  }
  return x == 0 ? 1 : std::sin(x) / x;
}

// Through K of order 1/3; of negative numbers along the path on which that
// integral does not turn, t = s - i gd(s).
double airy_ai(double x) {
  constexpr double kThird = 1.0 / 3;
  if (std::isnan(x) || std::isinf(x)) {
    return kNan; // PyTorch's, of infinity
  }
  if (std::abs(x) < 1e-8) {
    return 0.355028053887817239 - 0.258819403792806798 * x;
  }
  double y = std::abs(x), z = 2 * kThird * y * std::sqrt(y);
  double front = std::sqrt(y * kThird) / kPi;
  if (x > 0) {
    return front * std::exp(-z) * modified_k(z, kThird);
  }
  using C = std::complex<double>;
  double step = std::min(0.125, 0.4 / std::sqrt(z));
  C sum = 0;
  for (int i = 0;; ++i) {
    double s = i * step;
    double exponent = z * std::sinh(s) * std::tanh(s);
    if (exponent > 45) {
      break;
    }
    C t(s * kThird, -std::atan(std::sinh(s)) * kThird);
    C term = std::exp(-exponent) * std::cosh(t) * C(1, -1 / std::cosh(s));
    sum += i == 0 ? term * 0.5 : term;
  }
  C k = step * sum * std::exp(C(0, -z));
  // Ai(-y) is twice the real part of e^(i pi/3) Ai(y e^(i pi/3)).
  C ai = front * std::exp(C(0, kPi / 6)) * k;
  return 2 * (std::exp(C(0, kPi / 3)) * ai).real();
}

double chebyshev_t(double x, double degree) {
  auto n = static_cast<int64_t>(degree);
  if (n < 0) {
    return 0;
  }
  if (std::abs(x) == 1) {
    return x > 0 || !is_odd(n) ? 1 : -1;
  }
  if (n > 6 && std::abs(x) < 1) {
    return std::cos(static_cast<double>(n) * std::acos(x));
  }
  return recur(n, 1, x, [x](double, double q, double p) {
    return chebyshev_step(x, q, p);
  });
}

double chebyshev_u(double x, double degree) {
  auto n = static_cast<int64_t>(degree);
  auto m = static_cast<double>(n) + 1;
  if (n < 0) {
    return 0;
  }
  if (std::abs(x) == 1) {
    return x > 0 || !is_odd(n) ? m : -m;
  }
  if (n > 8 && std::abs(x) < 1) {
    double angle = std::acos(x);
    return std::sin(m * angle) / std::sin(angle);
  }
  return recur(n, 1, 2 * x, [x](double, double q, double p) {
    return chebyshev_step(x, q, p);
  });
}

double chebyshev_v(double x, double degree) {
  auto n = static_cast<int64_t>(degree);
  auto m = static_cast<double>(n);
  if (n < 0) {
    return 0;
  }
  if (std::abs(x) == 1) {
    return x > 0 ? 1 : is_odd(n) ? -(2 * m + 1) : 2 * m + 1;
  }
  if (n > 8 && std::abs(x) < 1) {
    double angle = std::acos(x);
    return std::cos((m + 0.5) * angle) / std::cos(angle / 2);
  }
  return recur(n, 1, 2 * x - 1, [x](double, double q, double p) {
    return chebyshev_step(x, q, p);
  });
}

double chebyshev_w(double x, double degree) {
  auto n = static_cast<int64_t>(degree);
  auto m = static_cast<double>(n);
  if (n < 0) {
    return 0;
  }
  if (std::abs(x) == 1) {
    return x > 0 ? 2 * m + 1 : is_odd(n) ? -1 : 1;
  }
  if (n > 8 && std::abs(x) < 1) {
    double angle = std::acos(x);
    return std::sin((m + 0.5) * angle) / std::sin(angle / 2);
  }
  return recur(n, 1, 2 * x + 1, [x](double, double q, double p) {
    return chebyshev_step(x, q, p);
  });
}

double hermite_h(double x, double degree) {
  auto n = static_cast<int64_t>(degree);
  return n < 0 ? 0
               : recur(
                     n,
                     1,
                     2 * x,
                     [x](double k, double q, double p) {
                       return 2 * x * q - 2 * k * p;
                     });
}

double hermite_he(double x, double degree) {
  auto n = static_cast<int64_t>(degree);
  return n < 0
             ? 0
             : recur(
                   n,
                   1,
                   x,
                   [x](double k, double q, double p) { return x * q - k * p; });
}

double laguerre_l(double x, double degree) {
  auto n = static_cast<int64_t>(degree);
  return n < 0 ? 0
               : recur(
                     n,
                     1,
                     1 - x,
                     [x](double k, double q, double p) {
                       return ((2 * k + 1 - x) * q - k * p) / (k + 1);
                     });
}

double legendre_p(double x, double degree) {
  auto n = static_cast<int64_t>(degree);
  if (n >= 0 && std::abs(x) == 1) {
    return x > 0 || !is_odd(n) ? 1 : -1;
  }
  return n < 0 ? 0
               : recur(
                     n,
                     1,
                     x,
                     [x](double k, double q, double p) {
                       return ((2 * k + 1) * x * q - k * p) / (k + 1);
                     });
}

} // namespace flashlight::special
