// The fused steps of Adam and AdamW.
#include "flashlight/optim/fused.h"

#include <cmath>

#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// 1 - beta^count, also where that is far below 1.
mx::array bias_correction(const PlainStep& s, double beta) {
  return mx::negative(
      mx::expm1(mx::multiply(s.count, s.number(std::log(beta)))));
}

struct Adam {
  double beta1, beta2, weight_decay, eps;
  bool amsgrad, maximize, decoupled;

  template <typename T>
  void operator()(const LoopStep<T>& s) const {
    T* __restrict param = s.param;
    T* __restrict mean = s.states[0];
    T* __restrict square = s.states[1];
    T* __restrict largest = s.states[2];
    const T* __restrict grad = s.grad;
    const double second = std::sqrt(1 - std::pow(beta2, s.count));
    const T correction = static_cast<T>(second);
    const T size = static_cast<T>(s.rate / (1 - std::pow(beta1, s.count)));
    const T take1 = static_cast<T>(1 - beta1), keep1 = static_cast<T>(beta1);
    const T take2 = static_cast<T>(1 - beta2), keep2 = static_cast<T>(beta2);
    const T shrink = static_cast<T>(1 - s.rate * weight_decay);
    const T decay = static_cast<T>(weight_decay), tiny = static_cast<T>(eps);
    const T sign = maximize ? T(-1) : T(1);
    auto loop = [&](auto shrinks, auto decays, auto from_mean, auto greatest) {
      for (int64_t i = 0; i < s.n; ++i) {
        T g = sign * grad[i], p = param[i];
        if constexpr (shrinks) {
          p *= shrink;
        }
        if constexpr (decays) {
          g += p * decay;
        }
        // torch.lerp's two branches.
        T m = from_mean ? mean[i] + take1 * (g - mean[i])
                        : g - (g - mean[i]) * keep1;
        T v = square[i] * keep2 + take2 * g * g;
        mean[i] = m;
        square[i] = v;
        if constexpr (greatest) {
          T most = largest[i] < v ? v : largest[i];
          v = v != v ? v : most;
          largest[i] = v;
        }
        param[i] = p - size * m / (std::sqrt(v) / correction + tiny);
      }
    };
    with_flags(
        loop,
        weight_decay != 0 && decoupled,
        weight_decay != 0 && !decoupled,
        take1 < T(0.5),
        amsgrad);
  }

  void plain(PlainStep& s) const {
    mx::array g = maximize ? mx::negative(s.grad) : s.grad;
    mx::array p = s.param;
    if (weight_decay != 0 && decoupled) {
      mx::array shrink = mx::multiply(s.rate, s.number(weight_decay));
      p = mx::multiply(p, mx::subtract(s.number(1), shrink));
    } else if (weight_decay != 0) {
      g = mx::add(g, mx::multiply(p, s.number(weight_decay)));
    }
    mx::array &m = s.states[0], &v = s.states[1];
    m = mx::add(m, mx::multiply(mx::subtract(g, m), s.number(1 - beta1)));
    v = mx::add(
        mx::multiply(v, s.number(beta2)),
        mx::multiply(mx::square(g), s.number(1 - beta2)));
    mx::array second = v;
    if (amsgrad) {
      s.states[2] = second = mx::maximum(s.states[2], v);
    }
    mx::array root =
        mx::divide(mx::sqrt(second), mx::sqrt(bias_correction(s, beta2)));
    mx::array size = mx::divide(s.rate, bias_correction(s, beta1));
    s.param = mx::subtract(
        p, mx::divide(mx::multiply(size, m), mx::add(root, s.number(eps))));
  }
};

template <typename Lr, bool Decoupled>
void step(
    const TensorList& params,
    const TensorList& grads,
    const TensorList& exp_avgs,
    const TensorList& exp_avg_sqs,
    const TensorList& max_exp_avg_sqs,
    const TensorList& state_steps,
    const Lr& lr,
    double beta1,
    double beta2,
    double weight_decay,
    double eps,
    bool amsgrad,
    bool maximize,
    const Tensor& grad_scale,
    const Tensor& found_inf) {
  Adam adam{beta1, beta2, weight_decay, eps, amsgrad, maximize, Decoupled};
  std::vector<FusedState> states{
      {"exp_avgs", exp_avgs}, {"exp_avg_sqs", exp_avg_sqs}};
  if (amsgrad) {
    states.push_back({"max_exp_avg_sqs", max_exp_avg_sqs});
  } else {
    check_empty(max_exp_avg_sqs, "max_exp_avg_sqs");
  }
  run_step(
      {Decoupled ? "fused_adamw_kernel" : "fused_adam_kernel",
       params,
       grads,
       states,
       &state_steps,
       lr,
       grad_scale,
       found_inf},
      adam,
      [adam](PlainStep& s) { adam.plain(s); });
}

} // namespace

void register_adam() {
  op("_fused_adam_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] "
     "exp_avgs, Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] max_exp_avg_sqs, "
     "Tensor[] state_steps, *, float lr, float beta1, float beta2, float "
     "weight_decay, float eps, bool amsgrad, bool maximize, Tensor? "
     "grad_scale=None, Tensor? found_inf=None) -> ()")
      .forms("function")
      .mutating(&step<double, false>)
      .doc("One step of Adam over all parameters.");
  op("_fused_adam_.tensor_lr(Tensor(a!)[] self, Tensor(b!)[] grads, "
     "Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] "
     "max_exp_avg_sqs, Tensor[] state_steps, *, Tensor lr, float beta1, float "
     "beta2, float weight_decay, float eps, bool amsgrad, bool maximize, "
     "Tensor? grad_scale=None, Tensor? found_inf=None) -> ()")
      .forms("function")
      .mutating(&step<Tensor, false>)
      .doc("One step of Adam over all parameters.");
  op("_fused_adamw_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] "
     "exp_avgs, Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] max_exp_avg_sqs, "
     "Tensor[] state_steps, *, float lr, float beta1, float beta2, float "
     "weight_decay, float eps, bool amsgrad, bool maximize, Tensor? "
     "grad_scale=None, Tensor? found_inf=None) -> ()")
      .forms("function")
      .mutating(&step<double, true>)
      .doc("One step of AdamW over all parameters.");
  op("_fused_adamw_.tensor_lr(Tensor(a!)[] self, Tensor(b!)[] grads, "
     "Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] "
     "max_exp_avg_sqs, Tensor[] state_steps, *, Tensor lr, float beta1, float "
     "beta2, float weight_decay, float eps, bool amsgrad, bool maximize, "
     "Tensor? grad_scale=None, Tensor? found_inf=None) -> ()")
      .forms("function")
      .mutating(&step<Tensor, true>)
      .doc("One step of AdamW over all parameters.");
}

} // namespace flashlight
