// Losses of elements, and what becomes of them in a reduction.
#include "flashlight/ops/losses.h"

#include <algorithm>
#include <numbers>

#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/runtime.h"
#include "flashlight/kernels/accurate.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/activations.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/losses.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

mx::array reduced(const mx::array& loss, int64_t reduction) {
  if (reduction != kMean && reduction != kSum) {
    return loss;
  }
  mx::array x = mx::sum(widened(loss));
  if (reduction == kMean) {
    x = mx::divide(x, mx::array(static_cast<double>(loss.size()), x.dtype()));
  }
  return mx::astype(x, loss.dtype());
}

Tensor reduced(const Tensor& loss, int64_t reduction) {
  return reduction == kMean ? mean(loss) : reduction == kSum ? sum(loss) : loss;
}

Tensor unreduced(const Tensor& grad, int64_t reduction, int64_t numel) {
  return reduction == kMean ? grad / Scalar(static_cast<double>(numel)) : grad;
}

int64_t broadcast_numel(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes()
             ? a.numel()
             : product(broadcast_sizes(a.sizes(), b.sizes()));
}

void check_floats(const mx::array& x, std::string_view name) {
  Dtype d = from_mlx(x.dtype());
  if (!is_floating(d)) {
    not_implemented(name, d);
  }
}

void refuse_grad(
    std::string_view function,
    std::string_view argument,
    const Tensor& x) {
  FL_CHECK(
      !x.defined() || !grad_enabled() || !requires_grad(x),
      "The function '",
      function,
      "' is not differentiable with respect to argument '",
      argument,
      "'. This input cannot have requires_grad True.");
}

namespace {

// PyTorch's error if two of them do not fit.
void check_fit(const Tensor& self, const Tensor& target) {
  (void)broadcast_numel(self, target);
}

mx::array number(double value, const mx::array& like) {
  return mx::array(value, like.dtype());
}

mx::array
mse_kernel(const mx::array& self, const mx::array& target, int64_t reduction) {
  check_floats(self, "mse_cpu");
  return reduced(mx::square(mx::subtract(self, target)), reduction);
}

Tensor mse_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    int64_t reduction) {
  double scale = 2;
  if (reduction == kMean) {
    scale /= static_cast<double>(broadcast_numel(self, target));
  }
  return (self - target) * (grad * Scalar(scale));
}

// |d| beyond `width`, shifted to meet a parabola within.
mx::array smooth_l1_kernel(
    const mx::array& self,
    const mx::array& target,
    int64_t reduction,
    double beta) {
  FL_CHECK(
      beta >= 0, "smooth_l1_loss does not support negative values for beta.");
  mx::array d = mx::abs(mx::subtract(self, target));
  if (beta == 0) {
    return reduced(d, reduction);
  }
  check_floats(self, "smooth_l1_cpu");
  mx::array near = mx::multiply(mx::square(d), number(0.5 / beta, d));
  mx::array far = mx::subtract(d, number(0.5 * beta, d));
  return reduced(mx::where(mx::less(d, number(beta, d)), near, far), reduction);
}

// A multiple of the sign of d beyond `width`, d times `slope` within.
Tensor clipped_slope(const Tensor& d, double width, double slope) {
  Tensor far = ge(abs(d), Scalar(width));
  return where(far, sign(d) * Scalar(width * slope), d * Scalar(slope));
}

Tensor smooth_l1_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    int64_t reduction,
    double beta) {
  Tensor d = self - target;
  Tensor g = unreduced(grad, reduction, d.numel());
  return g * (beta == 0 ? sign(d) : clipped_slope(d, beta, 1 / beta));
}

mx::array huber_kernel(
    const mx::array& self,
    const mx::array& target,
    int64_t reduction,
    double delta) {
  FL_CHECK(
      delta > 0, "huber_loss does not support non-positive values for delta.");
  check_floats(self, "huber_cpu");
  mx::array d = mx::abs(mx::subtract(self, target));
  mx::array near = mx::multiply(mx::square(d), number(0.5, d));
  mx::array far =
      mx::multiply(mx::subtract(d, number(0.5 * delta, d)), number(delta, d));
  return reduced(
      mx::where(mx::less_equal(d, number(delta, d)), near, far), reduction);
}

Tensor huber_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    int64_t reduction,
    double delta) {
  Tensor d = self - target;
  return unreduced(grad, reduction, d.numel()) * clipped_slope(d, delta, 1);
}

mx::array soft_margin_kernel(
    const mx::array& self,
    const mx::array& target,
    int64_t reduction) {
  FL_CHECK(
      target.dtype() != mx::bool_,
      "Negation, the `-` operator, on a bool tensor is not supported. If you "
      "are trying to invert a mask, use the `~` or `logical_not()` operator "
      "instead.");
  Dtype common = from_mlx(mx::result_type(self, target));
  FL_CHECK(
      is_floating(common),
      "result type Float can't be cast to the desired output type ",
      scalar_name(common));
  mx::array z = accurate::exp(mx::multiply(self, mx::negative(target)));
  return mx::astype(reduced(mx::log1p(z), reduction), self.dtype());
}

Tensor soft_margin_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    int64_t reduction) {
  Tensor t = -target;
  return unreduced(grad, reduction, broadcast_numel(self, target)) * t *
         sigmoid(self * t);
}

// Probabilities of two classes. log 0 counts as -100.

void check_probabilities(
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight) {
  refuse_grad("binary_cross_entropy", "weight", weight);
  if (!self.is_floating_point()) {
    not_implemented("binary_cross_entropy", self.dtype());
  }
  FL_CHECK(
      target.dtype() == self.dtype(),
      "Found dtype ",
      scalar_name(target.dtype()),
      " but expected ",
      scalar_name(self.dtype()));
  check_fit(self, target);
  if (weight.defined()) {
    check_fit(weight, self);
  }
  mx::array x = self.value();
  mx::array fine = mx::all(
      mx::logical_and(
          mx::greater_equal(x, number(0, x)), mx::less_equal(x, number(1, x))));
  flashlight::eval({fine});
  FL_CHECK(
      fine.item<bool>(), "all elements of input should be between 0 and 1");
}

mx::array bce_kernel(
    const mx::array& x,
    const mx::array& t,
    const std::optional<mx::array>& weight,
    int64_t reduction) {
  mx::array least = number(-100, x);
  mx::array log_x = mx::maximum(mx::log(x), least);
  mx::array log_rest = mx::maximum(mx::log1p(mx::negative(x)), least);
  mx::array loss = mx::subtract(
      mx::multiply(mx::subtract(t, number(1, t)), log_rest),
      mx::multiply(t, log_x));
  if (weight) {
    loss = mx::astype(mx::multiply(loss, *weight), x.dtype());
  }
  return reduced(loss, reduction);
}

// The gradient of each element's loss: reduced evenly, then weighted.
Tensor weighted_grad(
    const Tensor& grad,
    const Tensor& weight,
    int64_t reduction,
    int64_t numel) {
  Tensor g = unreduced(grad, reduction, numel);
  return weight.defined() ? g * weight : g;
}

Tensor bce_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight,
    int64_t reduction) {
  Tensor g =
      weighted_grad(grad, weight, reduction, broadcast_numel(self, target));
  Tensor variance = clamp_min((Scalar(1) - self) * self, Scalar(1e-12));
  return g * (self - target) / variance;
}

Tensor bce_target_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight,
    int64_t reduction) {
  Tensor g =
      weighted_grad(grad, weight, reduction, broadcast_numel(self, target));
  return g * (log1p(-self) - log(self));
}

void check_logits(
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight,
    const Tensor& pos_weight) {
  constexpr std::string_view name = "binary_cross_entropy_with_logits";
  refuse_grad(name, "weight", weight);
  refuse_grad(name, "pos_weight", pos_weight);
  if (!self.is_floating_point()) {
    not_implemented("log_sigmoid_cpu", self.dtype());
  }
  FL_CHECK(
      target.is_floating_point(),
      "result type ",
      scalar_name(self.dtype()),
      " can't be cast to the desired output type ",
      scalar_name(target.dtype()));
  IntList sizes = broadcast_sizes(self.sizes(), target.sizes());
  FL_CHECK(
      sizes == target.sizes(),
      "output with shape ",
      target.sizes(),
      " doesn't match the broadcast shape ",
      sizes);
  for (const Tensor* w : {&weight, &pos_weight}) {
    if (w->defined()) {
      IntList all = broadcast_sizes(sizes, (*w)->geometry.sizes);
      FL_CHECK(
          all == sizes,
          "output with shape ",
          sizes,
          " doesn't match the broadcast shape ",
          all);
    }
  }
}

mx::array bce_logits_kernel(
    const mx::array& x,
    const mx::array& t,
    const std::optional<mx::array>& weight,
    const std::optional<mx::array>& pos_weight,
    int64_t reduction) {
  // (1 - t) x - log sigmoid(x), the last times 1 + (pos_weight - 1) t.
  mx::array soft = mx::log1p(accurate::exp(mx::negative(mx::abs(x))));
  mx::array log_sigmoid = mx::subtract(mx::minimum(x, number(0, x)), soft);
  if (pos_weight) {
    mx::array rise = mx::subtract(*pos_weight, number(1, *pos_weight));
    log_sigmoid =
        mx::multiply(log_sigmoid, mx::add(mx::multiply(rise, t), number(1, t)));
  }
  mx::array loss =
      mx::subtract(mx::multiply(mx::subtract(number(1, t), t), x), log_sigmoid);
  if (weight) {
    loss = mx::multiply(loss, *weight);
  }
  return reduced(mx::astype(loss, mx::result_type(x, t)), reduction);
}

Tensor bce_logits_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight,
    const Tensor& pos_weight,
    int64_t reduction) {
  Tensor g =
      weighted_grad(grad, weight, reduction, broadcast_numel(self, target));
  if (!pos_weight.defined()) {
    return (sigmoid(self) - target) * g;
  }
  Tensor t = pos_weight * target;
  return ((t + Scalar(1) - target) * sigmoid(self) - t) * g;
}

Tensor bce_logits_target_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight,
    const Tensor& pos_weight,
    int64_t reduction) {
  Tensor g =
      weighted_grad(grad, weight, reduction, broadcast_numel(self, target));
  if (!pos_weight.defined()) {
    return -self * g;
  }
  return ((Scalar(1) - pos_weight) * log_sigmoid(self) - self) * g;
}

Tensor kl_divergence(
    const Tensor& self,
    const Tensor& target,
    int64_t reduction,
    bool log_target) {
  FL_CHECK(
      !self.is_complex() && !target.is_complex(),
      "kl_div: Complex inputs not supported.");
  FL_CHECK(
      !is_integral(self.dtype(), true) && !is_integral(target.dtype(), true),
      "kl_div: Integral inputs not supported.");
  Tensor loss = log_target ? exp(target) * (target - self)
                           : xlogy(target, target) - target * self;
  return reduced(loss, reduction);
}

Tensor poisson_loss(
    const Tensor& input,
    const Tensor& target,
    bool log_input,
    bool full,
    double eps,
    int64_t reduction) {
  Tensor loss = log_input ? exp(input) - target * input
                          : input - target * log(input + Scalar(eps));
  if (full) {
    // Stirling's formula for log(target!), where the target is above 1.
    Tensor stirling = target * log(target) - target +
                      log(target * Scalar(2 * std::numbers::pi)) * Scalar(0.5);
    loss = loss + masked_fill(stirling, le(target, Scalar(1)), Scalar(0));
  }
  return reduced(loss, reduction);
}

Tensor hinge_embedding(
    const Tensor& self,
    const Tensor& target,
    double margin,
    int64_t reduction) {
  Tensor below = clamp_min(Scalar(margin) - self, Scalar(0));
  Tensor unlike = where(ne(target, Scalar(1)), below, Scalar(0));
  Tensor alike = where(ne(target, Scalar(-1)), self, Scalar(0));
  return reduced(unlike + alike, reduction);
}

// A loss of two tensors that may be swapped: `gradient` is that of the first.
template <typename... Options>
Row symmetric(
    Row row,
    std::string_view saved,
    Tensor (*gradient)(
        const Tensor&,
        const Tensor&,
        const Tensor&,
        int64_t,
        Options...)) {
  return std::move(row)
      .module("nn")
      .autocast(Autocast::Float32)
      .check(check_fit)
      .grad("self", saved, gradient)
      .grad(
          "target",
          saved,
          [gradient](
              const Tensor& grad,
              const Tensor& self,
              const Tensor& target,
              int64_t reduction,
              Options... options) {
            return gradient(grad, target, self, reduction, options...);
          });
}

} // namespace

void register_losses() {
  symmetric(
      op("mse_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor")
          .forms("function out"),
      "self target reduction",
      mse_grad)
      .promote("self target")
      .kernel(mse_kernel)
      .doc("The squared difference.");
  op("l1_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor")
      .forms("function")
      .module("nn")
      .autocast(Autocast::Float32)
      .composite(
          [](const Tensor& self, const Tensor& target, int64_t reduction) {
            return reduced(abs(self - target), reduction);
          })
      .doc("The absolute difference.");
  symmetric(
      op("smooth_l1_loss(Tensor self, Tensor target, int reduction=Mean, float "
         "beta=1.0) -> Tensor")
          .forms("function out"),
      "self target reduction beta",
      smooth_l1_grad)
      .promote("self target")
      .kernel(smooth_l1_kernel)
      .doc("A parabola below beta, the absolute difference above.");
  symmetric(
      op("huber_loss(Tensor self, Tensor target, int reduction=Mean, float "
         "delta=1.0) -> Tensor")
          .forms("function out"),
      "self target reduction delta",
      huber_grad)
      .kernel([](const mx::array& self,
                 const mx::array& target,
                 int64_t reduction,
                 double delta) {
        // Of the dtype of `self`, as in PyTorch, which fills a result like it.
        return mx::astype(
            huber_kernel(self, target, reduction, delta), self.dtype());
      })
      .doc("A parabola below delta, a line of slope delta above.");
  op("soft_margin_loss(Tensor self, Tensor target, int reduction=Mean) -> "
     "Tensor")
      .forms("function out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .autocast(Autocast::Float32)
      .check([](const Tensor& self, const Tensor& target) {
        refuse_grad("soft_margin_loss", "target", target);
        check_fit(self, target);
      })
      .kernel(soft_margin_kernel)
      .grad("self", "self target reduction", soft_margin_grad)
      .zero_grad("target")
      .doc("log(1 + exp(-target x)).");
  op("binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, "
     "int reduction=Mean) -> Tensor")
      .forms("function out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .autocast(Autocast::Float32)
      .check(check_probabilities)
      .kernel(bce_kernel)
      .grad("self", "self target weight reduction", bce_grad)
      .grad("target", "self target weight reduction", bce_target_grad)
      .zero_grad("weight")
      .doc("The cross entropy of probabilities of two classes.");
  op("binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? "
     "weight=None, Tensor? pos_weight=None, int reduction=Mean) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .check(check_logits)
      .kernel(bce_logits_kernel)
      .grad("self", "self target weight pos_weight reduction", bce_logits_grad)
      .grad(
          "target",
          "self target weight pos_weight reduction",
          bce_logits_target_grad)
      .zero_grad("weight pos_weight")
      .doc("The cross entropy of two classes, of logits.");
  op("kl_div(Tensor self, Tensor target, int reduction=Mean, *, bool "
     "log_target=False) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite(kl_divergence)
      .doc("Kullback-Leibler divergence of log probabilities from a target.");
  op("poisson_nll_loss(Tensor input, Tensor target, bool log_input, bool full, "
     "float eps, int reduction) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite(poisson_loss)
      .doc("Negative log likelihood of counts.");
  op("hinge_embedding_loss(Tensor self, Tensor target, float margin=1.0, int "
     "reduction=Mean) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite(hinge_embedding)
      .doc("x for a target of 1, max(0, margin - x) for one of -1.");
  op("margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float "
     "margin=0.0, int reduction=Mean) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite([](const Tensor& input1,
                    const Tensor& input2,
                    const Tensor& target,
                    double margin,
                    int64_t reduction) {
        Tensor behind = -target * (input1 - input2) + Scalar(margin);
        return reduced(clamp_min(behind, Scalar(0)), reduction);
      })
      .doc("max(0, -target (input1 - input2) + margin).");
}

} // namespace flashlight
