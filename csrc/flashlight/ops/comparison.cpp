// Comparisons, logical and bitwise ops.
#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

namespace {

void check_ordered(const mx::array& x, const char* name) {
  FL_CHECK_AS(
      NotImplementedError,
      x.dtype() != mx::complex64,
      "\"",
      name,
      "\" not implemented for 'ComplexFloat'");
}

// Complex numbers can be told apart but have no order.
constexpr const char* kAnyOrder = nullptr;
constexpr char kLt[] = "lt_cpu", kLe[] = "le_cpu", kGt[] = "gt_cpu",
               kGe[] = "ge_cpu";

template <auto F, const char* name>
mx::array compare(const mx::array& self, const mx::array& other) {
  if constexpr (name != nullptr) {
    check_ordered(self, name);
  }
  return F(self, other, {});
}

template <auto F, const char* name>
mx::array compare_number(const Tensor& self, const Scalar& other) {
  Tensor number = wrapped_number(other);
  Value a = self, b = number;
  mx::Dtype common = to_mlx(result_type({&a, &b}));
  return compare<F, name>(
      mx::astype(self.value(), common), value_as(number, from_mlx(common)));
}

mx::array truth(const mx::array& x) {
  return x.dtype() == mx::bool_ ? x : mx::not_equal(x, mx::array(0, x.dtype()));
}

bool all_true(const mx::array& x) {
  mx::array all = mx::all(x);
  eval({all});
  return all.item<bool>();
}

mx::array isclose_kernel(
    const mx::array& self,
    const mx::array& other,
    double rtol,
    double atol,
    bool equal_nan) {
  mx::array close = mx::equal(self, other);
  Dtype d = from_mlx(self.dtype());
  bool inexact = is_floating(d) || is_complex(d);
  if (equal_nan && inexact) {
    close = mx::logical_or(
        close, mx::logical_and(mx::isnan(self), mx::isnan(other)));
  }
  if (rtol == 0 && atol == 0) {
    return close;
  }
  mx::Dtype work = inexact ? self.dtype() : to_mlx(default_dtype());
  mx::array a = mx::astype(self, work), b = mx::astype(other, work);
  mx::array size = mx::abs(b), error = mx::abs(mx::subtract(a, b));
  mx::array allowed = mx::add(
      mx::array(atol, size.dtype()),
      mx::multiply(mx::array(rtol, size.dtype()), size));
  mx::array finite = mx::isfinite(error);
  return mx::logical_or(
      close, mx::logical_and(finite, mx::less_equal(error, allowed)));
}

bool close_of(Z a, Z b, double rtol, double atol, bool equal_nan) {
  auto nan = [](Z x) { return std::isnan(x.real()) || std::isnan(x.imag()); };
  if (a == b || (equal_nan && nan(a) && nan(b))) {
    return true;
  }
  if (rtol == 0 && atol == 0) {
    return false;
  }
  double error = std::abs(a - b);
  return std::isfinite(error) && error <= atol + rtol * std::abs(b);
}

void check_close(
    const Tensor& self,
    const Tensor& other,
    double rtol,
    double atol) {
  FL_CHECK(
      self.dtype() == other.dtype(),
      scalar_name(self.dtype()),
      " did not match ",
      scalar_name(other.dtype()));
  FL_CHECK(
      rtol >= 0, "rtol must be greater than or equal to zero, but got ", rtol);
  FL_CHECK(
      atol >= 0, "atol must be greater than or equal to zero, but got ", atol);
}

// max and min that take both operands' NaN.
template <auto F>
mx::array extreme(const mx::array& a, const mx::array& b) {
  mx::array y = F(a, b, {});
  if (!is_floating(from_mlx(a.dtype()))) {
    return y;
  }
  return mx::where(mx::isnan(a), a, mx::where(mx::isnan(b), b, y));
}

// ... and that leave NaN out.
template <auto F>
mx::array extreme_of_numbers(const mx::array& a, const mx::array& b) {
  mx::array y = F(a, b, {});
  if (!is_floating(from_mlx(a.dtype()))) {
    return y;
  }
  return mx::where(mx::isnan(a), b, mx::where(mx::isnan(b), a, y));
}

template <const char* name>
void check_real(const Tensor& self, const Tensor& other) {
  FL_CHECK(
      !self.is_complex() && !other.is_complex(),
      name,
      " not implemented for complex tensors.");
}

constexpr char kMaximum[] = "maximum", kMinimum[] = "minimum", kFmax[] = "fmax",
               kFmin[] = "fmin";

void check_clamps(Dtype dtype) {
  FL_CHECK_AS(
      NotImplementedError,
      !is_complex(dtype),
      "clamp is not supported for complex types");
}

Tensor zero_unless(const Tensor& condition, const Tensor& x) {
  return where(condition, x, zeros({}, x.dtype(), {}, x.device()));
}

// Shared evenly where both are the extreme; beside NaN neither has lost.
Tensor extreme_grad(const Tensor& grad, const Tensor& lost, const Tensor& tie) {
  return masked_fill(where(tie, grad / Scalar(2), grad), lost, Scalar(0));
}

mx::array clamp_kernel(
    const mx::array& self,
    const std::optional<Scalar>& min,
    const std::optional<Scalar>& max) {
  FL_CHECK(
      min || max,
      "torch.clamp: At least one of 'min' or 'max' must not be None");
  Dtype d = from_mlx(self.dtype());
  check_clamps(d);
  FL_CHECK_AS(
      NotImplementedError,
      d != Dtype::Bool,
      "\"clamp_",
      min && max ? ""
      : min      ? "min_"
                 : "max_",
      "scalar_cpu\" not implemented for 'Bool'");
  mx::array y = self;
  if (min) {
    y = extreme<mx::maximum>(y, mx::full(y.shape(), scalar_array(*min, d)));
  }
  if (max) {
    y = extreme<mx::minimum>(y, mx::full(y.shape(), scalar_array(*max, d)));
  }
  return y;
}

Tensor clamp_tensors(const Tensor& self, const Tensor& min, const Tensor& max) {
  FL_CHECK(
      min.defined() || max.defined(),
      "torch.clamp: At least one of 'min' or 'max' must not be None");
  check_clamps(self.dtype());
  if (!min.defined()) {
    return clamp_max(self, max);
  }
  if (!max.defined()) {
    return clamp_min(self, min);
  }
  return _clamp(self, min, max);
}

} // namespace

void register_comparison() {
  op("eq.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel(compare_number<mx::equal, kAnyOrder>)
      .complex128(
          each([](Z a, const Scalar& b) { return a == b.to_complex(); }))
      .not_differentiable()
      .doc("self == other, as bools.");
  op("eq.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(compare<mx::equal, kAnyOrder>)
      .complex128(each([](Z a, Z b) { return a == b; }))
      .not_differentiable()
      .doc("self == other, as bools.");
  op("ne.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel(compare_number<mx::not_equal, kAnyOrder>)
      .complex128(
          each([](Z a, const Scalar& b) { return a != b.to_complex(); }))
      .not_differentiable()
      .doc("self != other, as bools.");
  op("ne.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(compare<mx::not_equal, kAnyOrder>)
      .complex128(each([](Z a, Z b) { return a != b; }))
      .not_differentiable()
      .doc("self != other, as bools.");
  op("lt.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel(compare_number<mx::less, kLt>)
      .not_differentiable()
      .doc("self < other, as bools.");
  op("lt.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(compare<mx::less, kLt>)
      .not_differentiable()
      .doc("self < other, as bools.");
  op("le.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel(compare_number<mx::less_equal, kLe>)
      .not_differentiable()
      .doc("self <= other, as bools.");
  op("le.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(compare<mx::less_equal, kLe>)
      .not_differentiable()
      .doc("self <= other, as bools.");
  op("gt.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel(compare_number<mx::greater, kGt>)
      .not_differentiable()
      .doc("self > other, as bools.");
  op("gt.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(compare<mx::greater, kGt>)
      .not_differentiable()
      .doc("self > other, as bools.");
  op("ge.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel(compare_number<mx::greater_equal, kGe>)
      .not_differentiable()
      .doc("self >= other, as bools.");
  op("ge.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(compare<mx::greater_equal, kGe>)
      .not_differentiable()
      .doc("self >= other, as bools.");

  op("logical_not(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const mx::array& x) { return mx::logical_not(truth(x)); })
      .complex128(each([](Z x) { return x == 0.0; }))
      .not_differentiable()
      .doc("True where an element is zero.");
  op("logical_and(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const mx::array& a, const mx::array& b) {
        return mx::logical_and(truth(a), truth(b));
      })
      .complex128(each([](Z a, Z b) { return a != 0.0 && b != 0.0; }))
      .not_differentiable()
      .doc("True where both are not zero.");
  op("logical_or(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const mx::array& a, const mx::array& b) {
        return mx::logical_or(truth(a), truth(b));
      })
      .complex128(each([](Z a, Z b) { return a != 0.0 || b != 0.0; }))
      .not_differentiable()
      .doc("True where one is not zero.");
  op("logical_xor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const mx::array& a, const mx::array& b) {
        return mx::not_equal(truth(a), truth(b));
      })
      .complex128(each([](Z a, Z b) { return (a != 0.0) != (b != 0.0); }))
      .not_differentiable()
      .doc("True where just one is not zero.");

  op("isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, "
     "bool equal_nan=False) -> Tensor")
      .forms("function method")
      .elementwise()
      .check(check_close)
      .kernel(isclose_kernel)
      .complex128(each(close_of))
      .not_differentiable()
      .doc("True where |self - other| <= atol + rtol * |other|.");
  op("allclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, "
     "bool equal_nan=False) -> bool")
      .forms("function method")
      .kernel([](const Tensor& self,
                 const Tensor& other,
                 double rtol,
                 double atol,
                 bool equal_nan) {
        return all_true(isclose(self, other, rtol, atol, equal_nan).value());
      })
      .complex128(itself())
      .not_differentiable()
      .doc("Whether all elements are close.");
  op("equal(Tensor self, Tensor other) -> bool")
      .forms("function method")
      .kernel([](const Tensor& self, const Tensor& other) {
        FL_CHECK(
            self.dtype() == other.dtype(),
            "Expected object of data type ",
            scalar_name(self.dtype()),
            " but got data type ",
            scalar_name(other.dtype()),
            " for argument #2 'other' in call to equal");
        return self.sizes() == other.sizes() &&
               all_true(eq(self, other).value());
      })
      .complex128(itself())
      .not_differentiable()
      .doc("Whether sizes and all elements are equal.");

  op("maximum(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .promote()
      .elementwise()
      .check(check_real<kMaximum>)
      .kernel(extreme<mx::maximum>)
      .grad(
          "self",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return extreme_grad(grad, lt(self, other), eq(self, other));
          })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return extreme_grad(grad, gt(self, other), eq(self, other));
          })
      .doc("The greater of two elements.");
  op("minimum(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .promote()
      .elementwise()
      .check(check_real<kMinimum>)
      .kernel(extreme<mx::minimum>)
      .grad(
          "self",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return extreme_grad(grad, gt(self, other), eq(self, other));
          })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return extreme_grad(grad, lt(self, other), eq(self, other));
          })
      .doc("The lesser of two elements.");
  op("fmax(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .promote()
      .elementwise()
      .check(check_real<kFmax>)
      .kernel(extreme_of_numbers<mx::maximum>)
      .grad(
          "self",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            Tensor mine = logical_or(ge(self, other), isnan(other));
            return masked_fill(grad, logical_not(mine), Scalar(0));
          })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            Tensor mine = logical_or(ge(self, other), isnan(other));
            return masked_fill(grad, mine, Scalar(0));
          })
      .doc("The greater of two elements; a number rather than NaN.");
  op("fmin(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .promote()
      .elementwise()
      .check(check_real<kFmin>)
      .kernel(extreme_of_numbers<mx::minimum>)
      .grad(
          "self",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            Tensor mine = logical_or(le(self, other), isnan(other));
            return masked_fill(grad, logical_not(mine), Scalar(0));
          })
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            Tensor mine = logical_or(le(self, other), isnan(other));
            return masked_fill(grad, mine, Scalar(0));
          })
      .doc("The lesser of two elements; a number rather than NaN.");

  op("clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .node("ClampBackward1")
      .promote()
      .elementwise()
      .kernel(clamp_kernel)
      .grad(
          "self",
          "self min max",
          [](const Tensor& grad,
             const Tensor& self,
             const std::optional<Scalar>& min,
             const std::optional<Scalar>& max) {
            if (min && max) {
              return zero_unless(
                  logical_and_(ge(self, *min), le(self, *max)), grad);
            }
            return min   ? zero_unless(ge(self, *min), grad)
                   : max ? zero_unless(le(self, *max), grad)
                         : grad;
          })
      .doc("Elements moved into [min, max].");
  op("clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor")
      .forms("function method inplace out")
      .composite(clamp_tensors)
      .doc("Elements moved into [min, max].");
  op("_clamp(Tensor self, Tensor min, Tensor max) -> Tensor")
      .forms("")
      .promote()
      .elementwise()
      .refuse(kBools + kComplexes, "clamp_cpu")
      .kernel([](const mx::array& self,
                 const mx::array& min,
                 const mx::array& max) {
        return extreme<mx::minimum>(extreme<mx::maximum>(self, min), max);
      })
      .node("ClampBackward1")
      .grad(
          "self",
          "self min max",
          [](const Tensor& grad,
             const Tensor& self,
             const Tensor& min,
             const Tensor& max) {
            return zero_unless(logical_and(ge(self, min), le(self, max)), grad);
          })
      .grad(
          "min",
          "self min max",
          [](const Tensor& grad,
             const Tensor& self,
             const Tensor& min,
             const Tensor& max) {
            return zero_unless(logical_and(lt(min, max), lt(self, min)), grad);
          })
      .grad(
          "max",
          "self min max",
          [](const Tensor& grad,
             const Tensor& self,
             const Tensor& min,
             const Tensor& max) {
            return zero_unless(logical_or(gt(self, max), lt(max, min)), grad);
          })
      .doc("Elements moved into [min, max].");
  op("clamp_min(Tensor self, Scalar min) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .promote()
      .elementwise()
      .kernel([](const mx::array& self, const Scalar& min) {
        return clamp_kernel(self, min, {});
      })
      .grad(
          "self",
          "self min",
          [](const Tensor& grad, const Tensor& self, const Scalar& min) {
            return zero_unless(ge(self, min), grad);
          })
      .doc("Elements not below min.");
  op("clamp_min.Tensor(Tensor self, Tensor min) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kComplexes, "maximum_cpu")
      .kernel(extreme<mx::maximum>)
      .node("ClampMinBackward1")
      .grad(
          "self",
          "self min",
          [](const Tensor& grad, const Tensor& self, const Tensor& min) {
            return zero_unless(ge(self, min), grad);
          })
      .grad(
          "min",
          "self min",
          [](const Tensor& grad, const Tensor& self, const Tensor& min) {
            return zero_unless(lt(self, min), grad);
          })
      .doc("Elements not below min.");
  op("clamp_max(Tensor self, Scalar max) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .promote()
      .elementwise()
      .kernel([](const mx::array& self, const Scalar& max) {
        return clamp_kernel(self, {}, max);
      })
      .grad(
          "self",
          "self max",
          [](const Tensor& grad, const Tensor& self, const Scalar& max) {
            return zero_unless(le(self, max), grad);
          })
      .doc("Elements not above max.");
  op("clamp_max.Tensor(Tensor self, Tensor max) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kComplexes, "minimum_cpu")
      .kernel(extreme<mx::minimum>)
      .node("ClampMaxBackward1")
      .grad(
          "self",
          "self max",
          [](const Tensor& grad, const Tensor& self, const Tensor& max) {
            return zero_unless(le(self, max), grad);
          })
      .grad(
          "max",
          "self max",
          [](const Tensor& grad, const Tensor& self, const Tensor& max) {
            return zero_unless(gt(self, max), grad);
          })
      .doc("Elements not above max.");
  alias_op("clip", "clamp");
  alias_op("greater", "gt");
  alias_op("greater_equal", "ge");
  alias_op("less", "lt");
  alias_op("less_equal", "le");
  alias_op("not_equal", "ne");
}

} // namespace flashlight
