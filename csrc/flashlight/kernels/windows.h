// Windows sliding over one, two or three dimensions: columns, convolutions.
#pragma once

#include <array>

#include "flashlight/core/int_list.h"
#include "flashlight/kernels/host.h"

namespace flashlight {

// Where windows lie along three dimensions; leading ones are 1 if there are
// fewer.
struct Windows {
  using Dims = std::array<int64_t, 3>;
  Dims in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1};
  Dims stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};

  Windows(
      const IntList& in_sizes,
      const IntList& out_sizes,
      const IntList& kernel_sizes,
      const IntList& strides,
      const IntList& paddings,
      const IntList& dilations) {
    auto fill = [](Dims& to, const IntList& from) {
      std::copy(from.begin(), from.end(), to.end() - ndim_of(from));
    };
    fill(in, in_sizes);
    fill(out, out_sizes);
    fill(kernel, kernel_sizes);
    fill(stride, strides);
    fill(padding, paddings);
    fill(dilation, dilations);
  }
  static int64_t volume(const Dims& d) {
    return d[0] * d[1] * d[2];
  }
  int64_t taps() const {
    return volume(kernel);
  }
  int64_t places() const {
    return volume(out);
  }
  int64_t area() const {
    return volume(in);
  }
  // The columns are the input itself.
  bool trivial() const {
    return taps() == 1 && stride == Dims{1, 1, 1} && padding == Dims{0, 0, 0};
  }
};

// A convolution of `channels` in `groups` to `filters`.
struct ConvShape {
  Windows windows;
  int64_t batch, channels, filters, groups;
};

// [batch, channels, in...] -> [batch, filters, out...]; bias may be absent.
FL_API mx::array conv_forward(
    const mx::array& x,
    const mx::array& weight,
    const std::optional<mx::array>& bias,
    const ConvShape& c,
    mx::Shape shape);
// The adjoint in x; as a forward, the transposed convolution.
FL_API mx::array conv_input(
    const mx::array& grad,
    const mx::array& weight,
    const std::optional<mx::array>& bias,
    const ConvShape& c,
    mx::Shape shape);
// The adjoint in the weight.
FL_API mx::array conv_weight(
    const mx::array& grad,
    const mx::array& x,
    const ConvShape& c,
    mx::Shape shape);
// [planes, in...] -> [planes, taps, out...], and back by sums.
FL_API mx::array to_columns(const mx::array& x, const Windows& w, int64_t n);
FL_API mx::array from_columns(const mx::array& x, const Windows& w, int64_t n);

} // namespace flashlight
