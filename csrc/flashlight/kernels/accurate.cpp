#include "flashlight/kernels/accurate.h"

#include <cmath>
#include <limits>
#include <numbers>

#include <mlx/ops.h>

#include "flashlight/kernels/map.h"

namespace flashlight::accurate {

namespace {

// The rational start of Giles (2010), then two steps of Newton's method.
double inverse_erf(double x) {
  if (!(std::abs(x) < 1)) {
    double inf = std::numeric_limits<double>::infinity();
    return x == 1    ? inf
           : x == -1 ? -inf
                     : std::numeric_limits<double>::quiet_NaN();
  }
  double w = -std::log1p(-x * x), y;
  if (w < 5) {
    w -= 2.5;
    y = 2.81022636e-08;
    for (double c :
         {3.43273939e-07,
          -3.5233877e-06,
          -4.39150654e-06,
          0.00021858087,
          -0.00125372503,
          -0.00417768164,
          0.246640727,
          1.50140941}) {
      y = c + y * w;
    }
  } else {
    w = std::sqrt(w) - 3;
    y = -0.000200214257;
    for (double c :
         {0.000100950558,
          0.00134934322,
          -0.00367342844,
          0.00573950773,
          -0.0076224613,
          0.00943887047,
          1.00167406,
          2.83297682}) {
      y = c + y * w;
    }
  }
  y *= x;
  for (int step = 0; step < 2; ++step) {
    // By the nearer tail, where erf itself has no digits left.
    double error = std::abs(x) < 0.5 ? std::erf(y) - x
                   : x > 0           ? (1 - x) - std::erfc(y)
                                     : std::erfc(-y) - (1 + x);
    y -= error * (std::sqrt(std::numbers::pi) / 2) * std::exp(y * y);
  }
  return y;
}

bool wide(const mx::array& x) {
  return x.dtype() == mx::float64;
}

} // namespace

mx::array exp(const mx::array& x) {
  if (!wide(x)) {
    return mx::exp(x);
  }
  using Arrays = std::vector<mx::array>;
  auto vjp = [](const Arrays&, const Arrays& grads, const Arrays& out) {
    return Arrays{mx::multiply(grads[0], out[0])};
  };
  return host_map("exp", x, [](double a) { return std::exp(a); }, vjp);
}

mx::array sin(const mx::array& x) {
  return wide(x) ? host_map("sin", x, [](double a) { return std::sin(a); })
                 : mx::sin(x);
}

mx::array cos(const mx::array& x) {
  return wide(x) ? host_map("cos", x, [](double a) { return std::cos(a); })
                 : mx::cos(x);
}

mx::array erf(const mx::array& x) {
  return wide(x) ? host_map("erf", x, [](double a) { return std::erf(a); })
                 : mx::erf(x);
}

mx::array erfc(const mx::array& x) {
  return host_map("erfc", x, [](double a) { return std::erfc(a); });
}

mx::array erfinv(const mx::array& x) {
  return host_map("erfinv", x, inverse_erf);
}

mx::array sigmoid(const mx::array& x) {
  return wide(x) ? host_map(
                       "sigmoid",
                       x,
                       [](double a) { return 1 / (1 + std::exp(-a)); })
                 : mx::sigmoid(x);
}

mx::array logaddexp(const mx::array& a, const mx::array& b) {
  if (!wide(a)) {
    return mx::logaddexp(a, b);
  }
  auto f = [](double x, double y) {
    double gap = x == y ? 0 : std::abs(x - y); // not inf - inf
    return (x > y ? x : y) + std::log1p(std::exp(-gap));
  };
  using Arrays = std::vector<mx::array>;
  auto vjp = [](const Arrays& in, const Arrays& grads, const Arrays& out) {
    auto weighed = [&](const mx::array& x) {
      return mx::multiply(grads[0], accurate::exp(mx::subtract(x, out[0])));
    };
    return Arrays{weighed(in[0]), weighed(in[1])};
  };
  return host_zip<double>("logaddexp", a, b, f, vjp);
}

mx::array softmax(const mx::array& x, int axis) {
  if (!wide(x)) {
    return mx::softmax(x, axis, /*precise=*/true);
  }
  mx::array e =
      accurate::exp(mx::subtract(x, mx::max(x, axis, /*keepdims=*/true)));
  return mx::divide(e, mx::sum(e, axis, /*keepdims=*/true));
}

} // namespace flashlight::accurate
