// Activations and other elementwise functions.
#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/activations.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

void register_activations() {
  op("exp(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return mx::exp(x); })
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj(result);
          })
      .doc("e to the power of each element.");
  op("log(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return mx::log(x); })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad / conj(self);
          })
      .doc("The natural logarithm.");
  op("sqrt(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return mx::sqrt(x); })
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad / (conj(result) * Scalar(2));
          })
      .doc("The square root.");
  op("rsqrt(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return mx::rsqrt(x); })
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * (result * result * result) * Scalar(-0.5);
          })
      .doc("The reciprocal of the square root.");
  op("sin(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return mx::sin(x); })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * conj(cos(self));
          })
      .doc("The sine.");
  op("cos(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return mx::cos(x); })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * -conj(sin(self));
          })
      .doc("The cosine.");
  op("tanh(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return mx::tanh(x); })
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj(Scalar(1) - result * result);
          })
      .doc("The hyperbolic tangent.");
  op("sigmoid(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return mx::sigmoid(x); })
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj((Scalar(1) - result) * result);
          })
      .doc("1 / (1 + exp(-x)).");
  op("reciprocal(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .promote_float()
      .elementwise()
      .kernel([](const mx::array& x) { return mx::reciprocal(x); })
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return -grad * conj(result * result);
          })
      .doc("1 / x.");
  op("relu(Tensor self) -> Tensor")
      .forms("function method inplace")
      .elementwise()
      .kernel([](const mx::array& x) {
        FL_CHECK(
            x.dtype() != mx::bool_, "Boolean inputs not supported for relu");
        return mx::maximum(x, mx::array(0, x.dtype()));
      })
      .grad(
          "self",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * _to_copy(gt(result, Scalar(0)), grad.dtype());
          })
      .doc("max(x, 0).");
}

} // namespace flashlight
