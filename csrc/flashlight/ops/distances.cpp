// Distances and similarities of vectors, and losses made of them.
#include <algorithm>
#include <cmath>

#include <mlx/ops.h>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/distances.h"
#include "flashlight/ops/functions/indexing.h"
#include "flashlight/ops/functions/norms.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/losses.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

namespace {

// A norm that is at least eps; the gradient is that of the norm itself.
Tensor norm_at_least(const Tensor& x, int64_t dim, double eps) {
  Tensor norm = clone(linalg_vector_norm(x, Scalar(2), IntList{dim}, true));
  NoGrad guard;
  clamp_min_(norm, Scalar(eps));
  return norm;
}

Tensor cosine(const Tensor& x1, const Tensor& x2, int64_t dim, double eps) {
  Value a(x1), b(x2);
  Dtype common = result_type({&a, &b});
  FL_CHECK(
      is_floating(common),
      "expected common dtype to be floating point, yet common dtype is ",
      scalar_name(common));
  IntList sizes = broadcast_sizes(x1.sizes(), x2.sizes());
  auto prepared = [&](const Tensor& x) {
    Tensor y = x.dtype() == common ? x : _to_copy(x, common);
    return y.sizes() == sizes ? y : expand(y, sizes);
  };
  Tensor u = prepared(x1), v = prepared(x2);
  Tensor cos =
      (u / norm_at_least(u, dim, eps)) * (v / norm_at_least(v, dim, eps));
  return sum(cos, IntList{dim});
}

Tensor cosine_embedding(
    const Tensor& input1,
    const Tensor& input2,
    const Tensor& target,
    double margin,
    int64_t reduction) {
  int64_t d = target.dim();
  FL_CHECK(
      d <= 1, "0D or 1D target tensor expected, multi-target not supported");
  FL_CHECK(
      input1.dim() == d + 1 && input2.dim() == d + 1,
      d == 1 ? "1D target tensor expects 2D" : "0D target tensor expects 1D",
      " input tensors, but found inputs with sizes ",
      input1.sizes(),
      " and ",
      input2.sizes(),
      ".");
  constexpr double kTiny = 1e-12;
  auto dot = [&](const Tensor& a, const Tensor& b) {
    return sum(a * b, IntList{d});
  };
  Tensor squares = (dot(input1, input1) + Scalar(kTiny)) *
                   (dot(input2, input2) + Scalar(kTiny));
  Tensor cos = dot(input1, input2) / sqrt(squares);
  Tensor apart = clamp_min(cos - Scalar(margin), Scalar(0));
  Tensor loss = where(eq(target, Scalar(1)), Scalar(1) - cos, zeros_like(cos)) +
                where(eq(target, Scalar(-1)), apart, zeros_like(cos));
  return reduced(loss, reduction);
}

Tensor triplet_margin(
    const Tensor& anchor,
    const Tensor& positive,
    const Tensor& negative,
    double margin,
    double p,
    double eps,
    bool swap,
    int64_t reduction) {
  FL_CHECK(
      anchor.dim() == positive.dim() && positive.dim() == negative.dim(),
      "The anchor, positive, and negative tensors are expected to have the "
      "same number of dimensions, but got: anchor ",
      anchor.dim(),
      "D, positive ",
      positive.dim(),
      "D, and negative ",
      negative.dim(),
      "D inputs");
  Tensor near = pairwise_distance(anchor, positive, p, eps);
  Tensor far = pairwise_distance(anchor, negative, p, eps);
  if (swap) {
    far = minimum(far, pairwise_distance(positive, negative, p, eps));
  }
  return reduced(clamp_min(near - far + Scalar(margin), Scalar(0)), reduction);
}

// The rows of each pair of n, in order.
std::pair<mx::array, mx::array> pairs_of(int64_t n) {
  std::vector<int64_t> first, second;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i + 1; j < n; ++j) {
      first.push_back(i);
      second.push_back(j);
    }
  }
  mx::Shape shape = {static_cast<int>(first.size())};
  return {
      mx::array(first.data(), shape, mx::int64),
      mx::array(second.data(), shape, mx::int64)};
}

Tensor pdist_kernel(const Tensor& self, double p) {
  NoGrad guard;
  int64_t n = self.size(0);
  if (n < 2) {
    return zeros({0}, self.dtype(), {}, self.device());
  }
  auto [i, j] = pairs_of(n);
  mx::array x = self.value();
  mx::array d = mx::subtract(mx::take(x, i, 0), mx::take(x, j, 0));
  if (p == 0) { // how many differ; NaN if any is
    mx::array differ = mx::not_equal(d, mx::array(0, d.dtype()));
    d = mx::where(mx::isnan(d), d, mx::astype(differ, d.dtype()));
    return constant(mx::sum(d, 1), self);
  }
  return linalg_vector_norm(constant(d, self), Scalar(p), IntList{1});
}

Tensor pdist_grad(
    const Tensor& grad,
    const Tensor& self,
    double p,
    const Tensor& result) {
  if (grad.numel() == 0 || p == 0) {
    return zeros_like(self);
  }
  auto [first, second] = pairs_of(self.size(0));
  Tensor i = constant(first, self), j = constant(second, self);
  Tensor difference = _index(self, {i}) - _index(self, {j});
  Tensor g = _norm_backward(
      unsqueeze(grad, 1), difference, unsqueeze(result, 1), p, {1});
  Tensor none = zeros(self.sizes(), g.dtype(), {}, g.device());
  return _index_put(_index_put(none, {i}, g, true), {j}, -g, true);
}

} // namespace

void register_distances() {
  op("cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> "
     "Tensor")
      .forms("function")
      .autocast(Autocast::None, Autocast::Float32)
      .composite(cosine)
      .doc("The cosine of the angle between vectors.");
  op("pairwise_distance(Tensor x1, Tensor x2, float p=2, float eps=1e-06, bool "
     "keepdim=False) -> Tensor")
      .forms("function")
      .composite([](const Tensor& x1,
                    const Tensor& x2,
                    double p,
                    double eps,
                    bool keepdim) {
        Tensor difference = x1 - x2 + Scalar(eps);
        int64_t last = difference.dim() - 1;
        return norm(difference, Scalar(p), IntList{last}, keepdim);
      })
      .doc("The p norm of differences of vectors, eps added to them.");
  op("pdist(Tensor self, float p=2) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite([](const Tensor& self, double p) {
        FL_CHECK(
            self.dim() == 2,
            "pdist only supports 2D tensors, got: ",
            self.dim(),
            "D");
        FL_CHECK(
            self.is_floating_point(),
            "pdist only supports floating-point dtypes");
        FL_CHECK(p >= 0, "pdist only supports non-negative p values");
        return _pdist_forward(self, p);
      })
      .doc("The distances between each two rows.");
  op("_pdist_forward(Tensor self, float p=2) -> Tensor")
      .forms("")
      .kernel(pdist_kernel)
      .grad("self", "self p result", pdist_grad)
      .doc("pdist of what was checked.");
  op("cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float "
     "margin=0.0, int reduction=Mean) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite(cosine_embedding)
      .doc("1 - cos for a target of 1, max(0, cos - margin) for one of -1.");
  op("triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, "
     "float margin=1.0, float p=2, float eps=1e-06, bool swap=False, int "
     "reduction=Mean) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite(triplet_margin)
      .doc("How far the positive is not nearer than the negative by a margin.");
}

} // namespace flashlight
