// Threads of a C++ program: see Note [Turns].
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "flashlight/flashlight.h"

namespace {

using namespace flashlight;

Tensor leaf(std::initializer_list<float> values) {
  Tensor t(mx::array(values, mx::float32));
  set_requires_grad(t, true);
  return t;
}

// The loss after some steps of gradient descent on one parameter.
double train(float start, int steps, bool reads) {
  Turn all;
  Tensor w = leaf({start, 1 - start});
  Tensor history(mx::zeros({200}));
  for (int i = 0; i < steps; ++i) {
    Turn step; // others come in where values are computed
    Tensor loss = sum(pow(tanh(w * Scalar(2)) - Scalar(0.5), Scalar(2)));
    backward(loss);
    {
      NoGrad guard;
      sub_(w, grad(w) * Scalar(0.05));
      fill_(select(history, 0, i), Scalar(i));
      select(history, 0, i).assign(detached(loss));
    }
    set_grad(w, Tensor());
    if (reads) {
      (void)loss.item();
    }
  }
  return select(history, 0, steps - 1).item().to_double();
}

struct Limits {
  PendingLimits before = pending_limits();
  explicit Limits(int64_t nodes) {
    pending_limits().nodes = nodes;
  }
  ~Limits() {
    pending_limits() = before;
  }
};

template <typename F>
void in_threads(int n, F f) {
  std::vector<std::thread> threads;
  for (int k = 0; k < n; ++k) {
    threads.emplace_back([&f, k] { f(k); });
  }
  for (std::thread& t : threads) {
    t.join();
  }
}

} // namespace

TEST_CASE("threads that train do not mix") {
  Limits few(40); // so that work is often started, whosever it is
  for (bool reads : {true, false}) {
    std::vector<double> alone(4), together(4);
    auto run = [&](int k, std::vector<double>& to) {
      to[static_cast<size_t>(k)] =
          train(0.1f * static_cast<float>(k + 1), 100, reads);
    };
    for (int k = 0; k < 4; ++k) {
      run(k, alone);
    }
    in_threads(4, [&](int k) { run(k, together); });
    for (size_t k = 0; k < 4; ++k) {
      CHECK(together[k] == doctest::Approx(alone[k]));
    }
  }
}

TEST_CASE("a tensor is read, and a leaf accumulated into, by many threads") {
  Tensor x = leaf({1, 2, 3});
  in_threads(4, [&](int) {
    for (int i = 0; i < 50; ++i) {
      Turn turn;
      backward(sum(x * x));
    }
  });
  CHECK(select(grad(x), 0, 1).item().to_double() == 4 * 50 * 4);
}

TEST_CASE("modes are each thread's own") {
  NoGrad guard;
  in_threads(2, [](int) {
    CHECK(grad_enabled());
    NoGrad inner;
    CHECK(!grad_enabled());
  });
  CHECK(!grad_enabled());
}
