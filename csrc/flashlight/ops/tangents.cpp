#include "flashlight/ops/tangents.h"

#include <limits>
#include <unordered_map>

#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/complex.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/linalg.h"

namespace flashlight {

namespace {

// Of all of A's tangent, where the gradient is of A's Hermitian part.
TensorList cholesky_tangents(
    const TensorList& along,
    const Value* args,
    const Results& results) {
  bool upper = args[1].as<bool>();
  const Tensor& factor = *results[0].tensor();
  Tensor l = upper ? mH(factor) : factor;
  Tensor half = linalg_solve_triangular(l, along[0], false);
  Tensor inner = mH(linalg_solve_triangular(l, mH(half), false));
  Tensor out = matmul(l, lower_of(inner, 0.5f));
  return {upper ? mH(out) : out};
}

TensorList
eigh_tangents(const TensorList& along, const Value*, const Results& results) {
  const Tensor& l = *results[0].tensor();
  const Tensor& v = *results[1].tensor();
  mx::array unit = mx::eye(static_cast<int>(l.size(-1)), to_mlx(l.dtype()));
  mx::array rest = mx::subtract(mx::ones_like(unit), unit);
  Tensor gap = unsqueeze(l, -2) - unsqueeze(l, -1) + constant(unit, l);
  Tensor inner = matmul(matmul(mH(v), along[0]), v);
  return {
      real(diagonal(inner, 0, -2, -1)),
      matmul(v, inner / gap * constant(rest, l))};
}

// Where the derivative is not one number (ties, zeros, borders) PyTorch's
// tangents take another side than its gradients, or infinities that these give
// to nobody.

Tensor as_result(const Tensor& tangent, const Results& results) {
  return _to_copy(tangent, results[0].tensor()->dtype());
}

TensorList clamp_tangents(
    const TensorList& along,
    const Value* args,
    const Results& results) {
  const Tensor& self = *args[0].tensor();
  const Tensor& low = *args[1].tensor();
  const Tensor& high = *args[2].tensor();
  Tensor out = where(gt(self, high), along[2], along[0]);
  out = where(lt(self, low), along[1], out);
  return {as_result(where(gt(low, high), along[2], out), results)};
}

TensorList fmax_tangents(
    const TensorList& along,
    const Value* args,
    const Results& results) {
  const Tensor& self = *args[0].tensor();
  const Tensor& other = *args[1].tensor();
  Tensor first = logical_or(gt(self, other), isnan(other));
  return {as_result(where(first, along[0], along[1]), results)};
}

TensorList
logit_tangents(const TensorList& along, const Value* args, const Results&) {
  const Tensor& self = *args[0].tensor();
  bool clamps = !args[1].is_none();
  double eps = clamps ? args[1].as<double>() : 0.0;
  Tensor within = logical_and(ge(self, eps), le(self, 1.0 - eps));
  Tensor slope = along[0] / (self * (Scalar(1) - self));
  double outside = clamps ? 0.0 : std::numeric_limits<double>::quiet_NaN();
  return {where(within, slope, Scalar(outside))};
}

TensorList polar_tangents(
    const TensorList& along,
    const Value* args,
    const Results& results) {
  const Tensor& size = *args[0].tensor();
  const Tensor& angle = *args[1].tensor();
  Tensor turned = complex(zeros_like(along[1]), along[1]);
  return {
      polar(ones_like(size), angle) * along[0] + *results[0].tensor() * turned};
}

TensorList pow_tangents(
    const TensorList& along,
    const Value* args,
    const Results& results) {
  const Tensor& self = *args[0].tensor();
  const Tensor& exponent = *args[1].tensor();
  const Tensor& result = *results[0].tensor();
  Tensor slope = where(
      eq(exponent, Scalar(0)),
      Scalar(0),
      exponent * pow(self, exponent - Scalar(1)));
  Tensor sign = exponent.is_complex() ? real(exponent) : exponent;
  Tensor vanishes = logical_and(eq(self, Scalar(0)), ge(sign, Scalar(0)));
  Tensor growth = where(vanishes, Scalar(0), result * log(self));
  return {as_result(along[0] * slope + along[1] * growth, results)};
}

TensorList
prelu_tangents(const TensorList& along, const Value* args, const Results&) {
  const Tensor& self = *args[0].tensor();
  const Tensor& weight = *args[1].tensor();
  Tensor below = weight * along[0] + along[1] * self;
  return {where(ge(self, Scalar(0)), along[0], below)};
}

} // namespace

const TangentRule* tangent_rule(const Op& op) {
  static const auto* rules = new std::unordered_map<const Op*, TangentRule>{
      {&get_op("linalg_cholesky_ex"), {{"self"}, cholesky_tangents}},
      {&get_op("linalg_eigh"), {{"self"}, eigh_tangents}},
      {&get_op("_clamp"), {{"self", "min", "max"}, clamp_tangents}},
      {&get_op("fmax"), {{"self", "other"}, fmax_tangents}},
      {&get_op("logit"), {{"self"}, logit_tangents}},
      {&get_op("polar"), {{"abs", "angle"}, polar_tangents}},
      {&get_op("pow.Tensor_Tensor"), {{"self", "exponent"}, pow_tangents}},
      {&get_op("_prelu_kernel"), {{"self", "weight"}, prelu_tangents}},
      {&get_op("embedding"), {{"weight"}, nullptr}},
      {&get_op("index_copy"), {{"self", "source"}, nullptr}},
      {&get_op("index_fill.int_Tensor"), {{"self", "value"}, nullptr}},
      {&get_op("_index_put"), {{"self", "values"}, nullptr}},
      {&get_op("put"), {{"self", "source"}, nullptr}},
      {&get_op("scatter.src"), {{"self", "src"}, nullptr}},
      {&get_op("max_unpool2d"), {{"self"}, nullptr}},
      {&get_op("max_unpool3d"), {{"self"}, nullptr}},
  };
  auto it = rules->find(&op);
  return it == rules->end() ? nullptr : &it->second;
}

} // namespace flashlight
