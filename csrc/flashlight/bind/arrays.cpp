// Tensors from and to Python numbers, lists and bytes.
#include <cstring>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/bind/py_autograd.h"
#include "flashlight/core/complex128.h"
#include "flashlight/core/data.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/warn_once.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/views.h"

namespace flashlight::bind {

namespace {

// --- nested sequences --------------------------------------------------------

bool is_nested(PyObject* o) {
  return PySequence_Check(o) && !PyUnicode_Check(o) && !PyBytes_Check(o) &&
         !is_tensor(o);
}

IntList infer_shape(PyObject* data) {
  IntList sizes;
  nb::object o = nb::borrow(data);
  while (true) {
    if (is_tensor(o.ptr())) {
      const Tensor& t = as_tensor(o.ptr());
      for (int64_t n : t.sizes()) {
        sizes.push_back(n);
      }
      break;
    }
    if (!is_nested(o.ptr())) {
      break;
    }
    if (!sizes.empty() &&
        std::string_view(Py_TYPE(o.ptr())->tp_name) == "numpy.ndarray") {
      static WarnOnce warn;
      warn(
          "Creating a tensor from a list of numpy.ndarrays is extremely slow. "
          "Please consider converting the list to a single numpy.ndarray with "
          "numpy.array() before converting to a tensor.");
    }
    Py_ssize_t n = PySequence_Size(o.ptr());
    check(n < 0 ? -1 : 0);
    sizes.push_back(n);
    FL_CHECK_VALUE(
        sizes.size() <= 128,
        "too many dimensions '",
        Py_TYPE(o.ptr())->tp_name,
        "'");
    if (n == 0) {
      break;
    }
    o = nb::steal(check(PySequence_GetItem(o.ptr(), 0)));
  }
  return sizes;
}

bool has_dtype_attribute(PyObject* o) {
  return PyObject_HasAttrString(o, "dtype") == 1;
}

std::optional<Dtype> infer_dtype(PyObject* o) {
  if (PyBool_Check(o)) {
    return Dtype::Bool;
  }
  if (PyFloat_Check(o) && !has_dtype_attribute(o)) {
    return default_dtype();
  }
  if (PyLong_Check(o)) {
    return Dtype::Int64;
  }
  if (PyComplex_Check(o) && !has_dtype_attribute(o)) {
    return default_complex_dtype();
  }
  if (is_tensor(o)) {
    return as_tensor(o).dtype();
  }
  if (is_number(o)) {
    return numpy_dtype(nb::handle(o));
  }
  FL_CHECK_TYPE(!PyUnicode_Check(o), "new(): invalid data type '", "str", "'");
  if (is_nested(o)) {
    std::optional<Dtype> all;
    Py_ssize_t n = PySequence_Size(o);
    for (Py_ssize_t i = 0; i < n; ++i) {
      nb::object x = nb::steal(check(PySequence_GetItem(o, i)));
      FL_CHECK_TYPE(
          x.ptr() != o, "new(): self-referential lists are incompatible");
      auto d = infer_dtype(x.ptr());
      if (d) {
        all = all ? promote_types(*all, *d) : *d;
      }
    }
    return all ? all : default_dtype();
  }
  if (PyIndex_Check(o)) {
    return Dtype::Int64;
  }
  fail("Could not infer dtype of ", Py_TYPE(o)->tp_name);
}

template <typename T>
struct Writer {
  std::vector<T> data;
  Dtype dtype;
  IntList sizes;

  void number(PyObject* o) {
    if constexpr (std::is_constructible_v<T, std::complex<double>>) {
      data.push_back(T(to_scalar(o).to_complex()));
    } else if constexpr (std::is_same_v<T, double>) {
      Scalar x = is_tensor(o) ? as_tensor(o).item() : to_scalar(o);
      FL_CHECK_TYPE(
          !x.is_complex(), "must be real number, not ", Py_TYPE(o)->tp_name);
      data.push_back(x.to_double());
    } else {
      if (PyLong_Check(o) && !PyBool_Check(o) && dtype == Dtype::UInt64) {
        data.push_back(static_cast<int64_t>(PyLong_AsUnsignedLongLongMask(o)));
        return;
      }
      Scalar x = is_tensor(o) ? as_tensor(o).item() : to_scalar(o);
      FL_CHECK_TYPE(
          !x.is_complex(),
          "'complex' object cannot be interpreted as an integer");
      data.push_back(dtype == Dtype::Bool ? int64_t{x.to_bool()} : x.to_int());
    }
  }

  void walk(PyObject* o, size_t dim) {
    if (dim == sizes.size()) {
      FL_CHECK_TYPE(
          is_number(o) || is_tensor(o) || PyIndex_Check(o) ||
              PyObject_HasAttrString(o, "__float__"),
          "new(): invalid data type '",
          Py_TYPE(o)->tp_name,
          "'");
      number(o);
      return;
    }
    if (is_tensor(o)) {
      nb::object list = to_list(as_tensor(o));
      walk(list.ptr(), dim);
      return;
    }
    FL_CHECK_TYPE(is_nested(o), "not a sequence");
    Py_ssize_t n = PySequence_Size(o);
    FL_CHECK_VALUE(
        n == sizes[dim],
        "expected sequence of length ",
        sizes[dim],
        " at dim ",
        dim,
        " (got ",
        n,
        ")");
    for (Py_ssize_t i = 0; i < n; ++i) {
      nb::object x = nb::steal(check(PySequence_GetItem(o, i)));
      walk(x.ptr(), dim + 1);
    }
  }
};

template <typename T>
Tensor from_nested(PyObject* data, const IntList& sizes, Dtype dtype) {
  Writer<T> w{{}, dtype, sizes};
  w.data.reserve(static_cast<size_t>(product(sizes)));
  w.walk(data, 0);
  if constexpr (std::is_arithmetic_v<T>) {
    return Tensor(mx::array(w.data.begin(), to_shape(sizes), to_mlx(dtype)));
  } else {
    return from_bytes(w.data.data(), w.data.size() * sizeof(T), sizes, dtype);
  }
}

template <typename T>
nb::object element(const void* data, size_t i) {
  T x = static_cast<const T*>(data)[i];
  if constexpr (std::is_same_v<T, bool>) {
    return nb::object(nb::bool_(x));
  } else if constexpr (std::is_integral_v<T>) {
    return nb::object(nb::int_(x));
  } else if constexpr (requires { x.imag(); }) {
    return nb::steal(PyComplex_FromDoubles(x.real(), x.imag()));
  } else {
    return nb::object(nb::float_(static_cast<double>(x)));
  }
}

nb::object element_of(Dtype dtype, const void* data, size_t i) {
  switch (dtype) {
    case Dtype::Bool:
      return element<bool>(data, i);
    case Dtype::UInt8:
      return element<uint8_t>(data, i);
    case Dtype::UInt16:
      return element<uint16_t>(data, i);
    case Dtype::UInt32:
      return element<uint32_t>(data, i);
    case Dtype::UInt64:
      return element<uint64_t>(data, i);
    case Dtype::Int8:
      return element<int8_t>(data, i);
    case Dtype::Int16:
      return element<int16_t>(data, i);
    case Dtype::Int32:
      return element<int32_t>(data, i);
    case Dtype::Int64:
      return element<int64_t>(data, i);
    case Dtype::Float16:
      return nb::object(
          nb::float_(
              static_cast<double>(static_cast<float>(
                  static_cast<const mx::float16_t*>(data)[i]))));
    case Dtype::BFloat16:
      return nb::object(
          nb::float_(
              static_cast<double>(static_cast<float>(
                  static_cast<const mx::bfloat16_t*>(data)[i]))));
    case Dtype::Float32:
      return element<float>(data, i);
    case Dtype::Float64:
      return element<double>(data, i);
    case Dtype::Complex128:
      return element<std::complex<double>>(data, i);
    default:
      return element<mx::complex64_t>(data, i);
  }
}

nb::object nest(const Tensor& t, const char* data, size_t dim, size_t& next) {
  if (dim == t.sizes().size()) {
    return element_of(t.dtype(), data, next++);
  }
  nb::list out;
  for (int64_t i = 0; i < t.sizes()[dim]; ++i) {
    out.append(nest(t, data, dim + 1, next));
  }
  return out;
}

} // namespace

nb::object to_list(const Tensor& t) {
  mx::array v = host_value(t);
  size_t next = 0;
  return nest(t, v.data<char>(), 0, next);
}

Tensor
tensor_from(PyObject* data, std::optional<Dtype> dtype, Device device, bool) {
  Tensor out;
  if (is_tensor(data)) {
    out = detach(as_tensor(data));
    out = clone(out);
  } else if (
      PyObject_HasAttrString(data, "__array_interface__") == 1 &&
      PyObject_HasAttrString(data, "shape") == 1 && !is_number(data)) {
    nb::object np = nb::module_::import_("numpy");
    Tensor shared = over_numpy(np.attr("asarray")(nb::handle(data)));
    out = copied(shared, dense_like(shared.geometry()));
  } else {
    IntList sizes = infer_shape(data);
    auto inferred = dtype ? dtype : infer_dtype(data);
    Dtype d = inferred.value_or(default_dtype());
    check_storable(d);
    out = d == Dtype::Complex128
              ? from_nested<std::complex<double>>(data, sizes, d)
          : flashlight::is_complex(d)
              ? from_nested<std::complex<float>>(data, sizes, d)
          : is_floating(d) ? from_nested<double>(data, sizes, d)
                           : from_nested<int64_t>(data, sizes, d);
  }
  if ((dtype && *dtype != out.dtype()) || !(device == out.device())) {
    out = _to_copy(out, dtype.value_or(out.dtype()), {}, device);
  }
  return out;
}

Tensor born(const Tensor& t) {
  if (autograd_state().inference_mode) {
    t->inference = true;
    t->version = {};
  }
  return t;
}

void bind_arrays(nb::module_& m) {
  m.def(
      "_tensor",
      [](nb::handle data,
         nb::handle dtype,
         nb::handle device,
         bool requires_grad) {
        std::optional<Dtype> d;
        if (!dtype.is_none()) {
          FL_CHECK_TYPE(
              is_dtype(dtype.ptr()),
              "tensor(): argument 'dtype' must be torch.dtype, not ",
              Py_TYPE(dtype.ptr())->tp_name);
          d = to_dtype(dtype.ptr());
        }
        Device dev =
            is_tensor(data.ptr()) ? as_tensor(data.ptr()).device() : Device{};
        if (!device.is_none()) {
          dev = canonical(to_device(device.ptr()));
          check_available(dev);
        }
        Tensor t = born(tensor_from(data.ptr(), d, dev, true));
        if (requires_grad) {
          require_grad(t);
        }
        return nb::steal(wrap(t));
      },
      nb::arg("data").none(),
      nb::arg("dtype").none() = nb::none(),
      nb::arg("device").none() = nb::none(),
      nb::arg("requires_grad") = false);
  m.def("_from_bytes", [](nb::bytes data, nb::handle dtype) {
    Dtype d = to_dtype(dtype.ptr());
    check_storable(d);
    auto n = static_cast<int64_t>(data.size()) / itemsize(d);
    return nb::steal(
        wrap(born(from_bytes(data.c_str(), data.size(), IntList{n}, d))));
  });
  m.def("_to_bytes", [](const Tensor& t) {
    mx::array v = host_value(t);
    return nb::bytes(v.data<char>(), v.nbytes());
  });
}

} // namespace flashlight::bind
