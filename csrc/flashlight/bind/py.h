// Shared by the files of the binding: errors, owned references, conversions.
#pragma once

#include <nanobind/nanobind.h>

#include "flashlight/core/error.h"
#include "flashlight/core/value.h"

namespace flashlight::bind {

namespace nb = nanobind;

// Sets the Python error that the C++ exception in flight stands for.
void set_python_error();

// Runs f; a C++ exception becomes a Python one and `on_error` is returned.
template <typename R, typename F>
R guarded(R on_error, F&& f) {
  try {
    return f();
  } catch (...) {
    set_python_error();
    return on_error;
  }
}

template <typename F>
PyObject* guarded(F&& f) {
  return guarded<PyObject*>(nullptr, std::forward<F>(f));
}

// Throws if a call of the C API failed.
inline PyObject* check(PyObject* object) {
  if (!object) {
    throw nb::python_error();
  }
  return object;
}
inline void check(int status) {
  if (status < 0) {
    throw nb::python_error();
  }
}

// --- types.cpp: dtype, device, layout, memory_format, Size -------------------

void bind_types(nb::module_& m);
PyObject* dtype_object(Dtype dtype); // borrowed
bool is_dtype(PyObject* object);     // also float, int, bool, complex
Dtype to_dtype(PyObject* object);
PyObject* device_object(Device device); // new
bool is_device(PyObject* object);       // also str and int
Device to_device(PyObject* object);
bool is_memory_format(PyObject* object);
MemoryFormat to_memory_format(PyObject* object);
PyObject* memory_format_object(MemoryFormat format); // borrowed
bool is_layout(PyObject* object);
MemoryLayout to_layout(PyObject* object);
PyObject* layout_object(MemoryLayout layout); // borrowed
PyObject* size_object(const IntList& sizes);  // new torch.Size
bool is_generator(PyObject* object);
GeneratorHandle to_generator(PyObject* object);
PyObject* generator_object(const GeneratorHandle& generator); // new

// --- numbers
// -------------------------------------------------------------------

// A Python or numpy number (bool included).
bool is_number(PyObject* object);
// An int (no bool), or a numpy integer.
bool is_int(PyObject* object);
int64_t to_int(PyObject* object);
double to_double(PyObject* object);
Scalar to_scalar(PyObject* object);
PyObject* scalar_object(const Scalar& value); // new
// A tuple of ints
nb::object int_tuple(const IntList& list);

// --- the rest
// ------------------------------------------------------------------

void bind_tensor(nb::module_& m);
void bind_ops(nb::module_& m);
void bind_dispatch_mode(nb::module_& m);
void bind_autograd(nb::module_& m);
void bind_transforms(nb::module_& m);
void bind_storage(nb::module_& m);
void bind_random(nb::module_& m);
void bind_arrays(nb::module_& m);
void bind_memory(nb::module_& m);
void bind_autocast(nb::module_& m); // numpy, DLPack, lists
void bind_profiler(nb::module_& m);

} // namespace flashlight::bind
