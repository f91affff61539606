// The nodes of the backward graph, and the edges between them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flashlight/core/value.h"

namespace flashlight {

class Node;

// Input `input` of a node: where a gradient goes.
struct Edge {
  std::shared_ptr<Node> node;
  uint32_t input = 0;

  explicit operator bool() const {
    return node != nullptr;
  }
};

// What a gradient that arrives at an input must look like: the engine sums and
// casts it to this (and only the engine does).
struct InputMetadata {
  IntList sizes;
  Dtype dtype = Dtype::Float32;
  Device device;
  bool subclass = false; // a Python subclass: left alone
};

// Hooks see and may replace the list of gradients that enter or leave a node.
// An entry is an undefined Tensor where there is no gradient.
class FL_API NodeHook {
 public:
  virtual ~NodeHook() = default;
  // The gradients to go on with.
  virtual TensorList operator()(const TensorList& grads) = 0;
  // Post hooks of a node are also given what came in.
  virtual TensorList post(const TensorList& outputs, const TensorList& inputs);
  // The Python object behind it, for the garbage collector.
  virtual void* python() const {
    return nullptr;
  }
};

class FL_API Node : public std::enable_shared_from_this<Node> {
 public:
  Node();
  virtual ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // The gradients of its inputs, one for each of next_edges().
  virtual TensorList apply(TensorList grads) = 0;
  virtual std::string name() const = 0;
  // Frees what is saved; backward through it then raises.
  virtual void release() {}
  // The variable, if this accumulates into one.
  virtual Tensor variable() const {
    return {};
  }
  // Runs apply, as the current node.
  TensorList operator()(TensorList grads);

  uint32_t add_input(const Tensor& tensor);
  uint32_t add_undefined_input();
  void add_edge(Edge edge) {
    next_edges_.push_back(std::move(edge));
  }

  std::vector<Edge>& next_edges() {
    return next_edges_;
  }
  const std::vector<Edge>& next_edges() const {
    return next_edges_;
  }
  std::vector<InputMetadata>& inputs() {
    return inputs_;
  }
  // Does edge i lead anywhere?
  bool has_edge(size_t i) const {
    return i < next_edges_.size() && next_edges_[i].node != nullptr;
  }
  // Does the gradient of edge i have to be computed? Asked while a backward
  // runs, which may need the gradients of some inputs only.
  bool should_compute(size_t i) const;

  uint64_t sequence() const {
    return sequence_;
  }
  void set_sequence(uint64_t n) {
    sequence_ = n;
  }
  uint64_t topological() const {
    return topological_;
  }
  void update_topological();

  // Order: tensor_pre_hooks (of the tensors this made, with their input
  // number), pre_hooks, apply, post_hooks.
  struct TensorHook {
    uint32_t input;
    std::shared_ptr<NodeHook> hook;
  };
  std::vector<TensorHook> tensor_pre_hooks;
  std::vector<TensorHook> retains_grad_hooks;
  std::vector<std::shared_ptr<NodeHook>> pre_hooks;
  std::vector<std::shared_ptr<NodeHook>> post_hooks;

  // Anomaly mode: where the forward was called, and by which node's apply.
  std::string trace;
  std::shared_ptr<Node> parent;
  std::shared_ptr<void> metadata; // the dict behind grad_fn.metadata
  void* python = nullptr; // borrowed: the wrapper of this node, if there is one
  bool materialize_grads = true;

 private:
  std::vector<Edge> next_edges_;
  std::vector<InputMetadata> inputs_;
  uint64_t sequence_;
  uint64_t topological_ = 0;
};

// "Mul" of MulBackward0: error texts name the forward.
FL_API std::string forward_name(const Node& node);

// The node whose apply() runs on this thread (anomaly mode's parents).
FL_API std::shared_ptr<Node>& current_node();
// The sequence number that the next node will have.
FL_API uint64_t peek_sequence();
// Text of the caller's stack, if the host can give one (anomaly mode).
FL_API std::function<std::string()>& stack_trace_hook();

// Deep graphs are freed by a loop, not by nested destructors.
FL_API void free_iteratively(std::shared_ptr<Node> node);

} // namespace flashlight
