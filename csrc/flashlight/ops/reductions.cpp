// Sums, products, extrema over dimensions.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

std::vector<int> axes_of(const IntList& dims, int64_t ndim) {
  std::vector<int> axes;
  if (ndim == 0) {
    (void)wrap_dims(dims, 0);
    return axes;
  }
  for (int64_t d : wrap_dims(dims, ndim)) {
    axes.push_back(static_cast<int>(d));
  }
  return axes;
}

// `grad` of a reduction, with the reduced dimensions put back.
Tensor restore_dims(
    const Tensor& grad,
    const IntList& sizes,
    const std::optional<IntList>& dims,
    bool keepdim) {
  if (keepdim || sizes.empty()) {
    return expand(grad, sizes);
  }
  Tensor g = grad;
  IntList all = wrap_dims(dims.value_or(IntList()), ndim_of(sizes));
  std::sort(all.begin(), all.end());
  for (int64_t d : all) {
    g = unsqueeze(g, d);
  }
  return expand(g, sizes);
}

mx::array sum_kernel(
    const mx::array& self,
    const std::optional<IntList>& dims,
    bool keepdim,
    std::optional<Dtype> dtype) {
  Dtype d = from_mlx(self.dtype());
  Dtype to = dtype.value_or(is_integral(d, true) ? Dtype::Int64 : d);
  return mx::sum(
      mx::astype(self, to_mlx(to)),
      axes_of(dims.value_or(IntList()), static_cast<int64_t>(self.ndim())),
      keepdim);
}

} // namespace

void register_reductions() {
  op("sum(Tensor self, *, ScalarType? dtype=None) -> Tensor")
      .forms("function method")
      .autocast(Autocast::Float32)
      .kernel([](const mx::array& self, std::optional<Dtype> dtype) {
        return sum_kernel(self, std::nullopt, false, dtype);
      })
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return expand(grad, self.sizes());
          })
      .doc("The sum of all elements.");
  op("sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, "
     "ScalarType? dtype=None) -> Tensor")
      .forms("function method out")
      .autocast(Autocast::Float32)
      .kernel(sum_kernel)
      .node("SumBackward1")
      .grad(
          "self",
          "self dim keepdim",
          [](const Tensor& grad,
             const Tensor& self,
             const std::optional<IntList>& dim,
             bool keepdim) {
            return restore_dims(grad, self.sizes(), dim, keepdim);
          })
      .doc("The sum over dimensions.");
  op("mean(Tensor self, *, ScalarType? dtype=None) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self, std::optional<Dtype> dtype) {
        Dtype d = dtype.value_or(self.dtype());
        FL_CHECK(
            is_floating(d) || is_complex(d),
            "mean(): could not infer output dtype. Input dtype must be either "
            "a "
            "floating point or complex dtype. Got: ",
            scalar_name(d));
        return sum(self, d) / Scalar(self.numel());
      })
      .doc("The mean of all elements.");
  op("any(Tensor self) -> Tensor")
      .forms("function method out")
      .kernel([](const mx::array& self) { return mx::any(self); })
      .not_differentiable()
      .doc("True if any element is.");
}

} // namespace flashlight
