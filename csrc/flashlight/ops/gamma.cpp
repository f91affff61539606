// Samples of gamma and Dirichlet distributions, on PyTorch's own stream, and
// how they move with their parameters.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/kernels/map.h"
#include "flashlight/kernels/special_functions.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/gamma.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/random.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

using Given = std::optional<GeneratorHandle>;

mx::array evaluated(const mx::array& x) {
  mx::array out = mx::contiguous(x);
  flashlight::eval({out});
  return out;
}

mx::array
gamma_samples(const mx::array& alpha, Dtype dtype, const Given& generator) {
  mx::array given = evaluated(alpha);
  return drawn(
      to_int_list(alpha.shape()),
      dtype,
      generator,
      [&](Generator& g, SampleType type, void* out, int64_t n) {
        fill_standard_gamma(g, type, out, n, given.data<void>());
      });
}

// Fractions of gamma samples; drawn in double precision, whatever the dtype,
// and kept within (0, 1).
template <typename T>
mx::array fractions(const mx::array& samples, mx::Dtype dtype) {
  const auto* x = samples.data<double>();
  auto width = static_cast<size_t>(samples.shape(-1));
  std::vector<T> out(samples.size());
  for (size_t row = 0; row < out.size(); row += width) {
    double sum = 0;
    for (size_t i = 0; i < width; ++i) {
      sum += x[row + i];
    }
    for (size_t i = 0; i < width; ++i) {
      auto part = static_cast<T>(x[row + i] / sum);
      T least = std::numeric_limits<T>::min(); // of NaN, too
      out[row + i] =
          part > least ? std::min(part, std::nextafter(T(1), T(0))) : least;
    }
  }
  return mx::array(out.data(), samples.shape(), dtype);
}

mx::array dirichlet_kernel(const Tensor& self, const Given& generator) {
  if (self.dtype() != Dtype::Float32 && self.dtype() != Dtype::Float64) {
    not_implemented("dirichlet", self.dtype());
  }
  if (self.numel() == 0) {
    return self.value();
  }
  mx::array samples = evaluated(gamma_samples(
      mx::astype(at_least_1d(self.value()), mx::float64),
      Dtype::Float64,
      generator));
  mx::Dtype type = to_mlx(self.dtype());
  mx::array out = type == mx::float64 ? fractions<double>(samples, type)
                                      : fractions<float>(samples, type);
  return mx::reshape(out, to_shape(self.sizes()));
}

// The sum of f over [0, end], panels growing from `first` to `widest`: Gauss
// and Legendre's eight points in each.
template <typename F>
double integral(double first, double widest, double end, F f) {
  constexpr std::array<double, 4> kPoints = {
      0.1834346424956498,
      0.5255324099163290,
      0.7966664774136267,
      0.9602898564975363};
  constexpr std::array<double, 4> kWeights = {
      0.3626837833783620,
      0.3137066458778873,
      0.2223810344533745,
      0.1012285362903763};
  double sum = 0;
  for (double from = 0, width = first; from < end;
       width = std::min(1.2 * width, widest)) {
    double to = std::min(from + width, end);
    double middle = (from + to) / 2, half = (to - from) / 2;
    for (size_t i = 0; i < kPoints.size(); ++i) {
      double at = half * kPoints[i];
      sum += half * kWeights[i] * (f(middle - at) + f(middle + at));
    }
    from = to;
  }
  return sum;
}

// dx / da at a fixed place of the distribution: -(dP / da) / p, with
// dP / da the integral of (log t - digamma(a)) p(t) up to x, or minus that from
// x on: whichever has one sign, or for x < 1 the first. t is x e^-s, or x e^s.
double gamma_slope(double a, double x) {
  if (!(a > 0) || !(x > 0) || !std::isfinite(a) || !std::isfinite(x)) {
    return x == 0 && a > 0 ? 0 : std::numeric_limits<double>::quiet_NaN();
  }
  double apart = std::log(x) - special::digamma(a);
  bool below = apart < 0 || x < 1;
  double sign = below ? -1 : 1;
  // p(t) t over p(x) x, by its logarithm.
  auto height = [&](double s) {
    return below ? x * -std::expm1(-s) - a * s : a * s - x * std::expm1(s);
  };
  double end = 1;
  while (height(end) > -50 && end < 1e300) {
    end *= 2;
  }
  // How soon it falls: by its slope and its bend at 0.
  double first = 0.1 / std::max({std::fabs(x - a), std::sqrt(x + 1e-300), 1.0});
  double widest = below ? 4 / a : std::min(4 / a, 0.5);
  double area = integral(std::min(first, end / 4), widest, end, [&](double s) {
    return (apart + sign * s) * std::exp(height(s));
  });
  return sign * x * area;
}

} // namespace

void register_gamma() {
  op("_standard_gamma(Tensor self, Generator? generator=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self, const Given& generator) {
        return gamma_samples(self.value(), self.dtype(), generator);
      })
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            return grad * _standard_gamma_grad(self, result);
          })
      .doc("Samples of gamma distributions of these shapes and rate 1.");
  op("_standard_gamma_grad(Tensor self, Tensor output) -> Tensor")
      .forms("function")
      .kernel([](const mx::array& self, const mx::array& output) {
        return host_map("StandardGammaGrad", self, output, gamma_slope);
      })
      .grad(
          "self",
          "",
          [](const Tensor&) -> Tensor {
            fail<NotImplementedError>(
                "the derivative for '_standard_gamma_grad' is not "
                "implemented.");
          })
      .zero_grad("output")
      .doc("How samples of gamma distributions move with the shape.");
  op("_sample_dirichlet(Tensor self, Generator? generator=None) -> Tensor")
      .forms("function")
      .kernel(dirichlet_kernel)
      .no_derivative()
      .doc("Samples of Dirichlet distributions.");
}

} // namespace flashlight
