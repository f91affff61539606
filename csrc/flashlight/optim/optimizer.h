// Optimizers and a schedule for C++ programs; Python's are flashlight/optim.
#pragma once

#include "flashlight/core/value.h"

namespace flashlight {

// Steps over a list of parameters, in place, by their gradients.
class FL_API Optimizer {
 public:
  explicit Optimizer(TensorList params) : params_(std::move(params)) {}
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Forgets the gradients: backward() adds to them.
  void zero_grad();
  // Updates each parameter that has a gradient.
  void step();

  virtual double& lr() = 0;

 protected:
  struct State {
    int64_t steps = 0;
    TensorList tensors; // made at the parameter's first step
  };
  // Parameters and gradients, and the state of each.
  virtual void update(
      const TensorList& params,
      const TensorList& grads,
      const std::vector<State*>& states) = 0;

 private:
  TensorList params_;
  std::vector<State> states_;
};

// Stochastic gradient descent; options are those of torch.optim.SGD.
class FL_API SGD : public Optimizer {
 public:
  struct Options {
    double lr = 1e-3;
    double momentum = 0;
    double dampening = 0;
    double weight_decay = 0;
    bool nesterov = false;
    bool maximize = false;
  };
  SGD(TensorList params, Options options);
  ~SGD() override;

  double& lr() override {
    return options_.lr;
  }

 protected:
  void update(
      const TensorList& params,
      const TensorList& grads,
      const std::vector<State*>& states) override;

 private:
  Options options_;
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
  bool maximize = false;
};

// Adam, whose weight decay is added to the gradient.
class FL_API Adam : public Optimizer {
 public:
  using Options = AdamOptions;
  Adam(TensorList params, Options options);
  ~Adam() override;

  double& lr() override {
    return options_.lr;
  }

 protected:
  Adam(TensorList params, Options options, bool decoupled);
  void update(
      const TensorList& params,
      const TensorList& grads,
      const std::vector<State*>& states) override;

 private:
  Options options_;
  bool decoupled_ = false;
};

// Adam whose weight decay shrinks the parameter itself.
class FL_API AdamW : public Adam {
 public:
  AdamW(TensorList params, Options options)
      : Adam(std::move(params), options, /*decoupled=*/true) {}
  ~AdamW() override;
};

// Multiplies the learning rate by gamma every `step_size` steps.
class FL_API StepLR {
 public:
  StepLR(Optimizer& optimizer, int64_t step_size, double gamma = 0.1);
  void step();

 private:
  Optimizer& optimizer_;
  int64_t step_size_, steps_ = 0;
  double gamma_;
};

} // namespace flashlight
