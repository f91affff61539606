// Sliding blocks as columns and back; pixels and channels in another order.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/kernels/windows.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/rearranging.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

struct Blocks {
  IntList kernel, dilation, padding, stride;

  Blocks(
      const IntList& kernel,
      const IntList& dilation,
      const IntList& padding,
      const IntList& stride)
      : kernel(kernel), dilation(dilation), padding(padding), stride(stride) {
    auto two = [](const IntList& list, const char* name) {
      FL_CHECK(
          list.size() == 2,
          "It is expected ",
          name,
          " equals to 2, but got size ",
          list.size());
    };
    two(kernel, "kernel_size");
    two(dilation, "dilation");
    two(padding, "padding");
    two(stride, "stride");
  }

  void check() const {
    auto both = [](const IntList& list,
                   int64_t least,
                   const char* what,
                   const char* name) {
      FL_CHECK(
          list[0] >= least && list[1] >= least,
          what,
          least ? " should be greater than zero, but got "
                : " should be non-negative, but got ",
          name,
          "_height: ",
          list[0],
          " ",
          name,
          "_width: ",
          list[1]);
    };
    both(kernel, 1, "kernel size", "kernel");
    both(dilation, 1, "dilation", "dilation");
    both(padding, 0, "padding", "pad");
    both(stride, 1, "stride", "stride");
  }
  int64_t taps() const {
    return kernel[0] * kernel[1];
  }
  // How many blocks there are along each dimension.
  IntList places(const IntList& in) const {
    IntList out;
    for (size_t d = 0; d < 2; ++d) {
      int64_t room = in[d] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1;
      int64_t steps = room / stride[d];
      out.push_back((steps * stride[d] > room ? steps - 1 : steps) + 1);
    }
    return out;
  }
  Windows windows(const IntList& in) const {
    return Windows(in, places(in), kernel, stride, padding, dilation);
  }
};

std::string pair_text(const IntList& list) {
  return detail::concat("(", list[0], ", ", list[1], ")");
}

mx::array im2col_kernel(
    const Tensor& self,
    const IntList& kernel,
    const IntList& dilation,
    const IntList& padding,
    const IntList& stride) {
  Blocks blocks(kernel, dilation, padding, stride);
  blocks.check();
  const IntList& x = self.sizes();
  for (int64_t d = 0; d < 3; ++d) {
    (void)self.size(d); // PyTorch's error for too few
  }
  bool filled = (x.size() == 3 || x.size() == 4) &&
                std::all_of(x.end() - 3, x.end(), [](int64_t n) { return n; });
  FL_CHECK(
      filled,
      "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and "
      "other non-zero dimensions for input, but got: ",
      x);
  IntList in(x.end() - 2, x.end()), out = blocks.places(in);
  FL_CHECK(
      out[0] >= 1 && out[1] >= 1,
      "Given input with spatial size ",
      pair_text(in),
      ", kernel_size=",
      pair_text(kernel),
      ", dilation=",
      pair_text(dilation),
      ", padding=",
      pair_text(padding),
      ", calculated shape of the array of sliding blocks as ",
      pair_text(out),
      ", but its components must be at least one.");
  IntList lead(x.begin(), x.end() - 2);
  mx::array columns =
      to_columns(self.value(), blocks.windows(in), product(lead));
  lead.back() *= blocks.taps();
  lead.push_back(product(out));
  return mx::reshape(columns, to_shape(lead));
}

mx::array col2im_kernel(
    const Tensor& self,
    const IntList& sizes,
    const IntList& kernel,
    const IntList& dilation,
    const IntList& padding,
    const IntList& stride) {
  FL_CHECK(
      sizes.size() == 2,
      "It is expected output_size equals to 2, but got size ",
      sizes.size());
  Blocks blocks(kernel, dilation, padding, stride);
  blocks.check();
  const IntList& x = self.sizes();
  bool filled = (x.size() == 2 || x.size() == 3) &&
                std::all_of(x.end() - 2, x.end(), [](int64_t n) { return n; });
  FL_CHECK(
      filled,
      "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch "
      "size and non-zero dimensions for input, but got: ",
      x);
  size_t at = x.size() - 2; // the dimension of channels and taps
  FL_CHECK(
      x[at] % blocks.taps() == 0,
      "Expected size of input's dimension 1 to be divisible by the product of "
      "kernel_size, but got input.size(1)=",
      x[at],
      " and kernel_size=",
      pair_text(kernel),
      ".");
  IntList places = blocks.places(sizes);
  FL_CHECK(
      x[at + 1] == product(places) && sizes[0] >= 1 && sizes[1] >= 1,
      "Given output_size=",
      pair_text(sizes),
      ", kernel_size=",
      pair_text(kernel),
      ", dilation=",
      pair_text(dilation),
      ", padding=",
      pair_text(padding),
      ", stride=",
      pair_text(stride),
      ", expected size of input's dimension 2 to match the calculated number "
      "of sliding blocks ",
      places[0],
      " * ",
      places[1],
      " = ",
      product(places),
      ", but got input.size(2)=",
      x[at + 1],
      ".");
  IntList out(x.begin(), x.end() - 1);
  out.back() /= blocks.taps();
  mx::array image =
      from_columns(self.value(), blocks.windows(sizes), product(out));
  out.insert(out.end(), sizes.begin(), sizes.end());
  return mx::reshape(image, to_shape(out));
}

// [..., C, H, W] as [lead, C, H, W].
mx::array with_lead(const mx::array& x, size_t last) {
  mx::Shape shape{-1};
  shape.insert(
      shape.end(),
      x.shape().end() - static_cast<std::ptrdiff_t>(last),
      x.shape().end());
  if (x.size() == 0) {
    shape[0] = 1;
    for (size_t d = 0; d + last < x.ndim(); ++d) {
      shape[0] *= x.shape(static_cast<int>(d));
    }
  }
  return mx::reshape(x, shape);
}

void check_pixels(
    const Tensor& self,
    int64_t factor,
    const char* name,
    const char* argument) {
  FL_CHECK(
      self.dim() >= 3,
      name,
      " expects input to have at least 3 dimensions, but got input with ",
      self.dim(),
      " dimension(s)");
  FL_CHECK(
      factor > 0, name, " expects a positive ", argument, ", but got ", factor);
}

mx::Shape image_shape(const mx::array& x, int c, int h, int w) {
  mx::Shape shape(x.shape().begin(), x.shape().end() - 3);
  shape.push_back(c);
  shape.push_back(h);
  shape.push_back(w);
  return shape;
}

mx::array pixel_shuffle_kernel(const Tensor& self, int64_t factor) {
  check_pixels(self, factor, "pixel_shuffle", "upscale_factor");
  FL_CHECK(
      self.size(-3) % (factor * factor) == 0,
      "pixel_shuffle expects its input's 'channel' dimension to be divisible "
      "by the square of upscale_factor, but input.size(-3)=",
      self.size(-3),
      " is not divisible by ",
      factor * factor);
  mx::array x = with_lead(self.value(), 3);
  auto r = static_cast<int>(factor);
  int n = x.shape(0), c = x.shape(1) / (r * r), h = x.shape(2), w = x.shape(3);
  mx::array parts =
      mx::transpose(mx::reshape(x, {n, c, r, r, h, w}), {0, 1, 4, 2, 5, 3});
  return mx::reshape(parts, image_shape(self.value(), c, h * r, w * r));
}

mx::array pixel_unshuffle_kernel(const Tensor& self, int64_t factor) {
  check_pixels(self, factor, "pixel_unshuffle", "downscale_factor");
  auto divides = [&](int64_t d, const char* name) {
    FL_CHECK(
        self.size(d) % factor == 0,
        "pixel_unshuffle expects ",
        name,
        " to be divisible by downscale_factor, but input.size(",
        d,
        ")=",
        self.size(d),
        " is not divisible by ",
        factor);
  };
  divides(-2, "height");
  divides(-1, "width");
  mx::array x = with_lead(self.value(), 3);
  auto r = static_cast<int>(factor);
  int n = x.shape(0), c = x.shape(1), h = x.shape(2) / r, w = x.shape(3) / r;
  mx::array parts =
      mx::transpose(mx::reshape(x, {n, c, h, r, w, r}), {0, 1, 3, 5, 2, 4});
  return mx::reshape(parts, image_shape(self.value(), c * r * r, h, w));
}

mx::array channel_shuffle_kernel(const Tensor& self, int64_t groups) {
  FL_CHECK(
      self.dim() > 2,
      "channel_shuffle expects input with > 2 dims, but got input with sizes ",
      self.sizes());
  FL_CHECK(
      groups > 0,
      "Number of groups to divide channels in must be positive. Value of "
      "groups:",
      groups);
  int64_t channels = self.size(1);
  FL_CHECK(
      channels % groups == 0,
      "Number of channels must be divisible by groups. Got ",
      channels,
      " channels and ",
      groups,
      " groups.");
  mx::array x = self.value();
  mx::array parts = mx::unflatten(
      x, 1, {static_cast<int>(groups), static_cast<int>(channels / groups)});
  return mx::reshape(mx::swapaxes(parts, 1, 2), x.shape());
}

Tensor
channel_shuffle_grad(const Tensor& grad, const Tensor& self, int64_t groups) {
  return channel_shuffle(grad, std::max<int64_t>(self.size(1) / groups, 1));
}

} // namespace

void register_rearranging() {
  op("im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, "
     "int[2] stride) -> Tensor")
      .forms("function out")
      .exact_out("expected scalar type %R but found %O")
      .module("nn")
      .refuse(kIntegers, "im2col_out_cpu")
      .kernel(im2col_kernel)
      .complex128(parts())
      .grad(
          "self",
          "self kernel_size dilation padding stride",
          [](const Tensor& grad,
             const Tensor& self,
             const IntList& kernel,
             const IntList& dilation,
             const IntList& padding,
             const IntList& stride) {
            IntList sizes(self.sizes().end() - 2, self.sizes().end());
            return col2im(grad, sizes, kernel, dilation, padding, stride);
          })
      .doc("Sliding blocks of images as columns.");
  op("col2im(Tensor self, SymInt[2] output_size, int[2] kernel_size, int[2] "
     "dilation, int[2] padding, int[2] stride) -> Tensor")
      .forms("function out")
      .exact_out("expected scalar type %R but found %O")
      .module("nn")
      .refuse(kIntegers, "col2im_out_cpu")
      .kernel(col2im_kernel)
      .complex128(parts())
      .grad(
          "self",
          "kernel_size dilation padding stride",
          [](const Tensor& grad,
             const IntList& kernel,
             const IntList& dilation,
             const IntList& padding,
             const IntList& stride) {
            return im2col(grad, kernel, dilation, padding, stride);
          })
      .doc("Columns added up where their blocks lie.");
  op("pixel_shuffle(Tensor self, int upscale_factor) -> Tensor")
      .forms("function")
      .kernel(pixel_shuffle_kernel)
      .complex128(parts())
      .grad(
          "self",
          "upscale_factor",
          [](const Tensor& grad, int64_t factor) {
            return pixel_unshuffle(grad, factor);
          })
      .doc("Channels become pixels: [*, C r r, H, W] to [*, C, H r, W r].");
  op("pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor")
      .forms("function")
      .kernel(pixel_unshuffle_kernel)
      .complex128(parts())
      .grad(
          "self",
          "downscale_factor",
          [](const Tensor& grad, int64_t factor) {
            return pixel_shuffle(grad, factor);
          })
      .doc("Undoes pixel_shuffle.");
  op("channel_shuffle(Tensor self, SymInt groups) -> Tensor")
      .forms("function")
      .kernel(channel_shuffle_kernel)
      .complex128(parts())
      .grad("self", "self groups", channel_shuffle_grad)
      .doc("The channels of the groups, in turn.");
  op("native_channel_shuffle(Tensor self, SymInt groups) -> Tensor")
      .forms("function")
      .kernel(channel_shuffle_kernel)
      .complex128(parts())
      .grad("self", "self groups", channel_shuffle_grad)
      .doc("The channels of the groups, in turn.");
}

} // namespace flashlight
