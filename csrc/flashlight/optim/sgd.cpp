// The fused step of SGD.
#include "flashlight/optim/fused.h"

#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

struct Sgd {
  double weight_decay, momentum, dampening;
  bool nesterov, maximize, first;

  template <typename T>
  void operator()(const LoopStep<T>& s) const {
    T* __restrict param = s.param;
    T* __restrict buffer = s.states[0];
    const T* __restrict grad = s.grad;
    const T rate = static_cast<T>(s.rate);
    const T decay = static_cast<T>(weight_decay);
    const T keep = static_cast<T>(momentum);
    const T take = static_cast<T>(1 - dampening);
    const T sign = maximize ? T(-1) : T(1);
    auto loop = [&](auto decays, auto moves, auto ahead) {
      for (int64_t i = 0; i < s.n; ++i) {
        T g = sign * grad[i];
        if constexpr (decays) {
          g += param[i] * decay;
        }
        if constexpr (moves) {
          T b = first ? g : buffer[i] * keep + g * take;
          buffer[i] = b;
          g = ahead ? g + b * keep : b;
        }
        param[i] -= rate * g;
      }
    };
    with_flags(loop, weight_decay != 0, momentum != 0, nesterov);
  }

  void plain(PlainStep& s) const {
    mx::array g = maximize ? mx::negative(s.grad) : s.grad;
    if (weight_decay != 0) {
      g = mx::add(g, mx::multiply(s.param, s.number(weight_decay)));
    }
    if (momentum != 0) {
      mx::array keep = s.number(momentum);
      mx::array& b = s.states[0];
      b = first ? g
                : mx::add(
                      mx::multiply(b, keep),
                      mx::multiply(g, s.number(1 - dampening)));
      g = nesterov ? mx::add(g, mx::multiply(b, keep)) : b;
    }
    s.param = mx::subtract(s.param, mx::multiply(s.rate, g));
  }
};

template <typename Lr>
void step(
    const TensorList& params,
    const TensorList& grads,
    const TensorList& momentum_buffer_list,
    double weight_decay,
    double momentum,
    const Lr& lr,
    double dampening,
    bool nesterov,
    bool maximize,
    bool is_first_step,
    const Tensor& grad_scale,
    const Tensor& found_inf) {
  Sgd sgd{weight_decay, momentum, dampening, nesterov, maximize, is_first_step};
  std::vector<FusedState> states;
  if (momentum != 0) {
    states.push_back({"momentum_buffer_list", momentum_buffer_list});
  } else {
    check_empty(momentum_buffer_list, "momentum_buffer_list");
  }
  run_step(
      {"fused_sgd_kernel",
       params,
       grads,
       states,
       nullptr,
       lr,
       grad_scale,
       found_inf},
      sgd,
      [sgd](PlainStep& s) { sgd.plain(s); });
}

} // namespace

void register_sgd() {
  op("_fused_sgd_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] "
     "momentum_buffer_list, *, float weight_decay, float momentum, float lr, "
     "float dampening, bool nesterov, bool maximize, bool is_first_step, "
     "Tensor? grad_scale=None, Tensor? found_inf=None) -> ()")
      .forms("function")
      .mutating(&step<double>)
      .doc("One step of SGD over all parameters.");
  op("_fused_sgd_.tensor_lr(Tensor(a!)[] self, Tensor(b!)[] grads, "
     "Tensor(c!)[] momentum_buffer_list, *, float weight_decay, float "
     "momentum, Tensor lr, float dampening, bool nesterov, bool maximize, bool "
     "is_first_step, Tensor? grad_scale=None, Tensor? found_inf=None) -> ()")
      .forms("function")
      .mutating(&step<Tensor>)
      .doc("One step of SGD over all parameters.");
}

} // namespace flashlight
