// A product of two inputs through a weight.
#include "flashlight/ops/functions/bilinear.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

void check_bilinear(
    const Tensor& input1,
    const Tensor& input2,
    const Tensor& weight,
    const Tensor& bias) {
  FL_CHECK(
      input1.dim() == input2.dim(),
      "bilinear(): input dimensions do not match: got ",
      input1.dim(),
      " and ",
      input2.dim());
  for (int64_t d = 0; d + 1 < input1.dim(); ++d) {
    FL_CHECK(
        input1.size(d) == input2.size(d),
        "bilinear(): input batch dimensions do not match at dim ",
        d,
        ": got ",
        input1.size(d),
        " and ",
        input2.size(d));
  }
  FL_CHECK(
      input1.size(-1) == weight.size(1),
      "bilinear(): input1 size does not match weight size: got ",
      input1.size(-1),
      " but expected ",
      weight.size(1));
  FL_CHECK(
      input2.size(-1) == weight.size(2),
      "bilinear(): input2 size does not match weight size: got ",
      input2.size(-1),
      " but expected ",
      weight.size(2));
  FL_CHECK(
      !bias.defined() || bias.size(0) == weight.size(0),
      "bilinear(): bias size does not match weight size: got ",
      bias.defined() ? bias.size(0) : 0,
      " but expected ",
      weight.size(0));
}

Tensor bilinear_of(
    const Tensor& input1,
    const Tensor& input2,
    const Tensor& weight,
    const Tensor& bias) {
  check_bilinear(input1, input2, weight, bias);
  int64_t out = weight.size(0), first = weight.size(1), second = weight.size(2);
  IntList sizes = input1.sizes(), split = input1.sizes();
  sizes.back() = out;
  split.back() = out;
  split.push_back(second);
  // [first, out * second], so that the first input is in one product.
  Tensor w = reshape(permute(weight, {1, 0, 2}), {first, out * second});
  Tensor left = reshape(matmul(input1, w), split);
  Tensor y = left * unsqueeze(input2, -2);
  y = sum(y, IntList{-1}, /*keepdim=*/false, y.dtype());
  return bias.defined() ? y + bias : y;
}

} // namespace

void register_bilinear() {
  op("bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) "
     "-> Tensor")
      .forms("function")
      .autocast(Autocast::Promote)
      .composite(bilinear_of)
      .doc("input1 @ weight @ input2.T for each of the weight's matrices.");
}

} // namespace flashlight
