// Leaky relu with random slopes.
#include <algorithm>
#include <mutex>

#include <mlx/ops.h>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/rrelu.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

using GeneratorArgument = std::optional<GeneratorHandle>;

// What each element is multiplied by: 1 above 0; at most 0 a slope, in training
// one drawn for just these elements, in order, as PyTorch does.
Tensor slopes(
    const Tensor& self,
    const Scalar& lower,
    const Scalar& upper,
    bool training,
    const GeneratorArgument& given) {
  double low = lower.to_double(), high = upper.to_double();
  FL_CHECK(
      low <= high,
      "Lower bound should be less than or equal to the upper bound");
  bool narrow = training && self.dtype() == Dtype::Float16;
  if (!self.is_floating_point() || narrow) {
    not_implemented("rrelu_with_noise_out_cpu", self.dtype());
  }
  mx::array x = self.value();
  mx::array below = mx::less_equal(x, mx::array(0, x.dtype()));
  mx::array one(1, x.dtype());
  if (!training) {
    mx::array slope((low + high) / 2, x.dtype());
    return constant(mx::where(below, slope, one), self);
  }
  below = mx::contiguous(below);
  flashlight::eval({below});
  const bool* hit = below.data<bool>();
  auto n = static_cast<int64_t>(below.size());
  std::vector<double> drawn(
      static_cast<size_t>(std::count(hit, hit + n, true)));
  GeneratorHandle own = given.value_or(nullptr);
  Generator& generator = own ? *own : default_generator();
  {
    std::lock_guard lock(generator.mutex);
    fill_uniform(
        generator,
        static_cast<SampleType>(Dtype::Float64),
        drawn.data(),
        static_cast<int64_t>(drawn.size()),
        low,
        high);
  }
  std::vector<double> all(static_cast<size_t>(n), 1.0);
  auto next = drawn.begin();
  for (int64_t i = 0; i < n; ++i) {
    if (hit[i]) {
      all[static_cast<size_t>(i)] = *next++;
    }
  }
  mx::array noise(all.data(), x.shape(), mx::float64);
  return constant(mx::astype(noise, x.dtype()), self);
}

void keep_noise(const Tensor& noise, const Tensor& drawn, bool training) {
  if (training) {
    NoGrad guard;
    copy_(noise, drawn, false);
  }
}

} // namespace

void register_rrelu() {
  op("_times_slope(Tensor self, Tensor slope) -> Tensor")
      .forms("")
      .elementwise()
      .node("RreluWithNoiseBackward0")
      .kernel([](const mx::array& x, const mx::array& slope) {
        return mx::multiply(x, slope);
      })
      .grad(
          "self",
          "slope",
          [](const Tensor& grad, const Tensor& slope) { return grad * slope; })
      .zero_grad("slope")
      .doc("x * slope.");
  op("rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.3333333333333333, "
     "bool training=False, Generator? generator=None) -> Tensor")
      .forms("function")
      .composite([](const Tensor& self,
                    const Scalar& lower,
                    const Scalar& upper,
                    bool training,
                    const GeneratorArgument& generator) {
        return _times_slope(
            self, slopes(self, lower, upper, training, generator));
      })
      .doc("Leaky relu, of random slopes in training.");
  op("rrelu_(Tensor(a!) self, Scalar lower=0.125, Scalar "
     "upper=0.3333333333333333, bool training=False, Generator? "
     "generator=None) -> Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self,
                   const Scalar& lower,
                   const Scalar& upper,
                   bool training,
                   const GeneratorArgument& generator) {
        return mul_(self, slopes(self, lower, upper, training, generator));
      })
      .doc("rrelu in place.");
  op("rrelu_with_noise(Tensor self, Tensor(b!) noise, Scalar lower=0.125, "
     "Scalar upper=0.3333333333333333, bool training=False, Generator? "
     "generator=None) -> Tensor")
      .forms("function")
      .module("nn")
      .mutating([](const Tensor& self,
                   const Tensor& noise,
                   const Scalar& lower,
                   const Scalar& upper,
                   bool training,
                   const GeneratorArgument& generator) {
        Tensor drawn = slopes(self, lower, upper, training, generator);
        keep_noise(noise, drawn, training);
        return _times_slope(self, drawn);
      })
      .doc("rrelu, whose slopes are written to `noise`.");
  op("rrelu_with_noise_(Tensor(a!) self, Tensor(b!) noise, Scalar lower=0.125, "
     "Scalar upper=0.3333333333333333, bool training=False, Generator? "
     "generator=None) -> Tensor(a!)")
      .forms("function")
      .module("nn")
      .mutating([](const Tensor& self,
                   const Tensor& noise,
                   const Scalar& lower,
                   const Scalar& upper,
                   bool training,
                   const GeneratorArgument& generator) {
        Tensor drawn = slopes(self, lower, upper, training, generator);
        keep_noise(noise, drawn, training);
        return mul_(self, drawn);
      })
      .doc("rrelu_with_noise in place.");
}

} // namespace flashlight
