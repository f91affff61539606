// Bitwise ops and shifts.
#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/bitwise.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

void check_bits(const mx::array& x, const char* name) {
  Dtype d = from_mlx(x.dtype());
  FL_CHECK_AS(
      NotImplementedError,
      is_integral(d, true),
      "\"",
      name,
      "\" not implemented for '",
      scalar_name(d),
      "'");
}

template <auto F, const char* name>
mx::array bitwise(const mx::array& self, const mx::array& other) {
  check_bits(self, name);
  return F(self, other, {});
}

constexpr char kAnd[] = "bitwise_and_cpu", kOr[] = "bitwise_or_cpu",
               kXor[] = "bitwise_xor_cpu", kLeft[] = "lshift_cpu",
               kRight[] = "rshift_cpu";

// Beyond the width, or negative: all bits gone (or all of them the sign).
template <bool left>
mx::array shift(const mx::array& self, const mx::array& by) {
  check_bits(self, left ? kLeft : kRight);
  FL_CHECK_AS(
      NotImplementedError,
      self.dtype() != mx::bool_,
      "\"",
      left ? kLeft : kRight,
      "\" not implemented for 'Bool'");
  Dtype d = from_mlx(self.dtype());
  int64_t bits = itemsize(d) * 8;
  mx::array zero(0, self.dtype());
  mx::array far = mx::greater_equal(by, mx::array(bits, self.dtype()));
  if (info(d).is_signed) {
    far = mx::logical_or(far, mx::less(by, zero));
  }
  mx::array safe = mx::where(far, zero, by);
  if constexpr (left) {
    return mx::where(far, zero, mx::left_shift(self, safe));
  } else {
    mx::array gone =
        info(d).is_signed
            ? mx::right_shift(self, mx::array(bits - 1, self.dtype()))
            : zero;
    return mx::where(far, gone, mx::right_shift(self, safe));
  }
}

mx::array bitwise_xor_array(
    const mx::array& a,
    const mx::array& b,
    mx::StreamOrDevice = {}) {
  return mx::bitwise_xor(a, b);
}

} // namespace

void register_bitwise() {
  op("bitwise_not(Tensor self) -> Tensor")
      .forms("function method inplace out")
      .exact_out("Found dtype %O but expected %R")
      .elementwise()
      .kernel([](const mx::array& x) {
        check_bits(x, "bitwise_not_cpu");
        return x.dtype() == mx::bool_ ? mx::logical_not(x)
                                      : mx::bitwise_invert(x);
      })
      .not_differentiable()
      .doc("~self.");
  op("bitwise_and.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(bitwise<mx::bitwise_and, kAnd>)
      .not_differentiable()
      .doc("self & other.");
  op("bitwise_and.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .numbers_of("bitwise_and.Tensor")
      .doc("self & other.");
  op("bitwise_and.Scalar_Tensor(Scalar self, Tensor other) -> Tensor")
      .forms("function")
      .numbers_of("bitwise_and.Tensor")
      .doc("self & other.");
  op("bitwise_or.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(bitwise<mx::bitwise_or, kOr>)
      .not_differentiable()
      .doc("self | other.");
  op("bitwise_or.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .numbers_of("bitwise_or.Tensor")
      .doc("self | other.");
  op("bitwise_or.Scalar_Tensor(Scalar self, Tensor other) -> Tensor")
      .forms("function")
      .numbers_of("bitwise_or.Tensor")
      .doc("self | other.");
  op("bitwise_xor.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(bitwise<bitwise_xor_array, kXor>)
      .not_differentiable()
      .doc("self ^ other.");
  op("bitwise_xor.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .numbers_of("bitwise_xor.Tensor")
      .doc("self ^ other.");
  op("bitwise_xor.Scalar_Tensor(Scalar self, Tensor other) -> Tensor")
      .forms("function")
      .numbers_of("bitwise_xor.Tensor")
      .doc("self ^ other.");
  op("bitwise_left_shift.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(shift<true>)
      .not_differentiable()
      .doc("self << other.");
  op("bitwise_left_shift.Tensor_Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .numbers_of("bitwise_left_shift.Tensor")
      .doc("self << other.");
  op("bitwise_left_shift.Scalar_Tensor(Scalar self, Tensor other) -> Tensor")
      .forms("function")
      .numbers_of("bitwise_left_shift.Tensor")
      .doc("self << other.");
  op("bitwise_right_shift.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel(shift<false>)
      .not_differentiable()
      .doc("self >> other.");
  op("bitwise_right_shift.Tensor_Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .numbers_of("bitwise_right_shift.Tensor")
      .doc("self >> other.");
  op("bitwise_right_shift.Scalar_Tensor(Scalar self, Tensor other) -> Tensor")
      .forms("function")
      .numbers_of("bitwise_right_shift.Tensor")
      .doc("self >> other.");
  alias_op(
      "__and__.Tensor(Tensor self, Tensor other) -> Tensor",
      "bitwise_and.Tensor",
      "method");
  alias_op(
      "__and__.Scalar(Tensor self, Scalar other) -> Tensor",
      "bitwise_and.Scalar",
      "method");
  alias_op(
      "__or__.Tensor(Tensor self, Tensor other) -> Tensor",
      "bitwise_or.Tensor",
      "method");
  alias_op(
      "__or__.Scalar(Tensor self, Scalar other) -> Tensor",
      "bitwise_or.Scalar",
      "method");
  alias_op(
      "__xor__.Tensor(Tensor self, Tensor other) -> Tensor",
      "bitwise_xor.Tensor",
      "method");
  alias_op(
      "__xor__.Scalar(Tensor self, Scalar other) -> Tensor",
      "bitwise_xor.Scalar",
      "method");
  alias_op(
      "__lshift__.Tensor(Tensor self, Tensor other) -> Tensor",
      "bitwise_left_shift.Tensor",
      "method");
  alias_op(
      "__lshift__.Scalar(Tensor self, Scalar other) -> Tensor",
      "bitwise_left_shift.Tensor_Scalar",
      "method");
  alias_op(
      "__rshift__.Tensor(Tensor self, Tensor other) -> Tensor",
      "bitwise_right_shift.Tensor",
      "method");
  alias_op(
      "__rshift__.Scalar(Tensor self, Scalar other) -> Tensor",
      "bitwise_right_shift.Tensor_Scalar",
      "method");
}

} // namespace flashlight
