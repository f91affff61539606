#include "flashlight/optim/optimizer.h"

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/error.h"
#include "flashlight/ops/functions/adam.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/sgd.h"

namespace flashlight {

namespace {

void check_not_negative(const char* what, double value) {
  FL_CHECK_AS(ValueError, value >= 0, "Invalid ", what, ": ", value);
}

Tensor zeros_of(const Tensor& t) {
  return zeros(t.sizes(), t.dtype(), {}, t.device());
}

} // namespace

Optimizer::~Optimizer() = default;

void Optimizer::zero_grad() {
  for (const Tensor& p : params_) {
    set_grad(p, {});
  }
}

void Optimizer::step() {
  NoGrad guard;
  states_.resize(params_.size());
  TensorList params, grads;
  std::vector<State*> states;
  for (size_t i = 0; i < params_.size(); ++i) {
    if (Tensor g = grad(params_[i]); g.defined()) {
      params.push_back(params_[i]);
      grads.push_back(std::move(g));
      states.push_back(&states_[i]);
      ++states_[i].steps;
    }
  }
  if (!params.empty()) {
    update(params, grads, states);
  }
}

SGD::SGD(TensorList params, Options options)
    : Optimizer(std::move(params)), options_(options) {
  check_not_negative("learning rate", options_.lr);
  check_not_negative("momentum value", options_.momentum);
  check_not_negative("weight_decay value", options_.weight_decay);
  FL_CHECK_AS(
      ValueError,
      !options_.nesterov || (options_.momentum > 0 && options_.dampening == 0),
      "Nesterov momentum requires a momentum and zero dampening");
}

SGD::~SGD() = default;

void SGD::update(
    const TensorList& params,
    const TensorList& grads,
    const std::vector<State*>& states) {
  // Buffers begin as the first gradient.
  for (bool first : {true, false}) {
    TensorList ps, gs, buffers;
    for (size_t i = 0; i < params.size(); ++i) {
      State& state = *states[i];
      if ((state.steps == 1) != first) {
        continue;
      }
      ps.push_back(params[i]);
      gs.push_back(grads[i]);
      if (options_.momentum != 0) {
        if (first) {
          state.tensors = {zeros_of(params[i])};
        }
        buffers.push_back(state.tensors[0]);
      }
    }
    if (!ps.empty()) {
      _fused_sgd_(
          ps,
          gs,
          buffers,
          options_.weight_decay,
          options_.momentum,
          options_.lr,
          options_.dampening,
          options_.nesterov,
          options_.maximize,
          first);
    }
  }
}

Adam::Adam(TensorList params, Options options, bool decoupled)
    : Optimizer(std::move(params)), options_(options), decoupled_(decoupled) {
  check_not_negative("learning rate", options_.lr);
  check_not_negative("epsilon value", options_.eps);
  check_not_negative("weight_decay value", options_.weight_decay);
  for (auto [i, beta] : {std::pair(0, options.beta1), {1, options.beta2}}) {
    FL_CHECK_AS(
        ValueError,
        beta >= 0 && beta < 1,
        "Invalid beta parameter at index ",
        i,
        ": ",
        beta);
  }
}

Adam::Adam(TensorList params, Options options)
    : Adam(std::move(params), options, /*decoupled=*/false) {}

Adam::~Adam() = default;
AdamW::~AdamW() = default;

void Adam::update(
    const TensorList& params,
    const TensorList& grads,
    const std::vector<State*>& states) {
  TensorList lists[3], counts; // averages, of squares, greatest of these
  size_t n = options_.amsgrad ? 3 : 2;
  for (size_t i = 0; i < params.size(); ++i) {
    State& state = *states[i];
    for (size_t k = 0; k < n; ++k) {
      if (state.steps == 1) {
        state.tensors.push_back(zeros_of(params[i]));
      }
      lists[k].push_back(state.tensors[k]);
    }
    counts.push_back(Tensor(mx::array(static_cast<float>(state.steps))));
  }
  auto step = [&](auto fused) {
    fused(
        params,
        grads,
        lists[0],
        lists[1],
        lists[2],
        counts,
        options_.lr,
        options_.beta1,
        options_.beta2,
        options_.weight_decay,
        options_.eps,
        options_.amsgrad,
        options_.maximize);
  };
  if (decoupled_) {
    step([](auto&&... a) { _fused_adamw_(a...); });
  } else {
    step([](auto&&... a) { _fused_adam_(a...); });
  }
}

StepLR::StepLR(Optimizer& optimizer, int64_t step_size, double gamma)
    : optimizer_(optimizer), step_size_(step_size), gamma_(gamma) {
  FL_CHECK_AS(ValueError, step_size > 0, "step_size must be positive");
}

void StepLR::step() {
  if (++steps_ % step_size_ == 0) {
    optimizer_.lr() *= gamma_;
  }
}

} // namespace flashlight
