// Complex numbers from their parts, and elements under another dtype.
#include <mlx/ops.h>

#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/complex.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/views.h"

namespace flashlight {

namespace {

// The bytes of a storage as elements of another size: the last dimension, of
// stride 1, grows or shrinks.
ViewSpec view_dtype(const Tensor& self, Dtype dtype) {
  ViewSpec spec = spec_of(self);
  if (dtype == self.dtype()) {
    return spec;
  }
  FL_CHECK(
      !self->conj,
      "torch.Tensor.view is not supported for conjugate view tensors when "
      "converting to a different dtype.");
  FL_CHECK(
      !self->neg,
      "torch.Tensor.view is not supported for tensors with negative bit set "
      "when converting to a different dtype.");
  int64_t from = itemsize(self.dtype()), to = itemsize(dtype);
  spec.dtype = dtype;
  if (from == to) {
    check_storable(dtype);
    return spec;
  }
  auto what = detail::concat(
      " to view ",
      scalar_name(self.dtype()),
      " as ",
      scalar_name(dtype),
      " (different element sizes), but got ");
  FL_CHECK(
      self.dim() > 0,
      "self.dim() cannot be 0 to view ",
      scalar_name(self.dtype()),
      " as ",
      scalar_name(dtype),
      " (different element sizes)");
  Geometry& g = spec.geometry;
  auto check_last_stride = [&] {
    FL_CHECK(
        g.strides.back() == 1,
        "self.stride(-1) must be 1",
        what,
        g.strides.back());
  };
  if (from > to) {
    check_last_stride();
    int64_t ratio = from / to;
    for (int64_t& s : g.strides) {
      s *= ratio;
    }
    g.strides.back() = 1;
    g.sizes.back() *= ratio;
    g.offset *= ratio;
    check_storable(dtype);
    return spec;
  }
  int64_t ratio = to / from;
  FL_CHECK(
      g.sizes.back() % ratio == 0,
      "self.size(-1) must be divisible by ",
      ratio,
      what,
      g.sizes.back());
  FL_CHECK(
      g.offset % ratio == 0,
      "self.storage_offset() must be divisible by ",
      ratio,
      what,
      g.offset);
  check_last_stride();
  for (size_t d = 0; d + 1 < g.strides.size(); ++d) {
    FL_CHECK(
        g.strides[d] % ratio == 0,
        "self.stride(",
        d,
        ") must be divisible by ",
        ratio,
        what,
        g.strides[d]);
    g.strides[d] /= ratio;
  }
  g.sizes.back() /= ratio;
  g.offset /= ratio;
  check_storable(dtype);
  return spec;
}

void check_parts(const Tensor& a, const Tensor& b) {
  FL_CHECK(
      a.is_floating_point() && b.is_floating_point() &&
          a.dtype() != Dtype::BFloat16 && b.dtype() != Dtype::BFloat16,
      "Expected both inputs to be Half, Float or Double tensors but got ",
      scalar_name(a.dtype()),
      " and ",
      scalar_name(b.dtype()));
  FL_CHECK(
      a.dtype() == b.dtype(),
      "Expected object of scalar type ",
      scalar_name(a.dtype()),
      " but got scalar type ",
      scalar_name(b.dtype()),
      " for second argument");
  check_storable(to_complex(a.dtype())); // not float16's
}

// Parts side by side in memory: no arithmetic that would spread NaN. `a` and
// `b` are the tensors that they were made of, of those dtypes.
Tensor from_parts(
    const mx::array& real,
    const mx::array& imag,
    const Tensor& a,
    const Tensor& b) {
  auto both = mx::broadcast_arrays({real, imag});
  IntList strides = elementwise_strides(
      to_int_list(both[0].shape()), {&a.geometry(), &b.geometry()});
  mx::array pairs = mx::stack({both[0], both[1]}, -1);
  if (a.dtype() == Dtype::Float64) {
    return from_pairs(std::move(pairs), std::move(strides), a.device());
  }
  mx::array whole = mx::squeeze(mx::view(pairs, mx::complex64), -1);
  return Tensor(std::move(whole), std::move(strides), a.device());
}

} // namespace

void register_complex() {
  op("view.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)")
      .forms("method copy")
      .view(view_dtype)
      .not_differentiable()
      .doc("The same bytes as elements of another dtype.");
  op("complex(Tensor real, Tensor imag) -> Tensor")
      .forms("function out")
      .exact_out(
          "Expected object of scalar type %R but got scalar type %O for "
          "argument 'out'")
      .elementwise()
      .check(check_parts)
      .kernel([](const Tensor& real, const Tensor& imag) {
        return from_parts(real.value(), imag.value(), real, imag);
      })
      .grad(
          "real", "", [](const Tensor& grad) { return flashlight::real(grad); })
      .grad(
          "imag", "", [](const Tensor& grad) { return flashlight::imag(grad); })
      .doc("Complex numbers of these parts.");
  op("polar(Tensor abs, Tensor angle) -> Tensor")
      .forms("function out")
      .exact_out(
          "Expected object of scalar type %R but got scalar type %O for "
          "argument 'out'")
      .elementwise()
      .check(check_parts)
      .kernel([](const Tensor& abs, const Tensor& angle) {
        mx::array size = abs.value(), turn = angle.value();
        return from_parts(
            mx::multiply(size, mx::cos(turn)),
            mx::multiply(size, mx::sin(turn)),
            abs,
            angle);
      })
      .grad(
          "abs",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return flashlight::real(conj(grad) * sgn(result));
          })
      .grad(
          "angle",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            Scalar i(std::complex<double>(0, 1));
            return flashlight::real(conj(grad) * (result * i));
          })
      .doc("Complex numbers of these lengths and angles.");
  // In place it is a row, and a node, of its own.
  auto conjugate = [](Row&& row) {
    return std::move(row)
        .elementwise()
        .kernel([](const mx::array& self) { return mx::conjugate(self); })
        .complex128(each([](Z x) { return std::conj(x); }))
        .grad("self", "", [](const Tensor& grad) { return conj(grad); });
  };
  conjugate(op("_conj_physical(Tensor self) -> Tensor")
                .forms("function method")
                .node("ConjPhysicalBackward0")
                .doc("The conjugate, computed."));
  op("conj_physical(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out("Found dtype %O but expected %R")
      .composite([](const Tensor& self) {
        return self.is_complex() ? _conj_physical(self) : self;
      })
      .doc("The conjugate, computed; a real tensor itself.");
  conjugate(op("_conj_written(Tensor self) -> Tensor")
                .forms("inplace")
                .node("ConjPhysicalBackward1")
                .doc("What conj_physical_ writes."));
  op("conj_physical_(Tensor(a!) self) -> Tensor(a!)")
      .forms("function method")
      .mutating([](const Tensor& self) { return _conj_written_(self); })
      .doc("The conjugate, in place.");
}

} // namespace flashlight
