#include "flashlight/ops/reduce.h"

#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/extrema.h"
#include "flashlight/ops/functions/views.h"

namespace flashlight {

std::vector<int> axes_of(const std::optional<IntList>& dims, int64_t ndim) {
  FL_CHECK(ndim <= 64, "only tensors with up to 64 dims are supported");
  std::vector<int> axes;
  if (ndim == 0) {
    (void)wrap_dims(dims.value_or(IntList()), 0);
    return axes;
  }
  for (int64_t d : wrap_dims(dims.value_or(IntList()), ndim)) {
    axes.push_back(static_cast<int>(d));
  }
  return axes;
}

int axis_of(int64_t dim, const mx::array& x) {
  return static_cast<int>(wrap_dim(dim, static_cast<int64_t>(x.ndim())));
}

mx::array at_least_1d(const mx::array& x) {
  return x.ndim() == 0 ? mx::reshape(x, {1}) : x;
}

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

Tensor constant(const mx::array& value, const Tensor& like) {
  IntList sizes = to_int_list(value.shape());
  return Tensor(value, contiguous_strides(sizes), like.device());
}

mx::array widened(const mx::array& x) {
  bool narrow = x.dtype() == mx::float16 || x.dtype() == mx::bfloat16;
  return narrow ? mx::astype(x, mx::float32) : x;
}

void not_implemented(std::string_view name, Dtype dtype) {
  fail<NotImplementedError>(
      '"', name, "\" not implemented for '", scalar_name(dtype), '\'');
}

void check_orders(const mx::array& x, std::string_view name) {
  Dtype d = from_mlx(x.dtype());
  if (is_complex(d) || d == Dtype::UInt16 || d == Dtype::UInt32 ||
      d == Dtype::UInt64) {
    not_implemented(name, d);
  }
}

void check_orders_numbers(const mx::array& x, std::string_view name) {
  check_orders(x, name);
  if (x.dtype() == mx::bool_) {
    not_implemented(name, Dtype::Bool);
  }
}

void check_nonzero_size(
    const mx::array& x,
    int axis,
    std::string_view name,
    std::string_view colon) {
  FL_CHECK_INDEX(
      x.ndim() == 0 || x.shape(axis) != 0,
      name,
      colon,
      " Expected reduction dim ",
      axis,
      " to have non-zero size.");
}

Tensor spread(
    const Tensor& grad,
    const Tensor& self,
    const std::optional<IntList>& dims,
    bool keepdim,
    const Tensor& result) {
  const IntList& sizes = self.sizes();
  mx::array x = self.value();
  mx::array r = restore_dims(detach(result), sizes, dims, keepdim).value();
  mx::array hit = mx::equal(x, r);
  if (self.is_floating_point()) {
    hit = mx::logical_or(hit, mx::logical_and(mx::isnan(x), mx::isnan(r)));
  }
  hit = mx::astype(hit, to_mlx(grad.dtype()));
  auto axes = axes_of(dims, self.dim());
  mx::array n = mx::sum(hit, axes, /*keepdims=*/true);
  return restore_dims(grad, sizes, dims, keepdim) *
         constant(mx::divide(hit, n), self);
}

Tensor select_grad(
    const Tensor& grad,
    const Tensor& self,
    int64_t dim,
    bool keepdim,
    const Tensor& indices) {
  return value_selecting_reduction_backward(
      grad, dim, indices, self.sizes(), keepdim);
}

} // namespace flashlight
