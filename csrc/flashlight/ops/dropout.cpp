// Dropout, with the masks that PyTorch draws under the same seed.
#include <cmath>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/levels.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/distributions.h"
#include "flashlight/ops/functions/dropout.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

enum class Unit { Element, Feature };
enum class Kind { Zero, Alpha };

// One number for a feature: [N, C, 1, 1...].
IntList feature_sizes(const Tensor& input) {
  FL_CHECK(
      input.dim() >= 2,
      "Feature dropout requires at least 2 dimensions in the input");
  IntList sizes = input.sizes();
  std::fill(sizes.begin() + 2, sizes.end(), 1);
  return sizes;
}

// Dropout as x * noise + shift, written to x where it is in place.
Tensor drop(
    const Tensor& x,
    double p,
    bool train,
    Unit unit,
    Kind kind,
    bool inplace) {
  FL_CHECK(
      p >= 0 && p <= 1,
      "dropout probability has to be between 0 and 1, but got ",
      p);
  if (p == 0 || !train || x.numel() == 0) {
    return x;
  }
  auto scaled = [&](const Tensor& by) {
    return inplace ? mul_(x, by) : x * by;
  };
  if (p == 1) {
    return scaled(zeros({}, x.dtype(), {}, x.device()));
  }
  // For entries of a batch, that of vmap's randomness: of the sizes alone.
  bool of_sizes = unit == Unit::Feature || top_level();
  Tensor noise = of_sizes
                     ? zeros(
                           unit == Unit::Feature ? feature_sizes(x) : x.sizes(),
                           x.dtype(),
                           {},
                           x.device())
                     : zeros_like(x);
  {
    NoGrad guard;
    if (top_level()) {
      noise = bernoulli(noise, 1 - p, std::nullopt);
    } else {
      bernoulli_(noise, 1 - p, std::nullopt);
    }
    if (kind == Kind::Zero) {
      // 1 / (1 - p), rounded as PyTorch's division of ones by it.
      double scale = x.dtype() == Dtype::Float64
                         ? 1 / (1 - p)
                         : double{1 / static_cast<float>(1 - p)};
      mul_(noise, wrapped_number(scale));
    }
  }
  if (kind == Kind::Zero) {
    return scaled(noise);
  }
  // What keeps the mean and variance of selu's activations.
  constexpr double kAlpha = 1.7580993408473766;
  double a = 1 / std::sqrt((kAlpha * kAlpha * p + 1) * (1 - p));
  Tensor shift = (noise - 1) * (kAlpha * a) + kAlpha * a * p;
  return add_(scaled(noise * a), shift);
}

} // namespace

void register_dropout() {
  op("dropout(Tensor input, float p, bool train) -> Tensor")
      .forms("function")
      .composite([](const Tensor& input, double p, bool train) {
        return drop(input, p, train, Unit::Element, Kind::Zero, false);
      })
      .doc("Zeroes elements with probability `p` and scales the others.");
  op("dropout_(Tensor(a!) self, float p, bool train) -> Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self, double p, bool train) {
        return drop(self, p, train, Unit::Element, Kind::Zero, true);
      })
      .doc("dropout in place.");
  op("feature_dropout(Tensor input, float p, bool train) -> Tensor")
      .forms("function")
      .composite([](const Tensor& input, double p, bool train) {
        return drop(input, p, train, Unit::Feature, Kind::Zero, false);
      })
      .doc("Dropout of whole features of [N, C, ...].");
  op("feature_dropout_(Tensor(a!) self, float p, bool train) -> Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self, double p, bool train) {
        return drop(self, p, train, Unit::Feature, Kind::Zero, true);
      })
      .doc("feature_dropout in place.");
  op("alpha_dropout(Tensor input, float p, bool train) -> Tensor")
      .forms("function")
      .composite([](const Tensor& input, double p, bool train) {
        return drop(input, p, train, Unit::Element, Kind::Alpha, false);
      })
      .doc("Dropout that keeps mean and variance of selu's activations.");
  op("alpha_dropout_(Tensor(a!) self, float p, bool train) -> Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self, double p, bool train) {
        return drop(self, p, train, Unit::Element, Kind::Alpha, true);
      })
      .doc("alpha_dropout in place.");
  op("feature_alpha_dropout(Tensor input, float p, bool train) -> Tensor")
      .forms("function")
      .composite([](const Tensor& input, double p, bool train) {
        return drop(input, p, train, Unit::Feature, Kind::Alpha, false);
      })
      .doc("alpha_dropout of whole features of [N, C, ...].");
  op("feature_alpha_dropout_(Tensor(a!) self, float p, bool train) -> "
     "Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self, double p, bool train) {
        return drop(self, p, train, Unit::Feature, Kind::Alpha, true);
      })
      .doc("feature_alpha_dropout in place.");
  op("native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)")
      .forms("function")
      .kernel([](const Tensor& input, double p, std::optional<bool> train) {
        NoGrad guard;
        Tensor mask = zeros_like(input, Dtype::Bool);
        if (!train.value_or(true)) {
          return std::tuple(clone(input), ones_like(input, Dtype::Bool));
        }
        bernoulli_(mask, 1 - p, std::nullopt);
        // The scale is rounded to the input's type, as PyTorch's is.
        Tensor kept = _to_copy(mask, input.dtype());
        return std::tuple(
            input * mul_(kept, wrapped_number(p == 1 ? 0 : 1 / (1 - p))), mask);
      })
      .grad(
          "input",
          "p train result1",
          [](const Tensor& grad,
             double p,
             std::optional<bool> train,
             const Tensor& mask) {
            double scale = !train.value_or(false) ? 1
                           : p == 1               ? 0
                                                  : 1 / (1 - p);
            return native_dropout_backward(grad, mask, scale);
          })
      .doc("Dropout and the mask of what it kept.");
  op("native_dropout_backward(Tensor grad_output, Tensor mask, float scale) -> "
     "Tensor")
      .forms("")
      .composite([](const Tensor& grad, const Tensor& mask, double scale) {
        return grad * (_to_copy(mask, grad.dtype()) * scale);
      })
      .doc("The gradient of native_dropout.");
}

} // namespace flashlight
