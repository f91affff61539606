// New tensors of random numbers: PyTorch's own stream on the CPU.
#include "flashlight/ops/random.h"
#include "flashlight/ops/complex128.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "flashlight/core/runtime.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/random.h"
#include "flashlight/ops/op.h"

namespace flashlight {

void check_inexact(Dtype dtype, const char* kernel) {
  FL_CHECK_AS(
      NotImplementedError,
      is_floating(dtype) || is_complex(dtype),
      "\"",
      kernel,
      "\" not implemented for '",
      scalar_name(dtype),
      "'");
}

void check_real(Dtype dtype, const char* kernel) {
  FL_CHECK_AS(
      NotImplementedError,
      !is_complex(dtype),
      "\"",
      kernel,
      "\" not implemented for '",
      scalar_name(dtype),
      "'");
}

mx::array in_memory_order(const Tensor& tensor, const IntList& strides) {
  std::vector<int> order(strides.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return strides[static_cast<size_t>(a)] > strides[static_cast<size_t>(b)];
  });
  mx::array out = tensor.value();
  if (!is_contiguous(tensor.sizes(), strides)) {
    out = mx::transpose(out, order);
  }
  out = mx::contiguous(out);
  flashlight::eval({out});
  return out;
}

namespace {

using Given = std::optional<GeneratorHandle>;

Device place(std::optional<MemoryLayout> layout, std::optional<Device> device) {
  FL_CHECK_AS(
      NotImplementedError,
      layout.value_or(MemoryLayout::Strided) == MemoryLayout::Strided,
      "only the strided layout is supported");
  Device on = canonical(device.value_or(Device{}));
  check_available(on);
  return on;
}

// How a factory fills what it makes. `contiguous`: see generator.h.
using Fill = std::function<
    void(Generator&, SampleType, void* out, int64_t n, bool contiguous)>;

Tensor made(
    const IntList& sizes,
    const IntList& strides,
    Dtype dtype,
    Device device,
    const Given& generator,
    const Fill& fill) {
  bool contiguous = is_contiguous(sizes, strides);
  return drawn_as(
      sizes,
      strides,
      dtype,
      device,
      generator,
      [&](Generator& g, SampleType type, void* out, int64_t n) {
        fill(g, type, out, n, contiguous);
      });
}

Tensor made(
    const IntList& sizes,
    Dtype dtype,
    Device device,
    const Given& generator,
    const Fill& fill) {
  return made(sizes, contiguous_strides(sizes), dtype, device, generator, fill);
}

// In the shape of a tensor: its own dense order, or the format that is asked.
Tensor made_like(
    const Tensor& self,
    std::optional<Dtype> dtype,
    std::optional<MemoryLayout> layout,
    std::optional<Device> device,
    std::optional<MemoryFormat> format,
    const Given& generator,
    const Fill& fill) {
  MemoryFormat f = format.value_or(MemoryFormat::Preserve);
  return made(
      self.sizes(),
      f == MemoryFormat::Preserve ? dense_like(self.geometry())
                                  : strides_for(self.sizes(), f),
      dtype.value_or(self.dtype()),
      place(layout, device.value_or(self.device())),
      generator,
      fill);
}

Fill uniform_between(double from, double to) {
  return [=](Generator& g, SampleType type, void* out, int64_t n, bool) {
    fill_uniform(g, type, out, n, from, to);
  };
}

// The parts of a complex number share its variance.
Fill normal_of(Dtype dtype, double mean, double std) {
  if (is_complex(dtype)) {
    std /= std::sqrt(2.0);
  }
  return [=](Generator& g, SampleType type, void* out, int64_t n, bool dense) {
    dense ? fill_normal(g, type, out, n, mean, std)
          : fill_normal_serial(g, type, out, n, mean, std);
  };
}

Fill integers(Dtype dtype, int64_t from, std::optional<int64_t> to) {
  FL_CHECK(
      !is_complex(dtype),
      "check_random_bounds handles only integral, floating-point and boolean "
      "types");
  return [=](Generator& g, SampleType type, void* out, int64_t n, bool) {
    fill_random_from_to(g, type, out, n, from, to);
  };
}

// In place; complex numbers lie like pairs, which are contiguous as they are.
Tensor refilled(const Tensor& self, const Given& generator, const Fill& fill) {
  return made(
      self.sizes(),
      dense_like(self.geometry()),
      self.dtype(),
      self.device(),
      generator,
      [&](Generator& g, SampleType type, void* out, int64_t n, bool) {
        fill(g, type, out, n, self.is_contiguous());
      });
}

void check_std(double std) {
  FL_CHECK(std >= 0, "normal expects std >= 0.0, but found std ", std);
}

void check_std(const Tensor& std) {
  FL_CHECK(
      !std.is_complex(), "normal expects standard deviation to be non-complex");
  if (std.numel() > 0) {
    mx::array valid =
        mx::all(mx::greater_equal(std.value(), scalar_array(0, std.dtype())));
    flashlight::eval({valid});
    FL_CHECK(valid.item<bool>(), "normal expects all elements of std >= 0.0");
  }
}

// z * by and z + by, rounded to z's dtype, as in-place functions do.
mx::array times(const mx::array& z, const mx::array& by) {
  return mx::astype(mx::multiply(z, by), z.dtype());
}
mx::array plus(const mx::array& z, const mx::array& by) {
  return mx::astype(mx::add(z, by), z.dtype());
}

// Contiguous numbers of a normal distribution around 0.
mx::array normal_numbers(
    const IntList& sizes,
    Dtype dtype,
    double std,
    const Given& generator) {
  check_inexact(dtype, "normal_kernel_cpu");
  Fill fill = normal_of(dtype, 0, std);
  return drawn(
      sizes,
      dtype,
      generator,
      [&](Generator& g, SampleType type, void* out, int64_t n) {
        fill(g, type, out, n, true);
      });
}

void register_factories() {
  op("rand(SymInt[] size, *, Generator? generator=None, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel([](const IntList& size,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>) {
        Dtype d = dtype.value_or(default_dtype());
        check_inexact(d, "check_uniform_bounds");
        return made(
            size, d, place(layout, device), generator, uniform_between(0, 1));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("Uniform numbers in [0, 1).");
  op("rand_like(Tensor self, *, Generator? generator=None, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None, MemoryFormat? memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>,
                 std::optional<MemoryFormat> format) {
        Dtype d = dtype.value_or(self.dtype());
        check_inexact(d, "check_uniform_bounds");
        return made_like(
            self, d, layout, device, format, generator, uniform_between(0, 1));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("Uniform numbers in [0, 1), in the shape of `self`.");
  op("randn(SymInt[] size, *, Generator? generator=None, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel([](const IntList& size,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>) {
        Dtype d = dtype.value_or(default_dtype());
        check_inexact(d, "normal_kernel_cpu");
        return made(
            size, d, place(layout, device), generator, normal_of(d, 0, 1));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("Numbers of the standard normal distribution.");
  op("randn_like(Tensor self, *, Generator? generator=None, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None, MemoryFormat? memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>,
                 std::optional<MemoryFormat> format) {
        Dtype d = dtype.value_or(self.dtype());
        check_inexact(d, "normal_kernel_cpu");
        return made_like(
            self, d, layout, device, format, generator, normal_of(d, 0, 1));
      })
      .complex128(itself())
      .not_differentiable()
      .doc("Numbers of the standard normal distribution, shaped as `self`.");
  op("randperm(SymInt n, *, Generator? generator=None, ScalarType? dtype=long, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function out")
      .kernel([](int64_t n,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>) {
        FL_CHECK(n >= 0, "n must be non-negative, got", n);
        check_real(dtype.value_or(Dtype::Int64), "randperm");
        return made(
            {n},
            dtype.value_or(Dtype::Int64),
            place(layout, device),
            generator,
            [](Generator& g, SampleType type, void* out, int64_t count, bool) {
              fill_randperm(g, type, out, count);
            });
      })
      .not_differentiable()
      .doc("A random order of the integers below n.");
  op("randint(SymInt high, SymInt[] size, *, Generator? generator=None, "
     "ScalarType? dtype=long, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel([](int64_t high,
                 const IntList& size,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>) {
        Dtype d = dtype.value_or(Dtype::Int64);
        return made(
            size, d, place(layout, device), generator, integers(d, 0, high));
      })
      .not_differentiable()
      .doc("Integers in [0, high).");
  op("randint.low(SymInt low, SymInt high, SymInt[] size, *, Generator? "
     "generator=None, ScalarType? dtype=long, Layout? layout=None, Device? "
     "device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel([](int64_t low,
                 int64_t high,
                 const IntList& size,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>) {
        Dtype d = dtype.value_or(Dtype::Int64);
        return made(
            size, d, place(layout, device), generator, integers(d, low, high));
      })
      .not_differentiable()
      .doc("Integers in [low, high).");
  op("randint_like(Tensor self, SymInt high, *, Generator? generator=None, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None, MemoryFormat? memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self,
                 int64_t high,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>,
                 std::optional<MemoryFormat> format) {
        Dtype d = dtype.value_or(self.dtype());
        return made_like(
            self, d, layout, device, format, generator, integers(d, 0, high));
      })
      .not_differentiable()
      .doc("Integers in [0, high), in the shape of `self`.");
  op("randint_like.low_dtype(Tensor self, SymInt low, SymInt high, *, "
     "Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None, MemoryFormat? "
     "memory_format=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self,
                 int64_t low,
                 int64_t high,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>,
                 std::optional<MemoryFormat> format) {
        Dtype d = dtype.value_or(self.dtype());
        return made_like(
            self, d, layout, device, format, generator, integers(d, low, high));
      })
      .not_differentiable()
      .doc("Integers in [low, high), in the shape of `self`.");
}

void register_normal() {
  op("normal.Tensor_float(Tensor mean, float std=1, *, Generator? "
     "generator=None) -> Tensor")
      .forms("function out")
      .exact_out("%?%i\"normal_kernel_cpu\" not implemented for '%O'")
      .node("NormalBackward1")
      .kernel([](const Tensor& mean, double std, const Given& generator) {
        check_std(std);
        return plus(
            normal_numbers(mean.sizes(), mean.dtype(), std, generator),
            mean.value());
      })
      .zero_grad("mean")
      .doc("Numbers of normal distributions.");
  op("normal.float_Tensor(float mean, Tensor std, *, Generator? "
     "generator=None) -> Tensor")
      .forms("function out")
      .exact_out("%?%i\"normal_kernel_cpu\" not implemented for '%O'")
      .node("NormalBackward2")
      .kernel([](double mean, const Tensor& std, const Given& generator) {
        check_std(std);
        return plus(
            times(
                normal_numbers(std.sizes(), std.dtype(), 1, generator),
                std.value()),
            scalar_array(mean, std.dtype()));
      })
      .zero_grad("std")
      .doc("Numbers of normal distributions.");
  op("normal.Tensor_Tensor(Tensor mean, Tensor std, *, Generator? "
     "generator=None) -> Tensor")
      .forms("function out")
      .exact_out("%?%i\"normal_kernel_cpu\" not implemented for '%O'")
      .node("NormalBackward3")
      .kernel([](const Tensor& mean,
                 const Tensor& std,
                 const Given& generator) {
        check_std(std);
        IntList sizes = broadcast_sizes(mean.sizes(), std.sizes());
        return plus(
            times(
                normal_numbers(sizes, mean.dtype(), 1, generator), std.value()),
            mean.value());
      })
      .zero_grad("mean std")
      .doc("Numbers of normal distributions.");
  op("normal.float_float(float mean, float std, SymInt[] size, *, Generator? "
     "generator=None, ScalarType? dtype=None, Layout? layout=None, Device? "
     "device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel([](double mean,
                 double std,
                 const IntList& size,
                 const Given& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout> layout,
                 std::optional<Device> device,
                 std::optional<bool>) {
        check_std(std);
        Dtype d = dtype.value_or(default_dtype());
        check_inexact(d, "normal_kernel_cpu");
        return made(
            size, d, place(layout, device), generator, normal_of(d, mean, std));
      })
      .not_differentiable()
      .doc("Numbers of a normal distribution.");
}

void register_in_place() {
  op("uniform(Tensor self, float from=0, float to=1, *, Generator? "
     "generator=None) -> Tensor")
      .forms("inplace")
      .kernel([](const Tensor& self,
                 double from,
                 double to,
                 const Given& generator) {
        check_inexact(self.dtype(), "check_uniform_bounds");
        FL_CHECK(
            from <= to,
            "uniform_ expects to return a [from, to) range, but found from=",
            from,
            " > to=",
            to);
        return refilled(self, generator, uniform_between(from, to));
      })
      .complex128(itself())
      .zero_grad("self")
      .doc("Uniform numbers in [from, to).");
  op("normal(Tensor self, float mean=0, float std=1, *, Generator? "
     "generator=None) -> Tensor")
      .forms("inplace")
      .kernel([](const Tensor& self,
                 double mean,
                 double std,
                 const Given& generator) {
        check_std(std);
        check_inexact(self.dtype(), "normal_kernel_cpu");
        return refilled(self, generator, normal_of(self.dtype(), mean, std));
      })
      .complex128(itself())
      .zero_grad("self")
      .doc("Numbers of a normal distribution.");
  op("random(Tensor self, *, Generator? generator=None) -> Tensor")
      .forms("inplace")
      .node("RandomBackward2")
      .kernel([](const Tensor& self, const Given& generator) {
        check_real(self.dtype(), "random_kernel_cpu");
        return drawn_like(self, generator, fill_random);
      })
      .zero_grad("self")
      .doc("Integers over the whole range that the dtype counts exactly.");
  op("random.from(Tensor self, int from, int? to, *, Generator? "
     "generator=None) -> Tensor")
      .forms("inplace")
      .node("RandomBackward0")
      .kernel([](const Tensor& self,
                 int64_t from,
                 std::optional<int64_t> to,
                 const Given& generator) {
        return refilled(self, generator, integers(self.dtype(), from, to));
      })
      .zero_grad("self")
      .doc("Integers in [from, to).");
  op("random.to(Tensor self, int to, *, Generator? generator=None) -> Tensor")
      .forms("inplace")
      .node("RandomBackward1")
      .kernel([](const Tensor& self, int64_t to, const Given& generator) {
        return refilled(self, generator, integers(self.dtype(), 0, to));
      })
      .zero_grad("self")
      .doc("Integers in [0, to).");
}

} // namespace

void register_random() {
  register_factories();
  register_normal();
  register_in_place();
}

} // namespace flashlight
