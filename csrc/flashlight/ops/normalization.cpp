// Normalizations: of batches, layers, groups, instances; by mean squares.
//
// Note [Derivatives of normalizations]
// The backwards are rows of their own, with PyTorch's names. Their derivative
// is MLX's, of the same formula in MLX's ops with the statistics computed from
// the input once more; so the statistics that a forward gives out need none.
#include <limits>

#include <mlx/fast.h>
#include <mlx/ops.h>

#include "flashlight/kernels/normalize.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/normalization.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

bool is_half(Dtype d) {
  return d == Dtype::Float16 || d == Dtype::BFloat16;
}

// The dtype of statistics: parameters of 16-bit inputs may be float32.
Dtype statistics_dtype(const Tensor& input, const TensorList& parameters) {
  Dtype dtype = input.dtype();
  for (const Tensor& p : parameters) {
    if (!p.defined() || p.dtype() == input.dtype()) {
      continue;
    }
    FL_CHECK(
        is_half(input.dtype()),
        "mixed dtype (CPU): all inputs must share same datatype.");
    FL_CHECK(
        p.dtype() == Dtype::Float32,
        "mixed dtype (CPU): expect parameter to have scalar type of Float");
    dtype = Dtype::Float32;
  }
  return dtype;
}

// What the loops compute in.
mx::Dtype wide(const Tensor& input) {
  return input.dtype() == Dtype::Float64 ? mx::float64 : mx::float32;
}
mx::array wide_value(const Tensor& x, mx::Dtype dtype) {
  return mx::astype(x.value(), dtype);
}
MaybeArray maybe_wide(const Tensor& x, mx::Dtype dtype) {
  return x.defined() ? MaybeArray(wide_value(x, dtype)) : std::nullopt;
}
mx::array narrow(const mx::array& x, Dtype dtype) {
  return mx::astype(x, to_mlx(dtype));
}

IntList tail_of(const IntList& sizes, size_t from) {
  return IntList(
      sizes.begin() + static_cast<std::ptrdiff_t>(from), sizes.end());
}

// The gradients that `mask` asks for; inside a transform all of them, for it
// differentiates the whole.
using Three = std::tuple<Tensor, Tensor, Tensor>;
Three three_grads(
    const std::vector<mx::array>& grads,
    const Tensor& input,
    const TensorList& parameters,
    const BoolList& mask) {
  auto make = [&](size_t i) {
    if (!mask[i] && !grads[i].is_tracer()) {
      return Tensor();
    }
    const Tensor& like = i == 0 ? input : parameters[i - 1];
    mx::array g =
        narrow(grads[i], like.defined() ? like.dtype() : input.dtype());
    if (like.defined()) {
      g = mx::reshape(g, to_shape(like.sizes()));
    }
    return Tensor(
        g, contiguous_strides(to_int_list(g.shape())), input.device());
  };
  return {make(0), make(1), make(2)};
}

// What no gradient goes to: the statistics depend on the input, which counts.
Tensor constant(const Tensor& t) {
  return t.defined() ? detach(t) : t;
}

// ---- Batches ----

// Channels are the groups. Where little lies behind a channel its values are
// brought together first.
struct BatchLayout {
  NormShape shape;
  bool turned;
  mx::Shape sizes;

  explicit BatchLayout(const IntList& s) : sizes(to_shape(s)) {
    int64_t inner = product(tail_of(s, 2));
    turned = inner < 16 && s[0] > 1;
    shape = turned ? NormShape{1, s[1], 1, s[0] * inner, true}
                   : NormShape{s[0], s[1], 1, inner, true};
  }
  mx::array lay(const mx::array& x) const {
    return turned ? mx::swapaxes(x, 0, 1) : x;
  }
};

void check_batch_norm(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const Tensor& running_mean,
    const Tensor& running_var,
    bool training) {
  int64_t channels = input.size(1);
  auto check = [&](const Tensor& t, const char* name) {
    FL_CHECK(
        !t.defined() || t.numel() == channels,
        name,
        " should contain ",
        channels,
        " elements not ",
        t.defined() ? t.numel() : 0);
  };
  if (running_mean.defined()) {
    check(running_mean, "running_mean");
  } else {
    FL_CHECK(training, "running_mean must be defined in evaluation mode");
  }
  if (running_var.defined()) {
    check(running_var, "running_var");
  } else {
    FL_CHECK(training, "running_var must be defined in evaluation mode");
  }
  check(weight, "weight");
  check(bias, "bias");
}

std::tuple<mx::array, mx::array, mx::array> batch_norm_kernel(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const Tensor& running_mean,
    const Tensor& running_var,
    bool training,
    double momentum,
    double eps) {
  check_batch_norm(input, weight, bias, running_mean, running_var, training);
  Dtype stats =
      statistics_dtype(input, {weight, bias, running_mean, running_var});
  BatchLayout layout(input.sizes());
  mx::Dtype type = wide(input);
  mx::array x = layout.lay(wide_value(input, type));
  MaybeArray w = maybe_wide(weight, type), b = maybe_wide(bias, type);
  auto done = [&](const mx::array& out) {
    return narrow(layout.lay(out), input.dtype());
  };
  if (!training) {
    mx::array none = mx::zeros({0}, to_mlx(stats));
    mx::array rstd =
        mx::rsqrt(mx::add(wide_value(running_var, type), mx::array(eps, type)));
    mx::array mean = wide_value(running_mean, type);
    mx::array out = normalize_by(x, w, b, mean, rstd, layout.shape);
    return {done(out), none, none};
  }
  std::optional<RunningStats> running;
  if (running_mean.defined() || running_var.defined()) {
    mx::array zero = mx::zeros({static_cast<int>(input.size(1))}, type);
    running = RunningStats{
        maybe_wide(running_mean, type).value_or(zero),
        maybe_wide(running_var, type).value_or(zero),
        momentum};
  }
  Normalized n = normalize(x, w, b, layout.shape, eps, running);
  // PyTorch does not count this as a change in place either.
  if (running_mean.defined()) {
    running_mean.set_value(narrow(n.running->mean, running_mean.dtype()));
  }
  if (running_var.defined()) {
    running_var.set_value(narrow(n.running->var, running_var.dtype()));
  }
  return {done(n.out), narrow(n.mean, stats), narrow(n.rstd, stats)};
}

Three batch_norm_backward_kernel(
    const Tensor& grad,
    const Tensor& input,
    const Tensor& weight,
    const Tensor& running_mean,
    const Tensor& running_var,
    const Tensor& save_mean,
    const Tensor& save_invstd,
    bool train,
    double eps,
    const BoolList& mask) {
  BatchLayout layout(input.sizes());
  mx::Dtype type = wide(input);
  mx::array mean = wide_value(train ? save_mean : running_mean, type);
  mx::array rstd =
      train ? wide_value(save_invstd, type)
            : mx::rsqrt(
                  mx::add(wide_value(running_var, type), mx::array(eps, type)));
  auto grads = normalize_grads(
      layout.lay(wide_value(grad, type)),
      layout.lay(wide_value(input, type)),
      maybe_wide(weight, type),
      mx::stop_gradient(mean),
      mx::stop_gradient(rstd),
      layout.shape,
      !train);
  grads[0] = layout.lay(grads[0]);
  return three_grads(grads, input, {weight, weight}, mask);
}

// Statistics have no history, but the row gives all its results one.
std::tuple<Tensor, Tensor, Tensor> native_batch_norm_of(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const Tensor& running_mean,
    const Tensor& running_var,
    bool training,
    double momentum,
    double eps) {
  auto [out, mean, invstd] = _batch_norm(
      input, weight, bias, running_mean, running_var, training, momentum, eps);
  return {out, constant(mean), constant(invstd)};
}

Tensor batch_norm_of(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const Tensor& running_mean,
    const Tensor& running_var,
    bool training,
    double momentum,
    double eps,
    bool /*cudnn_enabled*/) {
  if (input.numel() == 0) {
    Tensor out = clone(input);
    out = weight.defined() ? out * select(weight, 0, 0) : out;
    return bias.defined() ? out + select(bias, 0, 0) : out;
  }
  return std::get<0>(_batch_norm(
      input, weight, bias, running_mean, running_var, training, momentum, eps));
}

// Samples become channels of one sample.
Tensor instance_norm_of(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const Tensor& running_mean,
    const Tensor& running_var,
    bool use_input_stats,
    double momentum,
    double eps,
    bool cudnn_enabled) {
  FL_CHECK_VALUE(
      running_mean.defined() == running_var.defined(),
      "running_mean and running_var must either both be None or neither be "
      "None");
  FL_CHECK(
      use_input_stats || running_mean.defined(),
      "Expected running_mean and running_var to be defined when "
      "use_input_stats is false");
  int64_t channels = input.size(1), samples = input.size(0);
  IntList sizes = input.sizes();
  sizes[0] = 1;
  sizes[1] = samples * channels;
  auto repeated = [&](const Tensor& t) {
    return t.defined() ? reshape(expand(t, {samples, channels}), {-1}) : t;
  };
  // Buffers of their own: the node saves them, and the running ones change.
  auto copied = [&](const Tensor& t) {
    return t.defined() && samples == 1 ? clone(t) : repeated(t);
  };
  Tensor mean = copied(running_mean), var = copied(running_var);
  Tensor out = batch_norm(
      reshape(input, sizes),
      repeated(weight),
      repeated(bias),
      mean,
      var,
      use_input_stats,
      momentum,
      eps,
      cudnn_enabled);
  auto put_back = [&](const Tensor& running, const Tensor& each) {
    if (running.defined()) {
      Tensor average = flashlight::mean(
          view(alias(each), {samples, channels}), IntList{0}, false);
      running.set_value(average.value());
      running.bump_version();
    }
  };
  put_back(running_mean, mean);
  put_back(running_var, var);
  return view(out, input.sizes());
}

// ---- Layers ----

NormShape layer_shape(const Tensor& input, const IntList& normalized_shape) {
  int64_t n = product(normalized_shape);
  int64_t rows = 1;
  for (size_t d = 0; d < input.sizes().size() - normalized_shape.size(); ++d) {
    rows *= input.sizes()[d];
  }
  return {rows, 1, n, 1};
}

// Sizes of statistics: ones for what is normalized.
IntList layer_statistics(const Tensor& input, const IntList& normalized) {
  IntList sizes = input.sizes();
  std::fill(sizes.end() - ndim_of(normalized), sizes.end(), 1);
  return sizes;
}

bool ends_with(const IntList& sizes, const IntList& tail) {
  return sizes.size() >= tail.size() &&
         std::equal(tail.rbegin(), tail.rend(), sizes.rbegin());
}

void check_normalized_shape(
    const IntList& normalized_shape,
    const Tensor& weight,
    const Tensor& bias) {
  FL_CHECK(
      !normalized_shape.empty(),
      "Expected normalized_shape to be at least 1-dimensional, i.e., "
      "containing at least one element, but got normalized_shape = ",
      normalized_shape);
  auto check = [&](const Tensor& t, const char* name) {
    FL_CHECK(
        !t.defined() || t.sizes() == normalized_shape,
        "Expected ",
        name,
        " to be of same shape as normalized_shape, but got ",
        name,
        " of shape ",
        t.defined() ? t.sizes() : IntList{},
        " and normalized_shape = ",
        normalized_shape);
  };
  check(weight, "weight");
  check(bias, "bias");
}

// "3, 4": sizes as some texts have them, after a star.
std::string listed(const IntList& sizes, const char* before) {
  std::string text;
  for (int64_t n : sizes) {
    text += before + std::to_string(n);
    before = ", ";
  }
  return text;
}

// mx::fast has kernels of its own where ours do not run.
bool use_fast(const Tensor& input) {
  return !use_host() && input.dtype() != Dtype::Float64 && input.numel() != 0;
}

std::tuple<mx::array, mx::array, mx::array> layer_norm_kernel(
    const Tensor& input,
    const IntList& normalized_shape,
    const Tensor& weight,
    const Tensor& bias,
    double eps) {
  check_normalized_shape(normalized_shape, weight, bias);
  FL_CHECK(
      ends_with(input.sizes(), normalized_shape),
      "Given normalized_shape=",
      normalized_shape,
      ", expected input with shape [*",
      listed(normalized_shape, ", "),
      "], but got input of size",
      input.sizes());
  Dtype stats = statistics_dtype(input, {weight, bias});
  mx::Dtype type = wide(input);
  NormShape shape = layer_shape(input, normalized_shape);
  mx::array x = wide_value(input, type);
  MaybeArray w = maybe_wide(weight, type), b = maybe_wide(bias, type);
  Normalized n = normalize(x, w, b, shape, eps);
  if (use_fast(input)) {
    auto row = [](const MaybeArray& a) {
      return a ? MaybeArray(mx::flatten(*a)) : a;
    };
    mx::array rows = mx::reshape(
        x, {static_cast<int>(shape.batch), static_cast<int>(shape.channels)});
    n.out = mx::reshape(
        mx::fast::layer_norm(rows, row(w), row(b), static_cast<float>(eps)),
        x.shape());
  }
  mx::Shape sizes = to_shape(layer_statistics(input, normalized_shape));
  auto stat = [&](const mx::array& a) {
    return mx::reshape(narrow(a, stats), sizes);
  };
  return {narrow(n.out, input.dtype()), stat(n.mean), stat(n.rstd)};
}

Three layer_norm_backward_kernel(
    const Tensor& grad,
    const Tensor& input,
    const IntList& normalized_shape,
    const Tensor& mean,
    const Tensor& rstd,
    const Tensor& weight,
    const Tensor& bias,
    const BoolList& mask) {
  mx::Dtype type = wide(input);
  auto grads = normalize_grads(
      wide_value(grad, type),
      wide_value(input, type),
      maybe_wide(weight, type),
      mx::stop_gradient(mx::flatten(wide_value(mean, type))),
      mx::stop_gradient(mx::flatten(wide_value(rstd, type))),
      layer_shape(input, normalized_shape),
      false);
  return three_grads(grads, input, {weight, bias}, mask);
}

// ---- Mean squares ----

double default_eps(Dtype dtype) {
  switch (to_real(dtype)) {
    case Dtype::Float16:
      return 0x1p-10;
    case Dtype::BFloat16:
      return 0x1p-7;
    case Dtype::Float64:
      return std::numeric_limits<double>::epsilon();
    default:
      return std::numeric_limits<float>::epsilon();
  }
}

NormShape rms_shape(const Tensor& input, const IntList& normalized_shape) {
  NormShape shape = layer_shape(input, normalized_shape);
  shape.centered = false;
  return shape;
}

std::tuple<mx::array, mx::array> rms_norm_kernel(
    const Tensor& input,
    const IntList& normalized_shape,
    const Tensor& weight,
    std::optional<double> eps) {
  mx::Dtype type = wide(input);
  NormShape shape = rms_shape(input, normalized_shape);
  mx::array x = wide_value(input, type);
  MaybeArray w = maybe_wide(weight, type);
  double added = eps.value_or(default_eps(input.dtype()));
  Normalized n = normalize(x, w, std::nullopt, shape, added);
  if (use_fast(input)) {
    mx::array rows = mx::reshape(
        x, {static_cast<int>(shape.batch), static_cast<int>(shape.channels)});
    n.out = mx::reshape(
        mx::fast::rms_norm(
            rows,
            w ? MaybeArray(mx::flatten(*w)) : w,
            static_cast<float>(added)),
        x.shape());
  }
  mx::Shape sizes = to_shape(layer_statistics(input, normalized_shape));
  return {narrow(n.out, input.dtype()), mx::reshape(n.rstd, sizes)};
}

std::tuple<Tensor, Tensor> rms_norm_backward_kernel(
    const Tensor& grad,
    const Tensor& input,
    const IntList& normalized_shape,
    const Tensor& rstd,
    const Tensor& weight,
    const BoolList& mask) {
  mx::Dtype type = wide(input);
  mx::array r = mx::stop_gradient(mx::flatten(wide_value(rstd, type)));
  auto grads = normalize_grads(
      wide_value(grad, type),
      wide_value(input, type),
      maybe_wide(weight, type),
      mx::zeros_like(r),
      r,
      rms_shape(input, normalized_shape),
      false);
  auto [x, w, none] =
      three_grads(grads, input, {weight, {}}, {mask[0], mask[1], false});
  return {x, w};
}

Tensor rms_norm_of(
    const Tensor& input,
    const IntList& normalized_shape,
    const Tensor& weight,
    std::optional<double> eps) {
  check_normalized_shape(normalized_shape, weight, {});
  FL_CHECK_VALUE(
      input.dim() >= ndim_of(normalized_shape),
      "Input tensor must have at least ",
      normalized_shape.size(),
      " dimensions, but got ",
      input.dim());
  FL_CHECK(
      ends_with(input.sizes(), normalized_shape),
      "Given normalized_shape=",
      normalized_shape,
      ", expected input with shape [*",
      listed(normalized_shape, ""),
      "], but got input of size",
      input.sizes());
  if (input.is_floating_point()) {
    return std::get<0>(_fused_rms_norm(input, normalized_shape, weight, eps));
  }
  if (!input.is_complex()) {
    not_implemented("rms_norm", input.dtype());
  }
  IntList dims;
  for (int64_t d = input.dim() - ndim_of(normalized_shape); d < input.dim();
       ++d) {
    dims.push_back(d);
  }
  double added = eps.value_or(default_eps(input.dtype()));
  Tensor out = input * rsqrt(mean(input * input, dims, true) + Scalar(added));
  return weight.defined() ? out * weight : out;
}

// ---- Groups ----

NormShape group_shape(int64_t n, int64_t c, int64_t inner, int64_t groups) {
  return {n, groups, c / groups, inner};
}

void check_group_norm(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    int64_t channels,
    int64_t groups) {
  FL_CHECK(
      groups > 0, "Expected num groups to be greater than 0, got ", groups);
  FL_CHECK(
      channels % groups == 0,
      "Expected number of channels in input to be divisible by num_groups, but "
      "got input of shape ",
      input.sizes(),
      " and num_groups=",
      groups);
  auto check = [&](const Tensor& t, const char* name) {
    FL_CHECK(
        !t.defined() || (t.dim() == 1 && t.numel() == channels),
        "Expected ",
        name,
        " to be a vector of size equal to the number of channels in input, but "
        "got ",
        name,
        " of shape ",
        t.defined() ? t.sizes() : IntList{},
        " and input of shape ",
        input.sizes());
  };
  check(weight, "weight");
  check(bias, "bias");
}

std::tuple<mx::array, mx::array, mx::array> group_norm_kernel(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    int64_t n,
    int64_t c,
    int64_t inner,
    int64_t group,
    double eps) {
  check_group_norm(input, weight, bias, c, group);
  Dtype stats = statistics_dtype(input, {weight, bias});
  mx::Dtype type = wide(input);
  Normalized r = normalize(
      wide_value(input, type),
      maybe_wide(weight, type),
      maybe_wide(bias, type),
      group_shape(n, c, inner, group),
      eps);
  mx::Shape sizes{static_cast<int>(n), static_cast<int>(group)};
  return {
      narrow(r.out, input.dtype()),
      mx::reshape(narrow(r.mean, stats), sizes),
      mx::reshape(narrow(r.rstd, stats), sizes)};
}

Three group_norm_backward_kernel(
    const Tensor& grad,
    const Tensor& input,
    const Tensor& mean,
    const Tensor& rstd,
    const Tensor& weight,
    int64_t n,
    int64_t c,
    int64_t inner,
    int64_t group,
    const BoolList& mask) {
  mx::Dtype type = wide(input);
  auto grads = normalize_grads(
      wide_value(grad, type),
      wide_value(input, type),
      maybe_wide(weight, type),
      mx::stop_gradient(mx::flatten(wide_value(mean, type))),
      mx::stop_gradient(mx::flatten(wide_value(rstd, type))),
      group_shape(n, c, inner, group),
      false);
  return three_grads(grads, input, {weight, weight}, mask);
}

// The statistics are results too.
Tensor group_statistics_grad(
    const TensorList& grads,
    const Tensor& input,
    const Tensor& mean,
    const Tensor& rstd,
    int64_t n,
    int64_t group) {
  Tensor x =
      reshape(input, {n, group, n > 0 ? input.numel() / (n * group) : 0});
  Tensor sum;
  if (grads[1].defined()) {
    sum = expand(unsqueeze(grads[1], -1), x.sizes());
  }
  if (grads[2].defined()) {
    Tensor scale = grads[2] * rstd * rstd * rstd;
    Tensor part = unsqueeze(-scale, -1) * (x - unsqueeze(mean, -1));
    sum = sum.defined() ? sum + part : part;
  }
  Tensor each = sum / Scalar(static_cast<double>(x.size(2)));
  return reshape(each, input.sizes());
}

TensorList group_norm_grads(
    const TensorList& grads,
    const Tensor& input,
    const Tensor& mean,
    const Tensor& rstd,
    const Tensor& weight,
    int64_t n,
    int64_t c,
    int64_t inner,
    int64_t group,
    const BoolList& needs) {
  Tensor x, w, b;
  if (grads[0].defined()) {
    std::tie(x, w, b) = native_group_norm_backward(
        grads[0],
        input,
        constant(mean),
        constant(rstd),
        weight,
        n,
        c,
        inner,
        group,
        needs);
  }
  if (needs[0] && (grads[1].defined() || grads[2].defined())) {
    Tensor more = group_statistics_grad(grads, input, mean, rstd, n, group);
    x = x.defined() ? x + more : more;
  }
  return {x, w, b};
}

void register_batch() {
  op("_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? "
     "running_mean, Tensor? running_var, bool training, float momentum, float "
     "eps) -> (Tensor, Tensor, Tensor)")
      .node("NativeBatchNormBackward0")
      .refuse(kBools + kIntegers + kComplexes, "batch_norm")
      .kernel(batch_norm_kernel)
      .grad(
          "input weight bias",
          "input weight running_mean running_var result1 result2 training eps "
          "needs",
          [](const Tensor& grad,
             const Tensor& input,
             const Tensor& weight,
             const Tensor& running_mean,
             const Tensor& running_var,
             const Tensor& mean,
             const Tensor& invstd,
             bool training,
             double eps,
             const BoolList& needs) {
            if (!grad.defined()) {
              return TensorList{};
            }
            auto [x, w, b] = native_batch_norm_backward(
                grad,
                input,
                weight,
                running_mean,
                running_var,
                constant(mean),
                constant(invstd),
                training,
                eps,
                needs);
            return TensorList{x, w, b};
          })
      .zero_grad("running_mean running_var")
      .doc("native_batch_norm with history on the statistics too.");
  op("native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? "
     "running_mean, Tensor? running_var, bool training, float momentum, float "
     "eps) -> (Tensor, Tensor, Tensor)")
      .forms("function out")
      .exact_out("expected scalar type %R but found %O")
      .composite(native_batch_norm_of)
      .doc(
          "Each channel normalized over the batch, with its mean and the "
          "inverse of its deviation; running statistics are updated.");
  op("native_batch_norm_backward(Tensor grad_out, Tensor input, Tensor? "
     "weight, Tensor? running_mean, Tensor? running_var, Tensor? save_mean, "
     "Tensor? save_invstd, bool train, float eps, bool[3] output_mask) -> "
     "(Tensor, Tensor, Tensor)")
      .kernel(batch_norm_backward_kernel)
      .vjp()
      .doc("The gradients of native_batch_norm.");
  op("batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? "
     "running_mean, Tensor? running_var, bool training, float momentum, float "
     "eps, bool cudnn_enabled) -> Tensor")
      .forms("function")
      .composite(batch_norm_of)
      .doc("Each channel normalized over the batch.");
  op("instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? "
     "running_mean, Tensor? running_var, bool use_input_stats, float momentum, "
     "float eps, bool cudnn_enabled) -> Tensor")
      .forms("function")
      .composite(instance_norm_of)
      .doc("Each channel of each sample normalized.");
}

void register_layer() {
  op("_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, "
     "Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)")
      .node("NativeLayerNormBackward0")
      .refuse(kBools + kIntegers + kComplexes, "LayerNormKernelImpl")
      .kernel(layer_norm_kernel)
      .grad(
          "input weight bias",
          "input normalized_shape result1 result2 weight bias needs",
          [](const Tensor& grad,
             const Tensor& input,
             const IntList& normalized_shape,
             const Tensor& mean,
             const Tensor& rstd,
             const Tensor& weight,
             const Tensor& bias,
             const BoolList& needs) {
            if (!grad.defined()) {
              return TensorList{};
            }
            auto [x, w, b] = native_layer_norm_backward(
                grad,
                input,
                normalized_shape,
                constant(mean),
                constant(rstd),
                weight,
                constant(bias),
                needs);
            return TensorList{x, w, b};
          })
      .doc("native_layer_norm with history on the statistics too.");
  op("native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? "
     "weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)")
      .forms("function")
      .composite([](const Tensor& input,
                    const IntList& normalized_shape,
                    const Tensor& weight,
                    const Tensor& bias,
                    double eps) {
        auto [out, mean, rstd] =
            _layer_norm(input, normalized_shape, weight, bias, eps);
        return Three(out, constant(mean), constant(rstd));
      })
      .doc(
          "Normalized over the last dimensions, with the mean and the inverse "
          "of the deviation.");
  op("native_layer_norm_backward(Tensor grad_out, Tensor input, SymInt[] "
     "normalized_shape, Tensor mean, Tensor rstd, Tensor? weight, Tensor? "
     "bias, bool[3] output_mask) -> (Tensor, Tensor, Tensor)")
      .kernel(layer_norm_backward_kernel)
      .vjp()
      .doc("The gradients of native_layer_norm.");
  op("layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, "
     "Tensor? bias=None, float eps=1e-05, bool cudnn_enable=True) -> Tensor")
      .forms("function")
      .composite([](const Tensor& input,
                    const IntList& normalized_shape,
                    const Tensor& weight,
                    const Tensor& bias,
                    double eps,
                    bool /*cudnn_enable*/) {
        return std::get<0>(
            _layer_norm(input, normalized_shape, weight, bias, eps));
      })
      .doc("Normalized over the last dimensions.");
  op("_fused_rms_norm(Tensor input, int[] normalized_shape, Tensor? weight, "
     "float? eps) -> (Tensor, Tensor)")
      .kernel(rms_norm_kernel)
      .grad(
          "input weight",
          "input normalized_shape result1 weight needs",
          [](const Tensor& grad,
             const Tensor& input,
             const IntList& normalized_shape,
             const Tensor& rstd,
             const Tensor& weight,
             const BoolList& needs) {
            if (!grad.defined()) {
              return TensorList{};
            }
            auto [x, w] = _fused_rms_norm_backward(
                grad, input, normalized_shape, constant(rstd), weight, needs);
            return TensorList{x, w};
          })
      .doc("rms_norm, with the inverse of the root mean square.");
  op("_fused_rms_norm_backward(Tensor grad_out, Tensor input, int[] "
     "normalized_shape, Tensor rstd, Tensor? weight, bool[2] output_mask) -> "
     "(Tensor, Tensor)")
      .kernel(rms_norm_backward_kernel)
      .vjp()
      .doc("The gradients of _fused_rms_norm.");
  op("rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, "
     "float? eps=None) -> Tensor")
      .forms("function")
      .composite(rms_norm_of)
      .doc("Divided by the root mean square over the last dimensions.");
}

void register_group() {
  op("native_group_norm(Tensor input, Tensor? weight, Tensor? bias, SymInt N, "
     "SymInt C, SymInt HxW, int group, float eps) -> (Tensor, Tensor, Tensor)")
      .forms("function")
      .refuse(kBools + kIntegers + kComplexes, "GroupNormKernelImpl")
      .kernel(group_norm_kernel)
      .grad(
          "input weight bias",
          "input result1 result2 weight N C HxW group needs",
          group_norm_grads)
      .doc(
          "Each group of channels of each sample normalized, with the mean and "
          "the inverse of the deviation.");
  op("native_group_norm_backward(Tensor grad_out, Tensor input, Tensor mean, "
     "Tensor rstd, Tensor? weight, SymInt N, SymInt C, SymInt HxW, int group, "
     "bool[3] output_mask) -> (Tensor, Tensor, Tensor)")
      .kernel(group_norm_backward_kernel)
      .vjp()
      .doc("The gradients of native_group_norm.");
  op("group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? "
     "bias=None, float eps=1e-05, bool cudnn_enabled=True) -> Tensor")
      .forms("function")
      .composite([](const Tensor& input,
                    int64_t num_groups,
                    const Tensor& weight,
                    const Tensor& bias,
                    double eps,
                    bool /*cudnn_enabled*/) {
        int64_t n = input.size(0), c = input.size(1);
        check_group_norm(input, weight, bias, c, num_groups);
        return std::get<0>(native_group_norm(
            input,
            weight,
            bias,
            n,
            c,
            product(tail_of(input.sizes(), 2)),
            num_groups,
            eps));
      })
      .doc("Each group of channels of each sample normalized.");
}

} // namespace

void register_normalization() {
  register_batch();
  register_layer();
  register_group();
}

} // namespace flashlight
