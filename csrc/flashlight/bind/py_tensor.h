// The Python object of a tensor. See Note [Python identity] in core/tensor.h.
#pragma once

#include "flashlight/bind/py.h"
#include "flashlight/core/tensor.h"

namespace flashlight::bind {

// What a class that dispatches is asked for though no op runs: nothing,
// strides, sizes as well.
enum class Answers : uint8_t { Nothing, Strides, Sizes };

struct PyTensor {
  PyObject_HEAD Tensor tensor;
  bool dispatches; // its class is asked: Note [Tensors that dispatch]
  Answers answers;
};

// flashlight._C.TensorBase, and the Python class Tensor that results have.
PyTypeObject* tensor_base_type();
PyTypeObject* tensor_type();

inline bool is_tensor(PyObject* object) {
  return Py_TYPE(object) == tensor_type() ||
         PyObject_TypeCheck(object, tensor_base_type());
}
// No check.
inline const Tensor& as_tensor(PyObject* object) {
  return reinterpret_cast<PyTensor*>(object)->tensor;
}
// TypeError if it is none.
const Tensor& to_tensor(PyObject* object, const char* what = "argument");

// The object of a tensor, made if it has none (None for an undefined one).
PyObject* wrap(const Tensor& tensor);
PyObject* wrap(Tensor&& tensor);
// A new object of this class for a tensor that has none yet.
PyObject* wrap_as(PyTypeObject* type, Tensor tensor);

// Classes of tensors with __torch_dispatch__ (dispatch_mode.cpp).
bool class_dispatches(PyTypeObject* type);
// TypeError if it is no class of tensors.
PyTypeObject* subclass(PyObject* cls);
Answers answers(const Tensor& tensor);
// Raises if the class says something else of the property than `is`.
void ask(
    const Tensor& tensor,
    const char* name,
    nb::object is,
    nb::handle option = {});

// tensor[index] and tensor[index] = value (indexing.cpp).
PyObject* get_item(PyObject* self, PyObject* index);
int set_item(PyObject* self, PyObject* index, PyObject* value);

// Tensors for a Python value: numbers, nested sequences, numpy arrays.
Tensor tensor_from(
    PyObject* data,
    std::optional<Dtype> dtype,
    Device device,
    bool copy_numpy);
nb::object to_list(const Tensor& tensor);
// The tensor, an inference tensor in that mode, that no operator has made.
Tensor born(const Tensor& tensor);

// Memory shared with numpy and DLPack (memory.cpp).
Dtype numpy_dtype(nb::handle array);
Tensor over_numpy(nb::handle array);

// Number slots of the type (ops.cpp).
void add_operator_slots(std::vector<PyType_Slot>& slots);

// __torch_function__ (torch_function.cpp).
bool has_torch_function(PyObject* object);
// Adds an argument, or the elements of a sequence, that have it: one of a
// class, subclasses before their bases.
void collect_overloaded(PyObject* object, std::vector<PyObject*>& found);
bool torch_function_mode_active();
// What is done to a tensor goes through __torch_function__.
inline bool is_overridden(PyObject* tensor) {
  return has_torch_function(tensor) || torch_function_mode_active();
}
// Does so for Tensor.<name>, or its <access>: "__get__" of an attribute.
PyObject* call_overridden(
    PyObject* self,
    const char* name,
    const char* access,
    PyObject* args,
    PyObject* kwargs);
// Calls the handlers of `overloaded` (and modes).
PyObject* call_torch_function(
    PyObject* func,
    PyObject* args,
    PyObject* kwargs,
    const std::vector<PyObject*>& overloaded);
void bind_torch_function(nb::module_& m);

} // namespace flashlight::bind

namespace nanobind::detail {

template <>
struct type_caster<flashlight::Tensor> {
  NB_TYPE_CASTER(flashlight::Tensor, const_name("torch.Tensor"))

  bool from_python(handle source, uint8_t, cleanup_list*) noexcept {
    if (source.is_none()) {
      return true;
    }
    if (!flashlight::bind::is_tensor(source.ptr())) {
      return false;
    }
    value = flashlight::bind::as_tensor(source.ptr());
    return true;
  }
  static handle
  from_cpp(const flashlight::Tensor& t, rv_policy, cleanup_list*) noexcept {
    return flashlight::bind::wrap(t);
  }
};

} // namespace nanobind::detail
