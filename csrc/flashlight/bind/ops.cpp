// Every op as a Python callable: functions, methods, in-place methods,
// operators.
#include <structmember.h>

#include <map>
#include <mutex>
#include <set>

#include "flashlight/bind/py_autograd.h"
#include "flashlight/bind/signature.h"
#include "flashlight/bind/values.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/registry.h"

namespace flashlight::bind {

namespace {

std::mutex observed_mutex;
std::set<const Op*> observed; // since _observe_ops(True)

void observe(const Op& op) {
  std::lock_guard lock(observed_mutex);
  observed.insert(&op);
}

// A callable over an OpGroup. As a method it is a descriptor that Python calls
// with `self` in front and without making a bound method.
struct OpCallable {
  PyObject_HEAD vectorcallfunc vectorcall;
  OpGroup* group;         // lives as long as the process
  PyObject* return_types; // dict: overload -> struct sequence type
};

PyTypeObject* function_type = nullptr;
PyTypeObject* method_type = nullptr;

// A named tuple type torch.return_types.<name>, or nullptr.
PyTypeObject* return_type_of(const Op& op) {
  static std::map<std::string, PyTypeObject*> types;
  const Schema& schema = op.schema;
  if (schema.returns.size() < 2 || schema.returns[0].name.empty()) {
    return nullptr;
  }
  std::string key = schema.name;
  for (const Return& r : schema.returns) {
    key += " " + r.name;
  }
  auto [it, inserted] = types.try_emplace(key, nullptr);
  if (inserted) {
    // The names must outlive the type.
    auto* fields = new std::vector<PyStructSequence_Field>;
    for (const Return& r : schema.returns) {
      fields->push_back({(new std::string(r.name))->c_str(), ""});
    }
    fields->push_back({nullptr, nullptr});
    PyStructSequence_Desc desc = {
        (new std::string("torch.return_types." + schema.name))->c_str(),
        "",
        fields->data(),
        static_cast<int>(schema.returns.size())};
    it->second = PyStructSequence_NewType(&desc);
    if (!it->second) {
      throw nb::python_error();
    }
  }
  return it->second;
}

PyObject* results_object(const Op& op, Results& results) {
  if (results.size() == 1) {
    // The handle goes to the object: one owner, no shuffling of references.
    if (results[0].is<Tensor>()) {
      return wrap(std::move(results[0].as<Tensor>()));
    }
    return value_object(results[0]);
  }
  if (results.empty()) {
    return Py_NewRef(Py_None);
  }
  PyTypeObject* type = return_type_of(op);
  auto n = static_cast<Py_ssize_t>(results.size());
  PyObject* out = check(type ? PyStructSequence_New(type) : PyTuple_New(n));
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyTuple_SET_ITEM(out, i, value_object(results[static_cast<size_t>(i)]));
  }
  return out;
}

PyObject* run_out(const Op& op, Parsed& parsed) {
  TensorList outs;
  if (is_tensor(parsed.out)) {
    outs.push_back(as_tensor(parsed.out));
  } else {
    nb::sequence sequence = nb::borrow<nb::sequence>(parsed.out);
    for (nb::handle t : sequence) {
      outs.push_back(to_tensor(t.ptr(), "out"));
    }
  }
  call_out(op, parsed.args.data(), outs);
  if (op.schema.returns.size() > 1) {
    Results results;
    for (const Tensor& t : outs) {
      results.push_back(Value(t));
    }
    return results_object(op, results);
  }
  return Py_NewRef(op.list_result ? Py_None : parsed.out);
}

PyObject* invoke_group(
    const OpGroup& group,
    PyObject* self,
    PyObject* const* args,
    size_t nargs,
    PyObject* kwnames) {
  Parsed parsed;
  parse_arguments(group, self, args, nargs, kwnames, parsed);
  const Op& op = *parsed.signature->op;
  if (group.form == Form::Inplace || group.form == Form::InplaceFunction) {
    return wrap(call_inplace(op, parsed.args.data()));
  }
  if (parsed.out) {
    return run_out(op, parsed);
  }
  Results results = call(op, parsed.args.data());
  if (parsed.requires_grad) {
    require_grad(results[0].as<Tensor>());
  }
  parsed.args.clear(); // so that the result has one owner when it is wrapped
  return results_object(op, results);
}

PyObject* dispatch(
    OpCallable* callable,
    PyObject* self,
    PyObject* const* args,
    size_t nargs,
    PyObject* kwnames) {
  std::vector<PyObject*> overloaded;
  if (self) {
    collect_overloaded(self, overloaded);
  }
  size_t total =
      nargs + (kwnames ? static_cast<size_t>(PyTuple_GET_SIZE(kwnames)) : 0);
  for (size_t i = 0; i < total; ++i) {
    collect_overloaded(args[i], overloaded);
  }
  if (overloaded.empty() && !torch_function_mode_active()) [[likely]] {
    return invoke_group(*callable->group, self, args, nargs, kwnames);
  }
  size_t shift = self ? 1 : 0;
  nb::object positional =
      nb::steal(check(PyTuple_New(static_cast<Py_ssize_t>(nargs + shift))));
  if (self) {
    PyTuple_SET_ITEM(positional.ptr(), 0, Py_NewRef(self));
  }
  for (size_t i = 0; i < nargs; ++i) {
    PyTuple_SET_ITEM(
        positional.ptr(),
        static_cast<Py_ssize_t>(i + shift),
        Py_NewRef(args[i]));
  }
  nb::dict keywords;
  for (size_t i = nargs; i < total; ++i) {
    keywords[nb::borrow(PyTuple_GET_ITEM(
        kwnames, static_cast<Py_ssize_t>(i - nargs)))] = nb::borrow(args[i]);
  }
  return check(call_torch_function(
      reinterpret_cast<PyObject*>(callable),
      positional.ptr(),
      keywords.ptr(),
      overloaded));
}

PyObject* function_call(
    PyObject* callable,
    PyObject* const* args,
    size_t nargsf,
    PyObject* kwnames) {
  return guarded([&] {
    return dispatch(
        reinterpret_cast<OpCallable*>(callable),
        nullptr,
        args,
        static_cast<size_t>(PyVectorcall_NARGS(nargsf)),
        kwnames);
  });
}

PyObject* method_call(
    PyObject* callable,
    PyObject* const* args,
    size_t nargsf,
    PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    auto* op = reinterpret_cast<OpCallable*>(callable);
    auto nargs = static_cast<size_t>(PyVectorcall_NARGS(nargsf));
    if (nargs == 0 || !is_tensor(args[0])) {
      fail<TypeError>(
          nargs == 0 ? "unbound method TensorBase." : "descriptor '",
          op->group->name,
          nargs == 0
              ? "() needs an argument"
              : "' for 'torch._C.TensorBase' objects doesn't apply to a '",
          nargs == 0 ? "" : Py_TYPE(args[0])->tp_name,
          nargs == 0 ? "" : "' object");
    }
    return dispatch(op, args[0], args + 1, nargs - 1, kwnames);
  });
}

PyObject* method_get(PyObject* self, PyObject* object, PyObject*) {
  if (!object || object == Py_None) {
    return Py_NewRef(self);
  }
  return PyMethod_New(self, object);
}

bool is_function(const OpGroup& group) {
  return group.form == Form::Function || group.form == Form::InplaceFunction;
}

const OpGroup& group_of(PyObject* self) {
  return *reinterpret_cast<OpCallable*>(self)->group;
}

PyObject* get_name(PyObject* self, void*) {
  return PyUnicode_FromString(group_of(self).name.c_str());
}
PyObject* get_qualname(PyObject* self, void*) {
  const OpGroup& g = group_of(self);
  std::string name = is_function(g) ? g.name : "TensorBase." + g.name;
  return PyUnicode_FromString(name.c_str());
}
PyObject* get_module(PyObject* self, void*) {
  const OpGroup& g = group_of(self);
  if (!is_function(g)) {
    return PyUnicode_FromString("torch._C");
  }
  const std::string& module = g.signatures[0].op->python_module;
  std::string name = module.empty() ? "torch" : "torch._C._" + module;
  return PyUnicode_FromString(name.c_str());
}
PyObject* get_doc(PyObject* self, void*) {
  std::string text;
  for (const PySignature& s : group_of(self).signatures) {
    text += group_of(self).name + s.text() + "\n";
  }
  for (const PySignature& s : group_of(self).signatures) {
    if (!s.op->doc.empty()) {
      text += "\n" + s.op->doc;
      break;
    }
  }
  return PyUnicode_FromString(text.c_str());
}
PyObject* get_schemas(PyObject* self, void*) {
  return guarded([&] {
    nb::list out;
    for (const PySignature& s : group_of(self).signatures) {
      out.append(s.op->schema.text);
    }
    return out.release().ptr();
  });
}

PyGetSetDef kAttributes[] = {
    {"__name__", get_name, nullptr, nullptr, nullptr},
    {"__qualname__", get_qualname, nullptr, nullptr, nullptr},
    {"__module__", get_module, nullptr, nullptr, nullptr},
    {"__doc__", get_doc, nullptr, nullptr, nullptr},
    {"schemas", get_schemas, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyObject* repr(PyObject* self) {
  const OpGroup& g = group_of(self);
  std::string text =
      is_function(g)
          ? "<built-in method " + g.name + " of type object>"
          : "<method '" + g.name + "' of 'torch._C.TensorBase' objects>";
  return PyUnicode_FromString(text.c_str());
}

PyObject* reduce(PyObject* self, PyObject*) {
  return guarded([&] {
    nb::object module = nb::module_::import_("flashlight._pickling");
    return module.attr("_reduce_op")(nb::handle(self)).release().ptr();
  });
}
// There is one of each, which copies refer to.
PyObject* copy(PyObject* self, PyObject*) {
  return Py_NewRef(self);
}

PyMethodDef kMethods[] = {
    {"__reduce__", reduce, METH_NOARGS, ""},
    {"__copy__", copy, METH_NOARGS, ""},
    {"__deepcopy__", copy, METH_O, ""},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef kMembers[] = {
    {"__vectorcalloffset__",
     T_PYSSIZET,
     offsetof(OpCallable, vectorcall),
     READONLY,
     nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyTypeObject* make_type(const char* name, bool method) {
  std::vector<PyType_Slot> slots = {
      {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
      {Py_tp_getset, kAttributes},
      {Py_tp_members, kMembers},
      {Py_tp_methods, kMethods},
      {Py_tp_repr, reinterpret_cast<void*>(repr)},
  };
  if (method) {
    slots.push_back({Py_tp_descr_get, reinterpret_cast<void*>(method_get)});
  }
  slots.push_back({0, nullptr});
  PyType_Spec spec = {
      name,
      sizeof(OpCallable),
      0,
      static_cast<unsigned>(
          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
          (method ? Py_TPFLAGS_METHOD_DESCRIPTOR : 0)),
      slots.data()};
  return reinterpret_cast<PyTypeObject*>(check(PyType_FromSpec(&spec)));
}

nb::object make_callable(OpGroup* group) {
  PyTypeObject* type = is_function(*group) ? function_type : method_type;
  auto* self = reinterpret_cast<OpCallable*>(check(type->tp_alloc(type, 0)));
  self->vectorcall = is_function(*group) ? function_call : method_call;
  self->group = group;
  return nb::steal(reinterpret_cast<PyObject*>(self));
}

// --- operators ---------------------------------------------------------------

// The method that an operator is, found by name on first use.
struct Operator {
  const char* name;
  bool commutes = false;
  PyObject* method = nullptr;

  PyObject* get() {
    if (!method) {
      method = check(PyObject_GetAttrString(
          reinterpret_cast<PyObject*>(tensor_base_type()), name));
    }
    return method;
  }
};

bool is_operand(PyObject* o) {
  return is_tensor(o) || is_number(o) || has_torch_function(o);
}

// What an operator cannot take is for the other operand, or Python's error.
PyObject* or_not_implemented(PyObject* result) {
  if (!result && PyErr_ExceptionMatches(PyExc_TypeError)) {
    PyErr_Clear();
    Py_RETURN_NOTIMPLEMENTED;
  }
  return result;
}

// a op b where a (or, reflected, b) is a tensor.
template <Operator& op>
PyObject* binary(PyObject* a, PyObject* b) {
  return or_not_implemented(guarded([&]() -> PyObject* {
    if (!is_operand(a) || !is_operand(b)) {
      Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject* args[] = {a, b};
    if (is_tensor(a)) {
      return method_call(op.get(), args, 2, nullptr);
    }
    if (!is_number(a)) {
      Py_RETURN_NOTIMPLEMENTED;
    }
    if (op.commutes) { // 2 + x is x + 2, as in PyTorch
      std::swap(args[0], args[1]);
      return method_call(op.get(), args, 2, nullptr);
    }
    // A number on the left becomes a tensor that is weak in promotion.
    nb::object left = nb::steal(wrap(wrapped_number(to_scalar(a))));
    args[0] = left.ptr();
    return method_call(op.get(), args, 2, nullptr);
  }));
}

template <Operator& op>
PyObject* inplace(PyObject* a, PyObject* b) {
  return or_not_implemented(guarded([&]() -> PyObject* {
    if (!is_operand(b)) {
      Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject* args[] = {a, b};
    return method_call(op.get(), args, 2, nullptr);
  }));
}

template <Operator& op>
PyObject* unary(PyObject* a) {
  return guarded([&] {
    PyObject* args[] = {a};
    return method_call(op.get(), args, 1, nullptr);
  });
}

Operator op_add{"add", true}, op_sub{"sub"}, op_mul{"mul", true}, op_div{"div"},
    op_floordiv{"floor_divide"}, op_mod{"remainder"}, op_pow{"pow"},
    op_matmul{"matmul"}, op_and{"__and__", true}, op_or{"__or__", true},
    op_xor{"__xor__", true}, op_lshift{"__lshift__"}, op_rshift{"__rshift__"},
    op_neg{"neg"}, op_pos{"positive"}, op_abs{"abs"}, op_not{"bitwise_not"},
    op_iadd{"add_"}, op_isub{"sub_"}, op_imul{"mul_"}, op_idiv{"div_"},
    op_ifloordiv{"floor_divide_"}, op_imod{"remainder_"}, op_ipow{"pow_"},
    op_iand{"bitwise_and_"}, op_ior{"bitwise_or_"}, op_ixor{"bitwise_xor_"},
    op_ilshift{"bitwise_left_shift_"}, op_irshift{"bitwise_right_shift_"},
    op_eq{"eq"}, op_ne{"ne"}, op_lt{"lt"}, op_le{"le"}, op_gt{"gt"},
    op_ge{"ge"};

// a += b. Python takes the slot for that of sequences, too, in classes that
// derive from the type, and there NotImplemented would be the result.
PyObject* inplace_add(PyObject* a, PyObject* b) {
  PyObject* result = inplace<op_iadd>(a, b);
  if (result != Py_NotImplemented) {
    return result;
  }
  Py_DECREF(result);
  result = PyNumber_Add(a, b);
  if (!result && PyErr_ExceptionMatches(PyExc_TypeError)) {
    PyErr_Format(
        PyExc_TypeError,
        "unsupported operand type(s) for +=: '%.100s' and '%.100s'",
        Py_TYPE(a)->tp_name,
        Py_TYPE(b)->tp_name);
  }
  return result;
}
PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) {
    Py_RETURN_NOTIMPLEMENTED;
  }
  return binary<op_pow>(a, b);
}
PyObject* matrix_product(PyObject* a, PyObject* b) {
  if (is_number(a) || is_number(b)) {
    Py_RETURN_NOTIMPLEMENTED;
  }
  return binary<op_matmul>(a, b);
}
PyObject* invert(PyObject* a) {
  return guarded([&] {
    Dtype d = as_tensor(a).dtype();
    FL_CHECK_TYPE(
        is_overridden(a) || (!is_floating(d) && !is_complex(d)),
        "~ (operator.invert) is only implemented on integer and Boolean-type "
        "tensors");
    return check(unary<op_not>(a));
  });
}
PyObject* inplace_power(PyObject* a, PyObject* b, PyObject*) {
  return inplace<op_ipow>(a, b);
}

PyObject* compare(PyObject* a, PyObject* b, int which) {
  return or_not_implemented(guarded([&]() -> PyObject* {
    nb::object array;
    if (which == Py_EQ &&
        std::string_view(Py_TYPE(b)->tp_name) == "numpy.ndarray") {
      array = nb::steal(wrap(tensor_from(b, std::nullopt, Device{}, true)));
      b = array.ptr();
    }
    if (!is_operand(b)) {
      Py_RETURN_NOTIMPLEMENTED;
    }
    static Operator* const kOps[] = {
        &op_lt, &op_le, &op_eq, &op_ne, &op_gt, &op_ge};
    PyObject* args[] = {a, b};
    return method_call(kOps[which]->get(), args, 2, nullptr);
  }));
}

// id(tensor)
Py_hash_t hash(PyObject* self) {
  return reinterpret_cast<Py_hash_t>(self);
}

template <typename F>
void* slot(F* f) {
  return reinterpret_cast<void*>(f);
}

} // namespace

void add_operator_slots(std::vector<PyType_Slot>& slots) {
  slots.insert(
      slots.end(),
      {{Py_nb_add, slot(binary<op_add>)},
       {Py_nb_subtract, slot(binary<op_sub>)},
       {Py_nb_multiply, slot(binary<op_mul>)},
       {Py_nb_true_divide, slot(binary<op_div>)},
       {Py_nb_floor_divide, slot(binary<op_floordiv>)},
       {Py_nb_remainder, slot(binary<op_mod>)},
       {Py_nb_power, slot(power)},
       {Py_nb_matrix_multiply, slot(matrix_product)},
       {Py_nb_and, slot(binary<op_and>)},
       {Py_nb_or, slot(binary<op_or>)},
       {Py_nb_xor, slot(binary<op_xor>)},
       {Py_nb_lshift, slot(binary<op_lshift>)},
       {Py_nb_rshift, slot(binary<op_rshift>)},
       {Py_nb_negative, slot(unary<op_neg>)},
       {Py_nb_positive, slot(unary<op_pos>)},
       {Py_nb_absolute, slot(unary<op_abs>)},
       {Py_nb_invert, slot(invert)},
       {Py_nb_inplace_add, slot(inplace_add)},
       {Py_nb_inplace_subtract, slot(inplace<op_isub>)},
       {Py_nb_inplace_multiply, slot(inplace<op_imul>)},
       {Py_nb_inplace_true_divide, slot(inplace<op_idiv>)},
       {Py_nb_inplace_floor_divide, slot(inplace<op_ifloordiv>)},
       {Py_nb_inplace_remainder, slot(inplace<op_imod>)},
       {Py_nb_inplace_power, slot(inplace_power)},
       {Py_nb_inplace_and, slot(inplace<op_iand>)},
       {Py_nb_inplace_or, slot(inplace<op_ior>)},
       {Py_nb_inplace_xor, slot(inplace<op_ixor>)},
       {Py_nb_inplace_lshift, slot(inplace<op_ilshift>)},
       {Py_nb_inplace_rshift, slot(inplace<op_irshift>)},
       {Py_tp_richcompare, slot(compare)},
       {Py_tp_hash, slot(hash)}});
}

void bind_ops(nb::module_& m) {
  register_all_ops();
  function_type = make_type("flashlight._C.OpFunction", false);
  method_type = make_type("flashlight._C.OpMethod", true);
  m.attr("OpFunction") = nb::handle(reinterpret_cast<PyObject*>(function_type));
  m.attr("OpMethod") = nb::handle(reinterpret_cast<PyObject*>(method_type));

  // module -> name -> group
  std::map<std::pair<std::string, std::string>, OpGroup*> functions;
  std::map<std::pair<Form, std::string>, OpGroup*> methods;
  for (const Op* op : all_ops()) {
    const std::string& name = op->schema.name;
    auto add = [&](OpGroup*& group, Form form, const std::string& as) {
      if (!group) {
        group = new OpGroup;
        group->name = as;
        group->form = form;
      }
      group->signatures.push_back(make_signature(*op, form));
      auto old = deprecated_signatures(*op, form);
      group->deprecated.insert(group->deprecated.end(), old.begin(), old.end());
    };
    // torch.ops.aten: every row, the internal ones too.
    add(functions[{"aten", name}], Form::Function, name);
    if (op->function) {
      add(functions[{op->python_module, name}], Form::Function, name);
    }
    if (op->method) {
      add(methods[{Form::Method, name}], Form::Method, name);
    }
    if (op->inplace && (op->method || op->python_module.empty())) {
      add(methods[{Form::Inplace, name + "_"}], Form::Inplace, name + "_");
    }
    if (op->inplace && (op->function || op->inplace_function)) {
      add(functions[{op->python_module, name + "_"}],
          Form::InplaceFunction,
          name + "_");
    }
  }
  nb::dict tables;
  for (auto& [key, group] : functions) {
    sort_signatures(group->signatures);
    nb::str module(key.first.c_str());
    if (!tables.contains(module)) {
      tables[module] = nb::dict();
    }
    nb::cast<nb::dict>(tables[module])[key.second.c_str()] =
        make_callable(group);
  }
  m.attr("_functions") = tables;
  nb::list inplace_functions;
  auto* base = reinterpret_cast<PyObject*>(tensor_base_type());
  for (auto& [key, group] : methods) {
    sort_signatures(group->signatures);
    nb::object callable = make_callable(group);
    check(PyObject_SetAttrString(base, group->name.c_str(), callable.ptr()));
  }
  nb::list names;
  nb::dict return_types;
  for (const Op* op : all_ops()) {
    names.append(op->schema.text);
    PyTypeObject* type = return_type_of(*op);
    if (type && (op->function || op->method)) {
      return_types[op->schema.name.c_str()] =
          nb::handle(reinterpret_cast<PyObject*>(type));
    }
  }
  m.attr("_schemas") = names;
  // One overload as a function: "add.Tensor", in place or not.
  m.def("_overload", [](const std::string& full_name, bool inplace) {
    const Op& op = get_op(full_name);
    FL_CHECK(!inplace || op.inplace, full_name, " has no in-place form");
    Form form = inplace ? Form::InplaceFunction : Form::Function;
    auto* group = new OpGroup{full_name, form, {}, {}};
    group->signatures.push_back(make_signature(op, form));
    return make_callable(group);
  });
  m.attr("_return_types") = return_types;
  m.def("_observe_ops", [](bool on) {
    {
      std::lock_guard lock(observed_mutex);
      observed.clear();
    }
    set_op_observer(on ? observe : nullptr);
  });
  m.def("_observed_ops", [] {
    std::lock_guard lock(observed_mutex);
    nb::set names;
    for (const Op* op : observed) {
      names.add(op->schema.full_name());
    }
    return names;
  });
  m.def("_op_info", [](const std::string& full_name) {
    const Op& op = get_op(full_name);
    nb::dict d;
    d["function"] = op.function;
    d["method"] = op.method;
    d["inplace"] = op.inplace;
    d["out"] = op.out;
    d["view"] = op.view;
    d["module"] = op.python_module;
    d["doc"] = op.doc;
    static constexpr const char* kDerivatives[] = {
        "unstated", "formula", "composite", "vjp", "not_differentiable"};
    d["promotes"] = op.promotion != Promotion::None;
    d["complex128"] =
        op.view || op.composite || static_cast<bool>(op.complex128);
    d["derivative"] = kDerivatives[static_cast<size_t>(op.derivative)];
    return d;
  });
  m.def("result_type", [](nb::object a, nb::object b) {
    auto value = [](nb::object& o) -> Value {
      if (is_tensor(o.ptr())) {
        return as_tensor(o.ptr());
      }
      FL_CHECK_TYPE(
          is_number(o.ptr()),
          "result_type(): argument must be Tensor or Number, not ",
          Py_TYPE(o.ptr())->tp_name);
      return to_scalar(o.ptr());
    };
    Value x = value(a), y = value(b);
    return nb::borrow(dtype_object(result_type({&x, &y})));
  });
}

} // namespace flashlight::bind
