// The tape from C++: values and derivatives without Python.
#include <cmath>

#include <doctest/doctest.h>

#include "flashlight/flashlight.h"

namespace {

using namespace flashlight;

Tensor leaf(std::initializer_list<float> values) {
  Tensor t(mx::array(values, mx::float32));
  set_requires_grad(t, true);
  return t;
}

double at(const Tensor& t, int64_t i) {
  return select(t, 0, i).item().to_double();
}

} // namespace

TEST_CASE("backward adds to the grad of leaves") {
  Tensor x = leaf({1, 2, 3});
  backward(sum(x * x));
  CHECK(at(grad(x), 2) == 6);
  backward(sum(x));
  CHECK(at(grad(x), 2) == 7);
  CHECK_THROWS_WITH(
      backward(x * x),
      "grad can be implicitly created only for scalar outputs");
}

TEST_CASE("derivatives of derivatives") {
  Tensor x = leaf({0.5f});
  Tensor y = exp(x * Scalar(2));
  for (int order = 1; order <= 3; ++order) {
    y = grad_of({y}, {x}, {}, {.create_graph = true})[0];
    CHECK(y.item().to_double() == doctest::Approx(std::pow(2, order) * M_E));
  }
}

TEST_CASE("a write through a view reaches the base and its gradient") {
  Tensor x = leaf({1, 2, 3, 4});
  Tensor y = x * Scalar(1);
  Tensor row = select(view(y, {2, 2}), 0, 1);
  mul_(row, wrapped_number(Scalar(10)));
  CHECK(at(y, 3) == 40);
  backward(sum(y * y));
  CHECK(at(grad(x), 0) == 2);
  CHECK(at(grad(x), 3) == 800);
}

TEST_CASE("a saved value that was changed is an error, not a wrong gradient") {
  Tensor x = leaf({1, 2});
  Tensor y = exp(x);
  add_(y, wrapped_number(Scalar(1)));
  CHECK_THROWS_AS(backward(sum(y)), Error);
}

TEST_CASE("deep graphs run and are freed without recursion") {
  Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) {
    y = y + wrapped_number(Scalar(0));
  }
  backward(sum(y));
  CHECK(grad(x).item().to_double() == 1);
  Tensor z = x;
  for (int i = 0; i < 100000; ++i) {
    z = z * Scalar(1);
  }
}

TEST_CASE("nothing is recorded without grad mode") {
  Tensor x = leaf({1, 2});
  {
    NoGrad guard;
    CHECK(!requires_grad(x * x));
  }
  CHECK(requires_grad(x * x));
}

TEST_CASE("errors name the op and leave operands as they were") {
  Tensor x = leaf({1, 2});
  Tensor y(mx::array({1.f, 2.f, 3.f}));
  CHECK_THROWS_WITH(
      x + y,
      "The size of tensor a (2) must match the size of tensor b (3) at "
      "non-singleton dimension 0");
  CHECK(x.version() == 0);
  CHECK_THROWS_AS(add_(x, y), Error);
  CHECK(at(x, 1) == 2);
}
