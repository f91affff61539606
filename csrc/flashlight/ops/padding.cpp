// Padding by a number, by reflection, by the edge, around a circle.
//
// Note [Padding by picks]
// But for a number, what is padded is elements of the input along one axis
// after another: _pad_by picks them, _pad_by_backward adds up where they came
// from, and each is the other's derivative.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/kernels/taps.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/padding.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

// What is before and after each dimension, given from the last one.
mx::array
constant_pad(const mx::array& self, const IntList& pad, const Scalar& value) {
  size_t ndim = self.ndim(), given = pad.size() / 2;
  FL_CHECK(
      pad.size() % 2 == 0,
      "Length of pad must be even but instead it equals ",
      pad.size());
  FL_CHECK(
      ndim >= given,
      "Length of pad should be no more than twice the number of dimensions of "
      "the input. Pad length is ",
      pad.size(),
      "while the input has ",
      ndim,
      "dimensions.");
  mx::Shape from(ndim, 0), to = self.shape(), low(ndim, 0), high(ndim, 0);
  for (size_t i = 0; i < given; ++i) {
    size_t d = ndim - 1 - i;
    auto before = static_cast<int>(pad[2 * i]);
    auto after = static_cast<int>(pad[2 * i + 1]);
    int size = self.shape(static_cast<int>(d));
    FL_CHECK(
        size + std::min(before, 0) + std::min(after, 0) >= 0,
        "narrow(): length must be non-negative.");
    from[d] = std::min(std::max(-before, 0), size);
    to[d] = std::max(size + std::min(after, 0), from[d]);
    low[d] = std::max(before, 0);
    high[d] = std::max(after, 0);
  }
  std::vector<int> axes;
  for (size_t d = 0; d < ndim; ++d) {
    axes.push_back(static_cast<int>(d));
  }
  return mx::pad(
      mx::slice(self, from, to),
      axes,
      low,
      high,
      scalar_array(value, from_mlx(self.dtype())));
}

enum class Fill : uint8_t { Reflection, Replication, Circle };

// Where element i of a padded dimension, counted from the first of the input,
// is taken from. What is cropped is not part of the circle.
int64_t source(Fill fill, int64_t i, int64_t n, int64_t before, int64_t after) {
  switch (fill) {
    case Fill::Reflection:
      return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
    case Fill::Replication:
      return std::clamp<int64_t>(i, 0, n - 1);
    default: {
      int64_t first = std::max<int64_t>(-before, 0);
      int64_t round = n - first - std::max<int64_t>(-after, 0);
      return first + ((i - first) % round + round) % round;
    }
  }
}

Taps pad_taps(Fill fill, int64_t n, int64_t before, int64_t after) {
  std::vector<int64_t> indices;
  for (int64_t i = -before; i < n + after; ++i) {
    indices.push_back(source(fill, i, n, before, after));
  }
  return Taps::pick(n, std::move(indices));
}

IntList last_sizes(const Tensor& x, size_t dims) {
  return IntList(
      x.sizes().end() - static_cast<std::ptrdiff_t>(dims), x.sizes().end());
}

mx::array pad_by(const Tensor& self, const IntList& pad, Fill fill) {
  mx::array x = self.value();
  for (size_t d = 0; 2 * d < pad.size(); ++d) {
    int axis = static_cast<int>(self.dim()) - 1 - static_cast<int>(d);
    Taps taps = pad_taps(fill, x.shape(axis), pad[2 * d], pad[2 * d + 1]);
    x = apply_taps(x, taps, axis);
  }
  return x;
}

mx::array pad_by_backward(
    const Tensor& grad,
    const IntList& sizes,
    const IntList& pad,
    Fill fill) {
  mx::array x = widened(grad.value());
  for (size_t d = 0; d < sizes.size(); ++d) {
    int axis = static_cast<int>(grad.dim()) - 1 - static_cast<int>(d);
    int64_t n = sizes[sizes.size() - 1 - d];
    Taps taps = pad_taps(fill, n, pad[2 * d], pad[2 * d + 1]);
    x = apply_taps(x, taps.transposed(), axis);
  }
  return mx::astype(x, to_mlx(grad.dtype()));
}

// "H: 3, W: 4", with PyTorch's commas of two places.
std::string named(const IntList& sizes, bool commas) {
  static const char* const letters[] = {"D: ", "H: ", "W: "};
  std::string text;
  for (size_t i = 0; i < sizes.size(); ++i) {
    size_t letter = i + 3 - sizes.size();
    const char* before = i == 0 ? "" : commas && letter == 2 ? ", " : " ";
    text = detail::concat(text, before, letters[letter], sizes[i]);
  }
  return text;
}

void check_pad(const Tensor& self, const IntList& pad, Fill fill, int dims) {
  bool reflects = fill == Fill::Reflection;
  FL_CHECK(
      ndim_of(pad) == 2 * dims,
      "padding size is expected to be ",
      2 * dims,
      reflects ? detail::concat(", but got: ", pad.size()) : "");
  bool shaped = self.dim() == dims + 1 || self.dim() == dims + 2;
  bool filled = shaped && std::all_of(
                              self.sizes().begin() + (self.dim() - dims - 1),
                              self.sizes().end(),
                              [](int64_t n) { return n != 0; });
  FL_CHECK(
      filled,
      "Expected ",
      dims + 1,
      "D or ",
      dims + 2,
      "D (batch mode) tensor with possibly 0 batch size and other non-zero "
      "dimensions for input, but got: ",
      self.sizes());
  IntList in = last_sizes(self, static_cast<size_t>(dims)), out = in;
  for (size_t d = 0; d < in.size(); ++d) {
    size_t i = in.size() - 1 - d;
    int64_t before = pad[2 * d], after = pad[2 * d + 1];
    FL_CHECK(
        !reflects || (before < in[i] && after < in[i]),
        "Argument #",
        4 + 2 * d,
        ": Padding size should be less than the corresponding input dimension, "
        "but got: padding (",
        before,
        ", ",
        after,
        ") at dimension ",
        self.dim() - 1 - static_cast<int64_t>(d),
        " of input ",
        self.sizes());
    out[i] += before + after;
  }
  std::string from = named(in, true);
  if (dims == 3) {
    from = detail::concat("D: ", in[0], " H: ", in[1], ", W: ", in[2]);
  }
  FL_CHECK(
      std::all_of(out.begin(), out.end(), [](int64_t n) { return n >= 1; }),
      "input (",
      from,
      dims == 2 && !reflects ? " ) is too small. Calculated output "
                             : ") is too small. Calculated output ",
      named(out, false));
}

template <Fill fill, int dims>
mx::array pad_kernel(const Tensor& self, const IntList& pad) {
  check_pad(self, pad, fill, dims);
  if (self.dtype() == Dtype::Bool) {
    const char* kind = fill == Fill::Reflection ? "reflection" : "replication";
    not_implemented(detail::concat(kind, "_pad", dims, "d"), self.dtype());
  }
  return pad_by(self, pad, fill);
}

template <Fill fill>
Tensor pad_grad(const Tensor& grad, const Tensor& self, const IntList& pad) {
  return _pad_by_backward(
      grad, last_sizes(self, pad.size() / 2), pad, static_cast<int64_t>(fill));
}

mx::array circular_kernel(const Tensor& self, const IntList& pad) {
  for (size_t d = 0; 2 * d < pad.size(); ++d) {
    int64_t n = self.size(-1 - static_cast<int64_t>(d));
    FL_CHECK(
        pad[2 * d] <= n && pad[2 * d + 1] <= n,
        "Padding value causes wrapping around more than once.");
    FL_CHECK(
        n + pad[2 * d] + pad[2 * d + 1] >= 0,
        "Negative padding value is resulting in an empty dimension");
  }
  return pad_by(self, pad, Fill::Circle);
}

Tensor pad_of(
    const Tensor& self,
    const IntList& pad,
    const std::string& mode,
    std::optional<double> value) {
  bool known = mode == "constant" || mode == "reflect" || mode == "replicate" ||
               mode == "circular";
  FL_CHECK_AS(NotImplementedError, known, "Unrecognised padding mode ", mode);
  FL_CHECK(pad.size() % 2 == 0, "Padding length must be divisible by 2");
  FL_CHECK(
      ndim_of(pad) <= 2 * self.dim(),
      "Padding length should be less than or equal to two times the input "
      "dimension but got padding length ",
      pad.size(),
      " and input of dimension ",
      self.dim());
  if (mode == "constant") {
    return constant_pad_nd(self, pad, Scalar(value.value_or(0)));
  }
  FL_CHECK(
      !value || *value == 0,
      "Padding mode \"",
      mode,
      "\" doesn't take in value argument");
  auto dims = ndim_of(pad) / 2;
  FL_CHECK_AS(
      NotImplementedError,
      dims >= 1 && dims <= 3 &&
          (self.dim() == dims + 1 || self.dim() == dims + 2),
      "Padding size ",
      pad.size(),
      " is not supported for ",
      self.dim(),
      "D input tensor.\nSupported combinations for non-constant padding:\n"
      "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
      "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
      "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)");
  if (mode == "circular") {
    return _pad_circular(self, pad);
  }
  if (mode == "reflect") {
    return dims == 1   ? reflection_pad1d(self, pad)
           : dims == 2 ? reflection_pad2d(self, pad)
                       : reflection_pad3d(self, pad);
  }
  return dims == 1   ? replication_pad1d(self, pad)
         : dims == 2 ? replication_pad2d(self, pad)
                     : replication_pad3d(self, pad);
}

template <Fill fill, int dims>
void pad_row(Row row) {
  std::move(row)
      .module("nn")
      .kernel(pad_kernel<fill, dims>)
      .complex128(parts())
      .grad("self", "self padding", pad_grad<fill>)
      .doc(
          fill == Fill::Reflection ? "Padded by its reflection at the edges."
                                   : "Padded by the elements at the edges.");
}

void register_picks() {
  pad_row<Fill::Reflection, 1>(
      op("reflection_pad1d(Tensor self, SymInt[2] padding) -> Tensor")
          .forms("function out")
          .exact_out()
          .autocast(Autocast::Float32, Autocast::None));
  pad_row<Fill::Reflection, 2>(
      op("reflection_pad2d(Tensor self, SymInt[4] padding) -> Tensor")
          .forms("function out")
          .exact_out("expected scalar type %R but found %O")
          .autocast(Autocast::Float32, Autocast::None));
  pad_row<Fill::Reflection, 3>(
      op("reflection_pad3d(Tensor self, SymInt[6] padding) -> Tensor")
          .forms("function out")
          .exact_out());
  pad_row<Fill::Replication, 1>(
      op("replication_pad1d(Tensor self, SymInt[2] padding) -> Tensor")
          .forms("function out")
          .exact_out()
          .autocast(Autocast::Float32, Autocast::None));
  pad_row<Fill::Replication, 2>(
      op("replication_pad2d(Tensor self, SymInt[4] padding) -> Tensor")
          .forms("function out")
          .exact_out()
          .autocast(Autocast::Float32, Autocast::None));
  pad_row<Fill::Replication, 3>(
      op("replication_pad3d(Tensor self, SymInt[6] padding) -> Tensor")
          .forms("function out")
          .exact_out()
          .autocast(Autocast::Float32, Autocast::None));
  op("_pad_circular(Tensor self, SymInt[] pad) -> Tensor")
      .forms("function")
      .module("nn")
      .kernel(circular_kernel)
      .complex128(parts())
      .grad("self", "self pad", pad_grad<Fill::Circle>)
      .doc("Padded by its elements at the other side.");
  op("_pad_by(Tensor self, SymInt[] padding, int mode) -> Tensor")
      .kernel([](const Tensor& self, const IntList& pad, int64_t mode) {
        return pad_by(self, pad, static_cast<Fill>(mode));
      })
      .complex128(parts())
      .grad(
          "self",
          "self padding mode",
          [](const Tensor& grad,
             const Tensor& self,
             const IntList& pad,
             int64_t mode) {
            return _pad_by_backward(
                grad, last_sizes(self, pad.size() / 2), pad, mode);
          })
      .doc("Padded by elements; see the rows for each way.");
  op("_pad_by_backward(Tensor grad_output, SymInt[] input_size, SymInt[] "
     "padding, int mode) -> Tensor")
      .kernel([](const Tensor& grad,
                 const IntList& sizes,
                 const IntList& pad,
                 int64_t mode) {
        return pad_by_backward(grad, sizes, pad, static_cast<Fill>(mode));
      })
      .complex128(parts())
      .grad(
          "grad_output",
          "padding mode",
          [](const Tensor& grad, const IntList& pad, int64_t mode) {
            return _pad_by(grad, pad, mode);
          })
      .doc("The gradient of _pad_by.");
  op("pad(Tensor self, SymInt[] pad, str mode=\"constant\", float? "
     "value=None) -> Tensor")
      .forms("function")
      .module("nn")
      .composite(pad_of)
      .doc("Padded, from the last dimension on.");
}

} // namespace

// See Note [Padding by picks].
void register_padding() {
  register_picks();
  op("constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor")
      .forms("function")
      .kernel(constant_pad)
      .complex128(parts())
      .grad(
          "self",
          "pad",
          [](const Tensor& grad, const IntList& pad) {
            IntList back;
            for (int64_t n : pad) {
              back.push_back(-n);
            }
            return constant_pad_nd(grad, back, Scalar(0));
          })
      .doc("Padded by a number, from the last dimension on.");
}

} // namespace flashlight
