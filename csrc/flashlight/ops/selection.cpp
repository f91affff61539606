// Choosing elements by a mask.
#include <mlx/ops.h>

#include "flashlight/core/conversion.h"
#include "flashlight/core/wrapped.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/indexing.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/indices.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

void check_condition(const Tensor& condition) {
  FL_CHECK(
      condition.dtype() == Dtype::Bool || condition.dtype() == Dtype::UInt8,
      "where expected condition to be a boolean tensor, but got a tensor with "
      "dtype ",
      scalar_name(condition.dtype()));
}

void check_mask(const Tensor& mask) {
  FL_CHECK(
      mask.dtype() == Dtype::Bool,
      "masked_fill_ only supports boolean masks, but got mask with dtype ",
      scalar_name(mask.dtype()));
}

// Written to a contiguous copy, as in PyTorch.
Tensor
filled(const Tensor& self, const mx::array& mask, const mx::array& value) {
  mx::array out = mx::where(mask, value, self.value());
  IntList strides = contiguous_strides(to_int_list(out.shape()));
  return Tensor(std::move(out), std::move(strides), self.device());
}

} // namespace

void register_selection() {
  op("where.self(Tensor condition, Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .exact_out("Expected out type to be %R but got %O")
      .promote("self other")
      .elementwise()
      .check([](const Tensor& condition) { check_condition(condition); })
      .kernel([](const mx::array& condition,
                 const mx::array& self,
                 const mx::array& other) {
        return mx::where(condition, self, other);
      })
      .complex128(parts())
      .zero_grad("condition")
      .grad(
          "self",
          "condition",
          [](const Tensor& grad, const Tensor& condition) {
            return where(condition, grad, Scalar(0));
          })
      .grad(
          "other",
          "condition",
          [](const Tensor& grad, const Tensor& condition) {
            return where(condition, Scalar(0), grad);
          })
      .doc("Elements of self where condition is true, else of other.");
  op("where.ScalarSelf(Tensor condition, Scalar self, Tensor other) -> Tensor")
      .forms("function")
      .composite(
          [](const Tensor& condition, const Scalar& self, const Tensor& other) {
            return where(condition, wrapped_number(self), other);
          })
      .doc("A number where condition is true, else elements of other.");
  op("where.ScalarOther(Tensor condition, Tensor self, Scalar other) -> "
     "Tensor")
      .forms("function method")
      .composite(
          [](const Tensor& condition, const Tensor& self, const Scalar& other) {
            return where(condition, self, wrapped_number(other));
          })
      .doc("Elements of self where condition is true, else a number.");
  op("where.Scalar(Tensor condition, Scalar self, Scalar other) -> Tensor")
      .forms("function")
      .composite(
          [](const Tensor& condition, const Scalar& self, const Scalar& other) {
            return where(
                condition, wrapped_number(self), wrapped_number(other));
          })
      .doc("One number where condition is true, else another.");
  op("where(Tensor condition) -> Tensor[]")
      .forms("function")
      .composite([](const Tensor& condition) {
        FL_CHECK(
            !condition->wrapped ||
                condition->wrapped->level->kind != LevelKind::Batch,
            "vmap: We do not support batching operators that can output "
            "dynamic shape. Attempted to vmap over aten::where. Please file "
            "an issue at https://github.com/pytorch/pytorch/issues if you "
            "need this feature.");
        return unbind(
            nonzero(condition.dim() ? condition : unsqueeze(condition, 0)), 1);
      })
      .doc("The indices of the elements that are not zero, by dimension.");

  op("masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor")
      .forms("function method inplace")
      .elementwise()
      .check([](const Tensor& self, const Tensor& mask, const Scalar& value) {
        check_mask(mask);
        check_fits(value, self.dtype(), HalfFloats::Direct);
      })
      .kernel(
          [](const Tensor& self, const mx::array& mask, const Scalar& value) {
            mx::array number = number_within(value, self.dtype());
            return filled(self, mask, number);
          })
      .complex128(parts())
      .grad(
          "self",
          "mask",
          [](const Tensor& grad, const Tensor& mask) {
            return masked_fill(grad, mask, Scalar(0));
          })
      .zero_grad("mask")
      .doc("Self, with a number where the mask is true.");
  op("masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor")
      .forms("function method inplace")
      .elementwise()
      .check([](const Tensor& self, const Tensor& mask, const Tensor& value) {
        FL_CHECK(
            value.dim() == 0,
            "masked_fill_ only supports a 0-dimensional value tensor, but got "
            "tensor with ",
            value.dim(),
            " dimension(s).");
        check_mask(mask);
        check_number_within(value, self.dtype());
      })
      .kernel([](const Tensor& self,
                 const mx::array& mask,
                 const mx::array& value) {
        return filled(self, mask, mx::astype(value, to_mlx(self.dtype())));
      })
      .complex128(formula(
          [](const Tensor& self, const Tensor& mask, const Tensor& value) {
            return masked_fill(self, mask, value.item());
          }))
      .node("MaskedFillBackward1")
      .grad(
          "self",
          "mask",
          [](const Tensor& grad, const Tensor& mask) {
            return masked_fill(grad, mask, Scalar(0));
          })
      .zero_grad("mask")
      .grad(
          "value",
          "mask",
          [](const Tensor& grad, const Tensor& mask) {
            return sum(where(mask, grad, Scalar(0)));
          })
      .doc("Self, with a value where the mask is true.");
}

} // namespace flashlight
