// Activations of neural networks.
#include <cmath>
#include <limits>
#include <numbers>

#include <mlx/ops.h>

#include "flashlight/kernels/accurate.h"
#include "flashlight/kernels/log_softmax.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/activations.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

constexpr double kSqrt1_2 = 1 / std::numbers::sqrt2;
constexpr double kInvSqrt2Pi =
    std::numbers::inv_sqrtpi * std::numbers::sqrt2 / 2;
constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr double kSeluScale = 1.0507009873554804934193349852946;

mx::array number(double value, const mx::array& like) {
  return mx::array(value, like.dtype());
}

mx::array number(const Scalar& value, const mx::array& like) {
  return scalar_array(value, from_mlx(like.dtype()));
}

void check_float(const mx::array& x, const char* name) {
  FL_CHECK_AS(
      NotImplementedError,
      is_floating(from_mlx(x.dtype())),
      "\"",
      name,
      "\" not implemented for '",
      scalar_name(from_mlx(x.dtype())),
      "'");
}

Tensor zero_unless(const Tensor& condition, const Tensor& x) {
  return where(condition, x, zeros_like(x));
}

mx::array relu_kernel(const mx::array& x) {
  FL_CHECK(x.dtype() != mx::bool_, "Boolean inputs not supported for relu");
  return mx::maximum(x, mx::array(0, x.dtype()));
}

bool is_tanh(const std::string& approximate) {
  FL_CHECK(
      approximate == "none" || approximate == "tanh",
      "approximate argument must be either none or tanh.");
  return approximate == "tanh";
}

// The inner function of the tanh approximation: sqrt(2/pi) (x + 0.044715 x^3).
template <typename T>
T gelu_inner(const T& x, const T& cube) {
  return (x + cube * Scalar(0.044715)) * Scalar(2 * kInvSqrt2Pi);
}

mx::array gelu_kernel(const mx::array& x, const std::string& approximate) {
  check_float(x, "GeluKernelImpl");
  mx::array half = mx::multiply(x, number(0.5, x));
  mx::array one = number(1, x);
  if (is_tanh(approximate)) {
    mx::array cube = mx::multiply(mx::square(x), x);
    mx::array inner = mx::multiply(
        mx::add(x, mx::multiply(cube, number(0.044715, x))),
        number(2 * kInvSqrt2Pi, x));
    return mx::multiply(half, mx::add(one, mx::tanh(inner)));
  }
  return mx::multiply(
      half, mx::add(one, accurate::erf(mx::multiply(x, number(kSqrt1_2, x)))));
}

Tensor
gelu_grad(const Tensor& grad, const Tensor& x, const std::string& approximate) {
  if (is_tanh(approximate)) {
    Tensor t = tanh(gelu_inner(x, x * x * x));
    Tensor slope =
        (x * x * Scalar(3 * 0.044715) + Scalar(1)) * Scalar(2 * kInvSqrt2Pi);
    Tensor left = (t + Scalar(1)) * Scalar(0.5);
    Tensor right = x * (Scalar(1) - t * t) * slope * Scalar(0.5);
    return grad * (left + right);
  }
  Tensor cdf = (erf(x * Scalar(kSqrt1_2)) + Scalar(1)) * Scalar(0.5);
  Tensor pdf = exp(x * x * Scalar(-0.5)) * Scalar(kInvSqrt2Pi);
  return grad * (cdf + x * pdf);
}

// scale * x above 0, scale * alpha * (exp(rate * x) - 1) below: elu and kin.
mx::array
elu_array(const mx::array& x, double alpha, double scale, double rate) {
  mx::array below = mx::multiply(
      mx::expm1(mx::multiply(x, number(rate, x))), number(alpha * scale, x));
  mx::array above = mx::multiply(x, number(scale, x));
  return mx::where(mx::less_equal(x, number(0, x)), below, above);
}

Tensor elu_grad(
    const Tensor& grad,
    const Tensor& x,
    double alpha,
    double scale,
    double rate) {
  Tensor below = exp(x * Scalar(rate)) * grad * Scalar(alpha * scale * rate);
  return where(le(x, Scalar(0.0)), below, grad * Scalar(scale));
}

mx::array softplus_kernel(
    const mx::array& x,
    const Scalar& beta,
    const Scalar& threshold) {
  check_float(x, "softplus_cpu");
  mx::array y = mx::multiply(x, number(beta, x));
  mx::array soft = mx::divide(mx::log1p(accurate::exp(y)), number(beta, x));
  return mx::where(mx::greater(y, number(threshold, x)), x, soft);
}

mx::array log_sigmoid_array(const mx::array& x) {
  mx::array zero = number(0, x);
  return mx::subtract(
      mx::minimum(x, zero), mx::log1p(accurate::exp(mx::negative(mx::abs(x)))));
}

mx::array shrink_outside(const mx::array& x, const Scalar& lambda) {
  mx::array l = number(lambda, x);
  mx::array inside = mx::logical_and(
      mx::greater_equal(x, mx::negative(l)), mx::less_equal(x, l));
  return mx::where(inside, number(0, x), x);
}

mx::array softshrink_kernel(const mx::array& x, const Scalar& lambda) {
  Dtype dtype = from_mlx(x.dtype());
  check_float(x, "softshrink_check");
  double most = dtype == Dtype::Float16    ? 65504
                : dtype == Dtype::BFloat16 ? 0x1.FEp127
                : dtype == Dtype::Float32  ? std::numeric_limits<float>::max()
                                           : std::numeric_limits<double>::max();
  FL_CHECK(
      lambda.to_double() >= 0 && lambda.to_double() <= most,
      "lambda must be in range [0, ",
      most,
      "] for input dtype ",
      scalar_name(dtype),
      ", but found ",
      lambda.to_double());
  mx::array l = number(lambda, x);
  mx::array y = mx::where(
      mx::greater(x, l),
      mx::subtract(x, l),
      mx::where(mx::less(x, mx::negative(l)), mx::add(x, l), number(0, x)));
  return mx::where(mx::isnan(x), x, y);
}

mx::array hardsigmoid_array(const mx::array& x) {
  return mx::divide(
      mx::clip(mx::add(x, number(3, x)), number(0, x), number(6, x)),
      number(6, x));
}

int axis_of(const mx::array& x, int64_t dim) {
  return static_cast<int>(wrap_dim(dim, static_cast<int64_t>(x.ndim())));
}

void check_halves(const Tensor& self, int64_t dim) {
  FL_CHECK(self.dim() > 0, "glu does not support 0-dimensional tensors");
  int64_t d = wrap_dim(dim, self.dim());
  FL_CHECK(
      self.size(d) % 2 == 0,
      "Halving dimension must be even, but dimension ",
      d,
      " is size ",
      self.size(d));
}

mx::array softmax_kernel(const mx::array& x, int64_t dim, bool) {
  int axis = axis_of(x, dim);
  check_float(x, "softmax_lastdim_kernel_impl");
  if (x.ndim() == 0) {
    return accurate::exp(mx::subtract(x, x)); // 1, or NaN
  }
  if (x.size() == 0) {
    return x;
  }
  return accurate::softmax(x, axis);
}

mx::array log_softmax_kernel(const mx::array& x, int64_t dim, bool) {
  int axis = axis_of(x, dim);
  check_float(x, "log_softmax_lastdim_kernel_impl");
  if (x.ndim() == 0) {
    return mx::subtract(x, x); // 0, or NaN
  }
  if (x.size() == 0) {
    return x;
  }
  if (rows::serve(x, axis)) {
    return rows::log_softmax(x);
  }
  mx::array high = mx::max(x, axis, true);
  // A row of -inf alone is NaN; a row with +inf too.
  mx::array y = mx::subtract(x, high);
  return mx::subtract(y, mx::log(mx::sum(accurate::exp(y), axis, true)));
}

mx::array log_softmax_backward(
    const mx::array& grad,
    const mx::array& output,
    int64_t dim) {
  int axis = axis_of(output, dim);
  if (output.ndim() == 0) {
    return mx::multiply(
        grad, mx::subtract(number(1, output), accurate::exp(output)));
  }
  if (grad.dtype() == output.dtype() && rows::serve(output, axis)) {
    return rows::log_softmax_backward(grad, output);
  }
  mx::array total = mx::sum(widened(grad), axis, true);
  return mx::subtract(
      grad,
      mx::multiply(accurate::exp(output), mx::astype(total, output.dtype())));
}

Tensor in_dtype(const Tensor& self, std::optional<Dtype> dtype) {
  return dtype ? to(self, *dtype) : self;
}

} // namespace

void register_activations() {
  op("relu(Tensor self) -> Tensor")
      .forms("function method inplace")
      .check([](const Tensor& self) {
        FL_CHECK_AS(
            NotImplementedError,
            !self.is_complex(),
            "clamp is not supported for complex types");
      })
      .elementwise()
      .kernel(relu_kernel)
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return threshold_backward(grad, result, Scalar(0));
          })
      .doc("max(x, 0).");
  op("threshold_backward(Tensor grad_output, Tensor self, Scalar threshold) -> "
     "Tensor")
      .forms("")
      .elementwise()
      .check([](const Tensor& grad, const Tensor& self) {
        (void)broadcast_sizes(self.sizes(), grad.sizes()); // in this order
      })
      .kernel([](const mx::array& grad,
                 const mx::array& self,
                 const Scalar& threshold) {
        return mx::where(
            mx::less_equal(self, number(threshold, self)),
            number(0, grad),
            grad);
      })
      .grad(
          "grad_output",
          "self threshold",
          [](const Tensor& grad, const Tensor& self, const Scalar& threshold) {
            return threshold_backward(grad, self, threshold);
          })
      .zero_grad("self")
      .doc("The gradient of threshold.");
  op("threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor")
      .forms("function inplace out")
      .elementwise()
      .kernel(
          [](const mx::array& x, const Scalar& threshold, const Scalar& value) {
            return mx::where(
                mx::less_equal(x, number(threshold, x)), number(value, x), x);
          })
      .grad(
          "self",
          "self threshold",
          [](const Tensor& grad, const Tensor& self, const Scalar& threshold) {
            return threshold_backward(grad, self, threshold);
          })
      .doc("x above the threshold, else the value.");
  op("relu6(Tensor self) -> Tensor")
      .forms("function inplace")
      .module("nn")
      .composite([](const Tensor& self) {
        return hardtanh(self, Scalar(0), Scalar(6));
      })
      .doc("min(max(x, 0), 6).");
  op("hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor")
      .forms("function inplace out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel([](const mx::array& x, const Scalar& low, const Scalar& high) {
        FL_CHECK(
            x.dtype() != mx::bool_, "Bool inputs not supported for hardtanh");
        mx::array y = mx::clip(x, number(low, x), number(high, x));
        return is_floating(from_mlx(x.dtype())) ? mx::where(mx::isnan(x), x, y)
                                                : y;
      })
      .grad(
          "self",
          "self min_val max_val",
          [](const Tensor& grad,
             const Tensor& self,
             const Scalar& low,
             const Scalar& high) {
            return zero_unless(
                logical_and(gt(self, low), lt(self, high)), grad);
          })
      .doc("x between two numbers.");
  op("leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor")
      .forms("function inplace out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel([](const mx::array& x, const Scalar& slope) {
        check_float(x, "leaky_relu_cpu");
        return mx::where(
            mx::greater(x, number(0, x)), x, mx::multiply(x, number(slope, x)));
      })
      .grad(
          "self",
          "self negative_slope",
          [](const Tensor& grad, const Tensor& self, const Scalar& slope) {
            return where(gt(self, Scalar(0.0)), grad, grad * slope);
          })
      .doc("x above 0, else negative_slope * x.");
  op("prelu(Tensor self, Tensor weight) -> Tensor")
      .autocast(Autocast::Lower)
      .forms("function method")
      .composite([](const Tensor& self, const Tensor& weight) {
        FL_CHECK(
            self.dtype() == weight.dtype(),
            "prelu: Type promoting not supported. Got ",
            scalar_name(self.dtype()),
            " and ",
            scalar_name(weight.dtype()));
        Tensor w = weight;
        if (weight.numel() != 1) {
          FL_CHECK(self.dim() > 0, "Not allow zero-dim input tensor.");
          int64_t channels = self.dim() > 1 ? self.size(1) : 1;
          FL_CHECK(
              channels == weight.numel(),
              "Mismatch of parameter numbers and input channel size. Found "
              "parameter numbers = ",
              weight.numel(),
              " and channel size = ",
              channels,
              ".");
        }
        FL_CHECK(
            weight.dim() <= 1,
            "prelu: Expected `weight` to be a scalar or 1D tensor, but got: "
            "ndim = ",
            weight.dim());
        if (self.dim() != weight.dim()) {
          IntList sizes(static_cast<size_t>(self.dim()), int64_t{1});
          if (self.dim() > 1) {
            sizes[1] = weight.numel();
          }
          w = reshape(weight, sizes);
        }
        return _prelu_kernel(self, w);
      })
      .doc("x above 0, else weight * x, a weight for each channel.");
  op("_prelu_kernel(Tensor self, Tensor weight) -> Tensor")
      .forms("")
      .elementwise()
      .kernel([](const mx::array& x, const mx::array& w) {
        return mx::where(mx::greater(x, number(0, x)), x, mx::multiply(x, w));
      })
      .grad(
          "self",
          "self weight",
          [](const Tensor& grad, const Tensor& self, const Tensor& weight) {
            return where(gt(self, Scalar(0.0)), grad, grad * weight);
          })
      .grad(
          "weight",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            Tensor g = grad * self;
            return where(gt(self, Scalar(0.0)), zeros_like(g), g);
          })
      .doc("x above 0, else weight * x.");

  op("gelu(Tensor self, *, str approximate='none') -> Tensor")
      .forms("function inplace out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel(gelu_kernel)
      .grad("self", "self approximate", gelu_grad)
      .doc("x times the normal distribution's cumulative function.");
  op("silu(Tensor self) -> Tensor")
      .forms("function inplace out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel([](const mx::array& x) {
        if (is_complex(from_mlx(x.dtype()))) {
          mx::array one = number(1, x);
          return mx::divide(x, mx::add(one, mx::exp(mx::negative(x))));
        }
        check_float(x, "silu_cpu");
        return mx::multiply(x, accurate::sigmoid(x));
      })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& x) {
            Tensor s = sigmoid(x);
            return grad * conj(s * (x * (Scalar(1) - s) + Scalar(1)));
          })
      .doc("x * sigmoid(x).");
  op("mish(Tensor self) -> Tensor")
      .forms("function inplace out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel([](const mx::array& x) {
        check_float(x, "mish_cpu");
        mx::array soft = accurate::logaddexp(x, number(0, x));
        return mx::multiply(x, mx::tanh(soft));
      })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& x) {
            Tensor t = tanh(softplus(x, Scalar(1), Scalar(20)));
            return grad * (t + x * sigmoid(x) * (Scalar(1) - t * t));
          })
      .doc("x * tanh(softplus(x)).");
  op("elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) "
     "-> Tensor")
      .forms("function inplace out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel([](const mx::array& x,
                 const Scalar& alpha,
                 const Scalar& scale,
                 const Scalar& rate) {
        check_float(x, "elu_cpu");
        return elu_array(
            x, alpha.to_double(), scale.to_double(), rate.to_double());
      })
      .grad(
          "self",
          "self alpha scale input_scale",
          [](const Tensor& grad,
             const Tensor& self,
             const Scalar& alpha,
             const Scalar& scale,
             const Scalar& rate) {
            return elu_grad(
                grad,
                self,
                alpha.to_double(),
                scale.to_double(),
                rate.to_double());
          })
      .doc("x above 0, alpha * (exp(x) - 1) below.");
  op("selu(Tensor self) -> Tensor")
      .forms("function inplace")
      .composite([](const Tensor& self) {
        return elu(self, Scalar(kSeluAlpha), Scalar(kSeluScale), Scalar(1));
      })
      .doc("elu, scaled so that networks normalise themselves.");
  op("celu(Tensor self, Scalar alpha=1.0) -> Tensor")
      .forms("function inplace")
      .elementwise()
      .kernel([](const mx::array& x, const Scalar& alpha) {
        double a = alpha.to_double();
        FL_CHECK(a != 0, "ZeroDivisionError: alpha cannot be 0 for CELU");
        check_float(x, "elu_cpu");
        return elu_array(x, a, 1, 1 / a);
      })
      .grad(
          "self",
          "self alpha",
          [](const Tensor& grad, const Tensor& self, const Scalar& alpha) {
            double a = alpha.to_double();
            return elu_grad(grad, self, a, 1, 1 / a);
          })
      .doc("elu with a slope that has no step.");
  op("softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor")
      .forms("function out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel(softplus_kernel)
      .grad(
          "self",
          "self beta threshold",
          [](const Tensor& grad,
             const Tensor& self,
             const Scalar& beta,
             const Scalar& threshold) {
            Tensor y = self * beta;
            return where(gt(y, threshold), grad, grad * sigmoid(y));
          })
      .doc("log(1 + exp(beta x)) / beta.");
  op("log_sigmoid(Tensor self) -> Tensor")
      .forms("function out")
      .exact_out("expected scalar type %R but found %O")
      .module("nn")
      .elementwise()
      .kernel([](const mx::array& x) {
        check_float(x, "log_sigmoid_cpu");
        return log_sigmoid_array(x);
      })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * sigmoid(-self);
          })
      .doc("log(sigmoid(x)).");
  op("hardsigmoid(Tensor self) -> Tensor")
      .forms("function inplace out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel([](const mx::array& x) {
        check_float(x, "hardsigmoid_cpu");
        return hardsigmoid_array(x);
      })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            Tensor inside =
                logical_and(gt(self, Scalar(-3.0)), lt(self, Scalar(3.0)));
            return zero_unless(inside, grad / Scalar(6));
          })
      .doc("min(max(x + 3, 0), 6) / 6.");
  op("hardswish(Tensor self) -> Tensor")
      .forms("function inplace out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel([](const mx::array& x) {
        check_float(x, "hardswish_cpu");
        return mx::multiply(x, hardsigmoid_array(x));
      })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            Tensor middle = grad * (self / Scalar(3) + Scalar(0.5));
            Tensor above = where(ge(self, Scalar(3.0)), grad, middle);
            return where(le(self, Scalar(-3.0)), zeros_like(grad), above);
          })
      .doc("x * hardsigmoid(x).");
  op("hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor")
      .forms("function method out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .kernel(shrink_outside)
      .grad(
          "self",
          "self lambd",
          [](const Tensor& grad, const Tensor& self, const Scalar& lambd) {
            Tensor inside = logical_and(
                ge(self, Scalar(-lambd.to_double())), le(self, lambd));
            return where(inside, zeros_like(grad), grad);
          })
      .doc("x outside [-lambd, lambd], else 0.");
  op("softshrink(Tensor self, Scalar lambd=0.5) -> Tensor")
      .forms("function out")
      .exact_out("Found dtype %O but expected %R")
      .module("nn")
      .elementwise()
      .kernel(softshrink_kernel)
      .grad(
          "self",
          "self lambd",
          [](const Tensor& grad, const Tensor& self, const Scalar& lambd) {
            Tensor inside = logical_and(
                ge(self, Scalar(-lambd.to_double())), le(self, lambd));
            return where(inside, zeros_like(grad), grad);
          })
      .doc("x moved towards 0 by lambd.");
  op("glu(Tensor self, int dim=-1) -> Tensor")
      .forms("function out")
      .apart_from_out()
      .module("nn")
      .check(check_halves)
      .kernel([](const mx::array& x, int64_t dim) {
        check_float(x, "glu_cpu");
        auto halves = mx::split(x, 2, axis_of(x, dim));
        return mx::multiply(halves[0], accurate::sigmoid(halves[1]));
      })
      .grad(
          "self",
          "self dim",
          [](const Tensor& grad, const Tensor& self, int64_t dim) {
            int64_t n = self.size(dim);
            Tensor a = slice(self, dim, 0, n / 2, 1);
            Tensor s = sigmoid(slice(self, dim, n / 2, n, 1));
            Tensor g = grad * s;
            return cat({g, g * a * (Scalar(1) - s)}, dim);
          })
      .doc("The first half times the sigmoid of the second.");

  op("_addmm_activation(Tensor self, Tensor mat1, Tensor mat2, *, Scalar "
     "beta=1, Scalar alpha=1, bool use_gelu=False) -> Tensor")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& self,
                    const Tensor& mat1,
                    const Tensor& mat2,
                    const Scalar& beta,
                    const Scalar& alpha,
                    bool use_gelu) {
        Tensor y = addmm(self, mat1, mat2, beta, alpha);
        return use_gelu ? gelu(y) : relu(y);
      })
      .doc("relu or gelu of addmm.");

  op("_softmax(Tensor self, int dim, bool half_to_float) -> Tensor")
      .forms("function")
      .kernel(softmax_kernel)
      .grad(
          "self",
          "result dim",
          [](const Tensor& grad, const Tensor& result, int64_t dim) {
            Tensor g = grad * result;
            return g - result * sum(g, IntList{dim}, true);
          })
      .doc("softmax in the dtype given.");
  op("softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor")
      .forms("function method out")
      .exact_out()
      .autocast(Autocast::None, Autocast::Float32)
      .composite(
          [](const Tensor& self, int64_t dim, std::optional<Dtype> dtype) {
            return _softmax(in_dtype(self, dtype), dim, false);
          })
      .doc("exp(x) over its sum along a dimension.");
  op("_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor")
      .forms("function")
      .kernel(log_softmax_kernel)
      .grad(
          "self",
          "self result dim",
          [](const Tensor& grad,
             const Tensor& self,
             const Tensor& result,
             int64_t dim) {
            return _log_softmax_backward_data(grad, result, dim, self.dtype());
          })
      .doc("log_softmax in the dtype given.");
  op("_log_softmax_backward_data(Tensor grad_output, Tensor output, int dim, "
     "ScalarType input_dtype) -> Tensor")
      .forms("function")
      .kernel([](const mx::array& grad,
                 const mx::array& output,
                 int64_t dim,
                 Dtype dtype) {
        return mx::astype(
            log_softmax_backward(grad, output, dim), to_mlx(dtype));
      })
      .grad(
          "grad_output",
          "output dim",
          [](const Tensor& grad, const Tensor& output, int64_t dim) {
            return grad - sum(grad * exp(output), IntList{dim}, true);
          })
      .grad(
          "output",
          "grad_output output dim",
          [](const Tensor& grad,
             const Tensor& grad_output,
             const Tensor& output,
             int64_t dim) {
            return -(sum(grad_output, IntList{dim}, true) * exp(output) * grad);
          })
      .doc("The gradient of log_softmax.");
  op("log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor")
      .forms("function method out")
      .exact_out()
      .autocast(Autocast::None, Autocast::Float32)
      .composite(
          [](const Tensor& self, int64_t dim, std::optional<Dtype> dtype) {
            return _log_softmax(in_dtype(self, dtype), dim, false);
          })
      .doc("The logarithm of softmax.");
}

} // namespace flashlight
