#include "flashlight/ops/reduce_along.h"

#include "flashlight/autograd/error_node.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/bitwise.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"

namespace flashlight {

namespace {

// The gradient of a product is the product of the others: the result divided
// by the factor, unless the factor is zero and the only one.
TensorList product_gradients(
    const Along& along,
    const Tensor& grad,
    const Tensor& self,
    const Tensor& source,
    const Tensor& result) {
  Tensor own = where(eq(self, 0), Scalar(1), self);
  Tensor grad_self = grad * along.reduce(own, source) / own;
  Tensor zero = eq(source, 0);
  Tensor zeros_there =
      along.read(along.add(zeros_like(self), _to_copy(zero, self.dtype())));
  Tensor only = bitwise_and(zero, eq(zeros_there, 1));
  Tensor without = along.reduce(self, where(only, Scalar(1), source));
  Tensor grad_source = where(
      only,
      along.read(grad * without),
      along.read(grad * result) / where(zero, Scalar(1), source));
  // Of two zeros the formula knows what the gradient is, but not its own.
  if (grad_enabled() && any(gt(zeros_there, 1)).item().to_bool()) {
    std::string text = detail::concat(
        along.op,
        "(): Double backward is unsupported for ",
        along.source,
        " when >1 zeros in ",
        along.source,
        " are scattered to the same position in self");
    grad_source = delayed_error({grad_source}, text)[0];
  }
  return {grad_self, grad_source};
}

} // namespace

Reduce reduce_of(const std::string& name) {
  FL_CHECK(
      name == "sum" || name == "prod" || name == "mean" || name == "amax" ||
          name == "amin",
      "reduce argument must be either sum, prod, mean, amax or amin, got ",
      name);
  return name == "sum"    ? Reduce::Sum
         : name == "prod" ? Reduce::Prod
         : name == "mean" ? Reduce::Mean
         : name == "amax" ? Reduce::Max
                          : Reduce::Min;
}

void check_ordered(const Tensor& self, Reduce reduce, const char* kernel) {
  if (reduce == Reduce::Max || reduce == Reduce::Min) {
    FL_CHECK_AS(
        NotImplementedError,
        !self.is_complex(),
        "\"",
        kernel,
        reduce == Reduce::Max ? "amax" : "amin",
        "\" not implemented for '",
        scalar_name(self.dtype()),
        "'");
  }
}

TensorList reduce_gradients(
    const Along& along,
    const Tensor& grad,
    const Tensor& self,
    const Tensor& source,
    Reduce reduce,
    bool include_self,
    const Tensor& result) {
  TensorList out;
  if (reduce == Reduce::Sum) {
    out = {grad, along.read(grad)};
  } else if (reduce == Reduce::Prod) {
    out = product_gradients(along, grad, self, source, result);
  } else if (reduce == Reduce::Mean) {
    Tensor n = include_self ? ones_like(grad) : zeros_like(grad);
    n = along.add(n, ones_like(source, grad.dtype()));
    Tensor each = grad / where(eq(n, 0), Scalar(1), n);
    out = {each, along.read(each)};
  } else {
    // Shared evenly among those that are the result.
    Dtype d = self.dtype();
    Tensor self_is = _to_copy(eq(self, result), d);
    Tensor source_is = _to_copy(eq(source, along.read(result)), d);
    Tensor each = grad / along.add(self_is, source_is);
    out = {self_is * each, source_is * along.read(each)};
  }
  if (!include_self) {
    out[0] = along.clear(out[0]);
  }
  return out;
}

} // namespace flashlight
