// The tape as Python sees it: backward, nodes, hooks, modes, custom Functions.
#include <map>
#include <unordered_set>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "flashlight/autograd/accumulate_grad.h"
#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/saved_tensor.h"
#include "flashlight/autograd/view_autograd.h"
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

std::string hook_name(nb::handle hook) {
  nb::object name = nb::getattr(hook, "__name__", nb::none());
  return name.is_none() ? "<unknown>" : nb::cast<std::string>(nb::str(name));
}

// A gradient in place of `before`, as a hook gave it.
Tensor checked(nb::handle result, const Tensor& before, nb::handle hook) {
  if (result.is_none()) {
    return before;
  }
  FL_CHECK(
      before.defined(), "can't replace a None gradient with a non-None value");
  FL_CHECK_TYPE(
      is_tensor(result.ptr()),
      "expected Variable, but hook returned '",
      Py_TYPE(result.ptr())->tp_name,
      "'");
  const Tensor& t = as_tensor(result.ptr());
  FL_CHECK(
      t.dtype() == before.dtype(),
      "hook '",
      hook_name(hook),
      "' has changed the type of value (was ",
      type_name(before),
      " got ",
      type_name(t),
      ")");
  FL_CHECK(
      t.sizes() == before.sizes(),
      "hook '",
      hook_name(hook),
      "' has changed the size of value");
  return t;
}

TensorList checked(nb::handle result, const TensorList& before, nb::handle f) {
  if (result.is_none()) {
    return before;
  }
  FL_CHECK_TYPE(
      PyTuple_Check(result.ptr()),
      "expected tuple, but hook returned '",
      Py_TYPE(result.ptr())->tp_name,
      "'");
  auto given = nb::borrow<nb::tuple>(result);
  FL_CHECK(
      given.size() == before.size(),
      "hook '",
      hook_name(f),
      "' has returned an incorrect number of values (got ",
      given.size(),
      ", but expected ",
      before.size(),
      ")");
  TensorList out;
  for (size_t i = 0; i < before.size(); ++i) {
    // None within the tuple is no gradient, not the one that there was.
    bool none = given[i].is_none();
    out.push_back(none ? Tensor() : checked(given[i], before[i], f));
  }
  return out;
}

nb::tuple grads_tuple(const TensorList& grads) {
  nb::list list;
  for (const Tensor& g : grads) {
    list.append(nb::steal(wrap(g)));
  }
  return nb::steal<nb::tuple>(check(PyList_AsTuple(list.ptr())));
}

// Hooks in a dict that Python holds too.
class DictHooks : public NodeHook {
 public:
  explicit DictHooks(nb::object dict) : dict_(std::move(dict)) {}
  ~DictHooks() override {
    nb::gil_scoped_acquire gil;
    dict_.reset();
  }
  void* python() const override {
    return dict_.ptr();
  }
  const nb::object& dict() const {
    return dict_;
  }

 protected:
  nb::object dict_;
};

// Hooks of a tensor: each sees its gradient and may return another.
class TensorHooks : public DictHooks {
 public:
  using DictHooks::DictHooks;
  TensorList operator()(const TensorList& grads) override {
    Tensor grad = grads.at(0);
    for (nb::handle hook : hooks_of(dict_)) {
      nb::object result = hook(nb::steal(wrap(grad)));
      grad = checked(result, grad, hook);
    }
    return {grad};
  }
};

// Hooks of a node, before or after it.
class NodeHooks : public DictHooks {
 public:
  using DictHooks::DictHooks;
  TensorList operator()(const TensorList& grads) override {
    TensorList out = grads;
    for (nb::handle hook : hooks_of(dict_)) {
      out = checked(hook(grads_tuple(out)), out, hook);
    }
    return out;
  }
  TensorList post(const TensorList& outputs, const TensorList& inputs)
      override {
    TensorList out = outputs;
    for (nb::handle hook : hooks_of(dict_)) {
      out = checked(hook(grads_tuple(out), grads_tuple(inputs)), out, hook);
    }
    return out;
  }
};

// Called with the leaf after its .grad was updated.
class PostAccumulateHooks : public DictHooks {
 public:
  using DictHooks::DictHooks;
  TensorList operator()(const TensorList& variables) override {
    nb::object variable = nb::steal(wrap(variables.at(0)));
    for (nb::handle hook : hooks_of(dict_)) {
      nb::object result = hook(variable);
      (void)checked(result, variables.at(0), hook);
      FL_CHECK(
          result.is_none(),
          "Tensor post accumulate grad hooks should return None.");
    }
    return variables;
  }
};

// The dict of the hooks that Python has put on a node.
nb::object dict_of(std::vector<std::shared_ptr<NodeHook>>& hooks) {
  for (const auto& h : hooks) {
    if (auto* own = dynamic_cast<NodeHooks*>(h.get())) {
      return own->dict();
    }
  }
  nb::object dict = nb::module_::import_("collections").attr("OrderedDict")();
  hooks.push_back(std::make_shared<NodeHooks>(dict));
  return dict;
}

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

// For a backward: those that hooks push or pop meanwhile are its own.
class KeepSavedHooks {
 public:
  KeepSavedHooks() : before_(saved_hooks().stack) {
    for (auto [pack, unpack] : before_) {
      Py_INCREF(pack);
      Py_INCREF(unpack);
    }
  }
  ~KeepSavedHooks() {
    std::swap(saved_hooks().stack, before_);
    for (auto [pack, unpack] : before_) {
      Py_DECREF(pack);
      Py_DECREF(unpack);
    }
  }
  KeepSavedHooks(const KeepSavedHooks&) = delete;
  KeepSavedHooks& operator=(const KeepSavedHooks&) = delete;

 private:
  decltype(SavedHooks::stack) before_;
};

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
        "provided as input to pack hook cannot be modified by in-place "
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

} // namespace

std::unique_ptr<SavedTensorHook> saved_hook(
    nb::object pack,
    nb::object unpack) {
  return std::make_unique<PySavedHook>(std::move(pack), std::move(unpack));
}

namespace {

// --- nodes -------------------------------------------------------------------

struct PyNodeObject {
  PyObject_HEAD std::shared_ptr<Node> node;
};

PyTypeObject* node_base = nullptr;

std::string short_name(const std::string& name) {
  size_t colon = name.rfind(':');
  return colon == std::string::npos ? name : name.substr(colon + 1);
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

nb::object node_next_functions(nb::handle self) {
  nb::list out;
  for (const Edge& e : to_node(self)->next_edges()) {
    out.append(nb::make_tuple(nb::steal(wrap_node(e.node)), e.input));
  }
  return nb::steal(check(PyList_AsTuple(out.ptr())));
}

// The node by itself, without its hooks: grad_fn(grad).
nb::object node_call(nb::handle self, const nb::tuple& args) {
  auto node = to_node(self);
  size_t wanted = node->inputs().size();
  FL_CHECK_TYPE(
      args.size() == wanted,
      "expected ",
      wanted,
      " arguments, got ",
      args.size(),
      " instead");
  TensorList grads;
  for (size_t i = 0; i < args.size(); ++i) {
    nb::handle arg = args[i];
    FL_CHECK_TYPE(
        arg.is_none() || is_tensor(arg.ptr()),
        "argument ",
        i,
        " is not a Variable");
    grads.push_back(arg.is_none() ? Tensor() : as_tensor(arg.ptr()));
  }
  TensorList out;
  {
    nb::gil_scoped_release free;
    out = (*node)(std::move(grads));
  }
  return out.size() == 1 ? nb::steal(wrap(out[0])) : grads_tuple(out);
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

// --- backward ----------------------------------------------------------------

// The edge that a GradientEdge names, or none if `o` is a tensor.
std::optional<Edge> named_edge(nb::handle o) {
  if (is_tensor(o.ptr())) {
    return std::nullopt;
  }
  auto pair = nb::borrow<nb::tuple>(o);
  return Edge{to_node(pair[0]), nb::cast<uint32_t>(pair[1])};
}

nb::object backward(
    nb::tuple tensors,
    nb::tuple grad_tensors,
    bool keep_graph,
    bool create_graph,
    nb::tuple inputs,
    bool allow_unreachable,
    bool accumulate) {
  std::vector<Edge> roots;
  TensorList grads;
  for (size_t i = 0; i < tensors.size(); ++i) {
    nb::object g = grad_tensors[i];
    TensorList given;
    if (!g.is_none()) {
      given.push_back(to_tensor(g.ptr()));
    }
    if (auto edge = named_edge(tensors[i])) {
      const InputMetadata& to = edge->node->inputs().at(edge->input);
      if (given.empty()) {
        given.push_back(full(to.sizes, Scalar(1.0), to.dtype, {}, to.device));
      }
      roots.push_back(std::move(*edge));
    } else {
      const Tensor& t = as_tensor(nb::object(tensors[i]).ptr());
      Edge to = gradient_edge(t);
      FL_CHECK(
          to,
          "element ",
          i,
          " of tensors does not require grad and does not have a grad_fn");
      if (given.empty()) {
        FL_CHECK(
            t.numel() == 1,
            "grad can be implicitly created only for scalar outputs");
        given.push_back(ones_like(t));
      }
      roots.push_back(std::move(to));
    }
    grads.push_back(given[0]);
  }
  std::vector<Edge> wanted;
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (auto edge = named_edge(inputs[k])) {
      wanted.push_back(std::move(*edge));
      continue;
    }
    const Tensor& t = as_tensor(nb::object(inputs[k]).ptr());
    std::shared_ptr<Node> node = grad_fn(t);
    if (accumulate) {
      retain_grad(t); // a leaf has its .grad in any case
    }
    FL_CHECK(
        requires_grad(t),
        "One of the differentiated Tensors does not require grad");
    Edge edge = gradient_edge(t);
    if (!edge) {
      // A view made without recording: nothing reaches it.
      edge = {std::make_shared<AccumulateGrad>(Tensor()), 0};
    }
    wanted.push_back(std::move(edge));
  }
  // Its own copy of the list, as in PyTorch: no leaf takes over what was given.
  KeepSavedHooks keep;
  TensorList out = run_backward(
      roots, grads, {keep_graph, create_graph, accumulate}, wanted);
  if (accumulate) {
    return nb::none();
  }
  for (size_t k = 0; k < out.size(); ++k) {
    FL_CHECK(
        allow_unreachable || out[k].defined(),
        "The differentiated Tensor at index ",
        k,
        " appears to not have been used in the graph. Set allow_unused=True "
        "if this is the desired behavior.");
  }
  return grads_tuple(out);
}

} // namespace

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

PyObject* wrap_node(const std::shared_ptr<Node>& node) {
  if (!node) {
    return Py_NewRef(Py_None);
  }
  if (PyObject* ctx = context_of(*node)) {
    return Py_NewRef(ctx);
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
  Py_VISIT(context_of(node));
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
  m.def("_node_call", node_call);
  m.def("_node_metadata", node_metadata);
  m.def("_node_name", [](nb::handle self) { return to_node(self)->name(); });
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
  m.def("_node_post_hooks", [](nb::handle self) {
    return dict_of(to_node(self)->post_hooks);
  });
  m.def("_node_pre_hooks", [](nb::handle self) {
    return dict_of(to_node(self)->pre_hooks);
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
        if (name.ends_with("_sym_sizes")) {
          if (const auto* t = v.get_if<Tensor>()) {
            return int_tuple(t->sizes());
          }
          if (v.is_none()) {
            return nb::none();
          }
          nb::list sizes;
          for (const Tensor& t : v.as<TensorList>()) {
            sizes.append(int_tuple(t.sizes()));
          }
          return nb::steal(check(PyList_AsTuple(sizes.ptr())));
        }
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
  // The saved tensor itself, for hooks on it: (node, number) pairs in Python.
  m.def(
      "_node_register_saved_hooks",
      [](nb::handle self,
         const std::string& name,
         nb::object pack,
         nb::object unpack) {
        auto node = to_node(self);
        auto* op = dynamic_cast<OpNode*>(node.get());
        SavedTensor* saved = op ? op->saved_tensor(name) : nullptr;
        FL_CHECK(saved, "there is no saved tensor ", name);
        saved->register_hook(saved_hook(std::move(pack), std::move(unpack)));
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
  bind_custom_functions(m);
  m.def(
      "_run_backward",
      backward,
      nb::arg("tensors"),
      nb::arg("grad_tensors"),
      nb::arg("keep_graph"),
      nb::arg("create_graph"),
      nb::arg("inputs") = nb::tuple(),
      nb::arg("allow_unreachable") = true,
      nb::arg("accumulate_grad") = true);
  m.def("_queue_callback", [](nb::object f) {
    // Shared, so that copies of the std::function need no lock.
    auto held = std::make_shared<nb::object>(std::move(f));
    queue_backward_callback([held] { (*held)(); });
  });
  m.def("_current_graph_task_id", current_graph_task);
  m.def("_current_graph_task_keep_graph", current_keep_graph);
  m.def("_is_checkpoint_valid", whole_backward);
  m.def(
      "_will_engine_execute_node",
      [](nb::handle node) {
        bool is_node = PyObject_TypeCheck(node.ptr(), node_base) ||
                       nb::hasattr(node, "_node");
        FL_CHECK(
            is_node,
            "_will_engine_execute_node expects an grad_fn, but got ",
            Py_TYPE(node.ptr())->tp_name);
        return will_execute(*to_node(node));
      },
      nb::arg("node").none());
  m.def("_current_graph_task_execution_order", [] {
    nb::list order;
    for (const auto& node : execution_order()) {
      order.append(nb::steal(wrap_node(node)));
    }
    return order;
  });
  m.def("_is_view_replay_enabled", [] { return autograd_state().view_replay; });
  m.def("_set_view_replay_enabled", [](bool enabled) {
    autograd_state().view_replay = enabled;
  });
  m.def("_current_autograd_node", [] {
    return nb::steal(wrap_node(current_node()));
  });

  m.def("_add_tensor_hooks", [](const Tensor& t, nb::object dict) {
    auto hook = std::make_shared<TensorHooks>(std::move(dict));
    AutogradMeta& meta = ensure_autograd_meta(t);
    if (auto fn = grad_fn(t)) {
      fn->tensor_pre_hooks.push_back({meta.output_nr, hook});
    } else {
      meta.hooks.push_back(hook);
    }
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
  m.def("is_anomaly_enabled", [] { return anomaly_state().enabled.load(); });
  m.def("is_anomaly_check_nan_enabled", [] {
    return anomaly_state().check_nan.load();
  });
  m.def(
      "set_anomaly_enabled",
      [](bool enabled, bool check_nan) {
        anomaly_state().enabled = enabled;
        anomaly_state().check_nan = check_nan;
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
  forget_hooks() = [](void* object) {
    nb::gil_scoped_acquire gil;
    nb::handle(static_cast<PyObject*>(object)).attr("_backward_hooks") =
        nb::none();
  };
  saved_tensor_hook_factory() = []() -> std::unique_ptr<SavedTensorHook> {
    SavedHooks& hooks = saved_hooks();
    if (hooks.stack.empty()) {
      return nullptr;
    }
    auto [pack, unpack] = hooks.stack.back();
    return saved_hook(nb::borrow(pack), nb::borrow(unpack));
  };
  stack_trace_hook() = [] {
    nb::gil_scoped_acquire gil;
    nb::object lines = nb::module_::import_("traceback").attr("format_stack")();
    return nb::cast<std::string>(nb::str("").attr("join")(lines));
  };
}

} // namespace flashlight::bind
