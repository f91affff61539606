// Fills the operator table, family by family, and lends autograd its ops.
#include <mutex>

#include "flashlight/autograd/engine.h"
#include "flashlight/ops/functions.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

namespace {

void lend_ops() {
  AutogradOps& ops = autograd_ops();
  ops.add = [](const Tensor& a, const Tensor& b) { return a + b; };
  ops.sum_to = sum_to_size;
  ops.to_dtype = [](const Tensor& x, Dtype d) { return _to_copy(x, d); };
  ops.zeros = [](const IntList& sizes, Dtype dtype, Device device) {
    return zeros(sizes, dtype, {}, device);
  };
  ops.as_strided = [](const Tensor& x, const Geometry& g) {
    return as_strided(x, g.sizes, g.strides, g.offset);
  };
  ops.as_strided_scatter =
      [](const Tensor& x, const Tensor& src, const Geometry& g) {
        return as_strided_scatter(x, src, g.sizes, g.strides, g.offset);
      };
  ops.clone = [](const Tensor& x) { return clone(x); };
  ops.real = [](const Tensor& x) { return real(x); };
  ops.has_nan = [](const Tensor& x) {
    return x.is_floating_point() && any(isnan(x)).item().to_bool();
  };
}

} // namespace

void register_all_ops() {
  static std::once_flag once;
  std::call_once(once, [] {
    register_arithmetic();
    register_comparison();
    register_activations();
    register_reductions();
    register_shape();
    register_views();
    register_indexing();
    register_linalg();
    register_conv();
    register_pooling();
    register_normalization();
    register_losses();
    register_sorting();
    register_creation();
    register_random();
    register_copy();
    register_attention();
    lend_ops();
  });
}

} // namespace flashlight
