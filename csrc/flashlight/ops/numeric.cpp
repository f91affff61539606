// Functions of how numbers are made: divisors, exponents, neighbours.
#include <cmath>
#include <limits>
#include <numbers>

#include <mlx/ops.h>

#include "flashlight/kernels/map.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/numeric.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// Euclid's, on what the dtype's own absolute value is.
int64_t common_divisor(int64_t a, int64_t b) {
  while (a != 0) {
    int64_t rest = b % a;
    b = a;
    a = rest;
  }
  return b;
}

// f(int64, int64) of the absolute values, back in their dtype.
template <int64_t F(int64_t, int64_t)>
mx::array of_integers(const mx::array& a, const mx::array& b) {
  auto wide = [](const mx::array& x) {
    mx::array size =
        mx::issubdtype(x.dtype(), mx::signedinteger) ? mx::abs(x) : x;
    return mx::astype(size, mx::int64);
  };
  return mx::astype(
      host_zip<int64_t>("Divisors", wide(a), wide(b), F), a.dtype());
}

int64_t common_multiple(int64_t a, int64_t b) {
  int64_t divisor = common_divisor(a, b);
  return divisor == 0 ? 0 : std::abs(a / divisor * b);
}

void check_heaviside(const Tensor& self, const Tensor& values) {
  FL_CHECK(
      !self.is_complex() && !values.is_complex(),
      "heaviside is not yet implemented for complex tensors.");
  FL_CHECK(
      self.dtype() == values.dtype(),
      "heaviside is not yet implemented for tensors with different dtypes.");
}

mx::array heaviside_kernel(const mx::array& x, const mx::array& values) {
  mx::array zero(0, x.dtype());
  return mx::where(
      mx::equal(x, zero), values, mx::astype(mx::greater(x, zero), x.dtype()));
}

mx::array ldexp_kernel(const mx::array& x, const mx::array& exponent) {
  return mx::multiply(x, mx::power(mx::array(2, x.dtype()), exponent));
}

// As PyTorch, whose powers of two are of the exponent's dtype.
void check_ldexp(const Tensor& self, const Tensor& other) {
  FL_CHECK_AS(
      NotImplementedError,
      !self.is_floating_point() || other.dtype() != Dtype::Bool,
      "\"ldexp_cpu_exp\" not implemented for 'Bool'");
  FL_CHECK_AS(
      NotImplementedError,
      !self.is_complex() || other.dtype() != Dtype::Float16 || other.dim() == 0,
      "\"pow\" not implemented for 'ComplexHalf'");
}

void check_frexp(const Tensor& self) {
  FL_CHECK(
      self.is_floating_point(),
      "torch.frexp() only supports floating-point dtypes");
}

std::tuple<mx::array, mx::array> frexp_kernel(const mx::array& x) {
  auto loop = [](const std::vector<mx::array>& in,
                 std::vector<mx::array>& out) {
    const auto* from = in[0].data<double>();
    auto* mantissa = out[0].data<double>();
    auto* exponent = out[1].data<int32_t>();
    for (size_t i = 0; i < in[0].size(); ++i) {
      int e = 0;
      mantissa[i] = std::frexp(from[i], &e);
      exponent[i] = std::isfinite(from[i]) ? e : 0;
    }
  };
  auto out = host_op(
      "Frexp",
      {mx::astype(x, mx::float64, mx::Device::cpu)},
      {{x.shape(), mx::float64}, {x.shape(), mx::int32}},
      loop);
  return {mx::astype(out[0], x.dtype(), mx::Device::cpu), out[1]};
}

// The bits of a 16-bit float, one up or down; `infinite` are infinity's.
uint16_t next_bits(uint16_t from, uint16_t to, uint16_t infinite) {
  auto size = [](uint16_t x) { return static_cast<uint16_t>(x & 0x7fff); };
  if (size(from) > infinite) {
    return from;
  }
  if (size(to) > infinite || from == to || size(from) + size(to) == 0) {
    return to;
  }
  if (size(from) == 0) {
    return static_cast<uint16_t>((to & 0x8000) | 1);
  }
  bool away = ((from ^ to) & 0x8000) == 0 && size(to) > size(from);
  return static_cast<uint16_t>(away ? from + 1 : from - 1);
}

mx::array nextafter_kernel(const mx::array& a, const mx::array& b) {
  if (a.dtype() == mx::float64) {
    return host_zip<double>("NextAfter", a, b, [](double x, double y) {
      return std::nextafter(x, y);
    });
  }
  if (a.dtype() == mx::float32) {
    return host_zip<float>("NextAfter", a, b, [](float x, float y) {
      return std::nextafter(x, y);
    });
  }
  uint16_t infinite = a.dtype() == mx::float16 ? 0x7c00 : 0x7f80;
  mx::array y = host_zip<uint16_t>(
      "NextAfter",
      mx::view(a, mx::uint16),
      mx::view(b, mx::uint16),
      [infinite](uint16_t x, uint16_t to) {
        return next_bits(x, to, infinite);
      });
  return mx::view(y, a.dtype());
}

} // namespace

void register_numeric() {
  op("gcd(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools + kHalves + kFloats + kComplexes, "gcd_cpu")
      .kernel(of_integers<common_divisor>)
      .not_differentiable()
      .doc("The greatest common divisor.");
  op("lcm(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools + kHalves + kFloats + kComplexes, "lcm_cpu")
      .kernel(of_integers<common_multiple>)
      .not_differentiable()
      .doc("The least common multiple.");
  op("heaviside(Tensor self, Tensor values) -> Tensor")
      .forms("function method inplace out")
      .exact_out(
          "heaviside is not yet implemented for tensors with different dtypes.")
      .elementwise()
      .check(check_heaviside)
      .kernel(heaviside_kernel)
      .no_derivative()
      .doc("0 below 0, 1 above, and `values` at 0.");
  op("ldexp.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .exact_out("%?ldexp can't be cast to the desired output type %O")
      .promote_float()
      .elementwise()
      .check(check_ldexp)
      .kernel(ldexp_kernel)
      .complex128(formula([](const Tensor& self, const Tensor& other) {
        return self * exp2(_to_copy(other, Dtype::Complex128));
      }))
      .grad(
          "self",
          "other",
          [](const Tensor& grad, const Tensor& other) {
            return grad * conj(exp2(other));
          })
      .grad(
          "other",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            return grad * conj(result) * Scalar(std::numbers::ln2);
          })
      .doc("self * 2^other.");
  op("frexp.Tensor(Tensor self) -> (Tensor mantissa, Tensor exponent)")
      .forms("function method out")
      .exact_out(
          "torch.frexp() expects mantissa to have dtype %r but got "
          "%o|torch.frexp() expects exponent to have int dtype but got %o")
      .check(check_frexp)
      .kernel(frexp_kernel)
      .grad(
          "self",
          "exponent",
          [](const Tensor& grad, const Tensor& exponent) {
            return grad / exp2(exponent);
          })
      .doc("The mantissa, in [0.5, 1), and the exponent of 2.");
  op("nextafter(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .refuse(kBools + kIntegers + kComplexes, "nextafter_cpu")
      .kernel(nextafter_kernel)
      .grad(
          "self",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return where(eq(self, other), zeros_like(grad), grad);
          })
      .zero_grad("other")
      .doc("The next number after self on the way to `other`.");
}

} // namespace flashlight
