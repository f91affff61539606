#include "flashlight/autograd/node.h"

#include <algorithm>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/profiler.h"

namespace flashlight {

namespace {

uint64_t& sequence_counter() {
  thread_local uint64_t counter = 0;
  return counter;
}

// Nodes whose last owner went away while another node was being freed here.
struct FreeList {
  std::vector<std::shared_ptr<Node>> nodes;
  bool running = false;
};

FreeList& free_list() {
  thread_local FreeList list;
  return list;
}

} // namespace

TensorList NodeHook::post(const TensorList& outputs, const TensorList&) {
  return (*this)(outputs);
}

std::string forward_name(const Node& node) {
  std::string name = node.name();
  constexpr std::string_view kSuffix = "Backward";
  size_t at = name.rfind(kSuffix);
  if (at == std::string::npos) {
    return name;
  }
  std::string number = name.substr(at + kSuffix.size()); // "0" is left out
  if (number.find_first_not_of("0123456789") != std::string::npos) {
    return name;
  }
  return name.substr(0, at) + (number == "0" ? "" : number);
}

std::shared_ptr<Node>& current_node() {
  thread_local std::shared_ptr<Node> node;
  return node;
}

uint64_t peek_sequence() {
  return sequence_counter();
}

std::function<std::string()>& stack_trace_hook() {
  static std::function<std::string()> hook;
  return hook;
}

Node::Node() : sequence_(sequence_counter()++) {
  if (anomaly_state().enabled) {
    if (stack_trace_hook()) {
      trace = stack_trace_hook()();
    }
    parent = current_node();
  }
}

Node::~Node() {
  for (Edge& edge : next_edges_) {
    free_iteratively(std::move(edge.node));
  }
}

void free_iteratively(std::shared_ptr<Node> node) {
  if (!node || node.use_count() > 1) {
    return;
  }
  FreeList& list = free_list();
  list.nodes.push_back(std::move(node));
  if (list.running) {
    return;
  }
  list.running = true;
  while (!list.nodes.empty()) {
    std::shared_ptr<Node> last = std::move(list.nodes.back());
    list.nodes.pop_back();
    last.reset(); // its destructor pushes what it alone held
  }
  list.running = false;
}

uint32_t Node::add_input(const Tensor& tensor) {
  inputs_.push_back({tensor.sizes(), tensor.dtype(), tensor.device(), false});
  return static_cast<uint32_t>(inputs_.size() - 1);
}

uint32_t Node::add_undefined_input() {
  inputs_.emplace_back();
  return static_cast<uint32_t>(inputs_.size() - 1);
}

bool Node::should_compute(size_t i) const {
  return has_edge(i) && needed_by_backward(*next_edges_[i].node);
}

void Node::update_topological() {
  uint64_t top = 0;
  for (const Edge& edge : next_edges_) {
    if (edge.node) {
      top = std::max(top, edge.node->topological_ + 1);
    }
  }
  topological_ = std::max(topological_, top);
}

TensorList Node::operator()(TensorList grads) {
  struct Current {
    std::shared_ptr<Node> before = std::move(current_node());
    ~Current() {
      current_node() = std::move(before);
    }
  } current;
  current_node() = shared_from_this();
  if (!profiling()) [[likely]] {
    return apply(std::move(grads));
  }
  ProfileScope scope(
      current_profile(),
      name(),
      RecordScope::BackwardFunction,
      static_cast<int64_t>(sequence_));
  if (ProfileEvent* event = scope.event()) {
    event->forward_thread = event->thread;
    if (current_profile()->options.shapes) {
      for (const Tensor& g : grads) {
        event->inputs.push_back(recorded_input(Value(g)));
      }
    }
  }
  return apply(std::move(grads));
}

} // namespace flashlight
