// Tensors from nothing: zeros, ones, full, empty; and filling those there are.
#include <algorithm>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/autograd/error_node.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/view_autograd.h"
#include "flashlight/core/conversion.h"
#include "flashlight/core/wrapped.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/creation.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

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

std::atomic<bool>& fills_unwritten() {
  static std::atomic<bool> fills{false};
  return fills;
}

Device check_options(
    const std::optional<MemoryLayout>& layout,
    const std::optional<Device>& device,
    const std::optional<bool>& pin_memory) {
  FL_CHECK_AS(
      NotImplementedError,
      layout.value_or(MemoryLayout::Strided) == MemoryLayout::Strided,
      "only the strided layout is supported");
  FL_CHECK(
      !pin_memory.value_or(false),
      "pin_memory=True requires a CUDA or other accelerator backend; no pinned "
      "memory allocator is available on this system.");
  Device on = canonical(device.value_or(Device{}));
  check_available(on);
  return on;
}

namespace {

void check_overflow(const IntList& sizes, Dtype dtype) {
  int64_t stride = 1, bytes = itemsize(dtype);
  for (size_t i = sizes.size(); i-- > 1;) {
    FL_CHECK(
        !__builtin_mul_overflow(
            stride, std::max<int64_t>(sizes[i], 1), &stride),
        "Stride calculation overflowed");
  }
  for (int64_t n : sizes) {
    FL_CHECK(
        !__builtin_mul_overflow(bytes, n, &bytes),
        "Storage size calculation overflowed with sizes=",
        sizes);
  }
}

Tensor filled(
    const IntList& sizes,
    const Scalar& value,
    Dtype dtype,
    Device device,
    IntList strides = {}) {
  check_sizes(sizes);
  check_storable(dtype);
  check_overflow(sizes, dtype);
  // PyTorch fills a single element on a path of its own.
  check_fits(
      value,
      dtype,
      product(sizes) == 1 ? HalfFloats::ByWayOfDouble : HalfFloats::Direct);
  if (strides.size() != sizes.size()) {
    strides = contiguous_strides(sizes);
  }
  if (dtype == Dtype::Complex128) {
    return complex128_number(value, sizes, std::move(strides), device);
  }
  return Tensor(
      mx::full(to_shape(sizes), scalar_array(value, dtype)), strides, device);
}

Tensor filled_like(
    const Tensor& self,
    const Scalar& value,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory,
    OptFormat format) {
  MemoryFormat f = format.value_or(MemoryFormat::Preserve);
  return filled(
      self.sizes(),
      value,
      dtype.value_or(self.dtype()),
      check_options(layout, device.value_or(self.device()), pin_memory),
      f == MemoryFormat::Preserve ? dense_like(self.geometry())
                                  : strides_for(self.sizes(), f));
}

// What stands in memory that nobody has written to.
Scalar unwritten(Dtype dtype) {
  if (!fills_unwritten().load(std::memory_order_relaxed)) {
    return 0;
  }
  if (dtype == Dtype::Bool) {
    return true;
  }
  if (is_floating(dtype) || is_complex(dtype)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  int64_t bits = 8 * itemsize(dtype);
  bool is_signed = info(dtype).is_signed;
  uint64_t most = ~uint64_t{0} >> (64 - bits + (is_signed ? 1 : 0));
  // Of uint64, the largest that a Scalar has.
  return static_cast<int64_t>(most >> (bits == 64 && !is_signed ? 1 : 0));
}

// A tensor of these strides, with or without gaps.
Tensor strided_unwritten(
    const IntList& size,
    const IntList& stride,
    Dtype dtype,
    Device device) {
  FL_CHECK(
      size.size() == stride.size(),
      "dimensionality of sizes (",
      size.size(),
      ") must match dimensionality of strides (",
      stride.size(),
      ")");
  check_sizes(size);
  check_storable(dtype);
  bool negative = std::any_of(
      stride.begin(), stride.end(), [](int64_t s) { return s < 0; });
  FL_CHECK(
      !negative,
      "Storage size calculation overflowed with sizes=",
      size,
      " and strides=",
      stride);
  Geometry g{size, stride, 0};
  Tensor flat =
      filled(IntList{storage_extent(g)}, unwritten(dtype), dtype, device);
  flat->geometry = std::move(g);
  return flat;
}

Tensor filled_new(
    const Tensor& self,
    const IntList& size,
    const Scalar& value,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory) {
  return filled(
      size,
      value,
      dtype.value_or(self.dtype()),
      check_options(layout, device.value_or(self.device()), pin_memory));
}

void check_resizable(const Tensor& self) {
  FL_CHECK(
      !requires_grad(self) || autograd_state().inference_mode,
      "cannot resize variables that require grad");
}

// Elements that a storage did not have before are as those of empty().
void fill_grown(const Tensor& self, int64_t before) {
  int64_t now = self->storage->nbytes() / itemsize(self.dtype());
  if (now <= before || !fills_unwritten().load(std::memory_order_relaxed) ||
      self.device().type == DeviceType::Meta) {
    return;
  }
  Geometry grown{{now - before}, {1}, before};
  Tensor value =
      filled({now - before}, unwritten(self.dtype()), self.dtype(), {});
  self->storage->write(
      grown,
      self.dtype(),
      self.dtype() == Dtype::Complex128
          ? value->storage->read(value.geometry(), Dtype::Complex128)
          : value.value());
}

void resize(const Tensor& self, const IntList& size, OptFormat format) {
  check_resizable(self);
  check_overflow(size, self.dtype());
  // Checks the number of dimensions before anything changes.
  IntList strides =
      strides_for(size, format.value_or(MemoryFormat::Contiguous));
  if (self.sizes() != size) {
    check_inference_write(self);
    int64_t before = self->storage->nbytes() / itemsize(self.dtype());
    resize_tensor(self, size);
    fill_grown(self, before);
    self.bump_version();
  }
  if (format) {
    self->geometry.strides = std::move(strides);
  }
}

// Makes `self` a window on `storage`; `from`: the tensors that its history, of
// which there is no derivative, comes of.
void set_to(
    const Tensor& self,
    const Ref<Storage>& storage,
    Geometry g,
    const TensorList& from) {
  bool any = grad_enabled() && !autograd_state().inference_mode &&
             std::any_of(from.begin(), from.end(), requires_grad);
  check_inplace(self, any);
  check_inference_write(self);
  std::shared_ptr<ErrorNode> node;
  if (any) {
    node = std::make_shared<ErrorNode>(
        "torch::autograd::NotImplemented",
        "derivative for set_ is not implemented");
    for (const Tensor& t : from) {
      node->add_edge(gradient_edge(t));
    }
    node->update_topological();
  }
  int64_t bytes = storage_extent(g) * itemsize(self.dtype());
  if (bytes > storage->nbytes()) {
    storage->resize(bytes);
  }
  self->storage = storage;
  self->geometry = std::move(g);
  // A new one knows the new sizes. As PyTorch, inference mode leaves the old.
  if (self->autograd && !autograd_state().inference_mode) {
    ensure_autograd_meta(self).accumulator.reset();
  }
  rebase_history(self, node);
}

Tensor set_window(
    const Tensor& self,
    const Tensor& source,
    int64_t offset,
    const IntList& size,
    const IntList& stride,
    const TensorList& from) {
  check_outside_transforms(self);
  check_outside_transforms(source);
  FL_CHECK(
      source.dtype() == self.dtype(),
      "Could not set tensor of type ",
      c_name(source.dtype()),
      " to a tensor of type ",
      c_name(self.dtype()));
  FL_CHECK(offset >= 0, "Tensor: invalid storage offset ", offset);
  check_sizes(size);
  FL_CHECK(
      stride.empty() || stride.size() == size.size(),
      "mismatch in length of strides and shape");
  for (int64_t s : stride) {
    FL_CHECK(
        s >= 0,
        "as_strided: Negative strides are not supported at the moment, got "
        "strides: ",
        stride);
  }
  set_to(
      self,
      source->storage,
      {size, stride.empty() ? contiguous_strides(size) : stride, offset},
      from);
  return self;
}

Tensor diagonal_filled(const Tensor& self, const Scalar& value, bool wrap) {
  int64_t n = self.dim();
  FL_CHECK(n >= 2, "dimensions must larger than 1");
  int64_t height = self.size(0), width = self.size(1), step = 0;
  int64_t length = height;
  for (int64_t d = 0; d < n; ++d) {
    FL_CHECK(
        n == 2 || self.size(d) == height,
        "all dimensions of input must be of equal length");
    length = std::min(length, self.size(d));
    step += self.stride(d);
  }
  auto fill = [&](int64_t count, int64_t offset) {
    fill_(as_strided(self, {count}, {step}, offset), value);
  };
  fill(length, self.storage_offset());
  if (wrap && n == 2 && height > width + 1) {
    int64_t all = (self.numel() + width) / (width + 1);
    fill(all - length, self.storage_offset() + self.stride(0) * (width + 1));
  }
  return self;
}

// The kernels of zeros and ones, of zeros_like and ones_like...
template <int value>
Tensor constant(
    const IntList& size,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory) {
  return filled(
      size,
      value,
      dtype.value_or(default_dtype()),
      check_options(layout, device, pin_memory));
}

template <int value>
Tensor constant_like(
    const Tensor& self,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory,
    OptFormat format) {
  return filled_like(self, value, dtype, layout, device, pin_memory, format);
}

template <int value>
Tensor constant_new(
    const Tensor& self,
    const IntList& size,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory) {
  return filled_new(self, size, value, dtype, layout, device, pin_memory);
}

} // namespace

void register_creation() {
  op("zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(constant<0>)
      .complex128(itself())
      .not_differentiable()
      .doc("A tensor of zeros.");
  op("ones(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(constant<1>)
      .complex128(itself())
      .not_differentiable()
      .doc("A tensor of ones.");
  // Memory is never left as it was: nothing here may depend on its contents.
  op("empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None, MemoryFormat? "
     "memory_format=None) -> Tensor")
      .forms("function out")
      .kernel([](const IntList& size,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory,
                 OptFormat format) {
        check_sizes(size);
        Dtype d = dtype.value_or(default_dtype());
        return filled(
            size,
            unwritten(d),
            d,
            check_options(layout, device, pin_memory),
            strides_for(size, format.value_or(MemoryFormat::Contiguous)));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A tensor whose values are of no meaning.");
  op("empty_strided(SymInt[] size, SymInt[] stride, *, ScalarType? dtype=None, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function")
      .kernel([](const IntList& size,
                 const IntList& stride,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        return strided_unwritten(
            size,
            stride,
            dtype.value_or(default_dtype()),
            check_options(layout, device, pin_memory));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A tensor of these strides, whose values are of no meaning.");
  op("empty_permuted(SymInt[] size, int[] physical_layout, *, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](const IntList& size,
                 const IntList& physical_layout,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        FL_CHECK(
            size.size() == physical_layout.size(),
            "Number of dimensions in size does not match the length of the "
            "physical_layout; i.e. len(size) = ",
            size.size(),
            " is not equal to len(physical_layout) = ",
            physical_layout.size());
        check_sizes(size);
        std::vector<bool> seen(size.size());
        IntList stride(size.size());
        int64_t next = 1;
        for (size_t i = size.size(); i-- > 0;) {
          int64_t d = physical_layout[i];
          FL_CHECK(
              d >= 0 && d < ndim_of(size),
              "Dimension out of range (expected to be between 0 and ",
              ndim_of(size) - 1,
              ", but got ",
              d,
              " at index ",
              i,
              ").  NB: negative dims not currently supported; file an issue if "
              "you want it.");
          auto k = static_cast<size_t>(d);
          FL_CHECK(!seen[k], "Duplicate dim not allowed");
          seen[k] = true;
          stride[k] = next;
          next *= std::max<int64_t>(size[k], 1);
        }
        return strided_unwritten(
            size,
            stride,
            dtype.value_or(default_dtype()),
            check_options(layout, device, pin_memory));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A tensor whose dimensions lie in memory in this order.");
  op("full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function out")
      .kernel([](const IntList& size,
                 const Scalar& value,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        return filled(
            size,
            value,
            dtype.value_or(value.dtype()),
            check_options(layout, device, pin_memory));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A tensor filled with a number.");
  op("scalar_tensor(Scalar s, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](const Scalar& s,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        return filled(
            {},
            s,
            dtype.value_or(default_dtype()),
            check_options(layout, device, pin_memory));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A number as a tensor without dimensions.");
  op("zeros_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None, MemoryFormat? "
     "memory_format=None) -> Tensor")
      .forms("function")
      .kernel(constant_like<0>)
      .complex128(itself())
      .not_differentiable()
      .doc("Zeros in the shape of `self`.");
  op("ones_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None, MemoryFormat? "
     "memory_format=None) -> Tensor")
      .forms("function")
      .kernel(constant_like<1>)
      .complex128(itself())
      .not_differentiable()
      .doc("Ones in the shape of `self`.");
  op("empty_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None, MemoryFormat? "
     "memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory,
                 OptFormat format) {
        return filled_like(
            self,
            unwritten(dtype.value_or(self.dtype())),
            dtype,
            layout,
            device,
            pin_memory,
            format);
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A tensor in the shape of `self`, its values of no meaning.");
  op("full_like(Tensor self, Scalar fill_value, *, ScalarType? dtype=None, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None, "
     "MemoryFormat? memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self,
                 const Scalar& fill_value,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory,
                 OptFormat format) {
        return filled_like(
            self, fill_value, dtype, layout, device, pin_memory, format);
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A number in the shape of `self`.");
  op("new_zeros(Tensor self, SymInt[] size, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("method")
      .kernel(constant_new<0>)
      .complex128(itself())
      .not_differentiable()
      .doc("Zeros of the dtype and device of `self`.");
  op("new_ones(Tensor self, SymInt[] size, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("method")
      .kernel(constant_new<1>)
      .complex128(itself())
      .not_differentiable()
      .doc("Ones of the dtype and device of `self`.");
  op("new_empty(Tensor self, SymInt[] size, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("method")
      .kernel([](const Tensor& self,
                 const IntList& size,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        return filled_new(
            self,
            size,
            unwritten(dtype.value_or(self.dtype())),
            dtype,
            layout,
            device,
            pin_memory);
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A tensor of the dtype and device of `self`, without meaning.");
  op("new_full(Tensor self, SymInt[] size, Scalar fill_value, *, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("method")
      .kernel(filled_new)
      .complex128(itself())
      .not_differentiable()
      .doc("A number, in a tensor of the dtype and device of `self`.");
  op("new_empty_strided(Tensor self, SymInt[] size, SymInt[] stride, *, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("method")
      .kernel([](const Tensor& self,
                 const IntList& size,
                 const IntList& stride,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        return strided_unwritten(
            size,
            stride,
            dtype.value_or(self.dtype()),
            check_options(layout, device.value_or(self.device()), pin_memory));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A tensor of these strides and the dtype and device of `self`.");
  op("zero(Tensor self) -> Tensor")
      .forms("inplace inplace_function fills")
      .kernel([](const Tensor& self) {
        return filled(self.sizes(), 0, self.dtype(), self.device());
      })
      .complex128(itself())
      .zero_grad("self")
      .doc("Zeros, in place.");
  op("fill.Scalar(Tensor self, Scalar value) -> Tensor")
      .forms("function inplace fills inplace_node")
      .kernel([](const Tensor& self, const Scalar& value) {
        return filled(
            self.sizes(),
            value,
            self.dtype(),
            self.device(),
            dense_like(self.geometry()));
      })
      .complex128(itself())
      .zero_grad("self")
      .doc("A number everywhere.");
  op("fill.Tensor(Tensor self, Tensor value) -> Tensor")
      .forms("function inplace inplace_node")
      .node("FillBackward1")
      .check([](const Tensor&, const Tensor& value) {
        FL_CHECK(
            value.dim() == 0,
            "fill_ only supports 0-dimension value tensor but got tensor with ",
            value.dim(),
            " dimensions.");
      })
      .kernel([](const Tensor& self, const Tensor& value) {
        IntList strides = dense_like(self.geometry());
        if (self.dtype() == Dtype::Complex128) {
          return complex128_number(
              value.item(), self.sizes(), std::move(strides), self.device());
        }
        return Tensor(
            mx::full(to_shape(self.sizes()), value_as(value, self.dtype())),
            std::move(strides),
            self.device());
      })
      .complex128(itself())
      .zero_grad("self")
      .grad("value", "", [](const Tensor& grad) { return sum(grad); })
      .doc("One value everywhere.");
  op("fill_diagonal_(Tensor(a!) self, Scalar fill_value, bool wrap=False) -> "
     "Tensor(a!)")
      .forms("method")
      .mutating(diagonal_filled)
      .doc("A number on the main diagonal, in place.");
  op("resize_(Tensor(a!) self, SymInt[] size, *, MemoryFormat? "
     "memory_format=None) -> Tensor(a!)")
      .forms("method")
      .mutating([](const Tensor& self, const IntList& size, OptFormat format) {
        FL_CHECK(
            format != MemoryFormat::Preserve,
            "Unsupported memory formatPreserve");
        resize(self, size, format);
        return self;
      })
      .doc("Other sizes over the same storage, which grows if it must.");
  op("resize_as_(Tensor(a!) self, Tensor the_template, *, MemoryFormat? "
     "memory_format=None) -> Tensor(a!)")
      .forms("function method")
      .mutating(
          [](const Tensor& self, const Tensor& the_template, OptFormat format) {
            if (format == MemoryFormat::Preserve) {
              format = suggested_format(the_template.geometry());
            }
            resize(self, the_template.sizes(), format);
            return self;
          })
      .doc("The sizes of another tensor over the same storage.");
  op("set_.source_Tensor(Tensor(a!) self, Tensor source) -> Tensor(a!)")
      .forms("method")
      .mutating([](const Tensor& self, const Tensor& source) {
        return set_window(
            self,
            source,
            source.storage_offset(),
            source.sizes(),
            source.strides(),
            {self, source});
      })
      .doc("The storage and the window of another tensor.");
  op("set_.source_Tensor_storage_offset(Tensor(a!) self, Tensor source, SymInt "
     "storage_offset, SymInt[] size, SymInt[] stride=[]) -> Tensor(a!)")
      .forms("method")
      .mutating([](const Tensor& self,
                   const Tensor& source,
                   int64_t offset,
                   const IntList& size,
                   const IntList& stride) {
        return set_window(self, source, offset, size, stride, {self});
      })
      .doc("A window on the storage of another tensor.");
  op("set_(Tensor(a!) self) -> Tensor(a!)")
      .forms("method")
      .mutating([](const Tensor& self) {
        Tensor none = filled({0}, 0, self.dtype(), self.device());
        return set_window(self, none, 0, {0}, {1}, {self});
      })
      .doc("An empty storage.");
}

} // namespace flashlight
