// TensorBase: the Python type of tensors, its attributes and non-op methods.
#include "flashlight/bind/py_tensor.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/saved_tensor.h"
#include "flashlight/bind/py_autograd.h"
#include "flashlight/core/complex128.h"
#include "flashlight/core/dispatching.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/wrapped.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/views.h"

namespace flashlight::bind {

namespace {

PyTypeObject* base_type = nullptr;
PyTypeObject* python_type = nullptr;

Tensor& tensor_of(PyObject* self) {
  return reinterpret_cast<PyTensor*>(self)->tensor;
}

void tensor_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Tensor& t = tensor_of(self);
  if (t.defined()) {
    t->python = nullptr;
  }
  t.~Tensor();
  if (reinterpret_cast<PyTensor*>(self)->dispatches) {
    --dispatching_tensors;
  }
  type->tp_free(self);
  Py_DECREF(type);
}

// The object of a gradient that only this tensor and its own object hold.
int visit_tensor(const Tensor& t, visitproc visit, void* arg) {
  if (t.defined() && t->python && t.impl()->use_count() == 2) {
    Py_VISIT(static_cast<PyObject*>(t->python));
  }
  return 0;
}

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  const Tensor& t = tensor_of(self);
  // What C++ holds elsewhere is not part of a cycle through this object.
  if (!t.defined() || t.impl()->use_count() != 1) {
    return 0;
  }
  const AutogradMeta* meta = autograd_meta(t);
  if (!meta) {
    return 0;
  }
  if (int r = visit_tensor(meta->grad, visit, arg)) {
    return r;
  }
  for (const auto& hook : meta->hooks) {
    if (hook.use_count() == 1) {
      Py_VISIT(static_cast<PyObject*>(hook->python()));
    }
  }
  for (const auto& hook : meta->post_accumulate_hooks) {
    Py_VISIT(static_cast<PyObject*>(hook->python()));
  }
  if (meta->grad_fn && meta->grad_fn.use_count() == 1) {
    return traverse_node(*meta->grad_fn, visit, arg);
  }
  return 0;
}

int tensor_clear(PyObject* self) {
  Tensor& t = tensor_of(self);
  if (t.defined() && t.impl()->use_count() == 1) {
    if (AutogradMeta* meta = autograd_meta(t)) {
      Tensor grad = std::move(meta->grad);
      auto hooks = std::move(meta->hooks);
      auto post = std::move(meta->post_accumulate_hooks);
      auto fn = std::move(meta->grad_fn);
      meta->hooks.clear();
      meta->post_accumulate_hooks.clear();
    }
  }
  return 0;
}

PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  // Tensor(...) is the legacy constructor, written in Python.
  static PyObject* legacy = [] {
    nb::object m = nb::module_::import_("flashlight.tensor");
    return nb::object(m.attr("_legacy_new")).release().ptr();
  }();
  PyObject* self = reinterpret_cast<PyObject*>(type);
  nb::object all = nb::steal(PyTuple_New(PyTuple_GET_SIZE(args) + 1));
  Py_INCREF(self);
  PyTuple_SET_ITEM(all.ptr(), 0, self);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) {
    PyObject* item = PyTuple_GET_ITEM(args, i);
    Py_INCREF(item);
    PyTuple_SET_ITEM(all.ptr(), i + 1, item);
  }
  return PyObject_Call(legacy, all.ptr(), kwargs);
}

int tensor_init(PyObject*, PyObject*, PyObject*) {
  return 0;
}

// --- attributes --------------------------------------------------------------

// An attribute of a subclass with __torch_function__ goes through it.
template <PyObject* (*get)(const Tensor&)>
PyObject* getter(PyObject* self, void* closure) {
  return guarded([&]() -> PyObject* {
    if (is_overridden(self)) [[unlikely]] {
      nb::object args = nb::make_tuple(nb::handle(self));
      const char* name = static_cast<const char*>(closure);
      return call_overridden(self, name, "__get__", args.ptr(), nullptr);
    }
    return get(tensor_of(self));
  });
}

template <int (*set)(PyObject*, PyObject*)>
int setter(PyObject* self, PyObject* value, void* closure) {
  return guarded<int>(-1, [&] {
    if (is_overridden(self)) [[unlikely]] {
      nb::object args = nb::steal(
          value ? PyTuple_Pack(2, self, value) : PyTuple_Pack(1, self));
      nb::object done = nb::steal(check(call_overridden(
          self,
          static_cast<const char*>(closure),
          value ? "__set__" : "__delete__",
          args.ptr(),
          nullptr)));
      return 0;
    }
    return set(self, value);
  });
}

// The name of what a template wraps.
template <size_t n>
struct Name {
  char text[n];
  consteval Name(const char (&s)[n]) {
    std::copy_n(s, n, text);
  }
};

// A method of a subclass with __torch_function__ goes through it, too. The
// arguments are none, one or a tuple, as the flags of the method say.
template <Name name, PyObject* (*method)(PyObject*, PyObject*)>
PyObject* plain_method(PyObject* self, PyObject* arg) {
  if (!is_overridden(self)) [[likely]] {
    return method(self, arg);
  }
  return guarded([&] {
    nb::object args =
        nb::steal(arg ? PyTuple_Pack(2, self, arg) : PyTuple_Pack(1, self));
    return call_overridden(self, name.text, nullptr, args.ptr(), nullptr);
  });
}

template <Name name, PyObject* (*method)(PyObject*, PyObject*, PyObject*)>
PyObject* keyword_method(PyObject* self, PyObject* args, PyObject* kwargs) {
  if (!is_overridden(self)) [[likely]] {
    return method(self, args, kwargs);
  }
  return guarded([&] {
    nb::object first = nb::steal(PyTuple_Pack(1, self));
    nb::object all = nb::steal(check(PySequence_Concat(first.ptr(), args)));
    return call_overridden(self, name.text, nullptr, all.ptr(), kwargs);
  });
}

// A slot of the type: what `__int__` and the like are.
template <Name name, PyObject* (*slot)(PyObject*)>
PyObject* object_slot(PyObject* self) {
  if (!is_overridden(self)) [[likely]] {
    return slot(self);
  }
  return guarded([&] {
    nb::object args = nb::steal(PyTuple_Pack(1, self));
    return call_overridden(self, name.text, nullptr, args.ptr(), nullptr);
  });
}

// ... that gives a number: `__bool__`, `__len__`.
template <Name name, typename R, R (*slot)(PyObject*)>
R number_slot(PyObject* self) {
  if (!is_overridden(self)) [[likely]] {
    return slot(self);
  }
  return guarded<R>(-1, [&] {
    nb::object args = nb::steal(PyTuple_Pack(1, self));
    nb::object result = nb::steal(
        check(call_overridden(self, name.text, nullptr, args.ptr(), nullptr)));
    long long number = PyLong_AsLongLong(result.ptr());
    if (number == -1 && PyErr_Occurred()) {
      throw nb::python_error();
    }
    return static_cast<R>(number);
  });
}

// Of a tensor whose class answers for them.
void ask_dim(const Tensor& t) {
  if (answers(t) == Answers::Sizes) [[unlikely]] {
    ask(t, "dim", nb::int_(t.dim()));
  }
}
void ask_sizes(const Tensor& t) {
  if (answers(t) == Answers::Sizes) [[unlikely]] {
    ask(t, "sym_size", int_tuple(t.sizes()));
  }
}

PyObject* get_shape(const Tensor& t) {
  ask_sizes(t);
  return size_object(t.sizes());
}
PyObject* get_dtype(const Tensor& t) {
  return Py_NewRef(dtype_object(t.dtype()));
}
PyObject* get_device(const Tensor& t) {
  return device_object(t.device());
}
PyObject* get_layout(const Tensor&) {
  return Py_NewRef(layout_object(MemoryLayout::Strided));
}
PyObject* get_ndim(const Tensor& t) {
  ask_dim(t);
  return PyLong_FromLongLong(t.dim());
}
PyObject* get_requires_grad(const Tensor& t) {
  return PyBool_FromLong(requires_grad(t));
}
PyObject* get_is_leaf(const Tensor& t) {
  return PyBool_FromLong(is_leaf(t));
}
PyObject* get_grad_fn(const Tensor& t) {
  return wrap_node(grad_fn(t));
}
PyObject* get_grad(const Tensor& t) {
  // As PyTorch: whether a view's history is stale is not asked here.
  const AutogradMeta* meta = autograd_meta(t);
  if (meta && meta->grad_fn && !meta->retains_grad && !meta->grad.defined()) {
    warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being "
        "accessed. Its .grad attribute won't be populated during "
        "autograd.backward(). If you indeed want the .grad field to be "
        "populated for a non-leaf Tensor, use .retain_grad() on the non-leaf "
        "Tensor. If you access the non-leaf Tensor by mistake, make sure you "
        "access the leaf Tensor instead. See "
        "github.com/pytorch/pytorch/pull/30531 for more information.");
    if (PyErr_Occurred()) {
      throw nb::python_error();
    }
  }
  return wrap(grad(t));
}
bool of_batch(const Tensor& t) {
  return t->wrapped && t->wrapped->level->kind == LevelKind::Batch;
}
PyObject* get_data(const Tensor& t) {
  FL_CHECK(
      !of_batch(t), "accessing `data` under vmap transform is not allowed");
  Tensor out = is_dispatching(t) ? detached(t) : t.alias();
  out->version = t->inference && autograd_state().inference_mode
                     ? Ref<VersionCounter>()
                     : make_ref<VersionCounter>();
  return wrap(out);
}
PyObject* get_version(const Tensor& t) {
  return PyLong_FromUnsignedLong(t.version());
}
PyObject* get_base(const Tensor& t) {
  return wrap(base_of(t));
}
PyObject* get_output_nr(const Tensor& t) {
  const AutogradMeta* meta = autograd_meta(t);
  return PyLong_FromUnsignedLong(meta ? meta->output_nr : 0);
}
PyObject* get_retains_grad(const Tensor& t) {
  const AutogradMeta* meta = autograd_meta(t);
  return PyBool_FromLong(meta && meta->retains_grad);
}
PyObject* get_itemsize(const Tensor& t) {
  return PyLong_FromLongLong(itemsize(t.dtype()));
}
PyObject* get_nbytes(const Tensor& t) {
  return PyLong_FromLongLong(itemsize(t.dtype()) * t.numel());
}

int set_requires_grad_attr(PyObject* self, PyObject* value) {
  return guarded<int>(-1, [&] {
    FL_CHECK(value && PyBool_Check(value), "requires_grad must be a bool");
    set_leaf_requires_grad(tensor_of(self), value == Py_True);
    return 0;
  });
}

int set_grad_attr(PyObject* self, PyObject* value) {
  return guarded<int>(-1, [&] {
    const Tensor& t = tensor_of(self);
    if (!value || value == Py_None) {
      set_grad(t, Tensor());
      return 0;
    }
    FL_CHECK_TYPE(
        is_tensor(value),
        "assigned grad expected to be a Tensor or None but got grad of type ",
        Py_TYPE(value)->tp_name);
    const Tensor& g = as_tensor(value);
    FL_CHECK(!g.is_same(t), "can't assign Variable as its own grad");
    FL_CHECK(
        g.dtype() == t.dtype(),
        "attempting to assign a gradient with dtype '",
        c_name(g.dtype()),
        "' to a tensor with grad_dtype '",
        scalar_name(t.dtype()),
        "'. The gradient must match the tensor's grad_dtype (defaults to the "
        "tensor's dtype). You can set the tensor's grad_dtype attribute with a "
        "specific dtype, or None to allow any dtype. Set grad_dtype with "
        "caution. Diverging the dtypes of a tensor and its gradient may break "
        "downstream systems that assume they match.");
    FL_CHECK(
        g.sizes() == t.sizes(),
        "attempting to assign a gradient of size '",
        g.sizes(),
        "' to a tensor of size '",
        t.sizes(),
        "'. Please ensure that the gradient and the tensor are the same size");
    set_grad(t, g);
    return 0;
  });
}

int set_data_attr(PyObject* self, PyObject* value) {
  return guarded<int>(-1, [&] {
    FL_CHECK(
        value, "Deleting tensor data is not allowed. Delete tensor instead!");
    FL_CHECK_TYPE(
        is_tensor(value),
        "Variable data has to be a tensor, but got ",
        Py_TYPE(value)->tp_name);
    const Tensor& t = tensor_of(self);
    const Tensor& from = as_tensor(value);
    auto layout = [](PyObject* o) {
      return nb::object(nb::handle(o).attr("layout"));
    };
    FL_CHECK(
        Py_TYPE(value) == Py_TYPE(self) || layout(value).is(layout(self)),
        "Attempted to call `variable.set_data(tensor)`, but `variable` and "
        "`tensor` have incompatible tensor type.");
    FL_CHECK(
        !of_batch(t),
        "mutating directly with `.data` under vmap transform is not allowed.");
    FL_CHECK(
        !requires_grad(t) || from.is_floating_point() || from.is_complex(),
        "data set to a tensor that requires gradients must be floating point "
        "or complex dtype");
    // The tensor keeps its own version counter and history; what adds up its
    // gradients is another one for another dtype.
    if (AutogradMeta* meta = autograd_meta(t);
        meta && t.dtype() != from.dtype()) {
      meta->accumulator.reset();
    }
    t->storage = from->storage;
    t->geometry = from.geometry();
    t->dtype = from.dtype();
    t->conj = from->conj;
    t->neg = from->neg;
    t->inference = from->inference;
    return 0;
  });
}

int set_base_grad_fn(PyObject* self, PyObject* value) {
  return guarded<int>(-1, [&] {
    FL_CHECK(value, "Deletion of _grad_fn not allowed. Detach tensor instead!");
    FL_CHECK(value == Py_None, "_grad_fn can be only set to None");
    if (AutogradMeta* meta = autograd_meta(tensor_of(self))) {
      meta->grad_fn.reset();
      meta->output_nr = 0;
      meta->tangent.reset();
    }
    return 0;
  });
}

#define FL_GET(name, fn, doc) \
  {name, getter<fn>, nullptr, doc, const_cast<char*>(name)}
#define FL_GETSET(name, fn, set, doc) \
  {name, getter<fn>, setter<set>, doc, const_cast<char*>(name)}

PyGetSetDef kAttributes[] = {
    FL_GET("shape", get_shape, "The sizes, a torch.Size."),
    FL_GET("dtype", get_dtype, "The type of the elements."),
    FL_GET("device", get_device, "Where the tensor lives."),
    FL_GET("layout", get_layout, "torch.strided."),
    FL_GET("ndim", get_ndim, "The number of dimensions."),
    FL_GETSET(
        "requires_grad",
        get_requires_grad,
        set_requires_grad_attr,
        "Whether autograd records what is done with it."),
    FL_GETSET(
        "grad",
        get_grad,
        set_grad_attr,
        "The gradient that backward() left, or None."),
    FL_GETSET("_grad", get_grad, set_grad_attr, "The gradient."),
    FL_GET(
        "grad_fn",
        get_grad_fn,
        "The node of the graph that it comes from, or None."),
    FL_GETSET(
        "_grad_fn",
        get_grad_fn,
        set_base_grad_fn,
        "The node of the graph."),
    FL_GET("is_leaf", get_is_leaf, "Whether it comes from no node."),
    FL_GETSET(
        "data",
        get_data,
        set_data_attr,
        "The same data, unknown to autograd."),
    FL_GET("_version", get_version, "How often it was written to."),
    FL_GET("_base", get_base, "The tensor that it is a view of, or None."),
    FL_GET("output_nr", get_output_nr, "Which output of its node it is."),
    FL_GET(
        "retains_grad",
        get_retains_grad,
        "Whether it keeps its gradient though it is no leaf."),
    FL_GET("itemsize", get_itemsize, "Bytes an element."),
    FL_GET("nbytes", get_nbytes, "Bytes of all elements."),
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

#undef FL_GET
#undef FL_GETSET

// --- protocols ---------------------------------------------------------------

Py_ssize_t tensor_length(PyObject* self) {
  return guarded<Py_ssize_t>(-1, [&] {
    const Tensor& t = tensor_of(self);
    ask_dim(t);
    ask_sizes(t);
    FL_CHECK_TYPE(t.dim() > 0, "len() of a 0-d tensor");
    return static_cast<Py_ssize_t>(t.sizes()[0]);
  });
}

Scalar single(const Tensor& t, const char* what) {
  if (t.numel() != 1) {
    fail(
        what,
        t.numel() == 0 ? "Boolean value of Tensor with no values is ambiguous"
                       : "");
  }
  return t.item();
}

int tensor_bool(PyObject* self) {
  return guarded<int>(-1, [&] {
    const Tensor& t = tensor_of(self);
    FL_CHECK(
        t.numel() != 0, "Boolean value of Tensor with no values is ambiguous");
    FL_CHECK(
        t.numel() == 1,
        "Boolean value of Tensor with more than one value is ambiguous");
    FL_CHECK(
        !t->wrapped || t->wrapped->level->kind != LevelKind::Batch,
        "vmap: It looks like you're attempting to use a Tensor in some "
        "data-dependent control flow. We don't support that yet, please file "
        "an "
        "issue at https://github.com/pytorch/pytorch/issues .");
    return single(t, "").to_bool() ? 1 : 0;
  });
}

Scalar convertible(PyObject* self) {
  const Tensor& t = tensor_of(self);
  FL_CHECK_VALUE(
      t.numel() == 1,
      "only one element tensors can be converted to Python scalars");
  if (requires_grad(t) && grad_enabled()) {
    warn(
        "Converting a tensor with requires_grad=True to a scalar may lead to "
        "unexpected behavior.\nConsider using tensor.detach() first.");
    if (PyErr_Occurred()) {
      throw nb::python_error();
    }
  }
  return t.item();
}

PyObject* tensor_int(PyObject* self) {
  return guarded([&]() -> PyObject* {
    Scalar x = convertible(self);
    FL_CHECK(
        !x.is_complex() || x.to_complex().imag() == 0,
        "value cannot be converted to type int64_t without overflow");
    if (x.is_double()) {
      return PyLong_FromDouble(x.to_double());
    }
    return PyLong_FromLongLong(x.to_int());
  });
}

PyObject* tensor_float(PyObject* self) {
  return guarded([&] {
    Scalar x = convertible(self);
    FL_CHECK(
        !x.is_complex() || x.to_complex().imag() == 0,
        "value cannot be converted to type double without overflow");
    return PyFloat_FromDouble(x.to_double());
  });
}

PyObject* tensor_index(PyObject* self) {
  return guarded([&] {
    const Tensor& t = tensor_of(self);
    FL_CHECK_TYPE(
        t.numel() == 1 && is_integral(t.dtype(), true),
        "only integer tensors of a single element can be converted to an "
        "index");
    return PyLong_FromLongLong(t.item().to_int());
  });
}

PyObject* method_complex(PyObject* self, PyObject*) {
  return guarded([&] {
    std::complex<double> z = convertible(self).to_complex();
    return PyComplex_FromDoubles(z.real(), z.imag());
  });
}

PyObject* method_item(PyObject* self, PyObject*) {
  return guarded([&] { return scalar_object(tensor_of(self).item()); });
}

PyObject* method_size(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* kNames[] = {"dim", nullptr};
  PyObject* dim = Py_None;
  if (!PyArg_ParseTupleAndKeywords(
          args, kwargs, "|O:size", const_cast<char**>(kNames), &dim)) {
    return nullptr;
  }
  return guarded([&] {
    const Tensor& t = tensor_of(self);
    if (dim != Py_None) {
      ask_dim(t);
    }
    ask_sizes(t);
    return dim == Py_None ? size_object(t.sizes())
                          : PyLong_FromLongLong(t.size(to_int(dim)));
  });
}

PyObject* method_stride(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* kNames[] = {"dim", nullptr};
  PyObject* dim = Py_None;
  if (!PyArg_ParseTupleAndKeywords(
          args, kwargs, "|O:stride", const_cast<char**>(kNames), &dim)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    const Tensor& t = tensor_of(self);
    if (answers(t) >= Answers::Strides) [[unlikely]] {
      ask(t, "sym_stride", int_tuple(t.strides()));
    }
    return dim == Py_None ? int_tuple(t.strides()).release().ptr()
                          : PyLong_FromLongLong(t.stride(to_int(dim)));
  });
}

template <typename F>
PyObject* with_tensor(PyObject* self, F&& f) {
  return guarded([&] { return f(tensor_of(self)); });
}

PyObject* method_dim(PyObject* self, PyObject*) {
  return with_tensor(self, [](const Tensor& t) { return get_ndim(t); });
}
PyObject* method_numel(PyObject* self, PyObject*) {
  return with_tensor(self, [](const Tensor& t) {
    if (answers(t) == Answers::Sizes) [[unlikely]] {
      ask(t, "sym_numel", nb::int_(t.numel()));
    }
    return PyLong_FromLongLong(t.numel());
  });
}
PyObject* method_storage_offset(PyObject* self, PyObject*) {
  return with_tensor(self, [](const Tensor& t) {
    if (answers(t) == Answers::Sizes) [[unlikely]] {
      ask(t, "sym_storage_offset", nb::int_(t.storage_offset()));
    }
    return PyLong_FromLongLong(t.storage_offset());
  });
}
PyObject* method_data_ptr(PyObject* self, PyObject*) {
  return guarded(
      [&] { return PyLong_FromUnsignedLongLong(tensor_of(self).data_ptr()); });
}
PyObject* method_element_size(PyObject* self, PyObject*) {
  return PyLong_FromLongLong(itemsize(tensor_of(self).dtype()));
}
PyObject*
method_is_contiguous(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* kNames[] = {"memory_format", nullptr};
  PyObject* format = Py_None;
  if (!PyArg_ParseTupleAndKeywords(
          args,
          kwargs,
          "|O:is_contiguous",
          const_cast<char**>(kNames),
          &format)) {
    return nullptr;
  }
  return guarded([&] {
    MemoryFormat f = MemoryFormat::Contiguous;
    if (format != Py_None) {
      FL_CHECK_TYPE(
          is_memory_format(format),
          "is_contiguous(): argument 'memory_format' must be "
          "torch.memory_format");
      f = to_memory_format(format);
    }
    const Tensor& t = tensor_of(self);
    FL_CHECK(
        f == MemoryFormat::Contiguous || !of_batch(t),
        "NYI: querying is_contiguous inside of vmap for memory_format other "
        "than torch.contiguous_format");
    if (answers(t) >= Answers::Strides) [[unlikely]] {
      ask(t,
          "is_contiguous",
          nb::bool_(t.is_contiguous(f)),
          format == Py_None ? nb::handle() : nb::handle(format));
    }
    return PyBool_FromLong(t.is_contiguous(f));
  });
}
PyObject* method_is_conj(PyObject* self, PyObject*) {
  return PyBool_FromLong(tensor_of(self)->conj);
}
PyObject* method_is_neg(PyObject* self, PyObject*) {
  return PyBool_FromLong(tensor_of(self)->neg);
}
PyObject* method_is_inference(PyObject* self, PyObject*) {
  return PyBool_FromLong(tensor_of(self)->inference);
}
PyObject* method_is_view(PyObject* self, PyObject*) {
  return PyBool_FromLong(is_view(tensor_of(self)));
}
PyObject* method_retain_grad(PyObject* self, PyObject*) {
  return with_tensor(self, [](const Tensor& t) {
    FL_CHECK(
        !t->wrapped || of_batch(t) || !requires_grad(t),
        "You are attempting to call Tensor.retain_grad() inside of a function "
        "being transformed by a functorch transform. This is unsupported, "
        "please attempt to use the functorch transforms (e.g. grad, vjp, "
        "jacrev, jacfwd, hessian) or call retain_grad() outside of a function "
        "being transformed instead.");
    retain_grad(t);
    return Py_NewRef(Py_None);
  });
}
PyObject* method_tolist(PyObject* self, PyObject*) {
  return with_tensor(self, [&](const Tensor& t) {
    FL_CHECK(
        !is_dispatching(t),
        ".tolist() is not supported for tensor subclasses, got ",
        Py_TYPE(self)->tp_name);
    return to_list(t).release().ptr();
  });
}
PyObject* method_is_floating_point(PyObject* self, PyObject*) {
  return PyBool_FromLong(tensor_of(self).is_floating_point());
}
PyObject* method_is_complex(PyObject* self, PyObject*) {
  return PyBool_FromLong(tensor_of(self).is_complex());
}
PyObject* method_is_set_to(PyObject* self, PyObject* other) {
  return guarded([&] {
    const Tensor &a = tensor_of(self), &b = to_tensor(other);
    return PyBool_FromLong(
        a->storage == b->storage && a.geometry() == b.geometry());
  });
}
PyObject* method_bump_version(PyObject* self, PyObject*) {
  tensor_of(self).bump_version();
  return Py_NewRef(Py_None);
}
PyObject* method_as_subclass(PyObject* self, PyObject* cls) {
  return guarded([&] {
    return wrap_as(subclass(cls), flashlight::alias(tensor_of(self)));
  });
}
PyObject* method_make_subclass(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* kNames[] = {
      "cls",
      "data",
      "require_grad",
      "dispatch_sizes_strides_policy",
      "dispatch_device",
      "dispatch_layout",
      nullptr};
  PyObject* cls = nullptr;
  PyObject* data = nullptr;
  PyObject* policy = Py_None;
  int require_grad = 0, device = 0, layout = 0;
  if (!PyArg_ParseTupleAndKeywords(
          args,
          kwargs,
          "OO|p$Opp:_make_subclass",
          const_cast<char**>(kNames),
          &cls,
          &data,
          &require_grad,
          &policy,
          &device,
          &layout)) {
    return nullptr;
  }
  return guarded([&] {
    PyTypeObject* type = subclass(cls);
    FL_CHECK_AS(
        NotImplementedError,
        policy == Py_None && !device && !layout,
        "_make_subclass(): classes that answer for sizes, device or layout "
        "(dispatch_...) are not supported");
    Tensor t = detach(
        to_tensor(data, "_make_subclass(): argument 'data' (position 2)"));
    if (require_grad) {
      flashlight::bind::require_grad(t);
    }
    return wrap_as(type, t);
  });
}

#define FL_KW(f) reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f))
// The doc begins with what inspect.signature() reads.
#define FL_METHOD(name, f, doc)    \
  {name,                           \
   plain_method<name, method_##f>, \
   METH_NOARGS,                    \
   name "($self, /)\n--\n\n" doc}
#define FL_METHOD_OF_ONE(name, f, doc) \
  {name,                               \
   plain_method<name, method_##f>,     \
   METH_O,                             \
   name "($self, other, /)\n--\n\n" doc}
#define FL_METHOD_OF_ANY(name, f, doc)        \
  {name,                                      \
   FL_KW((keyword_method<name, method_##f>)), \
   METH_VARARGS | METH_KEYWORDS,              \
   name "($self, *args, **kwargs)\n--\n\n" doc}

PyMethodDef kMethods[] = {
    FL_METHOD("item", item, "The one element as a Python number."),
    FL_METHOD_OF_ANY("size", size, "The sizes, or one of them."),
    FL_METHOD_OF_ANY("stride", stride, "The strides, in elements."),
    FL_METHOD("dim", dim, "The number of dimensions."),
    FL_METHOD("ndimension", dim, "The number of dimensions."),
    FL_METHOD("numel", numel, "The number of elements."),
    FL_METHOD("nelement", numel, "The number of elements."),
    FL_METHOD("storage_offset", storage_offset, "In elements."),
    FL_METHOD("data_ptr", data_ptr, "A name for the memory."),
    FL_METHOD("element_size", element_size, "Bytes an element."),
    FL_METHOD_OF_ANY("is_contiguous", is_contiguous, "In that format?"),
    FL_METHOD("is_conj", is_conj, "Is the conjugate bit set?"),
    FL_METHOD("is_neg", is_neg, "Is the negative bit set?"),
    FL_METHOD("is_inference", is_inference, "Made in inference?"),
    FL_METHOD("_is_view", is_view, "Is it a view?"),
    FL_METHOD("retain_grad", retain_grad, "Keep .grad."),
    FL_METHOD("tolist", tolist, "Nested lists of numbers."),
    FL_METHOD("is_floating_point", is_floating_point, "Are they real numbers?"),
    FL_METHOD("is_complex", is_complex, "Are they complex numbers?"),
    FL_METHOD_OF_ONE("is_set_to", is_set_to, "Same window on one storage?"),
    FL_METHOD("__complex__", complex, "The one element as a complex number."),
    {"as_subclass",
     method_as_subclass,
     METH_O,
     "The same data and history, as an instance of that class."},
    {"_bump_version",
     method_bump_version,
     METH_NOARGS,
     "_bump_version($self, /)\n--\n\nAs if written to."},
    {"_make_subclass",
     FL_KW(method_make_subclass),
     METH_VARARGS | METH_KEYWORDS | METH_STATIC,
     "A tensor of a subclass over the same data."},
    {nullptr, nullptr, 0, nullptr},
};

#undef FL_METHOD
#undef FL_METHOD_OF_ONE
#undef FL_METHOD_OF_ANY
#undef FL_KW

template <typename F>
void* slot(F* f) {
  return reinterpret_cast<void*>(f);
}

} // namespace

PyTypeObject* tensor_base_type() {
  return base_type;
}
PyTypeObject* tensor_type() {
  return python_type;
}

const Tensor& to_tensor(PyObject* object, const char* what) {
  FL_CHECK_TYPE(
      is_tensor(object),
      what,
      " must be Tensor, not ",
      Py_TYPE(object)->tp_name);
  return as_tensor(object);
}

PyObject* wrap_as(PyTypeObject* type, Tensor tensor) {
  bool dispatches = class_dispatches(type);
  PyObject* self = check(type->tp_alloc(type, 0));
  reinterpret_cast<PyTensor*>(self)->dispatches = dispatches;
  reinterpret_cast<PyTensor*>(self)->answers = Answers::Nothing;
  dispatching_tensors += dispatches ? 1 : 0;
  TensorImpl* impl = tensor.get();
  new (&tensor_of(self)) Tensor(std::move(tensor));
  impl->python = self;
  // Other handles keep the object: Note [Python identity].
  if (impl->use_count() > 1) {
    Py_INCREF(self);
  }
  return self;
}

PyObject* wrap(const Tensor& tensor) {
  if (tensor.defined() && tensor->python) {
    return Py_NewRef(static_cast<PyObject*>(tensor->python));
  }
  return wrap(Tensor(tensor));
}

PyObject* wrap(Tensor&& tensor) {
  if (!tensor.defined()) {
    return Py_NewRef(Py_None);
  }
  if (tensor->python) {
    return Py_NewRef(static_cast<PyObject*>(tensor->python));
  }
  return wrap_as(python_type ? python_type : base_type, std::move(tensor));
}

void set_leaf_requires_grad(const Tensor& t, bool value) {
  // As PyTorch: whether a view's history is stale is not asked here.
  const AutogradMeta* meta = autograd_meta(t);
  bool leaf = !meta || !meta->grad_fn;
  FL_CHECK(
      leaf || value,
      "you can only change requires_grad flags of leaf variables. If you want "
      "to use a computed variable in a subgraph that doesn't require "
      "differentiation use var_no_grad = var.detach().");
  FL_CHECK(
      !value || is_floating(t.dtype()) || flashlight::is_complex(t.dtype()),
      "only Tensors of floating point and complex dtype can require gradients");
  FL_CHECK(
      !value || !t->inference || autograd_state().inference_mode,
      "Setting requires_grad=True on inference tensor outside InferenceMode is "
      "not allowed.");
  if (leaf) {
    set_requires_grad(t, value);
  }
}

void require_grad(const Tensor& t) {
  FL_CHECK(
      is_floating(t.dtype()) || flashlight::is_complex(t.dtype()),
      "Only Tensors of floating point and complex dtype can require gradients");
  set_leaf_requires_grad(t, true);
}

void bind_tensor(nb::module_& m) {
  std::vector<PyType_Slot> slots = {
      {Py_tp_dealloc, slot(tensor_dealloc)},
      {Py_tp_traverse, slot(tensor_traverse)},
      {Py_tp_clear, slot(tensor_clear)},
      {Py_tp_new, slot(tensor_new)},
      {Py_tp_init, slot(tensor_init)},
      {Py_tp_getset, kAttributes},
      {Py_tp_methods, kMethods},
      {Py_mp_length, slot(number_slot<"__len__", Py_ssize_t, tensor_length>)},
      {Py_mp_subscript, slot(get_item)},
      {Py_mp_ass_subscript, slot(set_item)},
      {Py_nb_bool, slot(number_slot<"__bool__", int, tensor_bool>)},
      {Py_nb_int, slot(object_slot<"__int__", tensor_int>)},
      {Py_nb_float, slot(object_slot<"__float__", tensor_float>)},
      {Py_nb_index, slot(object_slot<"__index__", tensor_index>)},
  };
  add_operator_slots(slots);
  slots.push_back({0, nullptr});
  PyType_Spec spec = {
      "flashlight._C.TensorBase",
      sizeof(PyTensor),
      0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
      slots.data()};
  base_type = reinterpret_cast<PyTypeObject*>(check(PyType_FromSpec(&spec)));
  m.attr("TensorBase") = nb::handle(reinterpret_cast<PyObject*>(base_type));
  m.def("_set_tensor_type", [](nb::object type) {
    python_type = reinterpret_cast<PyTypeObject*>(type.release().ptr());
  });

  HostHooks& hooks = host_hooks();
  hooks.release_lock = []() -> void* {
    return PyGILState_Check() ? PyEval_SaveThread() : nullptr;
  };
  hooks.acquire_lock = [](void* state) {
    PyEval_RestoreThread(static_cast<PyThreadState*>(state));
  };
  // (Asking for the lock is quicker than taking it again.)
  hooks.keep_alive = [](void* object) {
    if (PyGILState_Check()) [[likely]] {
      Py_INCREF(static_cast<PyObject*>(object));
      return;
    }
    nb::gil_scoped_acquire gil;
    Py_INCREF(static_cast<PyObject*>(object));
  };
  hooks.let_go = [](void* object) {
    if (!Py_IsInitialized()) {
      return;
    }
    if (PyGILState_Check()) [[likely]] {
      Py_DECREF(static_cast<PyObject*>(object));
      return;
    }
    nb::gil_scoped_acquire gil;
    Py_DECREF(static_cast<PyObject*>(object));
  };
  hooks.only_kept = [](void* object) {
    nb::gil_scoped_acquire gil;
    return Py_REFCNT(static_cast<PyObject*>(object)) == 1;
  };
  hooks.interrupted = [] {
    if (PyGILState_Check() && PyErr_CheckSignals() != 0) {
      throw nb::python_error();
    }
    return false;
  };
  hooks.warn = [](const char* text) {
    nb::gil_scoped_acquire gil;
    if (PyErr_WarnEx(PyExc_UserWarning, text, 1) != 0) {
      throw nb::python_error();
    }
  };
  dispatching_hooks().is = [](const void* python) {
    return static_cast<const PyTensor*>(python)->dispatches;
  };
  m.def("_use_count", [](nb::handle t) {
    return to_tensor(t.ptr()).impl()->use_count();
  });
  // Each object then is that of the other's tensor: Note [Python identity].
  m.def("_swap_tensor_impl", [](nb::handle a, nb::handle b) {
    (void)to_tensor(a.ptr());
    (void)to_tensor(b.ptr());
    for (nb::handle h : {a, b}) {
      if (tensor_of(h.ptr()).impl()->use_count() > 1) {
        Py_INCREF((h.ptr() == a.ptr() ? b : a).ptr());
      }
    }
    std::swap(tensor_of(a.ptr()), tensor_of(b.ptr()));
    // (The classes have changed places, too.)
    auto* x = reinterpret_cast<PyTensor*>(a.ptr());
    auto* y = reinterpret_cast<PyTensor*>(b.ptr());
    std::swap(x->dispatches, y->dispatches);
    std::swap(x->answers, y->answers);
    for (nb::handle h : {a, b}) {
      const Tensor& t = tensor_of(h.ptr());
      t->python = h.ptr();
      if (t.impl()->use_count() > 1) {
        Py_DECREF((h.ptr() == a.ptr() ? b : a).ptr());
      }
    }
  });
  m.def("_flush", [] { flush(); });
  m.def("_eval", [](nb::sequence tensors) {
    std::vector<mx::array> arrays;
    for (nb::handle t : tensors) {
      arrays.push_back(any_value(to_tensor(t.ptr())));
    }
    flashlight::eval(std::move(arrays));
  });
  m.def("_set_pending_limits", [](int64_t nodes, int64_t bytes) {
    pending_limits() = {nodes, bytes};
  });
}

} // namespace flashlight::bind
