// Optimizers and values in and out, as a C++ program uses them.
#include <cmath>

#include <doctest/doctest.h>

#include "flashlight/flashlight.h"

namespace {

using namespace flashlight;

Tensor leaf(const std::vector<double>& values) {
  Tensor t = tensor(values);
  set_requires_grad(t, true);
  return t;
}

// One step with the gradient 2 x.
void step(Optimizer& optimizer, const Tensor& x) {
  optimizer.zero_grad();
  backward(sum(x * x));
  optimizer.step();
}

} // namespace

TEST_CASE("values go in and come out as they were") {
  Tensor t = tensor<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(t.sizes() == IntList{2, 3});
  CHECK(t.dtype() == Dtype::Float32);
  CHECK(to_vector<float>(t.alias()) == std::vector<float>{1, 2, 3, 4, 5, 6});
  Tensor column = select(t, 1, 1);
  CHECK(to_vector<float>(column) == std::vector<float>{2, 5});
  CHECK(tensor<int64_t>({1, 2}).dtype() == Dtype::Int64);
  CHECK(tensor(std::vector<float>{}).numel() == 0);
  std::vector<std::complex<double>> wide{{1, 2}, {0.1, -4}};
  CHECK(tensor(wide).dtype() == Dtype::Complex128);
  CHECK(
      to_vector<std::complex<double>>(select(tensor(wide), 0, 1))[0] ==
      wide[1]);
  CHECK_THROWS_AS(to_vector<double>(t), TypeError);
  CHECK_THROWS_WITH(
      tensor<float>({1, 2, 3}, {2, 2}),
      "shape '[2, 2]' is invalid for input of size 3");
}

TEST_CASE("SGD with momentum") {
  Tensor x = leaf({1, -2});
  SGD optimizer({x}, {.lr = 0.1, .momentum = 0.5});
  double value = 1, buffer = 0;
  for (int i = 0; i < 3; ++i) {
    buffer = i == 0 ? 2 * value : 0.5 * buffer + 2 * value;
    value -= 0.1 * buffer;
    step(optimizer, x);
  }
  CHECK(to_vector<double>(x)[0] == doctest::Approx(value));
  CHECK(to_vector<double>(x)[1] == doctest::Approx(-2 * value));
  CHECK_THROWS_AS(SGD({x}, {.nesterov = true}), ValueError);
}

TEST_CASE("Adam and AdamW") {
  for (bool decoupled : {false, true}) {
    Tensor x = leaf({1});
    AdamOptions options{.lr = 0.1, .weight_decay = 0.2, .amsgrad = true};
    Adam adam({x}, options);
    AdamW adamw({x}, options);
    double p = 1, m = 0, v = 0, most = 0;
    for (int t = 1; t <= 3; ++t) {
      double g = 2 * p + (decoupled ? 0 : 0.2 * p);
      p *= decoupled ? 1 - 0.1 * 0.2 : 1;
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      most = std::max(most, v);
      double root = std::sqrt(most / (1 - std::pow(0.999, t)));
      p -= 0.1 * m / (1 - std::pow(0.9, t)) / (root + 1e-8);
      step(decoupled ? adamw : adam, x);
    }
    CHECK(to_vector<double>(x)[0] == doctest::Approx(p).epsilon(1e-12));
  }
  CHECK_THROWS_AS(Adam({}, {.beta1 = 1}), ValueError);
}

TEST_CASE("parameters without a gradient stay as they are") {
  Tensor x = leaf({1}), unused = leaf({5});
  AdamW optimizer({x, unused}, {.lr = 0.1});
  step(optimizer, x);
  CHECK(to_vector<double>(unused)[0] == 5);
  CHECK(unused.version() == 0);
  CHECK(x.version() == 1);
}

TEST_CASE("StepLR") {
  Tensor x = leaf({1});
  SGD optimizer({x}, {.lr = 1});
  StepLR schedule(optimizer, 2, 0.5);
  std::vector<double> rates;
  for (int i = 0; i < 5; ++i) {
    rates.push_back(optimizer.lr());
    schedule.step();
  }
  CHECK(rates == std::vector<double>{1, 1, 0.5, 0.5, 0.25});
}
