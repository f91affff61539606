// Tensors from nothing: zeros, ones, full, arange...
#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

void check_sizes(const IntList& sizes) {
  for (int64_t n : sizes) {
    FL_CHECK(
        n >= 0,
        "Trying to create tensor with negative dimension ",
        n,
        ": ",
        sizes);
  }
}

Tensor filled(
    const IntList& sizes,
    const Scalar& value,
    Dtype dtype,
    const std::optional<Device>& device,
    IntList strides = {}) {
  check_sizes(sizes);
  Device on = canonical(device.value_or(Device{}));
  check_available(on);
  if (strides.size() != sizes.size()) {
    strides = contiguous_strides(sizes);
  }
  return Tensor(
      mx::full(to_shape(sizes), scalar_array(value, dtype)), strides, on);
}

void check_layout(const std::optional<MemoryLayout>& layout) {
  FL_CHECK_AS(
      NotImplementedError,
      layout.value_or(MemoryLayout::Strided) == MemoryLayout::Strided,
      "only the strided layout is supported");
}

Tensor filled_like(
    const Tensor& self,
    const Scalar& value,
    std::optional<Dtype> dtype,
    std::optional<MemoryLayout> layout,
    std::optional<Device> device,
    std::optional<MemoryFormat> format) {
  check_layout(layout);
  MemoryFormat f = format.value_or(MemoryFormat::Preserve);
  return filled(
      self.sizes(),
      value,
      dtype.value_or(self.dtype()),
      device.value_or(self.device()),
      f == MemoryFormat::Preserve ? dense_like(self.geometry())
                                  : strides_for(self.sizes(), f));
}

Tensor zeros_kernel(
    const IntList& size,
    std::optional<Dtype> dtype,
    std::optional<MemoryLayout> layout,
    std::optional<Device> device,
    std::optional<bool>) {
  check_layout(layout);
  return filled(size, 0, dtype.value_or(default_dtype()), device);
}

} // namespace

void register_creation() {
  op("zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(zeros_kernel)
      .not_differentiable()
      .doc("A tensor of zeros.");
  op("ones(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel([](const IntList& size,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>) {
        check_layout(layout);
        return filled(size, 1, dtype.value_or(default_dtype()), device);
      })
      .not_differentiable()
      .doc("A tensor of ones.");
  // Memory is never left as it was: nothing here may depend on its contents.
  op("empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None, MemoryFormat? "
     "memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const IntList& size,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>,
                 std::optional<MemoryFormat> format) {
        check_layout(layout);
        check_sizes(size);
        return filled(
            size,
            0,
            dtype.value_or(default_dtype()),
            device,
            strides_for(size, format.value_or(MemoryFormat::Contiguous)));
      })
      .not_differentiable()
      .doc("A tensor whose values are of no meaning.");
  op("full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function out")
      .kernel([](const IntList& size,
                 const Scalar& value,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>) {
        check_layout(layout);
        return filled(size, value, dtype.value_or(value.dtype()), device);
      })
      .not_differentiable()
      .doc("A tensor filled with a number.");
  op("zero(Tensor self) -> Tensor")
      .forms("inplace")
      .kernel([](const Tensor& self) {
        return filled(self.sizes(), 0, self.dtype(), self.device());
      })
      .zero_grad("self")
      .doc("Zeros, in place.");
  op("zeros_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None, MemoryFormat? "
     "memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>,
                 std::optional<MemoryFormat> format) {
        return filled_like(self, 0, dtype, layout, device, format);
      })
      .not_differentiable()
      .doc("Zeros in the shape of `self`.");
  op("ones_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None, MemoryFormat? "
     "memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>,
                 std::optional<MemoryFormat> format) {
        return filled_like(self, 1, dtype, layout, device, format);
      })
      .not_differentiable()
      .doc("Ones in the shape of `self`.");
  op("full_like(Tensor self, Scalar fill_value, *, ScalarType? dtype=None, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None, "
     "MemoryFormat? memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self,
                 const Scalar& fill_value,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>,
                 std::optional<MemoryFormat> format) {
        return filled_like(self, fill_value, dtype, layout, device, format);
      })
      .not_differentiable()
      .doc("A number in the shape of `self`.");
}

} // namespace flashlight
