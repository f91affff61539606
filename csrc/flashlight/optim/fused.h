// What the fused steps of all optimizers share.
//
// Note [Fused steps]
// A step over all parameters of a group is one row, with PyTorch's schema. On
// the CPU it is one loop over the buffers (kernels/update.h); elsewhere, and
// with FLASHLIGHT_KERNELS=0, the plain formula of MLX ops that defines it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <mlx/array.h>
#include <mlx/ops.h>

#include "flashlight/core/value.h"

namespace flashlight {

// The learning rate: a number, or a tensor that is read when the step runs.
struct Rate {
  Rate(double number) : number(number) {}
  Rate(const Tensor& tensor) : tensor(tensor) {}

  double number = 0;
  Tensor tensor; // or undefined
};

struct FusedState {
  const char* name; // as error texts have it
  TensorList tensors;
};

// A step over some parameters; the other lists are as long.
struct FusedStep {
  std::string kernel; // "fused_adam_kernel"
  TensorList params;
  TensorList grads;
  std::vector<FusedState> states;     // written to
  const TensorList* counts = nullptr; // of steps; null where not needed
  Rate rate;
  Tensor grad_scale; // gradients are divided by it, in place; or undefined
  Tensor found_inf;  // nothing is written where it is 1; or undefined
};

// One parameter in the plain formula, which replaces `param` and `states`.
struct PlainStep {
  mx::array param, grad;
  std::vector<mx::array> states;
  mx::array rate, count;

  mx::array number(double x) const {
    return mx::array(x, param.dtype());
  }
};
using PlainFn = std::function<void(PlainStep&)>;

// One parameter in the loop.
template <typename T>
struct LoopStep {
  T* param;
  const T* grad;
  T* states[3];
  int64_t n;
  double rate, count;
};

// Calls f with each flag as a constant of its type: a loop without branches.
template <typename F>
void with_flags(F&& f) {
  f();
}
template <typename F, typename... Flags>
void with_flags(F&& f, bool first, Flags... rest) {
  auto call = [&](auto flag) {
    with_flags([&](auto... others) { f(flag, others...); }, rest...);
  };
  if (first) {
    call(std::true_type{});
  } else {
    call(std::false_type{});
  }
}

// Raises if a list that the options leave no use for has tensors.
void check_empty(const TensorList& list, const char* name);

// Checks the lists, with PyTorch's errors, and runs the step. `loop` takes a
// LoopStep of float or of double.
namespace detail {

struct Loops {
  std::function<void(const LoopStep<float>&)> narrow;
  std::function<void(const LoopStep<double>&)> wide;
};
void run_step(const FusedStep& step, const Loops& loops, const PlainFn& plain);

} // namespace detail

template <typename Loop>
void run_step(const FusedStep& step, Loop loop, const PlainFn& plain) {
  detail::run_step(step, {loop, loop}, plain);
}

} // namespace flashlight
