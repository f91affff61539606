// Tensors of evenly spaced numbers: arange, linspace, logspace.
#include <cmath>

#include <mlx/ops.h>

#include "flashlight/core/conversion.h"
#include "flashlight/core/data.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/creation.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/sequences.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// f(0), f(1), ... f(n - 1), computed as T, as a tensor of `dtype`.
template <typename T, typename F>
Tensor generated(int64_t n, Dtype dtype, Device device, F f) {
  auto length = static_cast<mx::ShapeElem>(n);
  std::vector<T> values;
  for (int64_t i = 0; i < n; ++i) {
    values.push_back(f(i));
  }
  mx::Dtype made = std::is_same_v<T, int64_t>  ? mx::int64
                   : std::is_same_v<T, double> ? mx::float64
                                               : mx::float32;
  mx::array array(values.data(), {length}, made);
  return Tensor(mx::astype(array, to_mlx(dtype)), IntList{1}, device);
}

// The same of complex numbers.
template <typename F>
Tensor generated_complex(int64_t n, Dtype dtype, Device device, F f) {
  std::vector<std::complex<double>> values;
  for (int64_t i = 0; i < n; ++i) {
    values.push_back(f(i));
  }
  Tensor wide = detail::copied_in(values.data(), n, {n}, Dtype::Complex128);
  return copied(wide, dtype, {1}, device);
}

bool all_integral(std::initializer_list<Scalar> numbers) {
  for (const Scalar& x : numbers) {
    if (!x.is_integral()) {
      return false;
    }
  }
  return true;
}

// What arange and range ask of their arguments.
void check_range(
    const char* name,
    const Scalar& start,
    const Scalar& end,
    const Scalar& step,
    Dtype dtype) {
  FL_CHECK_AS(
      NotImplementedError,
      dtype != Dtype::Bool && !is_complex(dtype),
      "\"",
      name,
      "_cpu\" not implemented for '",
      scalar_name(dtype),
      "'");
  double from = start.to_double(), to = end.to_double(), by = step.to_double();
  FL_CHECK(by != 0 && !std::isnan(by), "step must be nonzero");
  FL_CHECK(
      std::isfinite(from) && std::isfinite(to),
      "unsupported range: ",
      start,
      " -> ",
      end);
  FL_CHECK(
      by > 0 ? to >= from : to <= from,
      "upper bound and lower bound inconsistent with step sign");
}

Tensor steps_from(
    int64_t n,
    const Scalar& start,
    const Scalar& step,
    Dtype dtype,
    Device device) {
  if (is_integral(dtype, false)) {
    int64_t from = start.to_int(), by = step.to_int();
    FL_CHECK_VALUE(by != 0, "step must be nonzero");
    return generated<int64_t>(
        n, dtype, device, [=](int64_t i) { return from + i * by; });
  }
  double from = start.to_double(), by = step.to_double();
  return generated<double>(n, dtype, device, [=](int64_t i) {
    return from + static_cast<double>(i) * by;
  });
}

Tensor arange_kernel(
    const Scalar& start,
    const Scalar& end,
    const Scalar& step,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory) {
  Device on = check_options(layout, device, pin_memory);
  Dtype made = dtype.value_or(
      all_integral({start, end, step}) ? Dtype::Int64 : default_dtype());
  check_storable(made);
  check_range("arange", start, end, step, made);
  int64_t n = 0;
  if (made == Dtype::Int64) {
    int64_t by = step.to_int(), sign = by > 0 ? 1 : -1;
    FL_CHECK_VALUE(by != 0, "step must be nonzero");
    n = (end.to_int() - start.to_int() + by - sign) / by;
  } else {
    double size =
        std::ceil((end.to_double() - start.to_double()) / step.to_double());
    FL_CHECK(size < 0x1p53, "invalid size, possible overflow?");
    n = static_cast<int64_t>(size);
  }
  return steps_from(n, start, step, made, on);
}

// The dtype of linspace and logspace.
Dtype spaced_dtype(
    const char* name,
    const Scalar& start,
    const Scalar& end,
    OptDtype dtype) {
  if (!start.is_complex() && !end.is_complex()) {
    Dtype made = dtype.value_or(default_dtype());
    check_storable(made);
    return made;
  }
  Dtype inferred = default_complex_dtype();
  FL_CHECK(
      !dtype || is_complex(*dtype),
      "torch.",
      name,
      "(): inferred dtype ",
      element_name(inferred),
      " can't be safely cast to passed dtype ",
      scalar_name(dtype.value_or(inferred)));
  check_storable(dtype.value_or(inferred));
  return dtype.value_or(inferred);
}

template <typename T>
T number(const Scalar& x) {
  if constexpr (std::is_constructible_v<T, std::complex<double>>) {
    return T(x.to_complex());
  } else {
    return static_cast<T>(x.to_double());
  }
}

// Both halves are counted from their own end, so that both ends are exact.
template <typename T>
auto spaced(T start, T end, int64_t steps) {
  auto count = [](int64_t n) { return number<T>(Scalar(n)); };
  T step = steps > 1 ? (end - start) / count(steps - 1) : T{};
  return [=](int64_t i) {
    return i < steps / 2 || steps == 1 ? start + step * count(i)
                                       : end - step * count(steps - i - 1);
  };
}

template <typename T>
Tensor linspace_as(
    const Scalar& start,
    const Scalar& end,
    int64_t steps,
    Dtype dtype,
    Device device) {
  auto at = spaced(number<T>(start), number<T>(end), steps);
  return generated<T>(steps, dtype, device, at);
}

Tensor linspace_kernel(
    const Scalar& start,
    const Scalar& end,
    int64_t steps,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory) {
  FL_CHECK(steps >= 0, "number of steps must be non-negative");
  Device on = check_options(layout, device, pin_memory);
  Dtype made = spaced_dtype("linspace", start, end, dtype);
  if (is_complex(made)) {
    return generated_complex(
        steps, made, on, spaced(start.to_complex(), end.to_complex(), steps));
  }
  if (is_integral(made, true)) {
    // The ends are cut to integers first, then each number is.
    auto cut = [](const Scalar& x) { return static_cast<double>(x.to_int()); };
    auto at = spaced(cut(start), cut(end), steps);
    return generated<int64_t>(steps, made, on, [&](int64_t i) {
      return static_cast<int64_t>(at(i));
    });
  }
  if (made == Dtype::Float64) {
    return linspace_as<double>(start, end, steps, made, on);
  }
  return linspace_as<float>(start, end, steps, made, on);
}

Tensor logspace_kernel(
    const Scalar& start,
    const Scalar& end,
    int64_t steps,
    double base,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory) {
  FL_CHECK(steps >= 0, "number of steps must be non-negative");
  Device on = check_options(layout, device, pin_memory);
  Dtype made = spaced_dtype("logspace", start, end, dtype);
  if (is_complex(made)) {
    auto at = spaced(start.to_complex(), end.to_complex(), steps);
    return generated_complex(steps, made, on, [&](int64_t i) {
      return std::pow(std::complex<double>(base), at(i));
    });
  }
  auto at = spaced(start.to_double(), end.to_double(), steps);
  auto power = [&](int64_t i) { return std::pow(base, at(i)); };
  if (is_integral(made, true)) {
    return generated<int64_t>(steps, made, on, [&](int64_t i) {
      return static_cast<int64_t>(power(i));
    });
  }
  return generated<double>(steps, made, on, power);
}

// Ends that are tensors must not have dimensions.
void check_ends(const char* name, const Tensor* start, const Tensor* end) {
  bool points = (!start || start->dim() == 0) && (!end || end->dim() == 0);
  std::string got;
  for (auto [t, which] : {std::pair(start, "start"), std::pair(end, "end")}) {
    if (t) {
      got += detail::concat(
          got.empty() ? "" : " and ",
          which,
          " with ",
          t->dim(),
          " dimension(s)");
    }
  }
  FL_CHECK(
      points,
      name,
      " only supports 0-dimensional start and end tensors, but got ",
      got,
      ".");
}

const Tensor* tensor_of(const Tensor& t) {
  return &t;
}
const Tensor* tensor_of(const Scalar&) {
  return nullptr;
}
Scalar number_of(const Tensor& t) {
  return t.item();
}
Scalar number_of(const Scalar& x) {
  return x;
}

// The kernels for ends of either kind.
template <typename A, typename B>
auto linspace_between() {
  return [](const A& start,
            const B& end,
            int64_t steps,
            OptDtype dtype,
            OptLayout layout,
            OptDevice device,
            OptBool pin_memory) {
    check_ends("linspace", tensor_of(start), tensor_of(end));
    return linspace_kernel(
        number_of(start),
        number_of(end),
        steps,
        dtype,
        layout,
        device,
        pin_memory);
  };
}

template <typename A, typename B>
auto logspace_between() {
  return [](const A& start,
            const B& end,
            int64_t steps,
            double base,
            OptDtype dtype,
            OptLayout layout,
            OptDevice device,
            OptBool pin_memory) {
    check_ends("logspace", tensor_of(start), tensor_of(end));
    return logspace_kernel(
        number_of(start),
        number_of(end),
        steps,
        base,
        dtype,
        layout,
        device,
        pin_memory);
  };
}

} // namespace

void register_sequences() {
  op("arange(Scalar end, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel([](const Scalar& end,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        return arange_kernel(0, end, 1, dtype, layout, device, pin_memory);
      })
      .complex128(itself())
      .not_differentiable()
      .doc("0, 1, 2, ... below `end`.");
  op("arange.start(Scalar start, Scalar end, *, ScalarType? dtype=None, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function out")
      .kernel([](const Scalar& start,
                 const Scalar& end,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        return arange_kernel(start, end, 1, dtype, layout, device, pin_memory);
      })
      .complex128(itself())
      .not_differentiable()
      .doc("`start` and on by one, below `end`.");
  op("arange.start_step(Scalar start, Scalar end, Scalar step=1, *, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(arange_kernel)
      .complex128(itself())
      .not_differentiable()
      .doc("`start` and on by `step`, before `end`.");
  op("range.step(Scalar start, Scalar end, Scalar step=1, *, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel([](const Scalar& start,
                 const Scalar& end,
                 const Scalar& step,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        warn(
            "torch.range is deprecated and will be removed in a future release "
            "because its behavior is inconsistent with Python's range builtin. "
            "Instead, use torch.arange, which produces values in [start, "
            "end).");
        Device on = check_options(layout, device, pin_memory);
        Dtype made = dtype.value_or(default_dtype());
        check_storable(made);
        check_range("range", start, end, step, made);
        double last = std::floor(
            (end.to_double() - start.to_double()) / step.to_double());
        return steps_from(
            static_cast<int64_t>(last) + 1, start, step, made, on);
      })
      .complex128(itself())
      .not_differentiable()
      .doc("`start` and on by `step`, up to and with `end`.");
  op("linspace(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function out")
      .kernel(linspace_between<Scalar, Scalar>())
      .complex128(itself())
      .not_differentiable()
      .doc("`steps` numbers, evenly spaced from `start` to `end`.");
  op("linspace.Tensor_Tensor(Tensor start, Tensor end, int steps, *, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(linspace_between<Tensor, Tensor>())
      .complex128(itself())
      .not_differentiable()
      .doc("Evenly spaced numbers between two tensors without dimensions.");
  op("linspace.Tensor_Scalar(Tensor start, Scalar end, int steps, *, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(linspace_between<Tensor, Scalar>())
      .complex128(itself())
      .not_differentiable()
      .doc("Evenly spaced numbers from a tensor without dimensions.");
  op("linspace.Scalar_Tensor(Scalar start, Tensor end, int steps, *, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(linspace_between<Scalar, Tensor>())
      .complex128(itself())
      .not_differentiable()
      .doc("Evenly spaced numbers to a tensor without dimensions.");
  op("logspace(Scalar start, Scalar end, int steps, float base=10.0, *, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(logspace_between<Scalar, Scalar>())
      .complex128(itself())
      .not_differentiable()
      .doc("Powers of `base`, their exponents evenly spaced.");
  op("logspace.Tensor_Tensor(Tensor start, Tensor end, int steps, float "
     "base=10.0, *, ScalarType? dtype=None, Layout? layout=None, Device? "
     "device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(logspace_between<Tensor, Tensor>())
      .complex128(itself())
      .not_differentiable()
      .doc("Powers, their exponents between two tensors without dimensions.");
  op("logspace.Tensor_Scalar(Tensor start, Scalar end, int steps, float "
     "base=10.0, *, ScalarType? dtype=None, Layout? layout=None, Device? "
     "device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(logspace_between<Tensor, Scalar>())
      .complex128(itself())
      .not_differentiable()
      .doc("Powers, their exponents from a tensor without dimensions.");
  op("logspace.Scalar_Tensor(Scalar start, Tensor end, int steps, float "
     "base=10.0, *, ScalarType? dtype=None, Layout? layout=None, Device? "
     "device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(logspace_between<Scalar, Tensor>())
      .complex128(itself())
      .not_differentiable()
      .doc("Powers, their exponents to a tensor without dimensions.");
}

} // namespace flashlight
