#include "flashlight/autograd/engine.h"

#include "flashlight/autograd/levels.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/profiler.h"
#include "flashlight/core/runtime.h"

namespace flashlight {

namespace {

// Which gradients a node has to compute, when only some inputs are asked for.
struct ExecInfo {
  bool needed = false;
  std::vector<std::pair<uint32_t, size_t>> captures; // input number, slot

  bool wanted() const {
    return needed || !captures.empty();
  }
};

// How many gradients each node waits for.
using Dependencies = std::unordered_map<Node*, int>;

struct GraphTask {
  int64_t id = 0;
  BackwardOptions options;
  std::vector<std::weak_ptr<Node>> roots;
  Dependencies dependencies;
  std::unordered_map<Node*, TensorList> buffers; // of nodes not ready yet
  std::unordered_map<Node*, ExecInfo> exec_info; // empty: run everything
  TensorList captured;
  std::vector<std::function<void()>> callbacks;

  bool wants(const Node* node) const {
    if (exec_info.empty()) {
      return true;
    }
    auto it = exec_info.find(const_cast<Node*>(node));
    return it != exec_info.end() && it->second.wanted();
  }
};

GraphTask*& current_task() {
  thread_local GraphTask* task = nullptr;
  return task;
}

class GraphRoot : public Node {
 public:
  GraphRoot(const std::vector<Edge>& roots, TensorList grads)
      : grads_(std::move(grads)) {
    for (const Edge& e : roots) {
      add_edge(e);
    }
  }
  std::string name() const override {
    return "torch::autograd::GraphRoot";
  }
  TensorList apply(TensorList) override {
    return grads_;
  }

 private:
  TensorList grads_;
};

struct Ready {
  std::shared_ptr<Node> node;
  TensorList grads;
};

// Later nodes first: their gradients are complete sooner.
struct Later {
  bool operator()(const Ready& a, const Ready& b) const {
    return a.node->sequence() < b.node->sequence();
  }
};

// Counts what `root` leads to, but for what is behind nodes that were seen.
void count_dependencies(
    Dependencies& dependencies,
    Node* root,
    std::unordered_set<Node*>& seen) {
  std::vector<Node*> stack{root};
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    for (const Edge& e : node->next_edges()) {
      if (e.node) {
        dependencies[e.node.get()] += 1;
        if (seen.insert(e.node.get()).second) {
          stack.push_back(e.node.get());
        }
      }
    }
  }
}

// Marks the nodes on a path from the root to one of `inputs`.
void compute_exec_info(
    GraphTask& task,
    Node* root,
    const std::vector<Edge>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    ExecInfo& info = task.exec_info[inputs[i].node.get()];
    if (task.options.accumulate) {
      info.needed = true;
    } else {
      info.captures.emplace_back(inputs[i].input, i);
    }
  }
  // Depth first without recursion; a node is settled after its children.
  struct Frame {
    Node* node;
    size_t next = 0;
  };
  std::unordered_set<Node*> seen{root};
  std::vector<Frame> stack{{root}};
  while (!stack.empty()) {
    Frame& frame = stack.back();
    auto& edges = frame.node->next_edges();
    if (frame.next < edges.size()) {
      Node* child = edges[frame.next++].node.get();
      if (child && seen.insert(child).second) {
        stack.push_back({child});
      }
      continue;
    }
    bool needed = std::any_of(edges.begin(), edges.end(), [&](const Edge& e) {
      return e.node && task.wants(e.node.get());
    });
    if (needed) {
      task.exec_info[frame.node].needed = true;
    }
    stack.pop_back();
  }
}

bool same_kind(const IntList& from, const IntList& to) {
  // Can `from` be summed to `to`?
  if (to.size() > from.size()) {
    return false;
  }
  for (size_t i = 0; i < to.size(); ++i) {
    int64_t a = from[from.size() - 1 - i], b = to[to.size() - 1 - i];
    if (a != b && b != 1) {
      return false;
    }
  }
  return true;
}

// The one place where gradients are summed over broadcast dimensions and cast.
void validate(const Node& node, TensorList& outputs) {
  const auto& edges = node.next_edges();
  FL_CHECK(
      outputs.size() >= edges.size(),
      "Function ",
      node.name(),
      " returned an invalid number of gradients - expected ",
      edges.size(),
      ", but got ",
      outputs.size());
  const AutogradOps& ops = autograd_ops();
  for (size_t i = 0; i < edges.size(); ++i) {
    Tensor& g = outputs[i];
    if (!edges[i] || !g.defined()) {
      continue;
    }
    const InputMetadata& want = edges[i].node->inputs().at(edges[i].input);
    if (want.subclass) {
      continue;
    }
    if (g.sizes() != want.sizes) {
      FL_CHECK(
          same_kind(g.sizes(), want.sizes),
          dynamic_cast<const GraphRoot*>(&node)
              ? std::string("invalid") // what backward() was given
              : "Function " + node.name() + " returned an invalid",
          " gradient at index ",
          i,
          " - got ",
          g.sizes(),
          " but expected shape compatible with ",
          want.sizes);
      g = ops.sum_to(g, want.sizes);
    }
    if (g.is_complex() && !is_complex(want.dtype)) {
      g = ops.real(g);
    }
    if (g.dtype() != want.dtype) {
      g = ops.to_dtype(g, want.dtype);
    }
  }
}

// The hooks of the tensors that the node made (or of the leaf that it
// accumulates into), then what fills their .grad.
TensorList run_tensor_hooks(const Node& node, TensorList grads) {
  auto run = [&](uint32_t input, NodeHook& hook) {
    grads.at(input) = hook({grads.at(input)}).at(0);
  };
  if (Tensor leaf = node.variable(); leaf.defined()) {
    if (const AutogradMeta* meta = autograd_meta(leaf)) {
      for (const auto& hook : std::vector(meta->hooks)) {
        run(0, *hook);
      }
    }
  }
  for (const auto& h : std::vector(node.tensor_pre_hooks)) {
    run(h.input, *h.hook);
  }
  for (const auto& h : std::vector(node.retains_grad_hooks)) {
    run(h.input, *h.hook);
  }
  return grads;
}

// What anomaly mode says of the node whose backward went wrong.
void print_stack(const Node& node) {
  const char* no_trace =
      "No forward pass information available. Enable detect anomaly during "
      "forward pass for more information.";
  warn(
      detail::concat(
          "Error detected in ",
          node.name(),
          ". ",
          node.trace.empty()
              ? no_trace
              : "Traceback of forward call that caused the error:\n",
          node.trace));
  for (const Node* n = node.parent.get(); n; n = n->parent.get()) {
    warn(
        detail::concat(
            "\n\nPrevious calculation was induced by ",
            n->name(),
            ". ",
            n->trace.empty() ? no_trace
                             : "Traceback of forward call that induced the "
                               "previous calculation:\n",
            n->trace));
  }
}

class Engine {
 public:
  Engine(GraphTask& task) : task_(task) {}

  void run(std::shared_ptr<Node> root, TensorList grads) {
    queue_.push({std::move(root), std::move(grads)});
    while (!queue_.empty()) {
      Ready next = std::move(const_cast<Ready&>(queue_.top()));
      queue_.pop();
      evaluate(std::move(next));
      if (++steps_ % 64 == 0 && host_hooks().interrupted &&
          host_hooks().interrupted()) {
        fail("interrupted");
      }
    }
  }

 private:
  void evaluate(Ready ready) {
    const std::shared_ptr<Node>& node = ready.node;
    TensorList grads = std::move(ready.grads);
    bool needed = true;
    if (!task_.exec_info.empty()) {
      auto it = task_.exec_info.find(node.get());
      if (it == task_.exec_info.end()) {
        return;
      }
      // As PyTorch: a captured gradient has been through the hooks only where
      // the node itself does not run.
      needed = it->second.needed;
      if (!needed) {
        grads = run_tensor_hooks(*node, std::move(grads));
      }
      for (auto [input, slot] : it->second.captures) {
        task_.captured[slot] = grads.at(input);
      }
    }
    if (needed) {
      try {
        if (profiling()) [[unlikely]] {
          run_profiled(node, std::move(grads));
        } else {
          run_node(node, std::move(grads));
        }
      } catch (...) {
        if (anomaly_state().enabled) {
          print_stack(*node);
        }
        throw;
      }
    }
  }

  void run_profiled(const std::shared_ptr<Node>& node, TensorList grads) {
    ProfileScope scope(
        current_profile(),
        "autograd::engine::evaluate_function: " + node->name(),
        RecordScope::Function,
        static_cast<int64_t>(node->sequence()));
    if (ProfileEvent* event = scope.event()) {
      event->forward_thread = event->thread;
    }
    run_node(node, std::move(grads));
  }

  void run_node(const std::shared_ptr<Node>& node, TensorList grads) {
    grads = run_tensor_hooks(*node, std::move(grads));
    for (const auto& hook : std::vector(node->pre_hooks)) {
      grads = (*hook)(grads);
    }
    TensorList inputs;
    if (!node->post_hooks.empty()) {
      inputs = grads;
    }
    TensorList outputs = (*node)(std::move(grads));
    validate(*node, outputs);
    // Also those that were registered while it ran, without what it was given.
    for (const auto& hook : std::vector(node->post_hooks)) {
      outputs = hook->post(outputs, inputs);
    }
    if (!task_.options.keep_graph) {
      node->release();
    }
    if (anomaly_state().enabled && anomaly_state().check_nan) {
      NoGrad guard;
      for (size_t i = 0; i < outputs.size(); ++i) {
        if (outputs[i].defined() && autograd_ops().has_nan(outputs[i])) {
          fail(
              "Function '",
              node->name(),
              "' returned nan values in its ",
              i,
              "th output.");
        }
      }
    }
    const auto& edges = node->next_edges();
    for (size_t i = 0; i < edges.size() && i < outputs.size(); ++i) {
      if (edges[i]) {
        send(edges[i], std::move(outputs[i]));
      }
    }
  }

  // As PyTorch, which adds in place to what nothing else holds: the sum lies as
  // the first gradient did, which shows only where that is not contiguous.
  static Tensor sum(const Tensor& a, const Tensor& b) {
    bool alone = !grad_enabled() && !top_level() && only_held_by(a, 1) &&
                 a->storage->use_count() == 1 && a.dtype() == b.dtype();
    if (alone && a.strides() != contiguous_strides(a.sizes()) &&
        is_dense(a.sizes(), a.strides())) {
      return autograd_ops().add_(a, b);
    }
    return autograd_ops().add(a, b);
  }

  void send(const Edge& edge, Tensor grad) {
    Node* to = edge.node.get();
    if (!task_.wants(to)) {
      return;
    }
    auto [it, inserted] = task_.buffers.try_emplace(to);
    TensorList& buffer = it->second;
    if (inserted) {
      buffer.resize(to->inputs().size());
    }
    if (grad.defined()) {
      Tensor& slot = buffer.at(edge.input);
      slot = slot.defined() ? sum(slot, grad) : std::move(grad);
    }
    if (--task_.dependencies.at(to) == 0) {
      Ready ready{edge.node, std::move(buffer)};
      task_.buffers.erase(it);
      queue_.push(std::move(ready));
    }
  }

  GraphTask& task_;
  std::priority_queue<Ready, std::vector<Ready>, Later> queue_;
  int64_t steps_ = 0;
};

} // namespace

AutogradOps& autograd_ops() {
  static AutogradOps ops{};
  return ops;
}

bool only_held_by(const Tensor& tensor, int64_t handles) {
  auto count = static_cast<int64_t>(tensor.impl()->use_count());
  if (tensor->python && count == handles + 1) {
    return host_hooks().only_kept(tensor->python);
  }
  return count <= handles;
}

bool in_backward() {
  return current_task() != nullptr;
}

int64_t current_graph_task() {
  return current_task() ? current_task()->id : -1;
}

bool current_keep_graph() {
  return current_task() == nullptr || current_task()->options.keep_graph;
}

bool whole_backward() {
  return current_task() == nullptr || current_task()->exec_info.empty();
}

bool needed_by_backward(const Node& node) {
  return current_task() == nullptr || current_task()->wants(&node);
}

AlsoNeeded::AlsoNeeded(Node* node) {
  if (node && !needed_by_backward(*node)) {
    node_ = node;
    current_task()->exec_info[node].needed = true;
  }
}

AlsoNeeded::~AlsoNeeded() {
  if (node_) {
    current_task()->exec_info[node_].needed = false;
  }
}

bool will_execute(const Node& node) {
  const GraphTask* task = current_task();
  FL_CHECK(
      task,
      "_get_should_execute_nodes should only be called during the backward "
      "pass");
  auto* key = const_cast<Node*>(&node);
  // As PyTorch: a single root, which nothing leads to, is not counted.
  if (task->exec_info.empty() || task->dependencies.count(key) == 0) {
    return task->dependencies.count(key) > 0;
  }
  auto it = task->exec_info.find(key);
  FL_CHECK(
      it == task->exec_info.end() || it->second.captures.empty() ||
          node.topological() != 0,
      "A leaf node was passed to _will_engine_execute_node but we are "
      "currently running autograd.grad(). This is currently not supported.");
  return it != task->exec_info.end() && it->second.wanted();
}

std::vector<std::shared_ptr<Node>> execution_order() {
  const GraphTask* task = current_task();
  FL_CHECK(
      task,
      "_current_graph_task_execution_order should only be called during the "
      "backward pass");
  FL_CHECK(
      !autograd_state().multithreading,
      "get_current_graph_task_execution_order expects the current backward to "
      "be executed with multithreading disabled, e.g. by running:\n\n"
      ">>> with torch.autograd.set_multithreading_enabled(False):\n"
      "...     torch.autograd.grad(...)\n");
  Dependencies waiting;
  std::unordered_set<Node*> seen;
  std::vector<std::shared_ptr<Node>> roots, order;
  for (const auto& root : task->roots) {
    if (auto node = root.lock()) { // else it has run, and nothing holds it
      waiting[node.get()] += 1;
      if (seen.insert(node.get()).second) {
        count_dependencies(waiting, node.get(), seen);
      }
      roots.push_back(std::move(node));
    }
  }
  std::priority_queue<Ready, std::vector<Ready>, Later> queue;
  auto arrive = [&](const std::shared_ptr<Node>& node) {
    if (node && task->wants(node.get()) && --waiting.at(node.get()) == 0) {
      queue.push({node, {}});
    }
  };
  std::for_each(roots.begin(), roots.end(), arrive);
  while (!queue.empty()) {
    order.push_back(queue.top().node);
    queue.pop();
    for (const Edge& e : order.back()->next_edges()) {
      arrive(e.node);
    }
  }
  return order;
}

void queue_backward_callback(std::function<void()> callback) {
  FL_CHECK(
      current_task(),
      "Final callbacks can only be installed during backward pass.");
  current_task()->callbacks.push_back(std::move(callback));
}

TensorList run_backward(
    const std::vector<Edge>& roots,
    TensorList root_grads,
    const BackwardOptions& options,
    const std::vector<Edge>& inputs) {
  static std::atomic<int64_t> next_id{0};
  GraphTask task;
  task.id = next_id++;
  task.options = options;
  task.captured.resize(options.accumulate ? 0 : inputs.size());
  auto root = std::make_shared<GraphRoot>(roots, std::move(root_grads));
  // Root gradients are cast and checked like any other.
  TensorList checked = root->apply({});
  validate(*root, checked);
  // As PyTorch: a single root runs in any case, if only its hooks.
  std::shared_ptr<Node> first = root;
  TensorList first_grads;
  if (roots.size() == 1) {
    first = roots[0].node;
    first_grads.resize(first->inputs().size());
    first_grads.at(roots[0].input) = std::move(checked.at(0));
  }
  for (const Edge& e : roots) {
    task.roots.push_back(e.node);
  }
  std::unordered_set<Node*> seen;
  count_dependencies(task.dependencies, first.get(), seen);
  if (!inputs.empty()) {
    compute_exec_info(task, first.get(), inputs);
    ExecInfo& info = task.exec_info[first.get()];
    info.needed = info.needed || first == root;
  }
  struct Scope {
    GraphTask* before;
    GradMode mode;
    explicit Scope(GraphTask* task, bool create_graph)
        : before(current_task()), mode(create_graph) {
      current_task() = task;
    }
    ~Scope() {
      current_task() = before;
    }
  };
  {
    Scope scope(&task, options.create_graph);
    root.reset();
    Engine(task).run(std::move(first), std::move(first_grads));
    // A callback may queue another one.
    for (size_t i = 0; i < task.callbacks.size(); ++i) {
      std::function<void()> callback = task.callbacks[i];
      callback();
    }
  }
  return std::move(task.captured);
}

} // namespace flashlight
