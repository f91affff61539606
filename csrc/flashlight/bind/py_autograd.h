// Nodes, hooks and modes of autograd as Python sees them.
#pragma once

#include "flashlight/autograd/node.h"
#include "flashlight/autograd/saved_tensor.h"
#include "flashlight/bind/py_tensor.h"

namespace flashlight::bind {

// The object of a node (None for none); a custom Function's is its ctx.
PyObject* wrap_node(const std::shared_ptr<Node>& node);
// The node behind such an object.
std::shared_ptr<Node> to_node(nb::handle object);
// What a node holds of Python, for the garbage collector.
int traverse_node(Node& node, visitproc visit, void* arg);
// The ctx of a custom Function's node (borrowed), or nullptr.
PyObject* context_of(const Node& node);
void bind_custom_functions(nb::module_& m);
// Calls them for what is kept in place of a saved tensor, and to have it back.
std::unique_ptr<SavedTensorHook> saved_hook(nb::object pack, nb::object unpack);

// As assigning to .requires_grad.
void set_leaf_requires_grad(const Tensor& t, bool value);
// As requires_grad=True of a function that makes tensors.
void require_grad(const Tensor& t);

} // namespace flashlight::bind
