// + - * / and their relatives.
#include <mlx/ops.h>

#include "flashlight/ops/direct.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

mx::array scaled(const mx::array& x, const Scalar& alpha) {
  if (alpha == Scalar(1)) {
    return x;
  }
  return mx::multiply(x, scalar_array(alpha, from_mlx(x.dtype())));
}

void check_alpha(const mx::array& x, const Scalar& alpha) {
  Dtype d = from_mlx(x.dtype());
  FL_CHECK(
      !alpha.is_bool() || d == Dtype::Bool,
      "Boolean alpha only supported for Boolean results.");
  FL_CHECK(
      is_floating(d) || is_complex(d) || alpha.is_integral(),
      "For integral input tensors, argument alpha must not be a floating "
      "point number.");
  FL_CHECK(
      is_complex(d) || !alpha.is_complex(),
      "For non-complex input tensors, argument alpha must not be a complex "
      "number.");
}

mx::array
add_kernel(const mx::array& self, const mx::array& other, const Scalar& alpha) {
  check_alpha(self, alpha);
  if (self.dtype() == mx::bool_) {
    return alpha.to_bool() ? mx::logical_or(self, other)
                           : mx::add(self, mx::zeros_like(other));
  }
  return binary_node(
      self, scaled(other, alpha), [](const mx::array& a, const mx::array& b) {
        return mx::add(a, b);
      });
}

mx::array
sub_kernel(const mx::array& self, const mx::array& other, const Scalar& alpha) {
  check_alpha(self, alpha);
  FL_CHECK(
      self.dtype() != mx::bool_,
      "Subtraction, the `-` operator, with two bool tensors is not supported. "
      "Use the `^` or `logical_xor()` operator instead.");
  return binary_node(
      self, scaled(other, alpha), [](const mx::array& a, const mx::array& b) {
        return mx::subtract(a, b);
      });
}

mx::array mul_kernel(const mx::array& self, const mx::array& other) {
  if (self.dtype() == mx::bool_) {
    return mx::logical_and(self, other);
  }
  return binary_node(self, other, [](const mx::array& a, const mx::array& b) {
    return mx::multiply(a, b);
  });
}

mx::array neg_kernel(const mx::array& self) {
  FL_CHECK(
      self.dtype() != mx::bool_,
      "Negation, the `-` operator, on a bool tensor is not supported. If you "
      "are trying to invert a mask, use the `~` or `logical_not()` operator "
      "instead.");
  return mx::negative(self);
}

} // namespace

void register_arithmetic() {
  op("add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
      .forms("function method inplace out")
      .promote("self other")
      .elementwise()
      .kernel(add_kernel)
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .grad(
          "other",
          "alpha",
          [](const Tensor& grad, const Scalar& alpha) {
            return alpha == Scalar(1) ? grad : grad * alpha;
          })
      .doc("Adds `other`, scaled by `alpha`.");
  op("sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
      .forms("function method inplace out")
      .promote("self other")
      .elementwise()
      .kernel(sub_kernel)
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .grad(
          "other",
          "alpha",
          [](const Tensor& grad, const Scalar& alpha) {
            return alpha == Scalar(1) ? -grad : -(grad * alpha);
          })
      .doc("Subtracts `other`, scaled by `alpha`.");
  op("mul.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(mul_kernel)
      .grad(
          "self",
          "other",
          [](const Tensor& grad, const Tensor& other) {
            return grad * conj(other);
          })
      .grad(
          "other",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * conj(self);
          })
      .doc("Multiplies by `other`.");
  op("div.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& self, const mx::array& other) {
        return binary_node(
            self, other, [](const mx::array& a, const mx::array& b) {
              return mx::divide(a, b);
            });
      })
      .grad(
          "self",
          "other",
          [](const Tensor& grad, const Tensor& other) {
            return grad / conj(other);
          })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return -grad * conj((self / other) / other);
          })
      .doc("Divides by `other`.");
  op("neg(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel(neg_kernel)
      .grad("self", "", [](const Tensor& grad) { return -grad; })
      .doc("The negative of each element.");
  op("isnan(Tensor self) -> Tensor")
      .forms("function method")
      .elementwise()
      .kernel([](const mx::array& self) { return mx::isnan(self); })
      .not_differentiable()
      .doc("True where an element is NaN.");
}

} // namespace flashlight
