// Copies: values into a tensor, to another dtype, to a storage of its own.
#include <mlx/ops.h>

#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

mx::array copy_kernel(
    const mx::array& self,
    const mx::array& src,
    bool /*non_blocking*/) {
  IntList from = to_int_list(src.shape()), to = to_int_list(self.shape());
  // Larger than self: the in-place call says so.
  IntList sizes = from == to ? to : broadcast_sizes(to, from);
  return mx::broadcast_to(mx::astype(src, self.dtype()), to_shape(sizes));
}

// ... where one of the two is complex128.
Tensor copy_form(const Tensor& self, const Tensor& src, bool) {
  Tensor from =
      copied(src, self.dtype(), dense_like(src.geometry()), self.device());
  return src.sizes() == self.sizes()
             ? from
             : expand(from, broadcast_sizes(self.sizes(), src.sizes()));
}

IntList strides_of(const Tensor& self, std::optional<MemoryFormat> format) {
  MemoryFormat f = format.value_or(MemoryFormat::Preserve);
  return f == MemoryFormat::Preserve ? dense_like(self.geometry())
                                     : strides_for(self.sizes(), f);
}

Tensor clone_kernel(const Tensor& self, std::optional<MemoryFormat> format) {
  return copied(self, strides_of(self, format));
}

// The tensor itself if nothing would change.
Tensor to(
    const Tensor& self,
    Dtype dtype,
    std::optional<Device> device,
    bool non_blocking,
    bool copy,
    std::optional<MemoryFormat> format) {
  Device on = canonical(device.value_or(self.device()));
  MemoryFormat f = format.value_or(MemoryFormat::Preserve);
  bool lies =
      f == MemoryFormat::Preserve || suggested_format(self.geometry()) == f;
  if (!copy && dtype == self.dtype() && on == self.device() && lies) {
    return self;
  }
  return _to_copy(self, dtype, {}, on, {}, non_blocking, format);
}

Tensor to_copy_kernel(
    const Tensor& self,
    std::optional<Dtype> dtype,
    std::optional<MemoryLayout> /*layout*/,
    std::optional<Device> device,
    std::optional<bool> /*pin_memory*/,
    bool /*non_blocking*/,
    std::optional<MemoryFormat> format) {
  Device to = canonical(device.value_or(self.device()));
  check_available(to);
  return copied(
      self, dtype.value_or(self.dtype()), strides_of(self, format), to);
}

} // namespace

void register_copy() {
  op("copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor")
      .forms("inplace")
      .node("torch::autograd::CopyBackwards")
      .elementwise()
      .kernel(copy_kernel)
      .complex128(formula(copy_form))
      .zero_grad("self")
      .grad("src", "", [](const Tensor& grad) { return grad; })
      .doc("The values of `src`, broadcast and cast to `self`.");
  op("clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor")
      .forms("function method")
      .kernel(clone_kernel)
      .complex128(itself())
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .doc("A copy with a storage of its own.");
  op("to.dtype(Tensor(a) self, ScalarType dtype, bool non_blocking=False, bool "
     "copy=False, MemoryFormat? memory_format=None) -> Tensor(a)")
      .forms("method")
      .composite([](const Tensor& self,
                    Dtype dtype,
                    bool non_blocking,
                    bool copy,
                    std::optional<MemoryFormat> format) {
        return to(self, dtype, std::nullopt, non_blocking, copy, format);
      })
      .doc("The tensor under another dtype; itself if it has it.");
  op("to.device(Tensor(a) self, Device? device=None, ScalarType? dtype=None, "
     "bool non_blocking=False, bool copy=False, *, MemoryFormat? "
     "memory_format=None) -> Tensor(a)")
      .forms("method")
      .composite([](const Tensor& self,
                    std::optional<Device> device,
                    std::optional<Dtype> dtype,
                    bool non_blocking,
                    bool copy,
                    std::optional<MemoryFormat> format) {
        return to(
            self,
            dtype.value_or(self.dtype()),
            device,
            non_blocking,
            copy,
            format);
      })
      .doc("The tensor on another device; itself if it is there.");
  op("to.other(Tensor(a) self, Tensor other, bool non_blocking=False, bool "
     "copy=False, MemoryFormat? memory_format=None) -> Tensor(a)")
      .forms("method")
      .composite([](const Tensor& self,
                    const Tensor& other,
                    bool non_blocking,
                    bool copy,
                    std::optional<MemoryFormat> format) {
        return to(
            self, other.dtype(), other.device(), non_blocking, copy, format);
      })
      .doc("The tensor with the dtype and device of another.");
  op("type_as(Tensor self, Tensor other) -> Tensor")
      .forms("method")
      .composite([](const Tensor& self, const Tensor& other) {
        return to(self, other.dtype(), other.device(), false, false, {});
      })
      .doc("The tensor with the dtype and device of another.");
  op("_to_copy(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None, bool non_blocking=False, "
     "MemoryFormat? memory_format=None) -> Tensor")
      .forms("function")
      .node("ToCopyBackward0")
      .kernel(to_copy_kernel)
      .complex128(itself())
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .doc("A copy of another dtype or on another device.");
}

} // namespace flashlight
