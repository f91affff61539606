// Pooling over even windows.
//
// Note [Pooling by indices]
// The maximum of a window is an element of it: max pooling is a pick of
// elements, its derivative puts gradients where they were, and the derivative
// of that is a pick again (_pool_pick and _pool_put, of adaptive and fractional
// pooling and unpooling too).
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/kernels/pooling.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/pooling.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/pool.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

const char* count_word(int dims) {
  return dims == 1 ? "one int" : dims == 2 ? "two ints" : "three ints";
}

// `one` for every dimension; `says` is the rest of the error text.
IntList spread_ints(
    const IntList& given,
    int dims,
    const char* name,
    const std::string& says) {
  FL_CHECK(
      given.size() == 1 || ndim_of(given) == dims,
      name,
      says,
      " a single int, or a tuple of ",
      count_word(dims));
  return given.size() == 1 ? IntList(static_cast<size_t>(dims), given[0])
                           : given;
}

int64_t floor_div(int64_t a, int64_t b) {
  int64_t q = a / b;
  return q * b > a ? q - 1 : q;
}

int64_t pooled_size(
    int64_t in,
    int64_t kernel,
    int64_t stride,
    int64_t padding,
    int64_t dilation,
    bool ceil_mode) {
  FL_CHECK(stride != 0, "stride should not be zero");
  FL_CHECK(padding >= 0, "pad must be non-negative, but got pad: ", padding);
  FL_CHECK(
      padding <= ((kernel - 1) * dilation + 1) / 2,
      "pad should be at most half of effective kernel size, but got pad=",
      padding,
      ", kernel_size=",
      kernel,
      " and dilation=",
      dilation);
  int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
  int64_t out = floor_div(room + (ceil_mode ? stride - 1 : 0), stride) + 1;
  // The last window begins in the input or before it.
  return ceil_mode && (out - 1) * stride >= in + padding ? out - 1 : out;
}

// "dH: 1 dW: 2"
std::string named(const char* prefix, const IntList& list) {
  static const char* const letters[] = {"T", "H", "W"};
  std::string text;
  for (size_t i = 0; i < list.size(); ++i) {
    text += (i ? " " : "") + std::string(prefix) +
            letters[i + 3 - list.size()] + ": " + std::to_string(list[i]);
  }
  return text;
}

std::string times(const IntList& list) {
  std::string text;
  for (int64_t n : list) {
    text += (text.empty() ? "" : "x") + std::to_string(n);
  }
  return text;
}

struct Window {
  int dims;
  IntList kernel, stride, padding, dilation;
  bool ceil_mode;
};

void check_positive(const Window& w) {
  auto all = [](const IntList& list) {
    return std::all_of(
        list.begin(), list.end(), [](int64_t n) { return n > 0; });
  };
  FL_CHECK(
      all(w.kernel),
      "kernel size should be greater than zero, but got ",
      named("k", w.kernel));
  FL_CHECK(
      all(w.stride),
      "stride should be greater than zero, but got ",
      named("d", w.stride));
  FL_CHECK(
      all(w.dilation),
      "dilation should be greater than zero, but got ",
      named("dilation", w.dilation));
}

void check_not_empty(
    const IntList& x,
    int dims,
    const char* function,
    const char* expected) {
  auto from = x.begin() + (ndim_of(x) - dims - 1);
  bool filled = std::all_of(from, x.end(), [](int64_t n) { return n != 0; });
  if (dims == 3) {
    FL_CHECK(
        filled,
        function,
        "(): Expected input's non-batch dimensions to have positive length, "
        "but input has a shape of ",
        x,
        " and non-batch dimension 0 has length zero!");
  }
  FL_CHECK(
      filled,
      expected,
      " (batch mode) tensor with optional 0 dim batch size for input, but got:",
      x);
}

// The sizes of the result; checks in PyTorch's order.
IntList pooled_sizes(const IntList& x, const Window& w, const char* function) {
  IntList out(x.begin(), x.end() - w.dims), planes = out;
  IntList in(x.end() - w.dims, x.end());
  IntList pooled;
  for (size_t d = 0; d < in.size(); ++d) {
    pooled.push_back(pooled_size(
        in[d],
        w.kernel[d],
        w.stride[d],
        w.padding[d],
        w.dilation[d],
        w.ceil_mode));
  }
  check_positive(w);
  check_not_empty(x, w.dims, function, "Expected 3D or 4D");
  if (w.dims == 3 && std::string(function) == "avg_pool3d") {
    FL_CHECK(
        in[0] >= w.kernel[0] && in[1] >= w.kernel[1] && in[2] >= w.kernel[2],
        "input image (",
        named("", in),
        ") smaller than kernel size (",
        named("k", w.kernel),
        ")");
  }
  IntList channel{x[x.size() - in.size() - 1]};
  auto with = [&](const IntList& sizes) {
    IntList all = channel;
    all.insert(all.end(), sizes.begin(), sizes.end());
    return times(all);
  };
  FL_CHECK(
      std::all_of(
          pooled.begin(), pooled.end(), [](int64_t n) { return n >= 1; }),
      "Given input size: (",
      with(in),
      "). Calculated output size: (",
      with(pooled),
      "). Output size is too small");
  out.insert(out.end(), pooled.begin(), pooled.end());
  return out;
}

Pool even_pool(
    const IntList& x,
    const IntList& out,
    const Window& w,
    bool count_padding) {
  Pool pool;
  size_t lead = x.size() - w.kernel.size();
  for (size_t d = 0; d < w.kernel.size(); ++d) {
    pool.axes[d + 3 - w.kernel.size()] = PoolAxis::evenly(
        x[lead + d],
        out[lead + d],
        w.kernel[d],
        w.stride[d],
        w.padding[d],
        w.dilation[d],
        count_padding);
  }
  return pool;
}

// ---- Maxima ----

template <int dims>
Window max_window(
    const IntList& kernel,
    const IntList& stride,
    const IntList& padding,
    const IntList& dilation,
    bool ceil_mode) {
  const char* name = dims == 2 ? "max_pool2d" : "max_pool3d";
  Window w{dims, {}, {}, {}, {}, ceil_mode};
  w.kernel = spread_ints(kernel, dims, name, ": kernel_size must either be");
  w.stride =
      stride.empty()
          ? w.kernel
          : spread_ints(stride, dims, name, ": stride must either be omitted,");
  w.padding = spread_ints(padding, dims, name, ": padding must either be");
  w.dilation = spread_ints(dilation, dims, name, ": dilation must be either");
  return w;
}

template <int dims>
std::tuple<mx::array, mx::array> max_pool_kernel(
    const Tensor& self,
    const IntList& kernel,
    const IntList& stride,
    const IntList& padding,
    const IntList& dilation,
    bool ceil_mode) {
  Window w = max_window<dims>(kernel, stride, padding, dilation, ceil_mode);
  FL_CHECK(
      self.dim() == dims + 1 || self.dim() == dims + 2,
      "non-empty ",
      dims + 1,
      "D or ",
      dims + 2,
      "D (batch mode) tensor expected for input");
  IntList out =
      pooled_sizes(self.sizes(), w, "max_pool3d_with_indices_out_cpu_template");
  Pool pool = even_pool(self.sizes(), out, w, false);
  auto [values, indices] = max_pool(self.value(), pool, to_shape(out));
  return {values, indices};
}

void check_max_pool1d(
    const Tensor& self,
    const IntList& kernel,
    const IntList& stride,
    const IntList& padding,
    const IntList& dilation,
    bool ceil_mode) {
  const IntList& x = self.sizes();
  FL_CHECK(
      (x.size() == 2 && x[0] != 0 && x[1] != 0) ||
          (x.size() == 3 && x[1] != 0 && x[2] != 0),
      "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim "
      "batch size for input, but got:",
      x);
  FL_CHECK(
      kernel.size() == 1,
      "max_pool1d() kernel_size must be an int, list of ints or tuple of ints "
      "of size 1 but got size ",
      kernel.size());
  FL_CHECK(
      stride.size() <= 1,
      "max_pool1d() stride must be None, an int, list of ints, or tuple of "
      "ints of size 1 but got size ",
      stride.size());
  FL_CHECK(
      padding.size() == 1,
      "max_pool1d() padding must be an int, list of ints, or tuple of ints of "
      "size 1 but got size ",
      padding.size());
  FL_CHECK(
      dilation.size() == 1,
      "max_pool1d() dilation must be an int, list of ints or tuple of ints of "
      "size 1 but got size ",
      dilation.size());
  int64_t step = stride.empty() ? kernel[0] : stride[0];
  FL_CHECK(
      kernel[0] > 0,
      "max_pool1d() kernel_size must be greater than zero, but got ",
      kernel[0]);
  FL_CHECK(
      step > 0,
      "max_pool1d() stride must be greater than zero, but got ",
      step);
  FL_CHECK(
      padding[0] >= 0,
      "max_pool1d() padding must be non-negative, but got ",
      padding[0]);
  FL_CHECK(
      padding[0] <= kernel[0] / 2,
      "max_pool1d() padding should be at most half of kernel size, but got "
      "padding=",
      padding[0],
      " and kernel_size=",
      kernel[0]);
  FL_CHECK(
      dilation[0] > 0,
      "max_pool1d() dilation must be greater than zero, but got ",
      dilation[0]);
  int64_t out = pooled_size(
      x.back(), kernel[0], step, padding[0], dilation[0], ceil_mode);
  FL_CHECK(out > 0, "max_pool1d() Invalid computed output size: ", out);
  if (!self.is_floating_point()) {
    not_implemented("max_pool1d_impl", self.dtype());
  }
}

std::tuple<Tensor, Tensor> max_pool1d_of(
    const Tensor& self,
    const IntList& kernel,
    const IntList& stride,
    const IntList& padding,
    const IntList& dilation,
    bool ceil_mode) {
  check_1d(self, "max_pool1d", 4);
  check_one(kernel, "max_pool1d", "kernel_size");
  if (!stride.empty()) {
    check_one(stride, "max_pool1d", "stride");
  }
  check_one(padding, "max_pool1d", "padding");
  check_one(dilation, "max_pool1d", "dilation");
  auto flat = [](const IntList& list, int64_t other) {
    return list.empty() ? list : IntList{other, list[0]};
  };
  auto [values, indices] = max_pool2d_with_indices(
      unsqueeze(self, -2),
      flat(kernel, 1),
      flat(stride, 1),
      flat(padding, 0),
      flat(dilation, 1),
      ceil_mode);
  return {squeeze(values, -2), squeeze(indices, -2)};
}

// ---- Averages ----

template <int dims>
Window average_window(
    const IntList& kernel,
    const IntList& stride,
    const IntList& padding,
    bool ceil_mode,
    const std::optional<int64_t>& divisor) {
  const char* name = dims == 2 ? "avg_pool2d" : "avg_pool3d";
  std::string either = dims == 2 ? " either" : "";
  Window w{dims, {}, {}, {}, IntList(dims, 1), ceil_mode};
  w.kernel =
      spread_ints(kernel, dims, name, ": kernel_size must" + either + " be");
  w.stride =
      stride.empty()
          ? w.kernel
          : spread_ints(
                stride, dims, name, ": stride must" + either + " be omitted,");
  w.padding =
      spread_ints(padding, dims, name, ": padding must" + either + " be");
  FL_CHECK(!divisor || *divisor != 0, "divisor must be not zero");
  return w;
}

template <int dims>
mx::array average_kernel(
    const Tensor& self,
    const IntList& kernel,
    const IntList& stride,
    const IntList& padding,
    bool ceil_mode,
    bool count_include_pad,
    std::optional<int64_t> divisor) {
  Window w = average_window<dims>(kernel, stride, padding, ceil_mode, divisor);
  const char* name = dims == 2 ? "avg_pool2d" : "avg_pool3d";
  if (dims == 2) {
    (void)self.size(-3);
  }
  FL_CHECK(
      dims == 2 || self.dim() == 4 || self.dim() == 5,
      "non-empty 4D or 5D (batch mode) tensor expected for input");
  FL_CHECK(
      self.dim() <= dims + 2,
      "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size "
      "for input, but got:",
      self.sizes());
  IntList out = pooled_sizes(self.sizes(), w, name);
  if (!self.is_floating_point() && self.dtype() != Dtype::Int64) {
    not_implemented(
        dims == 2 ? "avg_pool2d" : "avg_pool3d_out_frame", self.dtype());
  }
  Pool pool = even_pool(self.sizes(), out, w, count_include_pad);
  return average_pool(self.value(), pool, divisor.value_or(0), to_shape(out));
}

template <int dims>
mx::array average_backward_kernel(
    const Tensor& grad,
    const Tensor& self,
    const IntList& kernel,
    const IntList& stride,
    const IntList& padding,
    bool ceil_mode,
    bool count_include_pad,
    std::optional<int64_t> divisor) {
  Window w = average_window<dims>(kernel, stride, padding, ceil_mode, divisor);
  const char* name = dims == 2 ? "avg_pool2d" : "avg_pool3d";
  IntList out = pooled_sizes(self.sizes(), w, name);
  FL_CHECK(
      grad.sizes() == out,
      "Expected a gradient of size ",
      out,
      ", but got ",
      grad.sizes());
  Pool pool = even_pool(self.sizes(), out, w, count_include_pad);
  return average_pool_grad(
      grad.value(), pool, divisor.value_or(0), to_shape(self.sizes()));
}

Tensor avg_pool1d_of(
    const Tensor& self,
    const IntList& kernel,
    const IntList& stride,
    const IntList& padding,
    bool ceil_mode,
    bool count_include_pad) {
  check_1d(self, "avg_pool1d");
  check_one(kernel, "avg_pool1d", "kernel_size");
  if (!stride.empty()) {
    check_one(stride, "avg_pool1d", "stride");
  }
  check_one(padding, "avg_pool1d", "padding");
  Tensor out = avg_pool2d(
      unsqueeze(self, -2),
      {1, kernel[0]},
      stride.empty() ? stride : IntList{1, stride[0]},
      {0, padding[0]},
      ceil_mode,
      count_include_pad,
      std::nullopt);
  return squeeze(out, -2);
}

// Maxima with their indices, and alone; `f` is the former.
template <int dims>
void max_rows(decltype(&max_pool2d_with_indices) f, Row both, Row alone) {
  std::move(both)
      .module("nn")
      .kernel(max_pool_kernel<dims>)
      .grad(
          "self",
          "self result1",
          [](const Tensor& grad, const Tensor& self, const Tensor& indices) {
            return put_in_planes(grad, indices, self.sizes(), dims);
          });
  std::move(alone).composite([f](const Tensor& self,
                                 const IntList& kernel,
                                 const IntList& stride,
                                 const IntList& padding,
                                 const IntList& dilation,
                                 bool ceil_mode) {
    return std::get<0>(f(self, kernel, stride, padding, dilation, ceil_mode));
  });
}

void register_maxima() {
  max_rows<2>(
      max_pool2d_with_indices,
      op("max_pool2d_with_indices(Tensor self, int[2] kernel_size, int[2] "
         "stride=[], int[2] padding=0, int[2] dilation=1, bool "
         "ceil_mode=False) -> (Tensor, Tensor)")
          .forms("function out")
          .exact_out()
          .refuse(kBools + kComplexes, "max_pool2d")
          .doc("The maxima of windows, and where in their plane they are."),
      op("max_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] "
         "padding=0, int[2] dilation=1, bool ceil_mode=False) -> Tensor")
          .forms("function")
          .doc("The maxima of windows."));
  max_rows<3>(
      max_pool3d_with_indices,
      op("max_pool3d_with_indices(Tensor self, int[3] kernel_size, int[3] "
         "stride=[], int[3] padding=0, int[3] dilation=1, bool "
         "ceil_mode=False) -> (Tensor, Tensor)")
          .forms("function out")
          .exact_out("expected scalar type %R but found %O")
          .refuse(kBools + kComplexes, "max_pool3d")
          .doc("The maxima of windows, and where in their volume they are."),
      op("max_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] "
         "padding=0, int[3] dilation=1, bool ceil_mode=False) -> Tensor")
          .forms("function")
          .autocast(Autocast::Float32, Autocast::None)
          .doc("The maxima of windows."));
  op("max_pool1d_with_indices(Tensor self, int[1] kernel_size, int[1] "
     "stride=[], int[1] padding=0, int[1] dilation=1, bool ceil_mode=False) -> "
     "(Tensor, Tensor)")
      .forms("function")
      .composite(max_pool1d_of)
      .doc("The maxima of windows, and where they are.");
  op("max_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] "
     "padding=0, int[1] dilation=1, bool ceil_mode=False) -> Tensor")
      .forms("function")
      .composite([](const Tensor& self,
                    const IntList& kernel,
                    const IntList& stride,
                    const IntList& padding,
                    const IntList& dilation,
                    bool ceil_mode) {
        check_max_pool1d(self, kernel, stride, padding, dilation, ceil_mode);
        return std::get<0>(
            max_pool1d_of(self, kernel, stride, padding, dilation, ceil_mode));
      })
      .doc("The maxima of windows.");
}

// An average and its gradient, which are each other's gradients.
template <int dims>
void average_rows(
    decltype(&avg_pool2d) f,
    decltype(&avg_pool2d_backward) f_backward,
    Row average,
    Row backward) {
  const std::string options =
      "kernel_size stride padding ceil_mode count_include_pad divisor_override";
  std::move(average)
      .module("nn")
      .kernel(average_kernel<dims>)
      .grad(
          "self",
          "self " + options,
          [f_backward](
              const Tensor& grad,
              const Tensor& self,
              const IntList& kernel,
              const IntList& stride,
              const IntList& padding,
              bool ceil_mode,
              bool with_pad,
              std::optional<int64_t> divisor) {
            return f_backward(
                grad,
                self,
                kernel,
                stride,
                padding,
                ceil_mode,
                with_pad,
                divisor);
          })
      .doc("The averages of windows.");
  std::move(backward)
      .kernel(average_backward_kernel<dims>)
      .grad(
          "grad_output",
          options,
          [f](const Tensor& grad,
              const IntList& kernel,
              const IntList& stride,
              const IntList& padding,
              bool ceil_mode,
              bool with_pad,
              std::optional<int64_t> divisor) {
            return f(
                grad, kernel, stride, padding, ceil_mode, with_pad, divisor);
          })
      .zero_grad("self");
}

void register_averages() {
  average_rows<2>(
      avg_pool2d,
      avg_pool2d_backward,
      op("avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] "
         "padding=0, bool ceil_mode=False, bool count_include_pad=True, int? "
         "divisor_override=None) -> Tensor")
          .forms("function out")
          .exact_out(),
      op("avg_pool2d_backward(Tensor grad_output, Tensor self, int[2] "
         "kernel_size, int[2] stride, int[2] padding, bool ceil_mode, bool "
         "count_include_pad, int? divisor_override) -> Tensor")
          .doc("The gradient of avg_pool2d."));
  average_rows<3>(
      avg_pool3d,
      avg_pool3d_backward,
      op("avg_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] "
         "padding=0, bool ceil_mode=False, bool count_include_pad=True, int? "
         "divisor_override=None) -> Tensor")
          .forms("function out")
          .exact_out()
          .autocast(Autocast::Float32, Autocast::None),
      op("avg_pool3d_backward(Tensor grad_output, Tensor self, int[3] "
         "kernel_size, int[3] stride, int[3] padding, bool ceil_mode, bool "
         "count_include_pad, int? divisor_override) -> Tensor")
          .doc("The gradient of avg_pool3d."));
  op("avg_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] "
     "padding=0, bool ceil_mode=False, bool count_include_pad=True) -> Tensor")
      .forms("function")
      .composite(avg_pool1d_of)
      .doc("The averages of windows.");
}

} // namespace

void check_one(const IntList& list, const char* function, const char* name) {
  FL_CHECK(
      list.size() == 1,
      function,
      "() argument '",
      name,
      "' should contain one int (got ",
      list.size(),
      ")");
}

void check_1d(const Tensor& self, const char* function, int64_t most) {
  FL_CHECK(
      self.dim() >= 2 && self.dim() <= most,
      "Expected 2 to ",
      most,
      " dimensions, but got ",
      self.dim(),
      "-dimensional tensor for argument #1 'self' (while checking arguments "
      "for ",
      function,
      ")");
}

Tensor put_in_planes(
    const Tensor& grad,
    const Tensor& indices,
    const IntList& sizes,
    int dims) {
  IntList in(sizes.end() - dims, sizes.end());
  return _pool_put(grad, indices, in);
}

// See Note [Pooling by indices].
void register_pooling() {
  register_maxima();
  register_averages();
  op("_pool_put(Tensor self, Tensor indices, SymInt[] sizes) -> Tensor")
      .kernel(
          [](const Tensor& self, const Tensor& indices, const IntList& sizes) {
            IntList out(
                self.sizes().begin(), self.sizes().end() - ndim_of(sizes));
            int64_t planes = product(out);
            out.insert(out.end(), sizes.begin(), sizes.end());
            return put_in_planes(
                self.value(),
                indices.value(),
                planes,
                product(sizes),
                true,
                to_shape(out));
          })
      .grad(
          "self",
          "indices sizes",
          [](const Tensor& grad, const Tensor& indices, const IntList& sizes) {
            return _pool_pick(grad, indices, ndim_of(sizes));
          })
      .zero_grad("indices")
      .doc("Values added up where the indices of their plane say.");
  op("_pool_pick(Tensor self, Tensor indices, int dims) -> Tensor")
      .kernel([](const Tensor& self, const Tensor& indices, int64_t dims) {
        auto lead = static_cast<int>(self.dim() - dims);
        auto lines = [&](const mx::array& x) {
          return mx::flatten(x, lead, -1);
        };
        mx::array at = lines(indices.value());
        mx::array out = mx::take_along_axis(lines(self.value()), at, lead);
        return mx::reshape(out, to_shape(indices.sizes()));
      })
      .grad(
          "self",
          "self indices dims",
          [](const Tensor& grad,
             const Tensor& self,
             const Tensor& indices,
             int64_t dims) {
            return put_in_planes(
                grad, indices, self.sizes(), static_cast<int>(dims));
          })
      .zero_grad("indices")
      .doc("The elements of planes that the indices name.");
}

} // namespace flashlight
