// The node that adds a gradient to a leaf's .grad.
#pragma once

#include "flashlight/autograd/autograd_meta.h"

namespace flashlight {

class FL_API AccumulateGrad : public Node {
 public:
  explicit AccumulateGrad(Tensor variable);
  TensorList apply(TensorList grads) override;
  std::string name() const override {
    return "torch::autograd::AccumulateGrad";
  }
  Tensor variable() const override {
    return variable_;
  }

 private:
  Tensor variable_;
};

} // namespace flashlight
