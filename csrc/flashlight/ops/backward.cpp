#include "flashlight/ops/backward.h"

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/engine.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

namespace {

// The gradient that a root starts with.
Tensor root_gradient(const Tensor& root, const Tensor& given) {
  FL_CHECK(
      requires_grad(root),
      "element 0 of tensors does not require grad and does not have a grad_fn");
  if (given.defined()) {
    FL_CHECK(
        given.sizes() == root.sizes(),
        "Mismatch in shape: grad_output[0] has a shape of ",
        given.sizes(),
        " and output[0] has a shape of ",
        root.sizes(),
        ".");
    return given;
  }
  FL_CHECK(
      root.numel() == 1,
      "grad can be implicitly created only for scalar outputs");
  return ones_like(root);
}

} // namespace

void backward(
    const Tensor& root,
    const Tensor& gradient,
    const GradOptions& options) {
  register_all_ops();
  Tensor start = root_gradient(root, gradient);
  (void)run_backward(
      {gradient_edge(root)},
      {start},
      {options.keep_graph || options.create_graph, options.create_graph, true},
      {});
}

TensorList grad_of(
    const TensorList& outputs,
    const TensorList& inputs,
    const TensorList& grad_outputs,
    const GradOptions& options) {
  register_all_ops();
  std::vector<Edge> roots, leaves;
  TensorList starts;
  for (size_t i = 0; i < outputs.size(); ++i) {
    starts.push_back(root_gradient(
        outputs[i], i < grad_outputs.size() ? grad_outputs[i] : Tensor()));
    roots.push_back(gradient_edge(outputs[i]));
  }
  for (const Tensor& t : inputs) {
    FL_CHECK(
        requires_grad(t),
        "One of the differentiated Tensors does not require grad");
    leaves.push_back(gradient_edge(t));
  }
  TensorList grads = run_backward(
      roots,
      std::move(starts),
      {options.keep_graph || options.create_graph, options.create_graph, false},
      leaves);
  for (const Tensor& g : grads) {
    FL_CHECK(
        g.defined() || options.allow_unused,
        "One of the differentiated Tensors appears to not have been used in "
        "the graph. Set allow_unused=True if this is the desired behavior.");
  }
  return grads;
}

} // namespace flashlight
