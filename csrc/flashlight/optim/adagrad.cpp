// The fused step of Adagrad.
#include "flashlight/optim/fused.h"

#include <cmath>

#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

struct Adagrad {
  double lr_decay, weight_decay, eps;
  bool maximize;

  template <typename T>
  void operator()(const LoopStep<T>& s) const {
    T* __restrict param = s.param;
    T* __restrict sum = s.states[0];
    const T* __restrict grad = s.grad;
    const T rate = static_cast<T>(s.rate / (1 + (s.count - 1) * lr_decay));
    const T decay = static_cast<T>(weight_decay), tiny = static_cast<T>(eps);
    const T sign = maximize ? T(-1) : T(1);
    auto loop = [&](auto decays) {
      for (int64_t i = 0; i < s.n; ++i) {
        T g = sign * grad[i];
        if constexpr (decays) {
          g += param[i] * decay;
        }
        T total = sum[i] + g * g;
        sum[i] = total;
        param[i] -= rate * g / (std::sqrt(total) + tiny);
      }
    };
    with_flags(loop, weight_decay != 0);
  }

  void plain(PlainStep& s) const {
    mx::array g = maximize ? mx::negative(s.grad) : s.grad;
    if (weight_decay != 0) {
      g = mx::add(g, mx::multiply(s.param, s.number(weight_decay)));
    }
    mx::array past = mx::subtract(s.count, s.number(1));
    mx::array rate = mx::divide(
        s.rate, mx::add(s.number(1), mx::multiply(past, s.number(lr_decay))));
    mx::array& sum = s.states[0];
    sum = mx::add(sum, mx::square(g));
    s.param = mx::subtract(
        s.param,
        mx::divide(
            mx::multiply(rate, g), mx::add(mx::sqrt(sum), s.number(eps))));
  }
};

template <typename Lr>
void step(
    const TensorList& params,
    const TensorList& grads,
    const TensorList& state_sums,
    const TensorList& state_steps,
    const Lr& lr,
    double lr_decay,
    double weight_decay,
    double eps,
    bool maximize,
    const Tensor& grad_scale,
    const Tensor& found_inf) {
  Adagrad adagrad{lr_decay, weight_decay, eps, maximize};
  run_step(
      {"fused_adagrad_kernel",
       params,
       grads,
       {{"state_sums", state_sums}},
       &state_steps,
       lr,
       grad_scale,
       found_inf},
      adagrad,
      [adagrad](PlainStep& s) { adagrad.plain(s); });
}

} // namespace

void register_adagrad() {
  op("_fused_adagrad_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] "
     "state_sums, Tensor(d!)[] state_steps, *, float lr, float lr_decay, float "
     "weight_decay, float eps, bool maximize, Tensor? grad_scale=None, Tensor? "
     "found_inf=None) -> ()")
      .forms("function")
      .mutating(&step<double>)
      .doc("One step of Adagrad over all parameters.");
  op("_fused_adagrad_.tensor_lr(Tensor(a!)[] self, Tensor(b!)[] grads, "
     "Tensor(c!)[] state_sums, Tensor[] state_steps, *, Tensor lr, float "
     "lr_decay, float weight_decay, float eps, bool maximize, Tensor? "
     "grad_scale=None, Tensor? found_inf=None) -> ()")
      .forms("function")
      .mutating(&step<Tensor>)
      .doc("One step of Adagrad over all parameters.");
}

} // namespace flashlight
