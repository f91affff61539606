// Convolutions.
//
// Note [Three bilinear ops]
// A convolution F(x, w) has two adjoints: D(g, w) in x, which is also the
// forward of a transposed convolution, and W(g, x) in w. The derivatives of
// each of the three are the other two, so that formulas of any order stay
// convolutions.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/kernels/windows.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/conv.h"
#include "flashlight/ops/functions/padding.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

IntList spatial(const IntList& sizes) {
  return IntList(sizes.begin() + 2, sizes.end());
}

mx::Shape shape_of(const IntList& sizes) {
  mx::Shape shape;
  for (int64_t n : sizes) {
    shape.push_back(static_cast<int>(n));
  }
  return shape;
}

// `one` for every dimension.
IntList spread(const IntList& given, int64_t dims, const char* name) {
  FL_CHECK(
      given.size() == 1 || ndim_of(given) == dims,
      "expected ",
      name,
      " to be a single integer value or a list of ",
      dims,
      " values to match the convolution dimensions, but got ",
      name,
      "=",
      given);
  return given.size() == 1 ? IntList(static_cast<size_t>(dims), given[0])
                           : given;
}

struct Options {
  IntList stride, padding, dilation;
  int64_t groups;

  Options(
      const IntList& s,
      const IntList& p,
      const IntList& d,
      int64_t groups,
      int64_t dims)
      : stride(spread(s, dims, "stride")),
        padding(spread(p, dims, "padding")),
        dilation(spread(d, dims, "dilation")),
        groups(groups) {}

  // in and out are the sides of the convolution that is not transposed.
  ConvShape shape(const IntList& in, const IntList& out, const IntList& weight)
      const {
    return {
        Windows(
            spatial(in),
            spatial(out),
            spatial(weight),
            stride,
            padding,
            dilation),
        in[0],
        in[1],
        out[1],
        groups};
  }
};

template <typename Test>
bool any(const IntList& list, Test test) {
  return std::any_of(list.begin(), list.end(), test);
}

std::string times_list(const IntList& list) {
  std::string text;
  for (int64_t n : list) {
    text += (text.empty() ? "" : " x ") + std::to_string(n);
  }
  return text;
}

void check_same_types(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias) {
  FL_CHECK(
      input.dtype() == weight.dtype(),
      "Input type (",
      type_name(input),
      ") and weight type (",
      type_name(weight),
      ") should be the same");
  FL_CHECK(
      !bias.defined() || input.dtype() == bias.dtype(),
      "Input type (",
      type_name(input),
      ") and bias type (",
      type_name(bias),
      ") should be the same");
}

void check_shapes(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const Options& o,
    bool transposed) {
  const IntList &x = input.sizes(), &w = weight.sizes();
  FL_CHECK(
      x.size() == w.size(),
      "Expected ",
      w.size(),
      "-dimensional input for ",
      w.size(),
      "-dimensional weight ",
      w,
      ", but got ",
      x.size(),
      "-dimensional input of size ",
      x,
      " instead");
  auto given = [&] {
    return detail::concat(
        transposed ? detail::concat("Given transposed=1, ")
                   : detail::concat("Given groups=", o.groups, ", "));
  };
  FL_CHECK(
      w[0] >= o.groups,
      "Given groups=",
      o.groups,
      ", expected weight to be at least ",
      o.groups,
      " at dimension 0, but got weight of size ",
      w,
      " instead");
  FL_CHECK(
      w[0] % o.groups == 0,
      "Given groups=",
      o.groups,
      ", expected weight to be divisible by ",
      o.groups,
      " at dimension 0, but got weight of size ",
      w,
      " instead");
  int64_t channels = transposed ? w[0] : w[1] * o.groups;
  FL_CHECK(
      x[1] == channels,
      given(),
      "weight of size ",
      w,
      ", expected input",
      x,
      " to have ",
      channels,
      " channels, but got ",
      x[1],
      " channels instead");
  int64_t filters = transposed ? w[1] * o.groups : w[0];
  FL_CHECK(
      !bias.defined() || (bias.dim() == 1 && bias.sizes()[0] == filters),
      transposed ? "Given transposed=1, weight of size "
                 : "Given weight of size ",
      w,
      ", expected bias to be 1-dimensional with ",
      filters,
      " elements, but got bias of size ",
      bias.defined() ? bias.sizes() : IntList{},
      " instead");
}

IntList forward_sizes(const IntList& x, const IntList& w, const Options& o) {
  IntList out{x[0], w[0]}, padded, kernel;
  bool fits = true;
  for (size_t d = 2; d < x.size(); ++d) {
    padded.push_back(x[d] + 2 * o.padding[d - 2]);
    kernel.push_back(o.dilation[d - 2] * (w[d] - 1) + 1);
    fits = fits && padded.back() >= kernel.back();
    out.push_back((padded.back() - kernel.back()) / o.stride[d - 2] + 1);
  }
  FL_CHECK(
      fits,
      "Calculated padded input size per channel: (",
      times_list(padded),
      "). Kernel size: (",
      times_list(kernel),
      "). Kernel size can't be greater than actual input size");
  return out;
}

IntList transposed_sizes(
    const IntList& x,
    const IntList& w,
    const Options& o,
    const IntList& output_padding) {
  IntList out{x[0], w[1] * o.groups};
  for (size_t d = 2; d < x.size(); ++d) {
    size_t i = d - 2;
    FL_CHECK(
        output_padding[i] < o.stride[i] || output_padding[i] < o.dilation[i],
        "output padding must be smaller than either stride or dilation, but "
        "got output_padding: ",
        output_padding,
        " stride: ",
        o.stride,
        " dilation: ",
        o.dilation);
    out.push_back(
        (x[d] - 1) * o.stride[i] - 2 * o.padding[i] +
        o.dilation[i] * (w[d] - 1) + output_padding[i] + 1);
  }
  bool positive = !any(spatial(out), [](int64_t n) { return n < 1; });
  FL_CHECK(
      positive,
      "Given input size per channel: (",
      times_list(spatial(x)),
      "). Calculated output size per channel: (",
      times_list(spatial(out)),
      "). Output size is too small");
  return out;
}

mx::array convolution_kernel(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const IntList& stride,
    const IntList& padding,
    const IntList& dilation,
    bool transposed,
    const IntList& output_padding,
    int64_t groups) {
  int64_t dims = weight.dim() - 2;
  FL_CHECK(
      dims >= 1 && dims <= 3,
      "weight should have at least three dimensions and at most five");
  Options o(stride, padding, dilation, groups, dims);
  IntList extra = spread(output_padding, dims, "output_padding");
  auto negative = [](int64_t n) { return n < 0; };
  auto not_positive = [](int64_t n) { return n <= 0; };
  FL_CHECK(!any(o.padding, negative), "negative padding is not supported");
  FL_CHECK(!any(extra, negative), "negative output_padding is not supported");
  FL_CHECK(
      !any(o.stride, not_positive), "non-positive stride is not supported");
  FL_CHECK(!any(o.dilation, negative), "dilation should be greater than zero");
  FL_CHECK(
      !any(o.dilation, not_positive),
      "dilation should be greater than zero, but got ",
      o.dilation);
  FL_CHECK(groups > 0, "non-positive groups is not supported");
  check_shapes(input, weight, bias, o, transposed);
  check_same_types(input, weight, bias);
  FL_CHECK_AS(
      NotImplementedError,
      input.dtype() != Dtype::Bool,
      "\"slow_conv2d_cpu\" not implemented for 'Bool'");
  const IntList &x = input.sizes(), &w = weight.sizes();
  std::optional<mx::array> b;
  if (bias.defined()) {
    b = bias.value();
  }
  if (transposed) {
    IntList out = transposed_sizes(x, w, o, extra);
    return conv_input(
        input.value(), weight.value(), b, o.shape(out, x, w), shape_of(out));
  }
  IntList out = forward_sizes(x, w, o);
  return conv_forward(
      input.value(), weight.value(), b, o.shape(x, out, w), shape_of(out));
}

// Of these sizes: where a transposed convolution padded its output by a stride
// or more, there are windows past the last one.
Tensor forward_of(
    const Tensor& input,
    const Tensor& weight,
    const IntList& sizes,
    const IntList& stride,
    const IntList& padding,
    const IntList& dilation,
    int64_t groups) {
  Tensor out = convolution(
      input, weight, {}, stride, padding, dilation, false, {0}, groups);
  for (int64_t d = 2; d < out.dim(); ++d) {
    if (out.size(d) > sizes[static_cast<size_t>(d)]) {
      out = slice(out, d, 0, sizes[static_cast<size_t>(d)]);
    }
  }
  return out;
}

// Sums over everything but channels.
Tensor bias_grad(const Tensor& grad) {
  IntList dims{0};
  for (int64_t d = 2; d < grad.dim(); ++d) {
    dims.push_back(d);
  }
  return sum(grad, dims);
}

template <typename F>
Tensor batched(const Tensor& input, int64_t dims, const char* name, F f) {
  bool one = input.dim() == dims + 1;
  FL_CHECK(
      one || input.dim() == dims + 2,
      "Expected ",
      dims + 1,
      "D (unbatched) or ",
      dims + 2,
      "D (batched) input to ",
      name,
      dims,
      "d, but got input of size: ",
      input.sizes());
  return one ? squeeze(f(unsqueeze(input, 0)), 0) : f(input);
}

// 'same' pads by what keeps the sizes, at the end if it is uneven.
Tensor padded_convolution(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const IntList& stride,
    const std::string& mode,
    const IntList& dilation,
    int64_t groups) {
  int64_t dims = weight.dim() - 2;
  FL_CHECK(
      mode == "same" || mode == "valid",
      "Invalid padding string: '",
      mode,
      "'");
  IntList none(static_cast<size_t>(dims), 0), sides = none;
  Tensor x = input;
  if (mode == "same") {
    FL_CHECK(
        input.dim() == weight.dim(),
        "Expected ",
        weight.dim(),
        "-dimensional input for ",
        weight.dim(),
        "-dimensional weight ",
        weight.sizes(),
        ", but got ",
        input.dim(),
        "-dimensional input of size ",
        input.sizes(),
        " instead");
    FL_CHECK(
        !any(stride, [](int64_t n) { return n != 1; }),
        "padding='same' is not supported for strided convolutions");
    IntList each = spread(dilation, dims, "dilation");
    IntList pad(static_cast<size_t>(2 * dims), 0);
    bool uneven = false;
    for (size_t i = 0; i < sides.size(); ++i) {
      int64_t total = each[i] * (weight.sizes()[i + 2] - 1);
      sides[i] = total / 2;
      pad[2 * (sides.size() - 1 - i) + 1] = total % 2;
      uneven = uneven || total % 2;
    }
    if (uneven) {
      x = constant_pad_nd(input, pad, Scalar(0));
    }
  }
  return convolution(
      x, weight, bias, stride, sides, dilation, false, none, groups);
}

template <int64_t dims>
Tensor conv_of(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const IntList& stride,
    const IntList& padding,
    const IntList& dilation,
    int64_t groups) {
  return batched(input, dims, "conv", [&](const Tensor& x) {
    return convolution(
        x, weight, bias, stride, padding, dilation, false, {0}, groups);
  });
}

template <int64_t dims>
Tensor conv_mode(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const IntList& stride,
    const std::string& padding,
    const IntList& dilation,
    int64_t groups) {
  return batched(input, dims, "conv", [&](const Tensor& x) {
    return padded_convolution(
        x, weight, bias, stride, padding, dilation, groups);
  });
}

template <int64_t dims>
Tensor conv_transpose_of(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    const IntList& stride,
    const IntList& padding,
    const IntList& output_padding,
    int64_t groups,
    const IntList& dilation) {
  return batched(input, dims, "conv_transpose", [&](const Tensor& x) {
    return convolution(
        x,
        weight,
        bias,
        stride,
        padding,
        dilation,
        true,
        output_padding,
        groups);
  });
}

} // namespace

// See Note [Three bilinear ops].
void register_conv() {
  op("convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, "
     "SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] "
     "output_padding, SymInt groups) -> Tensor")
      .forms("function")
      .autocast(Autocast::Lower)
      .kernel(convolution_kernel)
      .grad(
          "input",
          "input.shape weight stride padding dilation transposed groups",
          [](const Tensor& grad,
             const Tensor& input,
             const Tensor& weight,
             const IntList& stride,
             const IntList& padding,
             const IntList& dilation,
             bool transposed,
             int64_t groups) {
            Tensor w = conj(weight);
            return transposed ? forward_of(
                                    grad,
                                    w,
                                    input.sizes(),
                                    stride,
                                    padding,
                                    dilation,
                                    groups)
                              : _convolution_input(
                                    grad,
                                    w,
                                    input.sizes(),
                                    stride,
                                    padding,
                                    dilation,
                                    groups);
          })
      .grad(
          "weight",
          "input weight.shape stride padding dilation transposed groups",
          [](const Tensor& grad,
             const Tensor& input,
             const Tensor& weight,
             const IntList& stride,
             const IntList& padding,
             const IntList& dilation,
             bool transposed,
             int64_t groups) {
            Tensor x = conj(input);
            const Tensor& out = transposed ? x : grad;
            const Tensor& in = transposed ? grad : x;
            return _convolution_weight(
                out, in, weight.sizes(), stride, padding, dilation, groups);
          })
      .grad("bias", "", bias_grad)
      .doc("A convolution, transposed or not.");
  op("_convolution_input(Tensor grad_output, Tensor weight, SymInt[] "
     "input_size, SymInt[] stride, SymInt[] padding, SymInt[] dilation, SymInt "
     "groups) -> Tensor")
      .kernel([](const Tensor& grad,
                 const Tensor& weight,
                 const IntList& sizes,
                 const IntList& stride,
                 const IntList& padding,
                 const IntList& dilation,
                 int64_t groups) {
        Options o(stride, padding, dilation, groups, weight.dim() - 2);
        return conv_input(
            grad.value(),
            weight.value(),
            std::nullopt,
            o.shape(sizes, grad.sizes(), weight.sizes()),
            shape_of(sizes));
      })
      .grad(
          "grad_output",
          "grad_output.shape weight stride padding dilation groups",
          [](const Tensor& grad,
             const Tensor& grad_output,
             const Tensor& weight,
             const IntList& stride,
             const IntList& padding,
             const IntList& dilation,
             int64_t groups) {
            return forward_of(
                grad,
                conj(weight),
                grad_output.sizes(),
                stride,
                padding,
                dilation,
                groups);
          })
      .grad(
          "weight",
          "grad_output weight.shape stride padding dilation groups",
          [](const Tensor& grad,
             const Tensor& grad_output,
             const Tensor& weight,
             const IntList& stride,
             const IntList& padding,
             const IntList& dilation,
             int64_t groups) {
            return _convolution_weight(
                conj(grad_output),
                grad,
                weight.sizes(),
                stride,
                padding,
                dilation,
                groups);
          })
      .doc("The gradient of a convolution's input.");
  op("_convolution_weight(Tensor grad_output, Tensor input, SymInt[] "
     "weight_size, SymInt[] stride, SymInt[] padding, SymInt[] dilation, "
     "SymInt groups) -> Tensor")
      .kernel([](const Tensor& grad,
                 const Tensor& input,
                 const IntList& sizes,
                 const IntList& stride,
                 const IntList& padding,
                 const IntList& dilation,
                 int64_t groups) {
        Options o(stride, padding, dilation, groups, ndim_of(sizes) - 2);
        return conv_weight(
            grad.value(),
            input.value(),
            o.shape(input.sizes(), grad.sizes(), sizes),
            shape_of(sizes));
      })
      .grad(
          "grad_output",
          "grad_output.shape input stride padding dilation groups",
          [](const Tensor& grad,
             const Tensor& grad_output,
             const Tensor& input,
             const IntList& stride,
             const IntList& padding,
             const IntList& dilation,
             int64_t groups) {
            return forward_of(
                conj(input),
                grad,
                grad_output.sizes(),
                stride,
                padding,
                dilation,
                groups);
          })
      .grad(
          "input",
          "grad_output input.shape stride padding dilation groups",
          [](const Tensor& grad,
             const Tensor& grad_output,
             const Tensor& input,
             const IntList& stride,
             const IntList& padding,
             const IntList& dilation,
             int64_t groups) {
            return _convolution_input(
                conj(grad_output),
                grad,
                input.sizes(),
                stride,
                padding,
                dilation,
                groups);
          })
      .doc("The gradient of a convolution's weight.");
  op("conv1d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] "
     "stride=1, SymInt[1] padding=0, SymInt[1] dilation=1, SymInt groups=1) -> "
     "Tensor")
      .forms("function")
      .composite(conv_of<1>)
      .doc("A convolution over 1 dimension.");
  op("conv1d.padding(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] "
     "stride=1, str padding=\"valid\", SymInt[1] dilation=1, SymInt groups=1) "
     "-> Tensor")
      .forms("function")
      .composite(conv_mode<1>)
      .doc("A convolution with padding 'same' or 'valid'.");
  op("conv_transpose1d(Tensor input, Tensor weight, Tensor? bias=None, "
     "SymInt[1] stride=1, SymInt[1] padding=0, SymInt[1] output_padding=0, "
     "SymInt groups=1, SymInt[1] dilation=1) -> Tensor")
      .forms("function")
      .composite(conv_transpose_of<1>)
      .doc("A transposed convolution over 1 dimension.");
  op("conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] "
     "stride=1, SymInt[2] padding=0, SymInt[2] dilation=1, SymInt groups=1) -> "
     "Tensor")
      .forms("function")
      .composite(conv_of<2>)
      .doc("A convolution over 2 dimensions.");
  op("conv2d.padding(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] "
     "stride=1, str padding=\"valid\", SymInt[2] dilation=1, SymInt groups=1) "
     "-> Tensor")
      .forms("function")
      .composite(conv_mode<2>)
      .doc("A convolution with padding 'same' or 'valid'.");
  op("conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias=None, "
     "SymInt[2] stride=1, SymInt[2] padding=0, SymInt[2] output_padding=0, "
     "SymInt groups=1, SymInt[2] dilation=1) -> Tensor")
      .forms("function")
      .composite(conv_transpose_of<2>)
      .doc("A transposed convolution over 2 dimensions.");
  op("conv3d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[3] "
     "stride=1, SymInt[3] padding=0, SymInt[3] dilation=1, SymInt groups=1) -> "
     "Tensor")
      .forms("function")
      .composite(conv_of<3>)
      .doc("A convolution over 3 dimensions.");
  op("conv3d.padding(Tensor input, Tensor weight, Tensor? bias=None, SymInt[3] "
     "stride=1, str padding=\"valid\", SymInt[3] dilation=1, SymInt groups=1) "
     "-> Tensor")
      .forms("function")
      .composite(conv_mode<3>)
      .doc("A convolution with padding 'same' or 'valid'.");
  op("conv_transpose3d.input(Tensor input, Tensor weight, Tensor? bias=None, "
     "SymInt[3] stride=1, SymInt[3] padding=0, SymInt[3] output_padding=0, "
     "SymInt groups=1, SymInt[3] dilation=1) -> Tensor")
      .forms("function")
      .composite(conv_transpose_of<3>)
      .doc("A transposed convolution over 3 dimensions.");
}

} // namespace flashlight
