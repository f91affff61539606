// The tape as Python sees it: backward, nodes, hooks, modes, custom Functions.
#include <map>
#include <unordered_set>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "flashlight/autograd/accumulate_grad.h"
#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/saved_tensor.h"
#include "flashlight/bind/py_autograd.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op_node.h"

namespace flashlight::bind {

namespace {

// --- hooks -------------------------------------------------------------------

// The values of a dict of hooks, so that a hook may remove itself.
nb::list hooks_of(const nb::object& dict) {
  return nb::steal<nb::list>(check(PyDict_Values(dict.ptr())));
}

// Hooks of a tensor: each sees its gradient and may return another.
class TensorHooks : public NodeHook {
 public:
  explicit TensorHooks(nb::object dict) : dict_(std::move(dict)) {}
  ~TensorHooks() override {
    nb::gil_scoped_acquire gil;
    dict_.reset();
  }

  TensorList operator()(const TensorList& grads) override {
    nb::object grad = nb::steal(wrap(grads.at(0)));
    for (nb::handle hook : hooks_of(dict_)) {
      nb::object result = hook(grad);
      if (!result.is_none()) {
        FL_CHECK_TYPE(
            is_tensor(result.ptr()),
            "hook should return a Tensor or None, got ",
            Py_TYPE(result.ptr())->tp_name);
        const Tensor& t = as_tensor(result.ptr());
        const Tensor& g = grads.at(0);
        if (g.defined()) {
          FL_CHECK(
              t.dtype() == g.dtype(),
              "hook has changed the type of value (was ",
              type_name(g),
              " got ",
              type_name(t),
              ")");
          FL_CHECK(
              t.sizes() == g.sizes(), "hook has changed the size of value");
        }
        grad = result;
      }
    }
    return {grad.is_none() ? Tensor() : as_tensor(grad.ptr())};
  }
  void* python() const override {
    return dict_.ptr();
  }

 private:
  nb::object dict_;
};

nb::tuple grads_tuple(const TensorList& grads) {
  nb::list list;
  for (const Tensor& g : grads) {
    list.append(nb::steal(wrap(g)));
  }
  return nb::steal<nb::tuple>(check(PyList_AsTuple(list.ptr())));
}

TensorList tensors_of(nb::handle object, const TensorList& before) {
  if (object.is_none()) {
    return before;
  }
  TensorList out;
  if (is_tensor(object.ptr())) {
    return {as_tensor(object.ptr())};
  }
  for (nb::handle h : nb::borrow<nb::sequence>(object)) {
    out.push_back(h.is_none() ? Tensor() : to_tensor(h.ptr()));
  }
  FL_CHECK(
      out.size() == before.size(),
      "hook has returned an incorrect number of values (got ",
      out.size(),
      ", but expected ",
      before.size(),
      ")");
  return out;
}

// Hooks of a node, before or after it.
class NodeHooks : public NodeHook {
 public:
  explicit NodeHooks(nb::object dict) : dict_(std::move(dict)) {}
  ~NodeHooks() override {
    nb::gil_scoped_acquire gil;
    dict_.reset();
  }

  TensorList operator()(const TensorList& grads) override {
    TensorList out = grads;
    for (nb::handle hook : hooks_of(dict_)) {
      out = tensors_of(hook(grads_tuple(out)), out);
    }
    return out;
  }
  TensorList post(const TensorList& outputs, const TensorList& inputs)
      override {
    TensorList out = outputs;
    for (nb::handle hook : hooks_of(dict_)) {
      out = tensors_of(hook(grads_tuple(out), grads_tuple(inputs)), out);
    }
    return out;
  }
  void* python() const override {
    return dict_.ptr();
  }

 private:
  nb::object dict_;
};

// Called with the leaf after its .grad was updated.
class PostAccumulateHooks : public NodeHook {
 public:
  explicit PostAccumulateHooks(nb::object dict) : dict_(std::move(dict)) {}
  ~PostAccumulateHooks() override {
    nb::gil_scoped_acquire gil;
    dict_.reset();
  }

  TensorList operator()(const TensorList& variables) override {
    nb::object variable = nb::steal(wrap(variables.at(0)));
    for (nb::handle hook : hooks_of(dict_)) {
      nb::object result = hook(variable);
      FL_CHECK(
          result.is_none(),
          "Tensor post accumulate grad hooks should return "
          "None.");
    }
    return variables;
  }
  void* python() const override {
    return dict_.ptr();
  }

 private:
  nb::object dict_;
};

// --- saved tensor hooks ------------------------------------------------------

struct SavedHooks {
  std::vector<std::pair<PyObject*, PyObject*>> stack;
  std::string disabled; // why, or empty
  bool running = false; // inside a pack hook
};

SavedHooks& saved_hooks() {
  thread_local SavedHooks hooks;
  return hooks;
}

class PySavedHook : public SavedTensorHook {
 public:
  PySavedHook(nb::object pack, nb::object unpack)
      : pack_(std::move(pack)), unpack_(std::move(unpack)) {}
  ~PySavedHook() override {
    nb::gil_scoped_acquire gil;
    pack_.reset();
    unpack_.reset();
    data_.reset();
  }

  void pack(const Tensor& tensor) override {
    NoGrad guard;
    uint32_t before = tensor.version();
    data_ = pack_(nb::steal(wrap(tensor)));
    FL_CHECK(
        tensor.version() == before,
        "A saved tensor pack hook is modifying its input in place. Tensors "
        "provided as input to pack hook can not be modified by in-place "
        "operations as this can lead to unexpected side-effects. Please open "
        "an issue if you need to perform in-place operations on the input to a "
        "pack hook.");
  }
  Tensor unpack() override {
    nb::object out = unpack_(data_);
    FL_CHECK_TYPE(
        is_tensor(out.ptr()),
        "Output of saved tensor unpack_hook expected to be a Tensor but got "
        "result of type ",
        Py_TYPE(out.ptr())->tp_name);
    return as_tensor(out.ptr());
  }

 private:
  nb::object pack_, unpack_, data_;
};

// --- nodes -------------------------------------------------------------------

struct PyNodeObject {
  PyObject_HEAD std::shared_ptr<Node> node;
};

PyTypeObject* node_base = nullptr;

std::string short_name(const std::string& name) {
  size_t colon = name.rfind(':');
  return colon == std::string::npos ? name : name.substr(colon + 1);
}

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
  std::vector<bool> is_tensor_input;
  std::vector<InputMetadata> outputs; // for materialised gradients
  bool released = false;

 private:
  nb::object ctx_;
};

TensorList PyNode::apply(TensorList grads) {
  nb::gil_scoped_acquire gil;
  bool materialize = nb::cast<bool>(ctx_.attr("materialize_grads"));
  nb::list args;
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!grads[i].defined() && materialize && i < outputs.size()) {
      grads[i] = autograd_ops().zeros(
          outputs[i].sizes, outputs[i].dtype, outputs[i].device);
    }
    args.append(nb::steal(wrap(grads[i])));
  }
  nb::object result = ctx_.attr("apply")(*args);
  nb::object tuple =
      PyTuple_Check(result.ptr()) ? result : nb::object(nb::make_tuple(result));
  auto n = static_cast<size_t>(PyTuple_GET_SIZE(tuple.ptr()));
  size_t expected = is_tensor_input.size();
  // Trailing Nones beyond the inputs are allowed.
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
          " returned a gradient different from None at position ",
          i + 1,
          ", but the corresponding forward input was not a Variable");
      continue;
    }
    FL_CHECK_TYPE(
        o == Py_None || is_tensor(o),
        "expected Variable or None (got ",
        Py_TYPE(o)->tp_name,
        ")");
    out.push_back(o == Py_None ? Tensor() : as_tensor(o));
  }
  return out;
}

void node_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  auto& node = reinterpret_cast<PyNodeObject*>(self)->node;
  if (node) {
    node->python = nullptr;
    free_iteratively(std::move(node));
  }
  node.~shared_ptr();
  type->tp_free(self);
  Py_DECREF(type);
}

int node_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  auto& node = reinterpret_cast<PyNodeObject*>(self)->node;
  if (node && node.use_count() == 1) {
    return traverse_node(*node, visit, arg);
  }
  return 0;
}

int node_clear(PyObject* self) {
  auto& node = reinterpret_cast<PyNodeObject*>(self)->node;
  if (node && node.use_count() == 1) {
    node->pre_hooks.clear();
    node->post_hooks.clear();
    node->metadata.reset();
  }
  return 0;
}

PyObject* node_repr(PyObject* self) {
  return PyUnicode_FromFormat(
      "<%s object at %p>",
      short_name(reinterpret_cast<PyNodeObject*>(self)->node->name()).c_str(),
      self);
}

PyTypeObject* node_type_of(const std::string& name) {
  static std::map<std::string, PyTypeObject*> types;
  auto [it, inserted] = types.try_emplace(name, nullptr);
  if (inserted) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(node_dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(node_traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(node_clear)},
        {Py_tp_repr, reinterpret_cast<void*>(node_repr)},
        {0, nullptr}};
    PyType_Spec spec = {
        (new std::string("torch.autograd." + name))->c_str(),
        sizeof(PyNodeObject),
        0,
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
        slots};
    it->second = reinterpret_cast<PyTypeObject*>(check(PyType_FromSpecWithBases(
        &spec, reinterpret_cast<PyObject*>(node_base))));
  }
  return it->second;
}

// The node behind a wrapper, or behind a custom Function's ctx.
std::shared_ptr<Node> to_node(nb::handle h) {
  if (PyObject_TypeCheck(h.ptr(), node_base)) {
    return reinterpret_cast<PyNodeObject*>(h.ptr())->node;
  }
  nb::object handle = nb::getattr(h, "_node", nb::none());
  if (handle.is_none()) {
    fail(
        "Attribute is invalid for this instance of _C._FunctionBase. Accessing "
        "this attribute directly on an instance of autograd.Function is a "
        "legacy access pattern that is no longer supported.");
  }
  auto* weak = static_cast<std::weak_ptr<Node>*>(
      PyCapsule_GetPointer(handle.ptr(), "flashlight.Node"));
  auto node = weak->lock();
  FL_CHECK(node, "the graph of this function has been freed");
  return node;
}

nb::object node_capsule(const std::shared_ptr<Node>& node) {
  auto* weak = new std::weak_ptr<Node>(node);
  return nb::steal(
      check(PyCapsule_New(weak, "flashlight.Node", [](PyObject* c) {
        delete static_cast<std::weak_ptr<Node>*>(
            PyCapsule_GetPointer(c, "flashlight.Node"));
      })));
}

nb::object node_next_functions(nb::handle self) {
  nb::list out;
  for (const Edge& e : to_node(self)->next_edges()) {
    out.append(nb::make_tuple(nb::steal(wrap_node(e.node)), e.input));
  }
  return nb::steal(check(PyList_AsTuple(out.ptr())));
}

nb::object node_metadata(nb::handle self) {
  auto node = to_node(self);
  if (!node->metadata) {
    PyObject* dict = check(PyDict_New());
    node->metadata = std::shared_ptr<void>(dict, [](void* d) {
      nb::gil_scoped_acquire gil;
      Py_DECREF(static_cast<PyObject*>(d));
    });
    if (!node->trace.empty()) {
      nb::borrow<nb::dict>(dict)["traceback_"] = node->trace;
    }
  }
  return nb::borrow(static_cast<PyObject*>(node->metadata.get()));
}

// --- custom functions --------------------------------------------------------

nb::object run_function(nb::handle cls, nb::object ctx, nb::tuple args) {
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
  if (!record) {
    // Nothing will flow back: the flags say so too.
    for (size_t i = 0; i < nb::len(needs); ++i) {
      if (!grad_enabled()) {
        needs[i] = needs[i];
      }
    }
  }
  ctx.attr("needs_input_grad") = nb::steal(check(PyList_AsTuple(needs.ptr())));
  if (record) {
    for (const Tensor& t : inputs) {
      node->add_edge(gradient_edge(t));
    }
    node->update_topological();
    ctx.attr("_node") = node_capsule(node);
  }
  nb::object output;
  {
    NoGrad guard;
    if (nb::cast<bool>(cls.attr("_has_setup_context")())) {
      output = cls.attr("forward")(*args);
      cls.attr("setup_context")(ctx, args, output);
    } else {
      output = cls.attr("forward")(ctx, *args);
    }
  }
  bool single = !PyTuple_Check(output.ptr());
  nb::list outputs;
  if (single) {
    outputs.append(output);
  } else {
    for (nb::handle o : nb::borrow<nb::tuple>(output)) {
      outputs.append(o);
    }
  }
  auto tensor_set = [&](const char* name) {
    std::unordered_set<TensorImpl*> set;
    nb::object value = ctx.attr(name);
    if (!value.is_none()) {
      for (nb::handle h : nb::borrow<nb::sequence>(value)) {
        set.insert(to_tensor(h.ptr()).get());
      }
    }
    return set;
  };
  auto dirty = tensor_set("dirty_tensors");
  auto fixed = tensor_set("non_differentiable");
  std::unordered_set<TensorImpl*> input_set;
  for (const Tensor& t : inputs) {
    input_set.insert(t.get());
  }
  for (TensorImpl* t : dirty) {
    FL_CHECK(
        input_set.count(t),
        "mark_dirty only accepts input tensors, but argument was not one");
  }
  std::unordered_set<TensorImpl*> output_set;
  nb::list wrapped;
  for (nb::handle o : outputs) {
    if (!is_tensor(o.ptr())) {
      FL_CHECK_TYPE(
          true || o.is_none(), "outputs of a Function must be tensors");
      wrapped.append(o);
      if (record) {
        node->outputs.emplace_back();
        node->add_undefined_input();
      }
      continue;
    }
    Tensor t = as_tensor(o.ptr());
    bool is_input = input_set.count(t.get()) > 0;
    bool is_dirty = dirty.count(t.get()) > 0;
    bool is_fixed =
        fixed.count(t.get()) > 0 || !(t.is_floating_point() || t.is_complex());
    if (is_dirty) {
      if (record) {
        check_inplace(t, true);
      }
      // The forward's own writes have bumped the version already.
    } else if (is_input) {
      NoGrad guard;
      Tensor view = flashlight::alias(t);
      if (record && !is_fixed) {
        ensure_autograd_meta(view).creation = CreationMeta::InCustomFunction;
      }
      t = view;
    }
    if (record) {
      node->outputs.push_back({t.sizes(), t.dtype(), t.device(), false});
      if (is_fixed) {
        node->add_undefined_input();
        if (autograd_meta(t) && autograd_meta(t)->grad_fn) {
          t = detach(t);
        }
      } else if (is_dirty) {
        AutogradMeta& meta = ensure_autograd_meta(t);
        if (meta.is_view) {
          rebase_history(t, node);
        } else {
          meta.requires_grad = false;
          meta.hooks.clear();
          set_history(t, node);
        }
      } else {
        AutogradMeta& meta = ensure_autograd_meta(t);
        if (meta.is_view) {
          meta.creation = CreationMeta::InCustomFunction;
          meta.attr_version = t.version();
        }
        set_history(t, node);
      }
    }
    output_set.insert(t.get());
    wrapped.append(nb::steal(wrap(t)));
  }
  if (record) {
    nb::object to_save = ctx.attr("to_save");
    if (!to_save.is_none()) {
      for (nb::handle h : nb::borrow<nb::sequence>(to_save)) {
        FL_CHECK_TYPE(
            h.is_none() || is_tensor(h.ptr()),
            "save_for_backward can only save variables, but argument ",
            node->saved.size(),
            " is of type ",
            Py_TYPE(h.ptr())->tp_name);
        if (h.is_none()) {
          node->saved.emplace_back();
        } else {
          const Tensor& t = as_tensor(h.ptr());
          const AutogradMeta* meta = autograd_meta(t);
          bool own = meta && meta->grad_fn == node;
          node->saved.emplace_back(t, own);
        }
      }
    }
    ctx.attr("to_save") = nb::none();
  }
  ctx.attr("dirty_tensors") = nb::none();
  ctx.attr("non_differentiable") = nb::none();
  return single ? nb::object(wrapped[0])
                : nb::steal(check(PyList_AsTuple(wrapped.ptr())));
}

nb::object ctx_saved_tensors(nb::handle ctx) {
  nb::object handle = nb::getattr(ctx, "_node", nb::none());
  if (handle.is_none()) {
    nb::object to_save = ctx.attr("to_save");
    return to_save.is_none() ? nb::object(nb::make_tuple()) : to_save;
  }
  auto node = to_node(ctx);
  auto& py = static_cast<PyNode&>(*node);
  FL_CHECK(
      !py.released,
      "Trying to backward through the graph a second time (or directly access "
      "saved tensors after they have already been freed). Saved intermediate "
      "values of the graph are freed when you call .backward() or "
      "autograd.grad(). Specify retain_graph=True if you need to backward "
      "through the graph a second time or if you need to access saved tensors "
      "after calling backward.");
  nb::list out;
  for (const SavedTensor& t : py.saved) {
    out.append(nb::steal(wrap(t.unpack(node))));
  }
  return nb::steal(check(PyList_AsTuple(out.ptr())));
}

// --- backward ----------------------------------------------------------------

nb::object backward(
    nb::sequence tensors,
    nb::sequence grad_tensors,
    bool keep_graph,
    bool create_graph,
    nb::object inputs,
    bool allow_unreachable,
    bool accumulate) {
  std::vector<Edge> roots;
  TensorList grads;
  size_t i = 0;
  std::vector<nb::object> grad_list;
  for (nb::handle g : grad_tensors) {
    grad_list.push_back(nb::borrow(g));
  }
  for (nb::handle h : tensors) {
    const Tensor& t = to_tensor(h.ptr());
    Edge edge = gradient_edge(t);
    FL_CHECK(
        edge,
        "element ",
        i,
        " of tensors does not require grad and does not have a grad_fn");
    const nb::object& g = grad_list.at(i);
    if (g.is_none()) {
      FL_CHECK(
          t.numel() == 1,
          "grad can be implicitly created only for scalar outputs");
      grads.push_back(ones_like(t));
    } else {
      grads.push_back(to_tensor(g.ptr()));
    }
    roots.push_back(std::move(edge));
    ++i;
  }
  std::vector<Edge> wanted;
  std::vector<std::shared_ptr<Node>> keep; // accumulators made here
  if (!inputs.is_none()) {
    size_t k = 0;
    for (nb::handle h : nb::borrow<nb::sequence>(inputs)) {
      const Tensor& t = to_tensor(h.ptr());
      Edge edge = gradient_edge(t);
      FL_CHECK(edge, "One of the differentiated Tensors does not require grad");
      if (accumulate && grad_fn(t)) {
        // A tensor inside the graph: its gradient is retained.
        retain_grad(t);
      }
      keep.push_back(edge.node);
      wanted.push_back(std::move(edge));
      ++k;
    }
  }
  TensorList out = run_backward(
      roots, std::move(grads), {keep_graph, create_graph, accumulate}, wanted);
  if (accumulate) {
    return nb::none();
  }
  nb::list result;
  for (size_t k = 0; k < out.size(); ++k) {
    FL_CHECK(
        allow_unreachable || out[k].defined(),
        "One of the differentiated Tensors appears to not have been used in "
        "the graph. Set allow_unused=True if this is the desired behavior.");
    result.append(nb::steal(wrap(out[k])));
  }
  return nb::steal(check(PyList_AsTuple(result.ptr())));
}

} // namespace

PyObject* wrap_node(const std::shared_ptr<Node>& node) {
  if (!node) {
    return Py_NewRef(Py_None);
  }
  if (auto* py = dynamic_cast<PyNode*>(node.get())) {
    return Py_NewRef(py->ctx().ptr());
  }
  if (node->python) {
    return Py_NewRef(static_cast<PyObject*>(node->python));
  }
  PyTypeObject* type = node_type_of(short_name(node->name()));
  PyObject* self = check(type->tp_alloc(type, 0));
  new (&reinterpret_cast<PyNodeObject*>(self)->node)
      std::shared_ptr<Node>(node);
  node->python = self;
  return self;
}

int traverse_node(Node& node, visitproc visit, void* arg) {
  if (auto* py = dynamic_cast<PyNode*>(&node)) {
    Py_VISIT(py->ctx().ptr());
  }
  for (const auto& hook : node.pre_hooks) {
    Py_VISIT(static_cast<PyObject*>(hook->python()));
  }
  for (const auto& hook : node.post_hooks) {
    Py_VISIT(static_cast<PyObject*>(hook->python()));
  }
  for (const auto& h : node.tensor_pre_hooks) {
    if (h.hook.use_count() == 1) {
      Py_VISIT(static_cast<PyObject*>(h.hook->python()));
    }
  }
  Py_VISIT(static_cast<PyObject*>(node.metadata.get()));
  return 0;
}

void bind_autograd(nb::module_& m) {
  PyType_Slot slots[] = {
      {Py_tp_dealloc, reinterpret_cast<void*>(node_dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(node_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(node_clear)},
      {Py_tp_repr, reinterpret_cast<void*>(node_repr)},
      {0, nullptr}};
  PyType_Spec spec = {
      "flashlight._C._NodeBase",
      sizeof(PyNodeObject),
      0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
      slots};
  node_base = reinterpret_cast<PyTypeObject*>(check(PyType_FromSpec(&spec)));
  m.attr("_NodeBase") = nb::handle(reinterpret_cast<PyObject*>(node_base));
  // Attributes are given in Python, where they serve custom Functions too.
  m.def("_node_next_functions", node_next_functions);
  m.def("_node_metadata", node_metadata);
  m.def("_node_name", [](nb::handle self) {
    std::string name = to_node(self)->name();
    return short_name(name) == "AccumulateGrad" ? name : short_name(name);
  });
  m.def("_node_sequence_nr", [](nb::handle self) {
    return to_node(self)->sequence();
  });
  m.def("_node_set_sequence_nr", [](nb::handle self, uint64_t n) {
    to_node(self)->set_sequence(n);
  });
  m.def("_node_variable", [](nb::handle self) {
    return to_node(self)->variable();
  });
  m.def("_node_input_metadata", [](nb::handle self) {
    nb::list out;
    for (const InputMetadata& i : to_node(self)->inputs()) {
      out.append(
          nb::make_tuple(
              nb::steal(size_object(i.sizes)),
              nb::borrow(dtype_object(i.dtype)),
              nb::steal(device_object(i.device))));
    }
    return out;
  });
  m.def("_node_add_post_hooks", [](nb::handle self, nb::object dict) {
    to_node(self)->post_hooks.push_back(
        std::make_shared<NodeHooks>(std::move(dict)));
  });
  m.def("_node_add_pre_hooks", [](nb::handle self, nb::object dict) {
    to_node(self)->pre_hooks.push_back(
        std::make_shared<NodeHooks>(std::move(dict)));
  });
  m.def(
      "_node_saved",
      [](nb::handle self, const std::string& name) -> nb::object {
        auto node = to_node(self);
        auto* op = dynamic_cast<OpNode*>(node.get());
        if (!op) {
          throw nb::attribute_error(name.c_str());
        }
        auto names = op->saved_names();
        if (std::find(names.begin(), names.end(), name) == names.end()) {
          throw nb::attribute_error(("_saved_" + name).c_str());
        }
        Value v = op->saved(name);
        if (const auto* t = v.get_if<Tensor>()) {
          return nb::steal(wrap(*t));
        }
        if (const auto* list = v.get_if<IntList>()) {
          return int_tuple(*list);
        }
        if (const auto* s = v.get_if<Scalar>()) {
          return nb::steal(scalar_object(*s));
        }
        if (const auto* i = v.get_if<int64_t>()) {
          return nb::object(nb::int_(*i));
        }
        if (const auto* b = v.get_if<bool>()) {
          return nb::object(nb::bool_(*b));
        }
        if (const auto* d = v.get_if<double>()) {
          return nb::object(nb::float_(*d));
        }
        if (const auto* list = v.get_if<TensorList>()) {
          return nb::object(grads_tuple(*list));
        }
        return nb::none();
      });
  m.def("_node_saved_names", [](nb::handle self) {
    nb::list out;
    auto node = to_node(self);
    if (auto* op = dynamic_cast<OpNode*>(node.get())) {
      for (const std::string& n : op->saved_names()) {
        out.append(n);
      }
    }
    return out;
  });
  m.def("_run_function", run_function);
  m.def("_ctx_saved_tensors", ctx_saved_tensors);
  m.def(
      "_run_backward",
      backward,
      nb::arg("tensors"),
      nb::arg("grad_tensors"),
      nb::arg("keep_graph"),
      nb::arg("create_graph"),
      nb::arg("inputs").none() = nb::none(),
      nb::arg("allow_unreachable") = true,
      nb::arg("accumulate_grad") = true);
  m.def("_queue_callback", [](nb::object f) {
    // Shared, so that copies of the std::function need no lock.
    auto held = std::make_shared<nb::object>(std::move(f));
    queue_backward_callback([held] { (*held)(); });
  });
  m.def("_current_graph_task_id", current_graph_task);
  m.def("_current_graph_task_keep_graph", current_keep_graph);
  m.def("_current_autograd_node", [] {
    return nb::steal(wrap_node(current_node()));
  });

  m.def("_add_tensor_hooks", [](const Tensor& t, nb::object dict) {
    auto hook = std::make_shared<TensorHooks>(std::move(dict));
    AutogradMeta& meta = ensure_autograd_meta(t);
    if (auto fn = grad_fn(t)) {
      fn->tensor_pre_hooks.push_back({meta.output_nr, hook});
      if (!meta.is_view) {
        return;
      }
    }
    meta.hooks.push_back(hook);
  });
  m.def("_set_post_accumulate_hooks", [](const Tensor& t, nb::object dict) {
    AutogradMeta& meta = ensure_autograd_meta(t);
    meta.post_accumulate_hooks = {
        std::make_shared<PostAccumulateHooks>(std::move(dict))};
  });
  m.def("_grad_accumulator", [](const Tensor& t) {
    return nb::steal(wrap_node(grad_accumulator(t)));
  });
  m.def("_gradient_edge", [](const Tensor& t) {
    Edge e = gradient_edge(t);
    return nb::make_tuple(nb::steal(wrap_node(e.node)), e.input);
  });

  m.def("is_grad_enabled", grad_enabled);
  m.def("_set_grad_enabled", [](bool enabled) {
    autograd_state().grad_mode = enabled;
  });
  m.def("is_inference_mode_enabled", [] {
    return autograd_state().inference_mode;
  });
  m.def("_set_inference_mode", [](bool enabled) {
    autograd_state().inference_mode = enabled;
  });
  m.def("is_anomaly_enabled", [] { return autograd_state().anomaly_mode; });
  m.def("is_anomaly_check_nan_enabled", [] {
    return autograd_state().anomaly_check_nan;
  });
  m.def(
      "set_anomaly_enabled",
      [](bool enabled, bool check_nan) {
        autograd_state().anomaly_mode = enabled;
        autograd_state().anomaly_check_nan = check_nan;
      },
      nb::arg("enabled"),
      nb::arg("check_nan") = true);
  m.def("_is_multithreading_enabled", [] {
    return autograd_state().multithreading;
  });
  m.def("_set_multithreading_enabled", [](bool enabled) {
    autograd_state().multithreading = enabled;
  });

  m.def("_push_saved_tensors_hooks", [](nb::object pack, nb::object unpack) {
    FL_CHECK(saved_hooks().disabled.empty(), saved_hooks().disabled);
    saved_hooks().stack.emplace_back(
        pack.release().ptr(), unpack.release().ptr());
  });
  m.def("_pop_saved_tensors_hooks", [] {
    FL_CHECK(!saved_hooks().stack.empty(), "no saved tensors hooks are set");
    auto [pack, unpack] = saved_hooks().stack.back();
    saved_hooks().stack.pop_back();
    Py_DECREF(pack);
    Py_DECREF(unpack);
  });
  m.def("_saved_tensors_hooks_disabled", [] { return saved_hooks().disabled; });
  m.def("_disable_saved_tensors_hooks", [](const std::string& why) {
    FL_CHECK(saved_hooks().stack.empty() || why.empty(), why);
    saved_hooks().disabled = why;
  });
  saved_tensor_hook_factory() = []() -> std::unique_ptr<SavedTensorHook> {
    SavedHooks& hooks = saved_hooks();
    if (hooks.stack.empty()) {
      return nullptr;
    }
    auto [pack, unpack] = hooks.stack.back();
    return std::make_unique<PySavedHook>(nb::borrow(pack), nb::borrow(unpack));
  };
  stack_trace_hook() = [] {
    nb::gil_scoped_acquire gil;
    nb::object lines = nb::module_::import_("traceback").attr("format_stack")();
    return nb::cast<std::string>(nb::str("").attr("join")(lines));
  };
}

} // namespace flashlight::bind
