// Fills the operator table, family by family, and lends autograd its ops.
#include <mutex>

#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/levels.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/families.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/views.h"

namespace flashlight {

// One a family file.
#define FL_DECLARE(family) void register_##family();
FLASHLIGHT_FAMILIES(FL_DECLARE)
#undef FL_DECLARE

namespace {

void lend_ops() {
  AutogradOps& ops = autograd_ops();
  ops.add = [](const Tensor& a, const Tensor& b) { return a + b; };
  ops.add_ = [](const Tensor& a, const Tensor& b) { return add_(a, b); };
  ops.sum_to = unbroadcast;
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
  ops.scatter_window = scatter_window;
  ops.clone = [](const Tensor& x) {
    return clone(x, MemoryFormat::Contiguous);
  };
  ops.copy_ = [](const Tensor& to, const Tensor& from) {
    return copy_(to, from, false);
  };
  ops.real = [](const Tensor& x) { return real(x); };
  ops.view_as_real = [](const Tensor& x) {
    return view_as_real(resolve_conj(x));
  };
  ops.view_as_complex = [](const Tensor& x) {
    return view_as_complex(contiguous(x));
  };
  ops.conj = [](const Tensor& x) { return conj(x); };
  ops.neg = [](const Tensor& x) { return -x; };
  ops.has_nan = [](const Tensor& tensor) {
    Tensor x = outside_levels(tensor);
    return x.is_floating_point() && any(isnan(x)).item().to_bool();
  };
}

} // namespace

void register_all_ops() {
  static std::once_flag once;
  std::call_once(once, [] {
#define FL_REGISTER(family) register_##family();
    FLASHLIGHT_FAMILIES(FL_REGISTER)
#undef FL_REGISTER
    register_aliases();
    lend_ops();
  });
}

} // namespace flashlight
