// Custom Functions: their nodes, and what apply() does with what forward gives.
#include <nanobind/stl/string.h>

#include <optional>
#include <unordered_set>

#include "flashlight/autograd/accumulate_grad.h"
#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/error_node.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/saved_tensor.h"
#include "flashlight/autograd/view_autograd.h"
#include "flashlight/bind/py_autograd.h"
#include "flashlight/core/profiler.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/functions/views.h"

namespace flashlight::bind {

namespace {

// The node of a custom Function: runs ctx's class's backward.
class PyNode : public Node {
 public:
  explicit PyNode(nb::object ctx) : ctx_(std::move(ctx)) {}
  ~PyNode() override {
    nb::gil_scoped_acquire gil;
    ctx_.reset();
  }

  std::string name() const override {
    return Py_TYPE(ctx_.ptr())->tp_name;
  }
  TensorList apply(TensorList grads) override;
  void release() override {
    released = true;
    for (SavedTensor& t : saved) {
      t.release();
    }
  }
  const nb::object& ctx() const {
    return ctx_;
  }

  std::vector<SavedTensor> saved;
  std::vector<int64_t> saved_outputs; // which output each is, or -1
  std::vector<bool> is_tensor_input;
  // For materialised gradients; nothing where an output is not a tensor.
  std::vector<std::optional<InputMetadata>> outputs;
  std::vector<bool> is_fixed_output; // marked as not differentiable
  bool released = false;

 private:
  nb::object ctx_;
};

// The engine takes the real part of a complex gradient only where the formula
// is its own.
void check_kind(const Tensor& grad, const Edge& to) {
  if (!grad.defined() || !to) {
    return;
  }
  bool wanted = is_complex(to.node->inputs().at(to.input).dtype);
  FL_CHECK(
      is_floating(grad.dtype()) || grad.is_complex() == wanted,
      "Expected isFloatingType(grad.scalar_type()) || (input_is_complex == "
      "grad_is_complex) to be true, but got false.  (Could this error message "
      "be improved?  If so, please report an enhancement request to PyTorch.)");
}

TensorList PyNode::apply(TensorList grads) {
  nb::gil_scoped_acquire gil;
  bool materialize = nb::cast<bool>(ctx_.attr("materialize_grads"));
  bool of_fixed = nb::cast<bool>(ctx_.attr("_materialize_non_diff_grads"));
  nb::list args;
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!grads[i].defined() && materialize && outputs.at(i) &&
        (of_fixed || !is_fixed_output.at(i))) {
      grads[i] = autograd_ops().zeros(
          outputs[i]->sizes, outputs[i]->dtype, outputs[i]->device);
    }
    args.append(nb::steal(wrap(grads[i])));
  }
  nb::object result = ctx_.attr("apply")(*args);
  nb::object tuple =
      PyTuple_Check(result.ptr()) ? result : nb::object(nb::make_tuple(result));
  auto n = static_cast<size_t>(PyTuple_GET_SIZE(tuple.ptr()));
  size_t expected = is_tensor_input.size();
  // Nones beyond the inputs are allowed.
  bool all_none = n > expected;
  for (size_t i = expected; i < n; ++i) {
    all_none =
        all_none &&
        PyTuple_GET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i)) == Py_None;
  }
  FL_CHECK(
      n == expected || all_none,
      "function ",
      name(),
      " returned an incorrect number of gradients (expected ",
      expected,
      ", got ",
      n,
      ")");
  TensorList out;
  for (size_t i = 0; i < expected; ++i) {
    PyObject* o = PyTuple_GET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i));
    if (!is_tensor_input[i]) {
      FL_CHECK(
          o == Py_None,
          "function ",
          name(),
          " returned a gradient different than None at position ",
          i + 1,
          ", but the corresponding forward input was not a Variable");
      continue;
    }
    FL_CHECK(
        o == Py_None || is_tensor(o),
        "expected Variable or None (got ",
        Py_TYPE(o)->tp_name,
        ")");
    out.push_back(o == Py_None ? Tensor() : as_tensor(o));
    check_kind(out.back(), next_edges()[out.size() - 1]);
  }
  return out;
}

nb::object node_capsule(const std::shared_ptr<Node>& node) {
  auto* weak = new std::weak_ptr<Node>(node);
  return nb::steal(
      check(PyCapsule_New(weak, "flashlight.Node", [](PyObject* c) {
        delete static_cast<std::weak_ptr<Node>*>(
            PyCapsule_GetPointer(c, "flashlight.Node"));
      })));
}

// Tensors that forward named in an attribute of ctx, which must be a tuple.
std::vector<Tensor>
named(nb::handle ctx, const char* attribute, const char* what) {
  std::vector<Tensor> out;
  nb::object value = ctx.attr(attribute);
  if (value.is_none()) {
    return out;
  }
  for (nb::handle h : nb::borrow<nb::sequence>(value)) {
    FL_CHECK_TYPE(
        is_tensor(h.ptr()),
        what,
        " only accepts variable arguments, but argument ",
        out.size(),
        " is of type ",
        Py_TYPE(h.ptr())->tp_name);
    out.push_back(as_tensor(h.ptr()));
  }
  return out;
}

using Impls = std::unordered_set<TensorImpl*>;

Impls impls_of(const std::vector<Tensor>& tensors) {
  Impls out;
  for (const Tensor& t : tensors) {
    out.insert(t.get());
  }
  return out;
}

// Gives the outputs of a forward their histories.
class Outputs {
 public:
  Outputs(
      nb::handle ctx,
      const TensorList& inputs,
      std::shared_ptr<PyNode> node)
      : node_(std::move(node)) {
    for (const Tensor& t : inputs) {
      inputs_.insert(t.get());
    }
    std::vector<Tensor> dirty = named(ctx, "dirty_tensors", "mark_dirty");
    for (const Tensor& t : dirty) {
      t.bump_version();
    }
    dirty_ = impls_of(dirty);
    fixed_ =
        impls_of(named(ctx, "non_differentiable", "mark_non_differentiable"));
  }

  // Inputs that setup_context saves may not be returned as they are.
  void forbid_returning(nb::handle to_save) {
    if (!to_save.is_none()) {
      for (nb::handle h : nb::borrow<nb::sequence>(to_save)) {
        if (is_tensor(h.ptr())) {
          saved_.insert(as_tensor(h.ptr()).get());
        }
      }
    }
  }

  nb::list process(const nb::list& raw) {
    Impls returned;
    for (nb::handle o : raw) {
      if (is_tensor(o.ptr())) {
        returned.insert(as_tensor(o.ptr()).get());
      }
    }
    nb::list out;
    std::vector<Tensor> all;
    size_t differentiable = 0;
    for (nb::handle o : raw) {
      if (!is_tensor(o.ptr())) {
        out.append(o);
        if (node_) {
          node_->outputs.emplace_back();
          node_->is_fixed_output.push_back(false);
          node_->add_undefined_input();
        }
        continue;
      }
      bool counts = false;
      Tensor t = one(as_tensor(o.ptr()), raw.size(), counts);
      differentiable += counts ? 1 : 0;
      all.push_back(t);
      out.append(nb::steal(wrap(t)));
    }
    if (differentiable > 1) {
      for (const Tensor& t : all) {
        if (is_view(t)) {
          autograd_meta(t)->creation = CreationMeta::MultiOutputNode;
        }
      }
    }
    for (TensorImpl* t : dirty_) {
      FL_CHECK(
          returned.count(t),
          "Some elements marked as dirty during the forward method were not "
          "returned as output. The inputs that are modified inplace must all "
          "be outputs of the Function.");
    }
    return out;
  }

 private:
  // An alias that is a view, made as the forward's own views are.
  static Tensor as_view(const Tensor& t) {
    NoGrad guard;
    nb::handle object(static_cast<PyObject*>(t->python));
    if (object && Py_TYPE(object.ptr()) != tensor_type() &&
        Py_TYPE(object.ptr()) != tensor_base_type()) {
      nb::object out = object.attr("view_as")(object); // its class is asked
      return as_tensor(out.ptr());
    }
    return view(t, t.sizes());
  }

  void set_edge(const Tensor& t, uint32_t output) {
    AutogradMeta& meta = ensure_autograd_meta(t);
    std::shared_ptr<Node> before = std::move(meta.grad_fn);
    leave_hooks(t, before);
    meta.grad_fn = node_;
    meta.output_nr = output;
    if (meta.is_view) {
      meta.attr_version = t.version();
    }
  }

  Tensor one(Tensor t, size_t count, bool& differentiable) {
    bool is_input = inputs_.count(t.get()) > 0;
    bool is_dirty = dirty_.count(t.get()) > 0;
    differentiable = node_ && !fixed_.count(t.get()) &&
                     (t.is_floating_point() || t.is_complex());
    bool moves = differentiable && is_dirty; // move_history() counts the output
    uint32_t output = 0;
    if (node_) {
      node_->is_fixed_output.push_back(!differentiable);
      node_->outputs.push_back(
          InputMetadata{t.sizes(), t.dtype(), t.device(), false});
      if (!moves) {
        output = node_->add_input(t);
      }
    }
    if (!differentiable) {
      if (!requires_grad(t)) {
        if (is_input && !is_dirty) {
          t = as_view(t);
        }
      } else if (is_input) {
        t = detach(t);
      } else if (!is_view(t)) {
        autograd_meta(t)->grad_fn.reset();
        set_requires_grad(t, false);
      }
    } else if (is_dirty) {
      take_over(t, is_input, count);
    } else if (is_input) {
      FL_CHECK(
          !saved_.count(t.get()),
          "An input that has been returned as-is as output is being saved for "
          "backward. This is not supported if you override setup_context. You "
          "should return and save a view of the input instead, e.g. with "
          "x.view_as(x) or setup ctx inside the forward function itself.");
      t = as_view(t);
      set_edge(t, output);
    } else {
      set_edge(t, output);
    }
    if (!(is_input && is_dirty) && is_view(t)) {
      autograd_meta(t)->creation = CreationMeta::InCustomFunction;
    }
    return t;
  }

  // The history of a tensor that forward wrote to goes through the node.
  void take_over(const Tensor& t, bool is_input, size_t count) {
    // A view made without recording counts as a leaf here.
    FL_CHECK(
        !requires_grad(t) || autograd_meta(t)->grad_fn,
        "a leaf Variable that requires grad has been used in an in-place "
        "operation.");
    if (!is_input) {
      warn(
          "ctx.mark_dirty() received a tensor that was not an input. Only "
          "input "
          "Tensors that have been mutated should be passed to "
          "ctx.mark_dirty().");
    }
    FL_CHECK(
        !is_view(t) || count <= 1,
        "If your Function modifies inplace an input that is a view of another "
        "Tensor, your Function cannot return more than one Tensor. This is not "
        "supported by the current autograd engine. You should either make sure "
        "the input is not a view (using .clone() for example) or make your "
        "Function only return one Tensor (potentially splitting it into two "
        "Functions: one doing the inplace that returns a single Tensor and a "
        "second one that does the other operations). You can ask on the forum "
        "https://discuss.pytorch.org/ if you need help to do this change.");
    set_grad(t, Tensor());
    {
      GradMode recording(true); // what a write through the view may raise
      check_inplace(t, true);
    }
    move_history(t, node_);
  }

  std::shared_ptr<PyNode> node_; // none if nothing is recorded
  Impls inputs_, dirty_, fixed_, saved_;
};

void save(PyNode& node, const std::shared_ptr<Node>& self, nb::handle to_save) {
  if (to_save.is_none()) {
    return;
  }
  for (nb::handle h : nb::borrow<nb::sequence>(to_save)) {
    FL_CHECK_TYPE(
        h.is_none() || is_tensor(h.ptr()),
        "save_for_backward can only save variables, but argument ",
        node.saved.size(),
        " is of type ",
        Py_TYPE(h.ptr())->tp_name);
    if (h.is_none()) {
      node.saved.emplace_back();
      node.saved_outputs.push_back(-1);
      continue;
    }
    const Tensor& t = as_tensor(h.ptr());
    bool own = grad_fn(t) == self;
    node.saved.emplace_back(t, own);
    node.saved_outputs.push_back(own ? autograd_meta(t)->output_nr : -1);
  }
}

// Tangents are not looked at: the Function's jvp says what they are.
class NoForwardMode {
 public:
  NoForwardMode() : before_(autograd_state().forward_mode) {
    autograd_state().forward_mode = false;
  }
  ~NoForwardMode() {
    autograd_state().forward_mode = before_;
  }
  NoForwardMode(const NoForwardMode&) = delete;
  NoForwardMode& operator=(const NoForwardMode&) = delete;

 private:
  bool before_;
};

nb::object run_function(nb::handle cls, nb::object ctx, nb::tuple args) {
  std::optional<ProfileScope> scope; // of the whole call
  if (profiling()) [[unlikely]] {
    scope.emplace(
        current_profile(),
        nb::cast<std::string>(cls.attr("__name__")),
        RecordScope::Function,
        grad_enabled() ? static_cast<int64_t>(peek_sequence()) : -1);
    if (ProfileEvent* event = scope->event()) {
      event->kernel = true;
      for (nb::handle a : args) {
        if (is_tensor(a.ptr()) && current_profile()->options.shapes) {
          event->inputs.push_back(recorded_input(as_tensor(a.ptr())));
        }
      }
    }
  }
  auto node = std::make_shared<PyNode>(ctx);
  TensorList inputs;
  nb::list needs;
  bool any = false;
  for (nb::handle a : args) {
    bool tensor = is_tensor(a.ptr());
    node->is_tensor_input.push_back(tensor);
    bool need = tensor && requires_grad(as_tensor(a.ptr()));
    if (tensor) {
      inputs.push_back(as_tensor(a.ptr()));
    }
    any = any || need;
    needs.append(need);
  }
  bool record = any && grad_enabled();
  ctx.attr("needs_input_grad") = nb::steal(check(PyList_AsTuple(needs.ptr())));
  ctx.attr("_node") = node_capsule(node);
  if (record) {
    for (const Tensor& t : inputs) {
      node->add_edge(gradient_edge(t));
    }
    node->update_topological();
  }
  bool setup = nb::cast<bool>(cls.attr("_has_setup_context")());
  nb::object output;
  {
    NoGrad guard;
    NoForwardMode plain;
    if (setup) {
      output = cls.attr("forward")(*args);
      cls.attr("setup_context")(ctx, args, output);
    } else {
      output = cls.attr("forward")(ctx, *args);
    }
  }
  bool single = !PyTuple_Check(output.ptr());
  nb::list raw;
  if (single) {
    raw.append(output);
  } else {
    for (nb::handle o : nb::borrow<nb::tuple>(output)) {
      raw.append(o);
    }
  }
  nb::object to_save = ctx.attr("to_save");
  Outputs outputs(ctx, inputs, record ? node : nullptr);
  if (setup) {
    outputs.forbid_returning(to_save);
  }
  nb::list wrapped = outputs.process(raw);
  if (record) {
    save(*node, node, to_save);
  }
  ctx.attr("to_save") = nb::none();
  ctx.attr("dirty_tensors") = nb::none();
  ctx.attr("non_differentiable") = nb::none();
  return single ? nb::object(wrapped[0])
                : nb::steal(check(PyList_AsTuple(wrapped.ptr())));
}

// An output has a tangent now: so has what was saved of it.
void keep_saved_tangent(nb::handle output) {
  const Tensor& t = as_tensor(output.ptr());
  if (auto py = std::dynamic_pointer_cast<PyNode>(grad_fn(t))) {
    const AutogradMeta& meta = *autograd_meta(t);
    for (size_t i = 0; i < py->saved.size(); ++i) {
      if (py->saved_outputs[i] == meta.output_nr) {
        py->saved[i].keep_tangent(meta.tangent);
      }
    }
  }
}

PyNode& with_saved(const std::shared_ptr<Node>& node) {
  auto& py = static_cast<PyNode&>(*node);
  FL_CHECK(
      !py.released,
      "Trying to backward through the graph a second time (or directly access "
      "saved tensors after they have already been freed). Saved intermediate "
      "values of the graph are freed when you call .backward() or "
      "autograd.grad(). Specify retain_graph=True if you need to backward "
      "through the graph a second time or if you need to access saved tensors "
      "after calling backward.");
  return py;
}

nb::object ctx_saved_tensors(nb::handle ctx) {
  auto node = to_node(ctx);
  nb::list out;
  for (const SavedTensor& t : with_saved(node).saved) {
    out.append(nb::steal(wrap(t.unpack(node))));
  }
  return nb::steal(check(PyList_AsTuple(out.ptr())));
}

// Tensors (or none) with an edge to those that they were, which no gradient
// gets through.
nb::object delayed_errors(const nb::tuple& outputs, const std::string& text) {
  TensorList tensors;
  for (nb::handle o : outputs) {
    tensors.emplace_back();
    if (is_tensor(o.ptr())) {
      tensors.back() = as_tensor(o.ptr());
    }
  }
  tensors = delayed_error(tensors, text);
  nb::list out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    out.append(
        tensors[i].defined() ? nb::steal(wrap(tensors[i]))
                             : nb::object(outputs[i]));
  }
  return nb::steal(check(PyList_AsTuple(out.ptr())));
}

} // namespace

PyObject* context_of(const Node& node) {
  auto* py = dynamic_cast<const PyNode*>(&node);
  return py ? py->ctx().ptr() : nullptr;
}

void bind_custom_functions(nb::module_& m) {
  m.def("_run_function", run_function);
  m.def("_keep_saved_tangent", keep_saved_tangent);
  m.def("_ctx_saved_tensors", ctx_saved_tensors);
  m.def("_delayed_error", delayed_errors);
  m.def("_ctx_saved_count", [](nb::handle ctx) {
    return with_saved(to_node(ctx)).saved.size();
  });
  m.def(
      "_ctx_register_saved_hooks",
      [](nb::handle ctx, size_t i, nb::object pack, nb::object unpack) {
        with_saved(to_node(ctx))
            .saved.at(i)
            .register_hook(saved_hook(std::move(pack), std::move(unpack)));
      });
}

} // namespace flashlight::bind
