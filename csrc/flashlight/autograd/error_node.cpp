#include "flashlight/autograd/error_node.h"

#include "flashlight/autograd/autograd_meta.h"

namespace flashlight {

TensorList delayed_error(const TensorList& tensors, const std::string& text) {
  auto node = std::make_shared<ErrorNode>("torch::autograd::Error", text);
  TensorList out;
  for (const Tensor& t : tensors) {
    bool edge = t.defined() && requires_grad(t);
    node->add_edge(edge ? gradient_edge(t) : Edge());
  }
  for (const Tensor& t : tensors) {
    if (!t.defined()) {
      node->add_undefined_input();
      out.push_back(t);
      continue;
    }
    out.push_back(detached(t));
    set_history(out.back(), node);
  }
  return out;
}

} // namespace flashlight
