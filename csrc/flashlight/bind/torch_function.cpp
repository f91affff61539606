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

// "torch.add", "torch.Tensor.add"
std::string public_name(PyObject* func) {
  auto text = [&](const char* attribute) {
    nb::object value = nb::steal(PyObject_GetAttrString(func, attribute));
    if (!value.is_valid()) {
      PyErr_Clear();
      return std::string();
    }
    return nb::cast<std::string>(nb::str(value));
  };
  std::string module = text("__module__"), prefix = "torch.";
  if (size_t at = module.find("._C._"); at != std::string::npos) {
    prefix += module.substr(at + 5) + ".";
  } else if (module != "torch") {
    prefix += "Tensor.";
  }
  return prefix + text("__name__");
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

void collect_overloaded(PyObject* o, std::vector<PyObject*>& found) {
  if (Py_TYPE(o) == tensor_type() || PyLong_Check(o) || PyFloat_Check(o) ||
      o == Py_None || PyUnicode_Check(o) || PySlice_Check(o) ||
      o == Py_Ellipsis) {
    return;
  }
  if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
    Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    for (Py_ssize_t i = 0; i < n; ++i) {
      collect_overloaded(PySequence_Fast_GET_ITEM(o, i), found);
    }
    return;
  }
  if (!has_torch_function(o)) {
    return;
  }
  for (PyObject* f : found) {
    if (Py_TYPE(f) == Py_TYPE(o)) {
      return;
    }
  }
  // Subclasses go before their bases.
  auto at = found.begin();
  while (at != found.end() &&
         PyObject_IsInstance(o, reinterpret_cast<PyObject*>(Py_TYPE(*at))) !=
             1) {
    ++at;
  }
  found.insert(at, o);
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
  // Without keywords the handler's default serves.
  bool keywords = kwargs && PyDict_Size(kwargs) > 0;
  auto handled_by = [&](const nb::object& handler) {
    return keywords ? handler(
                          nb::handle(func),
                          type_tuple,
                          nb::handle(args),
                          nb::handle(kwargs))
                    : handler(nb::handle(func), type_tuple, nb::handle(args));
  };
  std::string tried;
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
    nb::object handler = nb::borrow(mode).attr("__torch_function__");
    nb::object of = nb::getattr(handler, "__self__", nb::none());
    FL_CHECK(
        of.ptr() != reinterpret_cast<PyObject*>(Py_TYPE(mode)),
        "Defining your mode's `__torch_function__` as a classmethod is not "
        "supported, please make it a plain method");
    nb::object result = handled_by(handler);
    if (result.ptr() != Py_NotImplemented) {
      return result.release().ptr();
    }
    tried += "\n  - mode object " + nb::cast<std::string>(nb::repr(mode));
  }
  for (PyObject* o : overloaded) {
    nb::object result = handled_by(handler_of(Py_TYPE(o)));
    if (result.ptr() != Py_NotImplemented) {
      return result.release().ptr();
    }
    nb::handle type(reinterpret_cast<PyObject*>(Py_TYPE(o)));
    tried += "\n  - tensor subclass " + nb::cast<std::string>(nb::repr(type));
  }
  fail<TypeError>(
      "Multiple dispatch failed for '",
      public_name(func),
      "'; all __torch_function__ handlers returned NotImplemented:\n",
      tried,
      "\n\nFor more information, try re-running with "
      "TORCH_LOGS=not_implemented");
}

PyObject* call_overridden(
    PyObject* self,
    const char* name,
    const char* access,
    PyObject* args,
    PyObject* kwargs) {
  nb::object func = nb::steal(check(PyObject_GetAttrString(
      reinterpret_cast<PyObject*>(tensor_type()), name)));
  if (access) {
    func = func.attr(access);
  }
  std::vector<PyObject*> overloaded;
  if (has_torch_function(self)) {
    overloaded.push_back(self);
  }
  return call_torch_function(func.ptr(), args, kwargs, overloaded);
}

void bind_torch_function(nb::module_& m) {
  m.def("_set_torch_function_handlers", [](nb::object d, nb::object none) {
    default_handler = d.release().ptr();
    disabled_handler = none.release().ptr();
  });
  m.def("_has_torch_function", [](nb::handle args) {
    nb::object list =
        nb::steal(check(PySequence_Fast(args.ptr(), "expected a sequence")));
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list.ptr());
    for (Py_ssize_t i = 0; i < n; ++i) {
      if (has_torch_function(PySequence_Fast_GET_ITEM(list.ptr(), i))) {
        return true;
      }
    }
    return n > 0 && torch_function_mode_active();
  });
  m.def("_is_overridden", [](nb::handle self) {
    return is_overridden(self.ptr());
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
