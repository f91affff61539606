// dtype, device, layout, memory_format, Size, and Python numbers.
#include <nanobind/nanobind.h>
#include <nanobind/operators.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>

#include "flashlight/bind/py_tensor.h"
#include "flashlight/core/names.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/warn_once.h"
#include "flashlight/ops/creation.h"

namespace flashlight::bind {

namespace {

struct DtypeObject {
  Dtype dtype;
};
struct LayoutObject {
  MemoryLayout layout;
};
struct MemoryFormatObject {
  MemoryFormat format;
};

std::array<PyObject*, kDtypes + kMoreDtypes> dtypes{};
// Only strided tensors can be made; the rest are names.
constexpr std::array kLayouts = {
    "strided",
    "sparse_coo",
    "jagged",
    "sparse_csr",
    "sparse_csc",
    "sparse_bsr",
    "sparse_bsc"};
std::array<PyObject*, kLayouts.size()> layouts{};
std::array<PyObject*, 4> formats{};
PyTypeObject* size_type = nullptr;

Dtype dtype_of(nb::handle h) {
  return nb::inst_ptr<DtypeObject>(h)->dtype;
}

void bind_dtype(nb::module_& m) {
  auto cls =
      nb::class_<DtypeObject>(m, "dtype")
          .def(
              "__repr__",
              [](DtypeObject& d) {
                return "torch." + std::string(name(d.dtype));
              })
          .def(
              "__reduce__",
              [](DtypeObject& d) { return std::string(name(d.dtype)); })
          .def("__copy__", [](nb::object self) { return self; })
          .def("__deepcopy__", [](nb::object self, nb::handle) { return self; })
          .def_prop_ro(
              "is_floating_point",
              [](DtypeObject& d) { return is_floating(d.dtype); })
          .def_prop_ro(
              "is_complex",
              [](DtypeObject& d) { return flashlight::is_complex(d.dtype); })
          .def_prop_ro(
              "is_signed",
              [](DtypeObject& d) { return info(d.dtype).is_signed; })
          .def_prop_ro(
              "itemsize", [](DtypeObject& d) { return itemsize(d.dtype); })
          .def(
              "to_complex",
              [](DtypeObject& d) {
                return nb::borrow(dtype_object(to_complex(d.dtype)));
              })
          .def("to_real", [](DtypeObject& d) {
            return nb::borrow(dtype_object(to_real(d.dtype)));
          });
  cls.attr("__module__") = "torch";
  for (size_t i = 0; i < dtypes.size(); ++i) {
    auto d = static_cast<Dtype>(i);
    nb::object object = nb::cast(DtypeObject{d});
    m.attr(std::string(name(d)).c_str()) = object;
    if (!info(d).alias.empty()) {
      m.attr(std::string(info(d).alias).c_str()) = object;
    }
    dtypes[i] = object.release().ptr();
  }
  nb::list all;
  for (PyObject* d : dtypes) {
    all.append(nb::borrow(d));
  }
  m.attr("_dtypes") = all;
}

void bind_device(nb::module_& m) {
  auto cls = nb::class_<Device>(m, "device");
  cls.def(
         "__init__",
         [](Device* self, nb::handle type, std::optional<int> index) {
           if (nb::isinstance<Device>(type)) {
             new (self) Device(nb::cast<Device>(type));
             return;
           }
           if (PyLong_Check(type.ptr())) {
             auto i = nb::cast<int>(type);
             FL_CHECK(i >= 0, "Device index must not be negative");
             // A bare number names the accelerator.
             new (self) Device{DeviceType::Cuda, static_cast<int8_t>(i)};
             return;
           }
           if (!PyUnicode_Check(type.ptr())) {
             fail<TypeError>(
                 "device(): argument 'type' (position 1) must be str, not ",
                 Py_TYPE(type.ptr())->tp_name);
           }
           Device d = parse_device(nb::cast<std::string>(type));
           if (index) {
             FL_CHECK(
                 d.index < 0,
                 "type (string) must not include an index because index was "
                 "passed explicitly: ",
                 to_string(d));
             FL_CHECK(*index >= 0, "Device index must not be negative");
             d.index = static_cast<int8_t>(*index);
           }
           new (self) Device(d);
         },
         nb::arg("type"),
         nb::arg("index") = nb::none())
      .def_prop_ro("type", [](Device& d) { return std::string(name(d.type)); })
      .def_prop_ro(
          "index",
          [](Device& d) -> nb::object {
            return d.index < 0 ? nb::none() : nb::cast(int{d.index});
          })
      .def("__str__", [](Device& d) { return to_string(d); })
      .def(
          "__repr__",
          [](Device& d) {
            std::string text =
                "device(type='" + std::string(name(d.type)) + "'";
            if (d.index >= 0) {
              text += ", index=" + std::to_string(d.index);
            }
            return text + ")";
          })
      .def(
          "__eq__",
          [](Device& a, nb::handle b) {
            return nb::isinstance<Device>(b) && a == nb::cast<Device>(b);
          })
      .def(
          "__ne__",
          [](Device& a, nb::handle b) {
            return !nb::isinstance<Device>(b) || a != nb::cast<Device>(b);
          })
      .def(
          "__hash__",
          [](Device& d) { return static_cast<int>(d.type) * 257 + d.index; })
      .def("__reduce__", [cls](Device& d) {
        nb::tuple args =
            d.index < 0
                ? nb::make_tuple(std::string(name(d.type)))
                : nb::make_tuple(std::string(name(d.type)), int{d.index});
        return nb::make_tuple(nb::handle(cls), args);
      });
  cls.attr("__module__") = "torch";
}

} // namespace

// torch.linalg.LinAlgError, a RuntimeError.
static PyObject* linalg_error() {
  static PyObject* type =
      PyErr_NewException("torch._C._LinAlgError", PyExc_RuntimeError, nullptr);
  return type;
}

void set_python_error() {
  try {
    throw;
  } catch (nb::python_error& e) {
    e.restore();
  } catch (const IndexError& e) {
    PyErr_SetString(PyExc_IndexError, e.what());
  } catch (const TypeError& e) {
    PyErr_SetString(PyExc_TypeError, e.what());
  } catch (const ValueError& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const NotImplementedError& e) {
    PyErr_SetString(PyExc_NotImplementedError, e.what());
  } catch (const LinAlgError& e) {
    PyErr_SetString(linalg_error(), e.what());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(
        PyExc_RuntimeError, "DefaultCPUAllocator: can't allocate memory");
  } catch (const nb::builtin_exception& e) {
    switch (e.type()) {
      case nb::exception_type::type_error:
        PyErr_SetString(PyExc_TypeError, e.what());
        break;
      case nb::exception_type::value_error:
        PyErr_SetString(PyExc_ValueError, e.what());
        break;
      case nb::exception_type::index_error:
        PyErr_SetString(PyExc_IndexError, e.what());
        break;
      default:
        PyErr_SetString(PyExc_RuntimeError, e.what());
    }
  } catch (const std::exception& e) {
    if (!PyErr_Occurred()) {
      PyErr_SetString(PyExc_RuntimeError, e.what());
    }
  }
}

PyObject* dtype_object(Dtype dtype) {
  return dtypes[static_cast<size_t>(dtype)];
}

bool is_dtype(PyObject* o) {
  return nb::isinstance<DtypeObject>(o) ||
         o == reinterpret_cast<PyObject*>(&PyFloat_Type) ||
         o == reinterpret_cast<PyObject*>(&PyLong_Type) ||
         o == reinterpret_cast<PyObject*>(&PyBool_Type) ||
         o == reinterpret_cast<PyObject*>(&PyComplex_Type);
}

Dtype to_dtype(PyObject* o) {
  if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) {
    return Dtype::Float64;
  }
  if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) {
    return Dtype::Int64;
  }
  if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) {
    return Dtype::Bool;
  }
  if (o == reinterpret_cast<PyObject*>(&PyComplex_Type)) {
    return Dtype::Complex128;
  }
  FL_CHECK_TYPE(
      nb::isinstance<DtypeObject>(nb::handle(o)),
      "expected a torch.dtype, but got ",
      Py_TYPE(o)->tp_name);
  return dtype_of(o);
}

PyObject* device_object(Device device) {
  return nb::cast(device).release().ptr();
}

bool is_device(PyObject* o) {
  return nb::isinstance<Device>(o) || PyUnicode_Check(o) ||
         (PyLong_Check(o) && !PyBool_Check(o));
}

Device to_device(PyObject* o) {
  if (nb::isinstance<Device>(o)) {
    return nb::cast<Device>(nb::handle(o));
  }
  if (PyUnicode_Check(o)) {
    return parse_device(nb::cast<std::string>(nb::handle(o)));
  }
  return {DeviceType::Cuda, static_cast<int8_t>(to_int(o))};
}

bool is_memory_format(PyObject* o) {
  return nb::isinstance<MemoryFormatObject>(o);
}
MemoryFormat to_memory_format(PyObject* o) {
  return nb::inst_ptr<MemoryFormatObject>(o)->format;
}
PyObject* memory_format_object(MemoryFormat format) {
  return formats[static_cast<size_t>(format)];
}
bool is_layout(PyObject* o) {
  return nb::isinstance<LayoutObject>(o);
}
MemoryLayout to_layout(PyObject* o) {
  return nb::inst_ptr<LayoutObject>(o)->layout;
}
PyObject* layout_object(MemoryLayout layout) {
  return layouts[static_cast<size_t>(layout)];
}

PyObject* size_object(const IntList& sizes) {
  PyTypeObject* type = size_type ? size_type : &PyTuple_Type;
  PyObject* tuple =
      check(type->tp_alloc(type, static_cast<Py_ssize_t>(sizes.size())));
  for (size_t i = 0; i < sizes.size(); ++i) {
    PyTuple_SET_ITEM(
        tuple, static_cast<Py_ssize_t>(i), PyLong_FromLongLong(sizes[i]));
  }
  return tuple;
}

bool is_number(PyObject* o) {
  if (PyLong_Check(o) || PyFloat_Check(o) || PyComplex_Check(o)) {
    return true;
  }
  if (is_tensor(o) || PyUnicode_Check(o) || PySequence_Check(o)) {
    return false;
  }
  // numpy's scalars: numbers by protocol, and no arrays.
  static PyObject* generic = [] {
    nb::object numpy = nb::module_::import_("numpy");
    return nb::object(numpy.attr("generic")).release().ptr();
  }();
  return Py_TYPE(o)->tp_as_number && PyObject_IsInstance(o, generic) == 1 &&
         (PyIndex_Check(o) || Py_TYPE(o)->tp_as_number->nb_float);
}

bool is_int(PyObject* o) {
  if (PyLong_Check(o)) {
    return !PyBool_Check(o);
  }
  return PyIndex_Check(o) && !is_tensor(o) && is_number(o);
}

int64_t to_int(PyObject* o) {
  if (!PyLong_Check(o)) {
    nb::object index = nb::steal(check(PyNumber_Index(o)));
    return to_int(index.ptr());
  }
  int overflow = 0;
  int64_t x = PyLong_AsLongLongAndOverflow(o, &overflow);
  FL_CHECK(overflow == 0, "Overflow when unpacking long long");
  return x;
}

double to_double(PyObject* o) {
  if (is_tensor(o)) {
    return as_tensor(o).item().to_double();
  }
  double x = PyFloat_AsDouble(o);
  if (x == -1.0 && PyErr_Occurred()) {
    throw nb::python_error();
  }
  return x;
}

Scalar to_scalar(PyObject* o) {
  if (PyBool_Check(o)) {
    return Scalar(o == Py_True);
  }
  if (PyFloat_Check(o)) {
    return Scalar(PyFloat_AS_DOUBLE(o));
  }
  if (PyComplex_Check(o)) {
    Py_complex z = PyComplex_AsCComplex(o);
    return Scalar(std::complex<double>(z.real, z.imag));
  }
  if (is_tensor(o)) {
    return as_tensor(o).item();
  }
  if (PyLong_Check(o) || PyIndex_Check(o)) {
    return Scalar(to_int(o));
  }
  const char* type = Py_TYPE(o)->tp_name;
  if (std::string_view(type).find("bool") != std::string_view::npos) {
    return Scalar(PyObject_IsTrue(o) == 1);
  }
  if (std::string_view(type).find("complex") != std::string_view::npos) {
    Py_complex z = PyComplex_AsCComplex(o);
    return Scalar(std::complex<double>(z.real, z.imag));
  }
  return Scalar(to_double(o));
}

PyObject* scalar_object(const Scalar& x) {
  switch (x.kind()) {
    case Scalar::Kind::Bool:
      return PyBool_FromLong(x.to_bool());
    case Scalar::Kind::Int:
      return PyLong_FromLongLong(x.to_int());
    case Scalar::Kind::Double:
      return PyFloat_FromDouble(x.to_double());
    default:
      return PyComplex_FromDoubles(
          x.to_complex().real(), x.to_complex().imag());
  }
}

nb::object int_tuple(const IntList& list) {
  PyObject* tuple = check(PyTuple_New(static_cast<Py_ssize_t>(list.size())));
  for (size_t i = 0; i < list.size(); ++i) {
    PyTuple_SET_ITEM(
        tuple, static_cast<Py_ssize_t>(i), PyLong_FromLongLong(list[i]));
  }
  return nb::steal(tuple);
}

void bind_types(nb::module_& m) {
  m.attr("_LinAlgError") = nb::borrow(linalg_error());
  bind_dtype(m);
  bind_device(m);

  auto layout =
      nb::class_<LayoutObject>(m, "layout")
          .def(
              "__repr__",
              [](LayoutObject& l) {
                return std::string("torch.") +
                       kLayouts[static_cast<size_t>(l.layout)];
              })
          .def("__copy__", [](nb::object self) { return self; })
          .def("__deepcopy__", [](nb::object self, nb::handle) { return self; })
          .def("__reduce__", [](LayoutObject& l) {
            return kLayouts[static_cast<size_t>(l.layout)];
          });
  layout.attr("__module__") = "torch";
  for (size_t i = 0; i < layouts.size(); ++i) {
    nb::object o = nb::cast(LayoutObject{static_cast<MemoryLayout>(i)});
    m.attr(kLayouts[i]) = o;
    layouts[i] = o.release().ptr();
  }

  static constexpr const char* kFormats[] = {
      "contiguous_format",
      "preserve_format",
      "channels_last",
      "channels_last_3d"};
  auto format =
      nb::class_<MemoryFormatObject>(m, "memory_format")
          .def(
              "__repr__",
              [](MemoryFormatObject& f) {
                return std::string("torch.") +
                       kFormats[static_cast<size_t>(f.format)];
              })
          .def("__copy__", [](nb::object self) { return self; })
          .def("__deepcopy__", [](nb::object self, nb::handle) { return self; })
          .def("__reduce__", [](MemoryFormatObject& f) {
            return kFormats[static_cast<size_t>(f.format)];
          });
  format.attr("__module__") = "torch";
  for (size_t i = 0; i < 4; ++i) {
    nb::object o = nb::cast(MemoryFormatObject{static_cast<MemoryFormat>(i)});
    m.attr(kFormats[i]) = o;
    formats[i] = o.release().ptr();
  }

  m.def("_set_size_type", [](nb::object type) {
    size_type = reinterpret_cast<PyTypeObject*>(type.release().ptr());
  });
  m.def("get_default_dtype", [] {
    return nb::borrow(dtype_object(default_dtype()));
  });
  m.def("_scalar_name", [](nb::handle d) {
    return std::string(scalar_name(to_dtype(d.ptr())));
  });
  m.def("_set_warn_always", [](bool always) { warn_always() = always; });
  m.def("_is_warn_always", [] { return warn_always().load(); });
  m.def("_set_fills_unwritten", [](bool fills) { fills_unwritten() = fills; });
  m.def("_set_default_dtype", [](nb::handle d) {
    FL_CHECK_TYPE(
        nb::isinstance<DtypeObject>(d),
        "invalid dtype object: only floating-point types are supported as the "
        "default type");
    set_default_dtype(dtype_of(d));
  });
  m.def("promote_types", [](nb::handle a, nb::handle b) {
    FL_CHECK_TYPE(
        nb::isinstance<DtypeObject>(a) && nb::isinstance<DtypeObject>(b),
        "promote_types(): arguments must be torch.dtype");
    return nb::borrow(dtype_object(promote_types(dtype_of(a), dtype_of(b))));
  });
  m.def("can_cast", [](nb::handle from, nb::handle to) {
    FL_CHECK_TYPE(
        nb::isinstance<DtypeObject>(from) && nb::isinstance<DtypeObject>(to),
        "can_cast(): arguments must be torch.dtype");
    return can_cast(dtype_of(from), dtype_of(to));
  });
}

} // namespace flashlight::bind
