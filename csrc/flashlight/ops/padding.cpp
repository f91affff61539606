// Padding.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/padding.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

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
        size + before + after >= 0,
        "The input size ",
        size,
        ", plus negative padding ",
        before,
        " and ",
        after,
        " resulted in a negative output size, which is invalid. Check "
        "dimension ",
        d,
        " of your input.");
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

} // namespace

void register_padding() {
  op("constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor")
      .forms("function")
      .kernel(constant_pad)
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
