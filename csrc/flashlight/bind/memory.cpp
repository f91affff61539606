// Tensors over the memory of numpy arrays and of what has __dlpack__, and the
// memory of tensors for them: see Note [Memory that others see].
#include <cstring>

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/bind/py_tensor.h"
#include "flashlight/core/complex128.h"
#include "flashlight/core/data.h"
#include "flashlight/core/dispatching.h"
#include "flashlight/core/lent_memory.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/warn_once.h"

namespace flashlight::bind {

namespace {

// A tensor on memory that `object` keeps.
Tensor over(
    const void* data,
    Geometry geometry,
    Dtype dtype,
    nb::handle object,
    bool countable) {
  auto bytes = static_cast<size_t>(storage_extent(geometry) * itemsize(dtype));
  auto memory = std::make_shared<LentMemory>(
      static_cast<char*>(const_cast<void*>(data)),
      bytes,
      object.ptr(),
      countable);
  auto impl = make_ref<TensorImpl>();
  impl->storage = make_ref<Storage>(
      std::move(memory), dtype == Dtype::Complex128 ? Dtype::Float64 : dtype);
  impl->geometry = std::move(geometry);
  impl->dtype = dtype;
  impl->version = make_ref<VersionCounter>();
  return Tensor(std::move(impl));
}

// The array that has the memory, if one is known to; a view refers to it.
nb::object owner_of(nb::handle array, nb::handle ndarray_type) {
  nb::object base = array.attr("base");
  if (base.is_none()) {
    return nb::borrow(array);
  }
  bool known =
      nb::isinstance(base, ndarray_type) && base.attr("base").is_none();
  return known ? base : nb::none();
}

nb::dlpack::dtype dlpack_dtype(Dtype dtype) {
  using nb::dlpack::dtype_code;
  dtype_code code = dtype == Dtype::Bool              ? dtype_code::Bool
                    : dtype == Dtype::BFloat16        ? dtype_code::Bfloat
                    : is_complex(dtype)               ? dtype_code::Complex
                    : is_floating(dtype)              ? dtype_code::Float
                    : name(dtype).starts_with("uint") ? dtype_code::UInt
                                                      : dtype_code::Int;
  return {
      static_cast<uint8_t>(code), static_cast<uint8_t>(8 * itemsize(dtype)), 1};
}

std::optional<Dtype> from_dlpack_dtype(nb::dlpack::dtype given) {
  for (int i = 0; i < kDtypes; ++i) {
    auto dtype = static_cast<Dtype>(i);
    if (is_storable(dtype) && dlpack_dtype(dtype) == given) {
      return dtype;
    }
  }
  return std::nullopt;
}

// An object that shows the tensor's memory by the buffer protocol and DLPack.
nb::object memory_of(const Tensor& t) {
  FL_CHECK(
      storage_extent(t.geometry()) <=
          t->storage->nbytes() / itemsize(t.dtype()),
      "Cannot access data pointer of Tensor that doesn't have storage");
  std::shared_ptr<LentMemory> memory = t->storage->lend();
  char* data = memory->data() + t.storage_offset() * itemsize(t.dtype());
  nb::capsule owner(
      new std::shared_ptr<LentMemory>(std::move(memory)), [](void* p) noexcept {
        delete static_cast<std::shared_ptr<LentMemory>*>(p);
      });
  std::vector<size_t> sizes(t.sizes().begin(), t.sizes().end());
  std::vector<int64_t> strides(t.strides().begin(), t.strides().end());
  return nb::cast(
      nb::ndarray<nb::array_api>(
          data,
          sizes.size(),
          sizes.data(),
          owner,
          strides.data(),
          dlpack_dtype(t.dtype()),
          nb::device::cpu::value,
          0));
}

// Is its memory where the host sees it, and what lies there its value?
bool can_be_lent(const Tensor& t) {
  return !t->wrapped && !t->conj && !t->neg && t.numel() != 0 &&
         t.device().type == DeviceType::Cpu;
}

nb::object numpy_copy(const Tensor& t) {
  mx::array v = host_value(t);
  nb::object out = nb::module_::import_("numpy").attr("empty")(
      int_tuple(t.sizes()),
      nb::arg("dtype") = nb::str(std::string(name(t.dtype())).c_str()));
  Py_buffer buffer;
  check(PyObject_GetBuffer(out.ptr(), &buffer, PyBUF_WRITABLE));
  if (buffer.len > 0) {
    std::memcpy(buffer.buf, v.data<char>(), static_cast<size_t>(buffer.len));
  }
  PyBuffer_Release(&buffer);
  return out;
}

nb::object to_numpy(const Tensor& t) {
  FL_CHECK(
      !is_dispatching(t), ".numpy() is not supported for tensor subclasses.");
  const AutogradState& state = autograd_state();
  FL_CHECK(
      !(state.grad_mode && !state.inference_mode && requires_grad(t)),
      "Can't call numpy() on Tensor that requires grad. Use "
      "tensor.detach().numpy() instead.");
  FL_CHECK(
      !t->conj,
      "Can't call numpy() on Tensor that has conjugate bit set. Use "
      "tensor.resolve_conj().numpy() instead.");
  FL_CHECK(
      !t->neg,
      "Can't call numpy() on Tensor that has negative bit set. Use "
      "tensor.resolve_neg().numpy() instead.");
  FL_CHECK_TYPE(
      t.device().type == DeviceType::Cpu,
      "can't convert ",
      to_string(t.device()),
      " device type tensor to numpy. Use Tensor.cpu() to copy the tensor to "
      "host memory first.");
  FL_CHECK_TYPE(
      t.dtype() != Dtype::BFloat16, "Got unsupported ScalarType BFloat16");
  if (!can_be_lent(t)) {
    return numpy_copy(t);
  }
  enter_stream();
  t->storage->set_resizable(false);
  // By its name: the buffer protocol has two types of 64 bits.
  return nb::module_::import_("numpy")
      .attr("asarray")(memory_of(t))
      .attr("view")(nb::str(std::string(name(t.dtype())).c_str()));
}

void warn_of_readonly_array() {
  static WarnOnce warn;
  warn(
      "The given NumPy array is not writable, and PyTorch does not "
      "support non-writable tensors. This means writing to this tensor "
      "will result in undefined behavior. You may want to copy the "
      "array to protect its data or make it writable before converting "
      "it to a tensor. This type of warning will be suppressed for the "
      "rest of this program.");
}

void warn_of_readonly_buffer() {
  static WarnOnce warn;
  warn(
      "The given buffer is not writable, and PyTorch does not support "
      "non-writable tensors. This means you can write to the "
      "underlying (supposedly non-writable) buffer using the tensor. "
      "You may want to copy the buffer to protect its data or make it "
      "writable before converting it to a tensor. This type of warning "
      "will be suppressed for the rest of this program.");
}

bool is_writable(nb::handle array) {
  return nb::cast<bool>(array.attr("flags").attr("writeable"));
}

Tensor over_dlpack(nb::handle object) {
  auto array = nb::cast<nb::ndarray<nb::ro>>(object);
  FL_CHECK(
      array.device_type() == nb::device::cpu::value,
      "from_dlpack: memory of device type ",
      array.device_type(),
      " is not supported");
  std::optional<Dtype> dtype = from_dlpack_dtype(array.dtype());
  FL_CHECK(
      dtype,
      "from_dlpack: elements of type code ",
      static_cast<int>(array.dtype().code),
      ", ",
      static_cast<int>(array.dtype().bits),
      " bits, ",
      static_cast<int>(array.dtype().lanes),
      " lanes are not supported");
  Geometry g;
  for (size_t i = 0; i < array.ndim(); ++i) {
    g.sizes.push_back(static_cast<int64_t>(array.shape(i)));
    g.strides.push_back(array.stride(i));
  }
  const void* data = array.data();
  nb::capsule owner(
      new nb::ndarray<nb::ro>(std::move(array)),
      [](void* p) noexcept { delete static_cast<nb::ndarray<nb::ro>*>(p); });
  return over(data, std::move(g), *dtype, owner, false);
}

} // namespace

Dtype numpy_dtype(nb::handle array) {
  nb::object dtype = array.attr("dtype");
  auto text = nb::cast<std::string>(nb::str(dtype.attr("name")));
  for (int i = 0; i < kDtypes; ++i) {
    auto dtype = static_cast<Dtype>(i);
    if (is_storable(dtype) && name(dtype) == text) {
      return dtype;
    }
  }
  fail<TypeError>(
      "can't convert np.ndarray of type ",
      nb::cast<std::string>(
          nb::str(nb::handle(dtype.attr("type").attr("__module__")))) +
          "." +
          nb::cast<std::string>(nb::str(dtype.attr("type").attr("__name__"))),
      ". The only supported types are: float64, float32, float16, complex64, "
      "complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, "
      "and bool.");
}

Tensor over_numpy(nb::handle array) {
  auto size = nb::cast<int64_t>(array.attr("itemsize"));
  Geometry g;
  for (nb::handle n : nb::tuple(array.attr("shape"))) {
    g.sizes.push_back(nb::cast<int64_t>(n));
  }
  for (nb::handle n : nb::tuple(array.attr("strides"))) {
    auto bytes = nb::cast<int64_t>(n);
    FL_CHECK_VALUE(
        bytes % size == 0,
        "given numpy array strides not a multiple of the element byte size. "
        "Copy the numpy array to reallocate the memory.");
    g.strides.push_back(bytes / size);
  }
  for (int64_t stride : g.strides) {
    FL_CHECK_VALUE(
        stride >= 0,
        "At least one stride in the given numpy array is negative, and tensors "
        "with negative strides are not currently supported. (You can probably "
        "work around this by making a copy of your array  with "
        "array.copy().) ");
  }
  FL_CHECK_VALUE(
      nb::cast<bool>(array.attr("dtype").attr("isnative")),
      "given numpy array has byte order different from the native byte "
      "order. Conversion between byte orders is currently not supported.");
  Dtype dtype = numpy_dtype(array);
  check_storable(dtype);
  nb::object place = array.attr("__array_interface__")["data"];
  auto* data = reinterpret_cast<void*>(nb::cast<uintptr_t>(place[0]));
  nb::object owner =
      owner_of(array, nb::module_::import_("numpy").attr("ndarray"));
  return owner.is_none() ? over(data, std::move(g), dtype, array, false)
                         : over(data, std::move(g), dtype, owner, true);
}

void bind_memory(nb::module_& m) {
  m.def("_from_numpy", [](nb::handle array) {
    FL_CHECK_TYPE(
        nb::isinstance(array, nb::module_::import_("numpy").attr("ndarray")),
        "expected np.ndarray (got ",
        Py_TYPE(array.ptr())->tp_name,
        ")");
    if (!is_writable(array)) {
      warn_of_readonly_array();
    }
    return nb::steal(wrap(born(over_numpy(array))));
  });
  // Bytes, an array of one dimension, as elements of a dtype.
  m.def("_from_buffer", [](nb::handle bytes, nb::handle dtype) {
    if (!is_writable(bytes)) {
      warn_of_readonly_buffer();
    }
    Dtype d = to_dtype(dtype.ptr());
    check_storable(d);
    Tensor t = over_numpy(bytes);
    Geometry g{IntList{t.numel() / itemsize(d)}, IntList{1}, 0};
    return nb::steal(wrap(born(t.alias(std::move(g), d))));
  });
  m.def("_to_numpy", &to_numpy);
  m.def("_from_dlpack", [](nb::handle object) {
    return nb::steal(wrap(born(over_dlpack(object))));
  });
  m.def("_is_lent", [](const Tensor& t) { return t->storage->is_lent(); });
  m.def("_lend", [](const Tensor& t) {
    FL_CHECK(!t->wrapped, "_lend(): a tensor without memory");
    enter_stream();
    return memory_of(t);
  });
}

} // namespace flashlight::bind
