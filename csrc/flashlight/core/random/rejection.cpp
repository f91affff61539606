// Poisson, binomial and gamma, by rejection.
#include "flashlight/core/generator.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "flashlight/core/error.h"
#include "flashlight/core/random/draws.h"
#include "flashlight/core/random/elements.h"

namespace flashlight {

using namespace draws;

namespace {

// Knuth's product of uniforms below 10, Hoermann's PTRS (1993) above.
double draw_poisson(Generator& gen, double rate) {
  if (rate == 0) {
    return 0;
  }
  if (rate < 10) {
    const double limit = std::exp(-rate);
    int64_t k = 0;
    for (double product = draw_unit(gen); product > limit; ++k) {
      product *= draw_unit(gen);
    }
    return static_cast<double>(k);
  }
  const double root = std::sqrt(rate);
  const double log_rate = std::log(rate);
  const double b = 0.931 + 2.53 * root;
  const double a = -0.059 + 0.02483 * b;
  const double inv_alpha = 1.1239 + 1.1328 / (b - 3.4);
  const double squeeze = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = draw_unit(gen) - 0.5;
    const double v = draw_unit(gen);
    const double us = 0.5 - std::fabs(u);
    const auto k =
        truncate<int64_t>(std::floor((2 * a / us + b) * u + rate + 0.43));
    const auto x = static_cast<double>(k);
    if (us >= 0.07 && v <= squeeze) {
      return x;
    }
    if (k < 0 || (us < 0.013 && v > us)) {
      continue;
    }
    const double lhs =
        std::log(v) + std::log(inv_alpha) - std::log(a / (us * us) + b);
    if (lhs <= -rate + x * log_rate - std::lgamma(x + 1)) {
      return x;
    }
  }
}

// What Stirling's formula lacks of log(k!).
double stirling_tail(double k) {
  constexpr double kFirst[] = {
      0.0810614667953272,
      0.0413406959554092,
      0.0276779256849983,
      0.02079067210376509,
      0.0166446911898211,
      0.0138761288230707,
      0.0118967099458917,
      0.0104112652619720,
      0.00925546218271273,
      0.00833056343336287};
  if (k < 10) {
    return kFirst[static_cast<size_t>(k)];
  }
  const double square = (k + 1) * (k + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

// Sums geometric gaps until they pass `count`. For count * prob < 10.
// Some steps of the two binomial samplers are in T, the others in double: the
// types of the operands decide, as in PyTorch.
template <typename T>
T binomial_by_gaps(Generator& gen, T count, T prob) {
  const double log_q = std::log1p(-prob);
  T hits = 0;
  double position = 0;
  for (;;) {
    position += std::ceil(std::log(draw_unit(gen)) / log_q);
    if (position > count) {
      return hits;
    }
    hits += 1;
  }
}

// Hoermann's BTRS (1993), for prob <= 0.5 and count * prob >= 10.
template <typename T>
T binomial_by_rejection(Generator& gen, T count, T prob) {
  const double stddev = std::sqrt(count * prob * (1 - prob));
  const double b = 1.15 + 2.53 * stddev;
  const double a = -0.0873 + 0.0248 * b + 0.01 * prob;
  const double c = count * prob + 0.5;
  const double squeeze = 0.92 - 4.2 / b;
  const double odds = prob / (1 - prob);
  const double alpha = (2.83 + 5.1 / b) * stddev;
  const double mode = std::floor((count + 1) * prob);
  for (;;) {
    const double u = draw_unit(gen) - 0.5;
    const double v = draw_unit(gen);
    const double us = 0.5 - std::fabs(u);
    const T k = static_cast<T>(std::floor((2 * a / us + b) * u + c));
    if (k < 0 || k > count) {
      continue;
    }
    if (us >= 0.07 && v <= squeeze) {
      return k;
    }
    const double bound =
        (mode + 0.5) * std::log((mode + 1) / (odds * (count - mode + 1))) +
        (count + 1) * std::log((count - mode + 1) / (count - k + 1)) +
        (k + 0.5) * std::log(odds * (count - k + 1) / (k + 1)) +
        stirling_tail(mode) + stirling_tail(count - mode) - stirling_tail(k) -
        stirling_tail(count - k);
    if (std::log(v * alpha / (a / (us * us) + b)) <= bound) {
      return k;
    }
  }
}

template <typename T>
T draw_binomial(Generator& gen, T count, T prob) {
  if (count <= 0 || prob <= 0) {
    return 0;
  }
  if (prob >= 1) {
    return count;
  }
  if (std::isnan(prob) || std::isnan(count)) { // PyTorch's loop has no end
    return std::numeric_limits<T>::quiet_NaN();
  }
  const bool mirrored = prob > T(0.5);
  const T p = mirrored ? static_cast<T>(1.0 - prob) : prob;
  const T hits = count * p >= 10 ? binomial_by_rejection(gen, count, p)
                                 : binomial_by_gaps(gen, count, p);
  return mirrored ? count - hits : hits;
}

// Marsaglia and Tsang (2000). The float literals are PyTorch's.
template <typename T>
T draw_gamma(Generator& gen, T alpha) {
  double scale = 1;
  if (alpha < 1) {
    if (alpha == 0) {
      return 0;
    }
    // Boost alpha: the method wants at least 1.
    scale = std::pow(1 - draw_unit(gen), static_cast<double>(1.0f / alpha));
    alpha += 1;
  }
  const double d = alpha - 1.0f / 3.0f;
  const double c = 1.0f / std::sqrt(9.0f * d);
  for (;;) {
    double x, y;
    do {
      x = draw_normal(gen);
      y = 1.0 + c * x;
    } while (y <= 0);
    const double v = y * y * y;
    const double u = 1 - draw_unit(gen);
    const double xx = x * x;
    if (u < 1.0 - static_cast<double>(0.0331f) * xx * xx ||
        std::log(u) < 0.5 * xx + d * (1.0 - v + std::log(v))) {
      return static_cast<T>(scale * d * v);
    }
  }
}

} // namespace

void fill_poisson(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* rate) {
  dispatch<kFloats>("poisson_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const auto* rates = static_cast<const T*>(rate);
    FL_CHECK(
        std::all_of(rates, rates + n, [](T x) { return to_float(x) >= 0; }),
        "invalid Poisson rate, expected rate to be non-negative");
    for (int64_t i = 0; i < n; ++i) {
      data[i] = convert<T>(draw_poisson(gen, to_float(rates[i])));
    }
  });
}

void fill_binomial(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* count,
    const void* prob) {
  dispatch<kWide>("binomial_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const auto* counts = static_cast<const T*>(count);
    const auto* probs = static_cast<const T*>(prob);
    for (int64_t i = 0; i < n; ++i) {
      data[i] = draw_binomial(gen, counts[i], probs[i]);
    }
  });
}

void fill_standard_gamma(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* alpha) {
  dispatch<kWide>("gamma_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const auto* alphas = static_cast<const T*>(alpha);
    for (int64_t i = 0; i < n; ++i) {
      data[i] =
          std::max(std::numeric_limits<T>::min(), draw_gamma(gen, alphas[i]));
    }
  });
}

} // namespace flashlight
