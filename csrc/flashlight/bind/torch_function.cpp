// __torch_function__ of arguments, and modes.
#include <unordered_map>

#include "flashlight/bind/py_tensor.h"

namespace flashlight::bind {

namespace {

PyObject* default_handler = nullptr;  // Tensor.__torch_function__
PyObject* disabled_handler = nullptr; // _disabled_torch_function_impl

struct State {
  bool enabled = true;     // for subclasses (DisableTorchFunctionSubclass)
  bool all_enabled = true; // and modes
  std::vector<PyObject*> modes;
};

State& state() {
  thread_local State s;
  return s;
}

nb::object handler_of(PyTypeObject* type) {
  PyObject* handler = PyObject_GetAttrString(
      reinterpret_cast<PyObject*>(type), "__torch_function__");
  if (!handler) {
    PyErr_Clear();
  }
  return nb::steal(handler);
}

} // namespace

bool has_torch_function(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == tensor_type() || type == tensor_base_type() || !state().enabled ||
      !state().all_enabled) {
    return false;
  }
  if (PyType_CheckExact(object)) {
    return false;
  }
  nb::object handler = handler_of(type);
  if (!handler.is_valid() || handler.ptr() == disabled_handler) {
    return false;
  }
  // A Tensor subclass that only inherits the default still goes through it: the
  // result is of the subclass.
  return true;
}

bool torch_function_mode_active() {
  return !state().modes.empty() && state().all_enabled;
}

PyObject* call_torch_function(
    PyObject* func,
    PyObject* args,
    PyObject* kwargs,
    const std::vector<PyObject*>& overloaded) {
  nb::list types;
  for (PyObject* o : overloaded) {
    types.append(nb::handle(reinterpret_cast<PyObject*>(Py_TYPE(o))));
  }
  nb::object type_tuple = nb::steal(check(PyList_AsTuple(types.ptr())));
  nb::object keywords = kwargs ? nb::borrow(kwargs) : nb::object(nb::dict());
  if (torch_function_mode_active()) {
    // The innermost mode runs with itself taken off.
    PyObject* mode = state().modes.back();
    state().modes.pop_back();
    struct Restore {
      PyObject* mode;
      ~Restore() {
        state().modes.push_back(mode);
      }
    } restore{mode};
    nb::object result = nb::borrow(mode).attr("__torch_function__")(
        nb::handle(func), type_tuple, nb::handle(args), keywords);
    if (result.ptr() != Py_NotImplemented) {
      return result.release().ptr();
    }
  }
  for (PyObject* o : overloaded) {
    nb::object handler = handler_of(Py_TYPE(o));
    nb::object result =
        handler(nb::handle(func), type_tuple, nb::handle(args), keywords);
    if (result.ptr() != Py_NotImplemented) {
      return result.release().ptr();
    }
  }
  nb::object name = nb::borrow(func).attr("__name__");
  fail<TypeError>(
      "no implementation found for 'torch.",
      nb::cast<std::string>(name),
      "' on types that implement __torch_function__: ",
      nb::cast<std::string>(nb::str(types)));
}

void bind_torch_function(nb::module_& m) {
  m.def("_set_torch_function_handlers", [](nb::object d, nb::object none) {
    default_handler = d.release().ptr();
    disabled_handler = none.release().ptr();
  });
  m.def("_has_torch_function", [](nb::sequence args) {
    for (nb::handle a : args) {
      if (has_torch_function(a.ptr())) {
        return true;
      }
    }
    return torch_function_mode_active();
  });
  m.def("_set_torch_function_enabled", [](bool subclasses, bool all) {
    auto before = std::pair(state().enabled, state().all_enabled);
    state().enabled = subclasses;
    state().all_enabled = all;
    return nb::make_tuple(before.first, before.second);
  });
  m.def("_torch_function_enabled", [] {
    return nb::make_tuple(state().enabled, state().all_enabled);
  });
  m.def("_push_on_torch_function_stack", [](nb::object mode) {
    state().modes.push_back(mode.release().ptr());
  });
  m.def("_pop_torch_function_stack", [] {
    FL_CHECK(!state().modes.empty(), "no torch function mode is active");
    PyObject* mode = state().modes.back();
    state().modes.pop_back();
    return nb::steal(mode);
  });
  m.def("_len_torch_function_stack", [] { return state().modes.size(); });
  m.def("_get_function_stack_at", [](size_t i) {
    return nb::borrow(state().modes.at(i));
  });
}

} // namespace flashlight::bind
