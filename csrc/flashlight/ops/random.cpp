// Random numbers: PyTorch's own stream on the CPU.
#include <mutex>

#include <mlx/allocator.h>
#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

SampleType sample_type(Dtype dtype) {
  FL_CHECK_AS(
      NotImplementedError,
      !is_complex(dtype),
      "random numbers of complex dtypes are not supported");
  return static_cast<SampleType>(dtype);
}

// A new contiguous tensor that `fill` writes, under the generator's lock. The
// numbers are drawn here, at the call: their order is the program's.
template <typename F>
mx::array drawn(
    const IntList& sizes,
    Dtype dtype,
    const GeneratorHandle& given,
    F&& fill) {
  for (int64_t n : sizes) {
    FL_CHECK(
        n >= 0,
        "Trying to create tensor with negative dimension ",
        n,
        ": ",
        sizes);
  }
  int64_t n = product(sizes);
  SampleType type = sample_type(dtype);
  mx::allocator::Data memory =
      mx::allocator::malloc(static_cast<size_t>(n * itemsize(dtype)));
  Generator& generator = given ? *given : default_generator();
  {
    std::lock_guard lock(generator.mutex);
    fill(generator, type, memory.buffer().raw_ptr(), n);
  }
  return mx::array(std::move(memory), to_shape(sizes), to_mlx(dtype));
}

void check_float(Dtype dtype, const char* name) {
  FL_CHECK_AS(
      NotImplementedError,
      is_floating(dtype),
      "\"",
      name,
      "\" not implemented for '",
      scalar_name(dtype),
      "'");
}

// In place on a tensor of any strides: drawn in memory order, as PyTorch does.
template <typename F>
Tensor
fill_tensor(const Tensor& self, const GeneratorHandle& generator, F&& fill) {
  bool contiguous = self.is_contiguous();
  IntList dense = dense_like(self.geometry());
  mx::array flat = drawn(
      {self.numel()},
      self.dtype(),
      generator,
      [&](Generator& g, SampleType type, void* out, int64_t n) {
        fill(g, type, out, n, contiguous);
      });
  Geometry window{self.sizes(), dense, 0};
  return Tensor(flat).alias(window, self.dtype());
}

} // namespace

void register_random() {
  op("rand(SymInt[] size, *, Generator? generator=None, ScalarType? "
     "dtype=None, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function")
      .kernel([](const IntList& size,
                 const std::optional<GeneratorHandle>& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout>,
                 std::optional<Device>,
                 std::optional<bool>) {
        Dtype d = dtype.value_or(default_dtype());
        check_float(d, "check_uniform_bounds");
        return drawn(
            size,
            d,
            generator.value_or(nullptr),
            [](Generator& g, SampleType type, void* out, int64_t n) {
              fill_uniform(g, type, out, n, 0, 1);
            });
      })
      .not_differentiable()
      .doc("Uniform numbers in [0, 1).");
  op("randn(SymInt[] size, *, Generator? generator=None, ScalarType? "
     "dtype=None, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function")
      .kernel([](const IntList& size,
                 const std::optional<GeneratorHandle>& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout>,
                 std::optional<Device>,
                 std::optional<bool>) {
        Dtype d = dtype.value_or(default_dtype());
        check_float(d, "normal_kernel_cpu");
        return drawn(
            size,
            d,
            generator.value_or(nullptr),
            [](Generator& g, SampleType type, void* out, int64_t n) {
              fill_normal(g, type, out, n, 0, 1);
            });
      })
      .not_differentiable()
      .doc("Numbers of the standard normal distribution.");
  op("randperm(SymInt n, *, Generator? generator=None, ScalarType? dtype=long, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function")
      .kernel([](int64_t n,
                 const std::optional<GeneratorHandle>& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout>,
                 std::optional<Device>,
                 std::optional<bool>) {
        FL_CHECK(n >= 0, "n must be non-negative, got", n);
        return drawn(
            {n},
            dtype.value_or(Dtype::Int64),
            generator.value_or(nullptr),
            [](Generator& g, SampleType type, void* out, int64_t count) {
              fill_randperm(g, type, out, count);
            });
      })
      .not_differentiable()
      .doc("A random order of the integers below n.");
  op("randint.low(SymInt low, SymInt high, SymInt[] size, *, Generator? "
     "generator=None, "
     "ScalarType? dtype=long, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t low,
                 int64_t high,
                 const IntList& size,
                 const std::optional<GeneratorHandle>& generator,
                 std::optional<Dtype> dtype,
                 std::optional<MemoryLayout>,
                 std::optional<Device>,
                 std::optional<bool>) {
        return drawn(
            size,
            dtype.value_or(Dtype::Int64),
            generator.value_or(nullptr),
            [&](Generator& g, SampleType type, void* out, int64_t n) {
              fill_random_from_to(g, type, out, n, low, high);
            });
      })
      .not_differentiable()
      .doc("Integers in [low, high).");
  op("uniform(Tensor self, float from=0, float to=1, *, Generator? "
     "generator=None) -> Tensor")
      .forms("inplace")
      .kernel([](const Tensor& self,
                 double from,
                 double to,
                 const std::optional<GeneratorHandle>& generator) {
        check_float(self.dtype(), "check_uniform_bounds");
        FL_CHECK(
            from <= to,
            "uniform_ expects to return a [from, to) range, but found from=",
            from,
            " > to=",
            to);
        return fill_tensor(
            self,
            generator.value_or(nullptr),
            [&](Generator& g, SampleType type, void* out, int64_t n, bool) {
              fill_uniform(g, type, out, n, from, to);
            });
      })
      .zero_grad("self")
      .doc("Uniform numbers in [from, to).");
  op("normal(Tensor self, float mean=0, float std=1, *, Generator? "
     "generator=None) -> Tensor")
      .forms("inplace")
      .kernel([](const Tensor& self,
                 double mean,
                 double std,
                 const std::optional<GeneratorHandle>& generator) {
        check_float(self.dtype(), "normal_kernel_cpu");
        FL_CHECK(std >= 0, "normal expects std >= 0.0, but found std ", std);
        return fill_tensor(
            self,
            generator.value_or(nullptr),
            [&](Generator& g,
                SampleType type,
                void* out,
                int64_t n,
                bool contiguous) {
              contiguous ? fill_normal(g, type, out, n, mean, std)
                         : fill_normal_serial(g, type, out, n, mean, std);
            });
      })
      .zero_grad("self")
      .doc("Numbers of a normal distribution.");
}

} // namespace flashlight
