// Comparisons, logical and bitwise ops.
#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

void register_comparison() {
  op("eq.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const Tensor& self, const Scalar& other) {
        Tensor number = wrapped_number(other);
        Value a = self, b = number;
        Dtype common = result_type({&a, &b});
        return mx::equal(
            mx::astype(self.value(), to_mlx(common)),
            mx::astype(number.value(), to_mlx(common)));
      })
      .not_differentiable()
      .doc("self == other, as bools.");
  op("eq.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel([](const mx::array& self, const mx::array& other) {
        return mx::equal(self, other);
      })
      .not_differentiable()
      .doc("self == other, as bools.");
  op("ne.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const Tensor& self, const Scalar& other) {
        Tensor number = wrapped_number(other);
        Value a = self, b = number;
        Dtype common = result_type({&a, &b});
        return mx::not_equal(
            mx::astype(self.value(), to_mlx(common)),
            mx::astype(number.value(), to_mlx(common)));
      })
      .not_differentiable()
      .doc("self != other, as bools.");
  op("ne.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel([](const mx::array& self, const mx::array& other) {
        return mx::not_equal(self, other);
      })
      .not_differentiable()
      .doc("self != other, as bools.");
  op("lt.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const Tensor& self, const Scalar& other) {
        Tensor number = wrapped_number(other);
        Value a = self, b = number;
        Dtype common = result_type({&a, &b});
        return mx::less(
            mx::astype(self.value(), to_mlx(common)),
            mx::astype(number.value(), to_mlx(common)));
      })
      .not_differentiable()
      .doc("self < other, as bools.");
  op("lt.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel([](const mx::array& self, const mx::array& other) {
        return mx::less(self, other);
      })
      .not_differentiable()
      .doc("self < other, as bools.");
  op("le.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const Tensor& self, const Scalar& other) {
        Tensor number = wrapped_number(other);
        Value a = self, b = number;
        Dtype common = result_type({&a, &b});
        return mx::less_equal(
            mx::astype(self.value(), to_mlx(common)),
            mx::astype(number.value(), to_mlx(common)));
      })
      .not_differentiable()
      .doc("self <= other, as bools.");
  op("le.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel([](const mx::array& self, const mx::array& other) {
        return mx::less_equal(self, other);
      })
      .not_differentiable()
      .doc("self <= other, as bools.");
  op("gt.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const Tensor& self, const Scalar& other) {
        Tensor number = wrapped_number(other);
        Value a = self, b = number;
        Dtype common = result_type({&a, &b});
        return mx::greater(
            mx::astype(self.value(), to_mlx(common)),
            mx::astype(number.value(), to_mlx(common)));
      })
      .not_differentiable()
      .doc("self > other, as bools.");
  op("gt.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel([](const mx::array& self, const mx::array& other) {
        return mx::greater(self, other);
      })
      .not_differentiable()
      .doc("self > other, as bools.");
  op("ge.Scalar(Tensor self, Scalar other) -> Tensor")
      .forms("function method inplace out")
      .elementwise()
      .kernel([](const Tensor& self, const Scalar& other) {
        Tensor number = wrapped_number(other);
        Value a = self, b = number;
        Dtype common = result_type({&a, &b});
        return mx::greater_equal(
            mx::astype(self.value(), to_mlx(common)),
            mx::astype(number.value(), to_mlx(common)));
      })
      .not_differentiable()
      .doc("self >= other, as bools.");
  op("ge.Tensor(Tensor self, Tensor other) -> Tensor")
      .forms("function method inplace out")
      .promote()
      .elementwise()
      .kernel([](const mx::array& self, const mx::array& other) {
        return mx::greater_equal(self, other);
      })
      .not_differentiable()
      .doc("self >= other, as bools.");
}

} // namespace flashlight
