// The node that adds a gradient to a leaf's .grad.
#pragma once

#include <mutex>

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
  // Graphs that share the leaf may run on several threads at once, and adding
  // to the gradient may give the host's lock away in between.
  std::unique_lock<std::recursive_mutex> lock();
  void accumulate(Tensor grad);

  std::recursive_mutex mutex_;
  Tensor variable_;
};

} // namespace flashlight
