// Runs the backward graph.
#pragma once

#include "flashlight/autograd/autograd_meta.h"

namespace flashlight {

struct BackwardOptions {
  bool keep_graph = false;
  bool create_graph = false;
  bool accumulate = true; // false: return the gradients of `inputs`
};

// The gradients of `inputs` (if accumulate is false), one for each; undefined
// where there is none. With accumulate, and inputs, only those leaves get one.
FL_API TensorList run_backward(
    const std::vector<Edge>& roots,
    TensorList root_grads,
    const BackwardOptions& options,
    const std::vector<Edge>& inputs);

// Is the tensor held by so many handles, or fewer, and by nothing else? Its
// object, which a hook has seen, counts only if the host still refers to it.
FL_API bool only_held_by(const Tensor& tensor, int64_t handles);

// Called when the running backward ends (Engine.queue_callback).
FL_API void queue_backward_callback(std::function<void()> callback);

// The ops that autograd itself needs; set by the ops layer, which lies above.
struct AutogradOps {
  Tensor (*add)(const Tensor&, const Tensor&);
  Tensor (*add_)(const Tensor&, const Tensor&); // in place
  Tensor (*sum_to)(const Tensor&, const IntList&);
  Tensor (*to_dtype)(const Tensor&, Dtype);
  Tensor (*zeros)(const IntList&, Dtype, Device);
  Tensor (*as_strided)(const Tensor&, const Geometry&);
  Tensor (*as_strided_scatter)(const Tensor&, const Tensor&, const Geometry&);
  // The gradient of a tensor that lies as `base` from that of a window on its
  // storage: sums where the window overlaps itself.
  Tensor (*scatter_window)(
      const Tensor& grad,
      const Geometry& window,
      const Geometry& base);
  Tensor (*clone)(const Tensor&);
  Tensor (*copy_)(const Tensor& to, const Tensor& from);
  Tensor (*real)(const Tensor&);
  // Complex numbers as pairs, and back; the conjugate; the negative.
  Tensor (*view_as_real)(const Tensor&);
  Tensor (*view_as_complex)(const Tensor&);
  Tensor (*conj)(const Tensor&);
  Tensor (*neg)(const Tensor&);
  bool (*has_nan)(const Tensor&);
};
FL_API AutogradOps& autograd_ops();

// True while a backward runs on this thread.
FL_API bool in_backward();
FL_API int64_t current_graph_task();
FL_API bool current_keep_graph();
// Does the running backward, if there is one, accumulate into every leaf?
FL_API bool whole_backward();
// Does the running backward need what arrives at this node? True without one.
FL_API bool needed_by_backward(const Node& node);
// While it lives, the running backward needs `node` too (which may be null).
class FL_API AlsoNeeded {
 public:
  explicit AlsoNeeded(Node* node);
  ~AlsoNeeded();
  AlsoNeeded(const AlsoNeeded&) = delete;
  AlsoNeeded& operator=(const AlsoNeeded&) = delete;

 private:
  Node* node_ = nullptr; // what was not needed before
};
// The nodes that the running backward runs, in that order, from its beginning.
FL_API std::vector<std::shared_ptr<Node>> execution_order();
// Will the running backward reach this node?
FL_API bool will_execute(const Node& node);

} // namespace flashlight
