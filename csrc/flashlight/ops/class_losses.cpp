// Losses of classes: targets are indices (or probabilities) of classes.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/activations.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/class_losses.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/losses.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

mx::array zero(const mx::array& like) {
  return mx::array(0, like.dtype());
}

// `target` as int64, evaluated: see Note [Indices are checked].
mx::array read(const mx::array& target) {
  mx::array t = mx::contiguous(mx::astype(target, mx::int64));
  flashlight::eval({t});
  return t;
}

// Negative log likelihood.

void check_target_dtype(const Tensor& target) {
  FL_CHECK(
      target.dtype() == Dtype::Int64 || target.dtype() == Dtype::UInt8,
      "expected target dtype to be Long or Byte, but got ",
      scalar_name(target.dtype()));
}

void check_nll(const Tensor& self, const Tensor& target, const Tensor& weight) {
  refuse_grad("nll_loss_forward", "weight", weight);
  FL_CHECK(
      target.dim() <= 1,
      "0D or 1D target tensor expected, multi-target not supported");
  FL_CHECK(
      self.dim() == 1 || self.dim() == 2, "input tensor should be 1D or 2D");
  FL_CHECK(
      (self.dim() == 1 && target.dim() == 0) ||
          self.size(0) == (target.dim() == 0 ? 1 : target.size(0)) ||
          (self.dim() == 1 && target.numel() == 1),
      "size mismatch (got input: ",
      self.sizes(),
      ", target: ",
      target.sizes(),
      ")");
  int64_t classes = self.size(-1);
  FL_CHECK(
      !weight.defined() || (weight.dim() == 1 && weight.numel() == classes),
      "weight tensor should be defined either for all ",
      classes,
      " classes or no classes but got weight tensor of shape: ",
      weight.defined() ? weight.sizes() : IntList());
  if (!self.is_floating_point()) {
    not_implemented("nll_loss_out_frame", self.dtype());
  }
  check_target_dtype(target);
  FL_CHECK(
      !weight.defined() || weight.dtype() == self.dtype(),
      "expected scalar type ",
      scalar_name(self.dtype()),
      " but found ",
      weight.defined() ? scalar_name(weight.dtype()) : "");
}

void check_nll2d(
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight) {
  refuse_grad("nll_loss2d_forward", "weight", weight);
  FL_CHECK(
      target.dim() == 3,
      "only batches of spatial targets supported (3D tensors) but got targets "
      "of dimension: ",
      target.dim());
  FL_CHECK(
      self.dim() == 4,
      "only batches of spatial inputs supported (4D tensors), but got input "
      "of dimension: ",
      self.dim());
  FL_CHECK(
      !weight.defined() || weight.numel() == self.size(1),
      "weight tensor should be defined either for all or no classes");
  FL_CHECK(
      self.size(0) == target.size(0) && self.size(2) == target.size(1) &&
          self.size(3) == target.size(2),
      "size mismatch (got input: ",
      self.sizes(),
      " , target: ",
      target.sizes());
  if (!self.is_floating_point()) {
    not_implemented("nll_loss2d_forward_out_frame", self.dtype());
  }
  check_target_dtype(target);
  FL_CHECK(
      !weight.defined() || weight.dtype() == self.dtype(),
      "expected scalar type ",
      scalar_name(self.dtype()),
      " but found ",
      weight.defined() ? scalar_name(weight.dtype()) : "");
}

// The classes of the samples, with 0 for those that are ignored; the weight of
// each, no weights if they are all 1; and which are ignored, if any.
struct Samples {
  mx::array index; // of x's rank, 1 along the axis of classes
  std::optional<mx::array> weight, ignored;

  // x times the weights, 0 for what is ignored, be it infinite.
  mx::array weigh(const mx::array& x) const {
    mx::array y = weight ? mx::multiply(x, *weight) : x;
    return ignored ? mx::where(*ignored, zero(y), y) : y;
  }
};

Samples samples_of(
    const mx::array& x,
    const mx::array& target,
    const std::optional<mx::array>& weight,
    int64_t ignore_index,
    int axis) {
  mx::array t = read(target);
  bool any_ignored = false;
  const auto* data = t.data<int64_t>();
  for (size_t i = 0; i < t.size(); ++i) {
    if (data[i] == ignore_index) {
      any_ignored = true;
    } else {
      FL_CHECK_INDEX(
          data[i] >= 0 && data[i] < x.shape(axis),
          "Target ",
          data[i],
          " is out of bounds.");
    }
  }
  mx::Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = 1;
  Samples samples{mx::reshape(t, shape), {}, {}};
  if (any_ignored) {
    mx::array& index = samples.index;
    samples.ignored = mx::equal(index, mx::array(ignore_index, mx::int64));
    index = mx::where(*samples.ignored, zero(index), index);
  }
  if (weight) {
    samples.weight = mx::take(mx::flatten(*weight), samples.index);
  }
  return samples;
}

// The sum of the weights, which a mean divides by.
mx::array total_of(const Samples& samples, const mx::array& x) {
  if (!samples.weight && !samples.ignored) {
    return mx::array(static_cast<double>(samples.index.size()), x.dtype());
  }
  mx::array one = mx::ones(samples.index.shape(), x.dtype());
  return reduced(samples.weigh(one), kSum);
}

std::tuple<mx::array, mx::array> nll_kernel(
    const mx::array& x,
    const mx::array& target,
    const std::optional<mx::array>& weight,
    int64_t reduction,
    int64_t ignore_index) {
  int axis = x.ndim() == 1 ? 0 : 1;
  Samples samples = samples_of(x, target, weight, ignore_index, axis);
  mx::array picked = mx::take_along_axis(x, samples.index, axis);
  mx::array loss = mx::squeeze(samples.weigh(mx::negative(picked)), axis);
  if (reduction == kNone) {
    return {loss, zero(x)};
  }
  mx::array total = total_of(samples, x);
  mx::array sum = reduced(loss, kSum);
  return {reduction == kMean ? mx::divide(sum, total) : sum, total};
}

mx::array nll_backward_kernel(
    const mx::array& grad,
    const mx::array& x,
    const mx::array& target,
    const std::optional<mx::array>& weight,
    int64_t reduction,
    int64_t ignore_index,
    const mx::array& total_weight) {
  int axis = x.ndim() == 1 ? 0 : 1;
  Samples samples = samples_of(x, target, weight, ignore_index, axis);
  mx::array g = mx::negative(grad);
  if (reduction == kMean) {
    g = mx::divide(g, total_weight);
  } else if (reduction == kNone) {
    g = mx::expand_dims(g, axis);
  }
  g = mx::astype(samples.weigh(g), x.dtype());
  return mx::put_along_axis(
      mx::zeros(x.shape(), x.dtype()),
      samples.index,
      mx::broadcast_to(g, samples.index.shape()),
      axis);
}

Tensor nll_nd(
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight,
    int64_t reduction,
    int64_t ignore_index) {
  int64_t dim = self.dim();
  FL_CHECK_VALUE(dim > 0, "Expected 1 or more dimensions (got ", dim, ")");
  FL_CHECK_VALUE(
      dim != 1 || target.dim() != 1 || target.size(0) == 1,
      "For 1D input, 1D target must have size 1, but got target size: ",
      target.dim() == 1 ? target.size(0) : 0);
  FL_CHECK_VALUE(
      dim == 1 || self.size(0) == target.size(0),
      "Expected input batch_size (",
      self.size(0),
      ") to match target batch_size (",
      dim == 1 ? 0 : target.size(0),
      ").");
  if (dim <= 2) {
    return nll_loss(self, target, weight, reduction, ignore_index);
  }
  if (dim == 4) {
    return nll_loss2d(self, target, weight, reduction, ignore_index);
  }
  // Any other rank as one of two dimensions beside samples and classes.
  int64_t n = self.size(0);
  IntList expected = self.sizes(), out = self.sizes();
  expected.erase(expected.begin() + 1);
  FL_CHECK(
      target.sizes() == expected,
      "Expected target size ",
      expected,
      ", got ",
      target.sizes());
  int64_t rest = 1;
  for (int64_t d = 2; d < dim; ++d) {
    rest *= self.size(d);
  }
  Tensor loss = nll_loss2d(
      reshape(self, {n, self.size(1), 1, rest}),
      reshape(target, {n, 1, rest}),
      weight,
      reduction,
      ignore_index);
  return reduction == kNone ? reshape(loss, expected) : loss;
}

// Cross entropy of logits.

void check_class_weight(const Tensor& weight, int64_t classes) {
  FL_CHECK(
      !weight.defined() || (weight.dim() == 1 && weight.numel() == classes),
      "cross_entropy: weight tensor should be defined either for all ",
      classes,
      " classes or no classes but got weight tensor of shape: ",
      weight.defined() ? weight.sizes() : IntList());
}

// A weight for each class along the axis of classes of something of that rank.
Tensor along_classes(const Tensor& weight, int64_t dim) {
  IntList sizes(static_cast<size_t>(dim), int64_t{1});
  sizes[dim == 1 ? 0 : 1] = weight.numel();
  return view(weight, sizes);
}

Tensor cross_entropy_of_probabilities(
    const Tensor& self,
    const Tensor& given,
    const Tensor& weight,
    int64_t reduction,
    double smoothing) {
  int64_t axis = self.dim() == 1 ? 0 : 1;
  int64_t classes = self.size(axis);
  check_class_weight(weight, classes);
  Tensor target = given;
  if (smoothing > 0) {
    target = target * Scalar(1 - smoothing) +
             Scalar(smoothing / static_cast<double>(classes));
  }
  Tensor loss = log_softmax(self, axis) * target;
  if (weight.defined()) {
    loss = loss * along_classes(weight, self.dim());
  }
  if (reduction == kNone) {
    return -sum(loss, IntList{axis});
  }
  if (reduction == kSum) {
    return -sum(loss);
  }
  double samples = classes == 0 ? 0.0
                                : static_cast<double>(self.numel()) /
                                      static_cast<double>(classes);
  return -sum(loss) / Scalar(samples);
}

Tensor smoothed_cross_entropy(
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight,
    int64_t reduction,
    int64_t ignore_index,
    double smoothing) {
  int64_t axis = self.dim() == 1 ? 0 : 1;
  int64_t classes = self.size(axis);
  Tensor log_p = log_softmax(self, axis);
  Tensor nll = nll_loss_nd(log_p, target, weight, reduction, ignore_index);
  Tensor smooth =
      weight.defined() ? log_p * along_classes(weight, self.dim()) : log_p;
  Tensor ignored = eq(target, Scalar(ignore_index));
  smooth = masked_fill(-sum(smooth, IntList{axis}), ignored, Scalar(0));
  if (reduction == kSum) {
    smooth = sum(smooth);
  } else if (reduction == kMean) {
    smooth = sum(smooth);
    if (weight.defined()) {
      // The targets were checked by nll_loss_nd.
      mx::array t = target.value(), skip = ignored.value();
      mx::array w = mx::take(
          weight.value(), mx::astype(mx::where(skip, zero(t), t), mx::int64));
      w = mx::where(skip, zero(w), w);
      smooth = smooth / constant(reduced(w, kSum), weight);
    } else {
      smooth = smooth / sum(logical_not(ignored));
    }
  }
  return nll * Scalar(1 - smoothing) +
         smooth * Scalar(smoothing / static_cast<double>(classes));
}

Tensor cross_entropy(
    const Tensor& self,
    const Tensor& target,
    const Tensor& weight,
    int64_t reduction,
    int64_t ignore_index,
    double smoothing) {
  if (self.sizes() == target.sizes()) {
    FL_CHECK(
        target.is_floating_point(),
        "Expected floating point type for target with class probabilities, "
        "got ",
        scalar_name(target.dtype()));
    FL_CHECK(
        ignore_index < 0,
        "ignore_index is not supported for floating point target");
    FL_CHECK(
        smoothing >= 0 && smoothing <= 1,
        "label_smoothing must be between 0.0 and 1.0. Got: ",
        smoothing);
    return cross_entropy_of_probabilities(
        self, target, weight, reduction, smoothing);
  }
  FL_CHECK(
      smoothing >= 0 && smoothing <= 1,
      "label_smoothing must be between 0.0 and 1.0. Got: ",
      smoothing);
  if (smoothing > 0) {
    return smoothed_cross_entropy(
        self, target, weight, reduction, ignore_index, smoothing);
  }
  Tensor log_p = log_softmax(self, self.dim() == 1 ? 0 : 1);
  return nll_loss_nd(log_p, target, weight, reduction, ignore_index);
}

// Margins between classes.

// Samples and classes as a matrix, for one sample too.
std::pair<int64_t, int64_t> samples_and_classes(const Tensor& self) {
  int64_t d = self.dim();
  bool fine = (d <= 1 && self.numel() != 0) || (d == 2 && self.size(1) != 0);
  FL_CHECK(
      fine,
      "Expected non-empty vector or matrix with optional 0-dim batch size, but "
      "got: ",
      self.sizes());
  return {d == 2 ? self.size(0) : 1, d == 0 ? 1 : self.size(-1)};
}

void check_multi_margin(
    const Tensor& self,
    const Tensor& target,
    const Scalar& p,
    const Scalar&,
    const Tensor& weight) {
  refuse_grad("multi_margin_loss", "weight", weight);
  auto [n, classes] = samples_and_classes(self);
  double power = p.to_double();
  FL_CHECK(power == 1 || power == 2, "only p == 1 and p == 2 supported");
  FL_CHECK(
      target.dim() <= 1 && target.numel() == n,
      "multi_margin_loss: target tensor should be 1-D with size equal to the "
      "number of input samples (batch size). Expected target size [",
      n,
      "], but got ",
      target.sizes(),
      ". Input has shape ",
      self.sizes(),
      ".");
  FL_CHECK(
      !weight.defined() || (weight.dim() <= 1 && weight.numel() == classes),
      "inconsistent weight size, expected ",
      classes,
      " but got ",
      weight.defined() ? weight.sizes() : IntList());
  if (!self.is_floating_point()) {
    not_implemented("multi_margin_loss_cpu_kernel", self.dtype());
  }
  FL_CHECK(
      target.dtype() == Dtype::Int64,
      "expected scalar type Long but found ",
      scalar_name(target.dtype()));
  FL_CHECK(
      !weight.defined() || weight.dtype() == self.dtype(),
      "expected scalar type ",
      scalar_name(self.dtype()),
      " but found ",
      weight.defined() ? scalar_name(weight.dtype()) : "");
}

// What a sample's class is, [n, 1], and its weight over the number of classes.
struct MarginTargets {
  mx::array index, factor, is_target;
};

MarginTargets margin_targets(
    const mx::array& target,
    const std::optional<mx::array>& weight,
    int n,
    int classes,
    mx::Dtype dtype) {
  mx::array t = read(target);
  for (size_t i = 0; i < t.size(); ++i) {
    int64_t c = t.data<int64_t>()[i];
    FL_CHECK(c >= 0 && c < classes, "target out of range");
  }
  t = mx::reshape(t, {n, 1});
  mx::array w =
      weight ? mx::take(mx::flatten(*weight), t) : mx::full({n, 1}, 1, dtype);
  mx::array all = mx::reshape(mx::arange(classes, mx::int64), {1, classes});
  return {t, mx::divide(w, mx::array(classes, dtype)), mx::equal(all, t)};
}

mx::array multi_margin_kernel(
    const mx::array& self,
    const mx::array& target,
    const Scalar& p,
    const Scalar& margin,
    const std::optional<mx::array>& weight,
    int64_t reduction) {
  int classes = self.ndim() == 0 ? 1 : self.shape(-1);
  int n = self.ndim() == 2 ? self.shape(0) : 1;
  mx::array x = mx::reshape(self, {n, classes});
  MarginTargets t = margin_targets(target, weight, n, classes, x.dtype());
  mx::array z = mx::add(
      mx::subtract(x, mx::take_along_axis(x, t.index, 1)),
      scalar_array(margin, from_mlx(x.dtype())));
  z = mx::where(mx::greater(z, zero(z)), z, zero(z));
  z = mx::where(t.is_target, zero(z), p.to_double() == 2 ? mx::square(z) : z);
  mx::array loss = mx::sum(widened(mx::multiply(z, t.factor)), 1);
  loss = mx::astype(loss, x.dtype());
  if (reduction == kNone && target.ndim() == 0) {
    return mx::reshape(loss, {});
  }
  return reduced(loss, reduction);
}

Tensor multi_margin_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    const Scalar& p,
    const Scalar& margin,
    const Tensor& weight,
    int64_t reduction) {
  auto [n, classes] = samples_and_classes(self);
  std::optional<mx::array> w;
  if (weight.defined()) {
    w = weight.value();
  }
  MarginTargets t = margin_targets(
      target.value(),
      w,
      static_cast<int>(n),
      static_cast<int>(classes),
      to_mlx(self.dtype()));
  Tensor is_target = constant(t.is_target, self);
  Tensor x = reshape(self, {n, classes});
  Tensor own =
      sum(masked_fill(x, logical_not(is_target), Scalar(0)), IntList{1}, true);
  Tensor z = x - own + margin;
  Tensor slope = p.to_double() == 2 ? z * Scalar(2) : ones_like(z);
  slope =
      masked_fill(slope, logical_or(is_target, le(z, Scalar(0))), Scalar(0));
  Tensor pull = sum(slope, IntList{1}, true);
  Tensor g = unreduced(grad, reduction, n);
  if (reduction == kNone) {
    g = reshape(g, {n, 1});
  }
  g = (slope - where(is_target, pull, Scalar(0))) *
      (g * constant(t.factor, self));
  return reshape(g, self.sizes());
}

void check_multilabel(const Tensor& self, const Tensor& target) {
  auto [n, classes] = samples_and_classes(self);
  FL_CHECK(
      self.sizes() == target.sizes() ||
          (self.dim() <= 1 && target.dim() <= 1 && target.numel() == classes &&
           self.dim() == target.dim()),
      "inconsistent target size: ",
      target.sizes(),
      " for input of size: ",
      self.sizes());
  if (!self.is_floating_point()) {
    not_implemented("multilabel_margin_loss_forward_out_frame", self.dtype());
  }
  FL_CHECK(
      target.dtype() == Dtype::Int64,
      "expected scalar type Long but found ",
      scalar_name(target.dtype()));
}

// How often each class is named as a target, [n, classes].
mx::array named_targets(const mx::array& target, int n, int classes) {
  mx::array t = read(target);
  const auto* data = t.data<int64_t>();
  std::vector<float> counts(t.size(), 0);
  for (size_t i = 0; i < t.size(); ++i) {
    FL_CHECK(
        data[i] >= -1 && data[i] < classes,
        "argument #2 'target' is out of range");
  }
  auto width = static_cast<size_t>(classes);
  for (size_t row = 0; row < static_cast<size_t>(n); ++row) {
    // Up to the first -1.
    for (size_t k = 0; k < width && data[row * width + k] >= 0; ++k) {
      counts[row * width + static_cast<size_t>(data[row * width + k])] += 1;
    }
  }
  return mx::array(counts.data(), {n, classes}, mx::float32);
}

// max(0, 1 - x_j + x_i) and its weight, for each target j and each class i that
// is none: [n, j, i].
std::pair<Tensor, Tensor> margins(
    const Tensor& self,
    const mx::array& named,
    int64_t n,
    int64_t classes) {
  Tensor x = reshape(self, {n, classes});
  mx::Dtype type = to_mlx(self.dtype());
  mx::array others = mx::astype(mx::equal(named, zero(named)), type);
  mx::array weight = mx::multiply(
      mx::expand_dims(mx::astype(named, type), 2), mx::expand_dims(others, 1));
  Tensor z = unsqueeze(x, 1) - unsqueeze(x, 2) + Scalar(1);
  return {z, constant(mx::divide(weight, mx::array(classes, type)), self)};
}

std::tuple<Tensor, Tensor>
multilabel_kernel(const Tensor& self, const Tensor& target, int64_t reduction) {
  auto [n, classes] = samples_and_classes(self);
  mx::array named = named_targets(
      target.value(), static_cast<int>(n), static_cast<int>(classes));
  NoGrad guard;
  auto [z, weight] = margins(self, named, n, classes);
  Tensor counts = logical_and(gt(z, Scalar(0)), gt(weight, Scalar(0)));
  Tensor loss = sum(where(counts, z * weight, zeros_like(z)), IntList{1, 2});
  mx::array is_target =
      mx::astype(mx::greater(named, zero(named)), to_mlx(self.dtype()));
  if (reduction == kNone && self.dim() < 2) {
    loss = reshape(loss, IntList());
  }
  return {
      reduced(loss, reduction),
      constant(mx::reshape(is_target, to_shape(target.sizes())), self)};
}

Tensor multilabel_grad(
    const Tensor& grad,
    const Tensor& self,
    const Tensor& target,
    int64_t reduction) {
  if (!grad.defined()) {
    return {};
  }
  auto [n, classes] = samples_and_classes(self);
  mx::array named = named_targets(
      target.value(), static_cast<int>(n), static_cast<int>(classes));
  auto [z, weight] = margins(self, named, n, classes);
  Tensor hit = masked_fill(weight, le(z, Scalar(0)), Scalar(0));
  Tensor g = unreduced(grad, reduction, n);
  if (reduction == kNone) {
    g = reshape(g, {n, 1});
  }
  g = g * (sum(hit, IntList{1}) - sum(hit, IntList{2}));
  return reshape(g, self.sizes());
}

// The ops of one loss by classes, and what makes them rows.
struct Nll {
  decltype(&nll_loss_forward) forward;
  decltype(&nll_loss_backward) backward;
  decltype(&nll_loss) loss;
};

void nll_rows(Nll f, Row forward, Row backward, Row loss) {
  std::move(forward)
      .kernel(nll_kernel)
      .grad(
          "self",
          "self target weight reduction ignore_index total_weight",
          [f](const Tensor& grad,
              const Tensor& self,
              const Tensor& target,
              const Tensor& weight,
              int64_t reduction,
              int64_t ignore_index,
              const Tensor& total_weight) {
            return !grad.defined() ? Tensor()
                                   : f.backward(
                                         grad,
                                         self,
                                         target,
                                         weight,
                                         reduction,
                                         ignore_index,
                                         total_weight);
          })
      .zero_grad("target weight");
  std::move(backward)
      .kernel(nll_backward_kernel)
      .grad(
          "grad_output",
          "target weight reduction ignore_index",
          [f](const Tensor& grad,
              const Tensor& target,
              const Tensor& weight,
              int64_t reduction,
              int64_t ignore_index) {
            return f.loss(grad, target, weight, reduction, ignore_index);
          })
      .zero_grad("self target weight total_weight");
  std::move(loss)
      .module("nn")
      .autocast(Autocast::Float32)
      .composite([f](const Tensor& self,
                     const Tensor& target,
                     const Tensor& weight,
                     int64_t reduction,
                     int64_t ignore_index) {
        return std::get<0>(
            f.forward(self, target, weight, reduction, ignore_index));
      });
}

} // namespace

void register_class_losses() {
  nll_rows(
      {nll_loss_forward, nll_loss_backward, nll_loss},
      op("nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int "
         "reduction, SymInt ignore_index) -> (Tensor output, Tensor "
         "total_weight)")
          .forms("")
          .node("NllLossBackward0")
          .check(check_nll)
          .doc("nll_loss, and the sum of the weights."),
      op("nll_loss_backward(Tensor grad_output, Tensor self, Tensor target, "
         "Tensor? weight, int reduction, SymInt ignore_index, Tensor "
         "total_weight) -> Tensor")
          .forms("")
          .doc("The gradient of nll_loss."),
      op("nll_loss(Tensor self, Tensor target, Tensor? weight=None, int "
         "reduction=Mean, SymInt ignore_index=-100) -> Tensor")
          .forms("function out")
          .exact_out()
          .doc("Negative log likelihood of classes, of log probabilities."));
  nll_rows(
      {nll_loss2d_forward, nll_loss2d_backward, nll_loss2d},
      op("nll_loss2d_forward(Tensor self, Tensor target, Tensor? weight, int "
         "reduction, SymInt ignore_index) -> (Tensor output, Tensor "
         "total_weight)")
          .forms("")
          .node("NllLoss2DBackward0")
          .check(check_nll2d)
          .doc("nll_loss2d, and the sum of the weights."),
      op("nll_loss2d_backward(Tensor grad_output, Tensor self, Tensor target, "
         "Tensor? weight, int reduction, SymInt ignore_index, Tensor "
         "total_weight) -> Tensor")
          .forms("")
          .doc("The gradient of nll_loss2d."),
      op("nll_loss2d(Tensor self, Tensor target, Tensor? weight=None, int "
         "reduction=Mean, SymInt ignore_index=-100) -> Tensor")
          .forms("function out")
          .exact_out("expected scalar type %R but found %O")
          .doc("nll_loss of images: a class for each pixel."));
  op("nll_loss_nd(Tensor self, Tensor target, Tensor? weight=None, int "
     "reduction=Mean, SymInt ignore_index=-100) -> Tensor")
      .forms("function")
      .module("nn")
      .composite(nll_nd)
      .doc("nll_loss of any number of dimensions.");
  op("cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int "
     "reduction=Mean, SymInt ignore_index=-100, float label_smoothing=0.0) -> "
     "Tensor")
      .forms("function")
      .module("nn")
      .autocast(Autocast::Float32)
      .composite(cross_entropy)
      .doc("The cross entropy of logits for classes or their probabilities.");
  op("multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar "
     "margin=1, Tensor? weight=None, int reduction=Mean) -> Tensor")
      .forms("function out")
      .exact_out("expected scalar type %R but found %O")
      .module("nn")
      .autocast(Autocast::Float32)
      .check(check_multi_margin)
      .kernel(multi_margin_kernel)
      .grad("self", "self target p margin weight reduction", multi_margin_grad)
      .zero_grad("target weight")
      .doc("How far other classes come within a margin of the right one.");
  op("multilabel_margin_loss_forward(Tensor self, Tensor target, int "
     "reduction) -> (Tensor output, Tensor is_target)")
      .forms("")
      .node("MultilabelMarginLossBackward0")
      .check(check_multilabel)
      .kernel(multilabel_kernel)
      .grad("self", "self target reduction", multilabel_grad)
      .zero_grad("target")
      .doc("multilabel_margin_loss, and which classes are targets.");
  op("multilabel_margin_loss(Tensor self, Tensor target, int reduction=Mean) "
     "-> Tensor")
      .forms("function out")
      .exact_out("expected scalar type %R but found %O")
      .module("nn")
      .autocast(Autocast::Float32)
      .composite(
          [](const Tensor& self, const Tensor& target, int64_t reduction) {
            return std::get<0>(
                multilabel_margin_loss_forward(self, target, reduction));
          })
      .doc("How far other classes come within 1 of each of the right ones.");
}

} // namespace flashlight
