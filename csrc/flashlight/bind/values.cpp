#include "flashlight/bind/values.h"

#include <nanobind/stl/string.h>

namespace flashlight::bind {

namespace {

template <typename List, typename F>
PyObject* list_of(const List& values, F&& object) {
  PyObject* list = check(PyList_New(static_cast<Py_ssize_t>(values.size())));
  Py_ssize_t i = 0;
  for (const auto& x : values) {
    PyList_SET_ITEM(list, i++, object(x));
  }
  return list;
}

// Both of this type: are they equal?
template <typename T>
bool both_equal(const Value& a, const Value& b) {
  const T* x = a.get_if<T>();
  const T* y = b.get_if<T>();
  return x && y && *x == *y;
}

} // namespace

PyObject* value_object(const Value& v) {
  if (const auto* t = v.get_if<Tensor>()) {
    return wrap(*t);
  }
  if (const auto* list = v.get_if<TensorList>()) {
    PyObject* tuple = check(PyTuple_New(static_cast<Py_ssize_t>(list->size())));
    for (size_t i = 0; i < list->size(); ++i) {
      PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), wrap((*list)[i]));
    }
    return tuple;
  }
  if (const auto* b = v.get_if<bool>()) {
    return PyBool_FromLong(*b);
  }
  if (const auto* i = v.get_if<int64_t>()) {
    return PyLong_FromLongLong(*i);
  }
  if (const auto* d = v.get_if<double>()) {
    return PyFloat_FromDouble(*d);
  }
  if (const auto* s = v.get_if<Scalar>()) {
    return scalar_object(*s);
  }
  if (const auto* d = v.get_if<Dtype>()) {
    return Py_NewRef(dtype_object(*d));
  }
  return Py_NewRef(Py_None);
}

PyObject* argument_object(const Value& v) {
  auto tensor = [](const Tensor& t) {
    return t.defined() ? wrap(t) : Py_NewRef(Py_None);
  };
  if (const auto* t = v.get_if<Tensor>()) {
    return tensor(*t);
  }
  if (const auto* list = v.get_if<TensorList>()) {
    return list_of(*list, tensor);
  }
  if (const auto* list = v.get_if<IntList>()) {
    return list_of(*list, [](int64_t i) { return PyLong_FromLongLong(i); });
  }
  if (const auto* list = v.get_if<DoubleList>()) {
    return list_of(*list, PyFloat_FromDouble);
  }
  if (const auto* list = v.get_if<BoolList>()) {
    return list_of(*list, [](bool b) { return PyBool_FromLong(b); });
  }
  if (const auto* list = v.get_if<ScalarList>()) {
    return list_of(*list, scalar_object);
  }
  if (const auto* d = v.get_if<Device>()) {
    return device_object(*d);
  }
  if (const auto* f = v.get_if<MemoryFormat>()) {
    return Py_NewRef(memory_format_object(*f));
  }
  if (const auto* l = v.get_if<MemoryLayout>()) {
    return Py_NewRef(layout_object(*l));
  }
  if (const auto* s = v.get_if<std::string>()) {
    return nb::cast(*s).release().ptr();
  }
  if (const auto* g = v.get_if<GeneratorHandle>()) {
    return *g ? generator_object(*g) : Py_NewRef(Py_None);
  }
  return value_object(v);
}

bool is_default(const Argument& a, const Value& v) {
  const Value& d = a.default_value;
  if (v.is_none() || d.is_none()) {
    return v.is_none() && d.is_none();
  }
  const Scalar* x = v.get_if<Scalar>();
  const Scalar* y = d.get_if<Scalar>();
  if (x && y) {
    return x->kind() == y->kind() && x->to_complex() == y->to_complex();
  }
  return both_equal<bool>(v, d) || both_equal<int64_t>(v, d) ||
         both_equal<double>(v, d) || both_equal<Dtype>(v, d) ||
         both_equal<MemoryFormat>(v, d) || both_equal<IntList>(v, d) ||
         both_equal<std::string>(v, d);
}

} // namespace flashlight::bind
