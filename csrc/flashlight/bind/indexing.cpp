// tensor[...] and tensor[...] = value, with every kind of index.
#include <algorithm>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/bind/py_autograd.h"
#include "flashlight/core/complex128.h"
#include "flashlight/core/conversion.h"
#include "flashlight/core/wrapped.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/indexing.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/indices.h"

namespace flashlight::bind {

namespace {

// What basic indices leave: a view, and the tensors of advanced ones.
struct Indexed {
  Tensor view;
  TensorList indices; // undefined where a dimension is taken whole
  bool advanced = false;
};

bool is_sequence_of_slices(PyObject* o) {
  // PyTorch's rule: a short list is a tuple of indices if it holds a slice,
  // None, Ellipsis, a tensor or a sequence.
  if (!PyList_Check(o) || PyList_GET_SIZE(o) >= 32) {
    return false;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(o); ++i) {
    PyObject* x = PyList_GET_ITEM(o, i);
    if (is_tensor(x) || PySequence_Check(x) || PySlice_Check(x) ||
        x == Py_Ellipsis || x == Py_None) {
      return true;
    }
  }
  return false;
}

nb::object as_tuple(PyObject* index) {
  if (PyTuple_Check(index)) {
    return nb::borrow(index);
  }
  PyObject* tuple = PyTuple_New(1);
  PyTuple_SET_ITEM(tuple, 0, Py_NewRef(check(index)));
  return nb::steal(tuple);
}

Tensor index_tensor(PyObject* o) {
  FL_CHECK_TYPE(!PyUnicode_Check(o), "new(): invalid data type 'str'");
  return tensor_from(o, std::nullopt, Device{}, true);
}

int64_t slice_bound(PyObject* o, int64_t otherwise) {
  if (o == Py_None) {
    return otherwise;
  }
  if (is_tensor(o)) {
    return as_tensor(o).item().to_int();
  }
  if (!PyIndex_Check(o)) {
    fail<TypeError>(
        "slice indices must be integers or None or have an __index__ method");
  }
  nb::object i = nb::steal(check(PyNumber_Index(o)));
  int overflow = 0;
  int64_t x = PyLong_AsLongLongAndOverflow(i.ptr(), &overflow);
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  return overflow > 0 ? kMax : overflow < 0 ? -kMax : x;
}

// Dimensions that the index uses up (for the ellipsis).
int64_t count_dims(PyObject* tuple) {
  int64_t n = 0;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i) {
    PyObject* o = PyTuple_GET_ITEM(tuple, i);
    if (o == Py_None || o == Py_Ellipsis || PyBool_Check(o)) {
      continue;
    }
    if (is_tensor(o)) {
      const Tensor& t = as_tensor(o);
      n += t.dtype() == Dtype::Bool || t.dtype() == Dtype::UInt8 ? t.dim() : 1;
    } else {
      n += 1;
    }
  }
  return n;
}

// As PyTorch: a slice of everything makes no view, but where `keep_slices`.
Indexed apply_basic(const Tensor& self, PyObject* tuple, bool keep_slices) {
  Indexed out;
  out.view = self;
  int64_t dim = 0; // of the view so far
  int64_t used = count_dims(tuple);
  FL_CHECK_INDEX(
      self.dim() > 0 || used == 0,
      PyTuple_GET_SIZE(tuple) == 1 && is_int(PyTuple_GET_ITEM(tuple, 0))
          ? "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
            "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number"
          : "too many indices for tensor of dimension 0");
  FL_CHECK_INDEX(
      used <= self.dim(),
      "too many indices for tensor of dimension ",
      self.dim());
  int64_t in_masks = 0; // dimensions that masks take beyond the first of each
  auto record = [&](Tensor index) {
    auto place = static_cast<size_t>(dim - in_masks);
    out.indices.resize(place + 1);
    bool mask = index.dtype() == Dtype::Bool || index.dtype() == Dtype::UInt8;
    int64_t dims = mask ? index.dim() : 1;
    out.indices[place] = std::move(index);
    out.advanced = true;
    dim += dims;
    in_masks += dims - 1;
  };
  // Adds a dimension, and selects or empties it.
  auto record_bool = [&](bool taken) {
    out.view = unsqueeze(out.view, dim);
    record(Tensor(mx::zeros({static_cast<mx::ShapeElem>(taken)}, mx::int64)));
  };
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i) {
    PyObject* o = PyTuple_GET_ITEM(tuple, i);
    if (o == Py_Ellipsis) {
      dim += self.dim() - used;
    } else if (o == Py_None) {
      out.view = unsqueeze(out.view, dim);
      ++dim;
    } else if (PyBool_Check(o)) {
      record_bool(o == Py_True);
    } else if (PySlice_Check(o)) {
      auto* s = reinterpret_cast<PySliceObject*>(o);
      int64_t step = slice_bound(s->step, 1);
      FL_CHECK_VALUE(step != 0, "slice step cannot be zero");
      FL_CHECK_VALUE(step > 0, "step must be greater than zero");
      constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
      int64_t start = slice_bound(s->start, 0);
      int64_t stop = slice_bound(s->stop, kMax);
      bool whole = start == 0 && stop >= out.view.size(dim) && step == 1;
      if (!whole || keep_slices) {
        out.view = slice(out.view, dim, start, stop, step);
      }
      ++dim;
    } else if (is_int(o)) {
      int64_t index = to_int(o);
      int64_t n = out.view.size(dim);
      FL_CHECK_INDEX(
          index >= -n && index < n,
          "index ",
          index,
          " is out of bounds for dimension ",
          i,
          " with size ",
          n);
      out.view = select(out.view, dim, index);
    } else if (is_tensor(o)) {
      const Tensor& t = as_tensor(o);
      if (t.dim() == 0 && flashlight::is_integral(t.dtype(), false)) {
        if (t->wrapped && t->wrapped->level->kind == LevelKind::Batch) {
          record(t); // another index for each entry of the batch
          ++dim;
          continue;
        }
        if (t.dtype() != Dtype::UInt8) {
          int64_t index = t.item().to_int();
          int64_t n = out.view.size(dim);
          FL_CHECK_INDEX(
              index >= -n && index < n,
              "index ",
              index,
              " is out of bounds for dimension ",
              i,
              " with size ",
              n);
          out.view = select(out.view, dim, index);
          continue;
        }
        record_bool(t.item().to_bool());
        continue;
      }
      if (t.dim() == 0 && t.dtype() == Dtype::Bool) {
        record_bool(t.item().to_bool());
        continue;
      }
      record(t);
    } else if (PySequence_Check(o)) {
      Tensor t = index_tensor(o);
      if (t.numel() == 0 && t.is_floating_point()) {
        t = _to_copy(t, Dtype::Int64);
      }
      record(t);
    } else if (PyIndex_Check(o)) {
      out.view = select(out.view, dim, to_int(o));
    } else {
      fail<IndexError>(
          "only integers, slices (`:`), ellipsis (`...`), None and long or "
          "byte Variables are valid indices (got ",
          Py_TYPE(o)->tp_name,
          ")");
    }
  }
  return out;
}

nb::object normalized(PyObject* index) {
  if (is_sequence_of_slices(index)) {
    return nb::steal(check(PySequence_Tuple(index)));
  }
  return as_tuple(index);
}

// Without the leading dimensions of size 1.
Tensor without_ones(const Tensor& v) {
  size_t ones = 0;
  while (ones < v.sizes().size() && v.sizes()[ones] == 1) {
    ++ones;
  }
  return ones == 0
             ? v
             : view(v, IntList(v.sizes().begin() + ones, v.sizes().end()));
}

Tensor value_tensor(const Tensor& self, PyObject* value) {
  if (is_tensor(value)) {
    return as_tensor(value);
  }
  if (is_number(value)) {
    Scalar number = to_scalar(value);
    check_fits(number, self.dtype());
    return self.dtype() == Dtype::Complex128
               ? complex128_number(number, {}, {}, Device{})
               : Tensor(scalar_array(number, self.dtype()));
  }
  fail<TypeError>(
      "can't assign a ",
      Py_TYPE(value)->tp_name,
      " to a torch.",
      scalar_name(self.dtype()),
      "Tensor");
}

// What __torch_function__ of the tensor, the index or the value, or a mode,
// makes of it; nothing where nobody is asked.
nb::object ask_overriding(
    const char* name,
    PyObject* self,
    PyObject* index,
    PyObject* value) {
  std::vector<PyObject*> found;
  for (PyObject* o : {self, index, value}) {
    if (o) {
      collect_overloaded(o, found);
    }
  }
  if (found.empty() && !torch_function_mode_active()) {
    return {};
  }
  nb::object func = nb::steal(check(PyObject_GetAttrString(
      reinterpret_cast<PyObject*>(tensor_type()), name)));
  nb::object args = nb::steal(check(
      value ? PyTuple_Pack(3, self, index, value)
            : PyTuple_Pack(2, self, index)));
  return nb::steal(
      check(call_torch_function(func.ptr(), args.ptr(), nullptr, found)));
}

} // namespace

PyObject* get_item(PyObject* self, PyObject* index) {
  return guarded([&]() -> PyObject* {
    nb::object answer = ask_overriding("__getitem__", self, index, nullptr);
    if (answer.is_valid()) {
      return answer.release().ptr();
    }
    nb::object tuple = normalized(index);
    Indexed r = apply_basic(as_tensor(self), tuple.ptr(), PySlice_Check(index));
    if (r.advanced) {
      return wrap(flashlight::index(r.view, r.indices));
    }
    if (r.view.is_same(as_tensor(self))) {
      r.view = flashlight::alias(r.view);
    }
    return wrap(r.view);
  });
}

int set_item(PyObject* self, PyObject* index, PyObject* value) {
  return guarded<int>(-1, [&]() -> int {
    FL_CHECK_TYPE(value, "Tensor does not support deleting items");
    if (ask_overriding("__setitem__", self, index, value).is_valid()) {
      return 0;
    }
    const Tensor& t = as_tensor(self);
    nb::object tuple = normalized(index);
    if (index == Py_False) {
      return 0; // nothing is written, by PyTorch's own short cut
    }
    if (index == Py_True) {
      tuple = nb::make_tuple(nb::none()); // another one
    }
    Indexed r = apply_basic(t, tuple.ptr(), false);
    Tensor v = value_tensor(t, value);
    if (r.advanced) {
      // Leading dimensions of size 1 of the value are dropped, as PyTorch does.
      index_put_(r.view, r.indices, without_ones(v), false);
      return 0;
    }
    if (v.sizes() == r.view.sizes()) {
      copy_(r.view, v, false);
    } else if (v.dim() == 0) {
      fill_(r.view, v);
    } else {
      v = without_ones(v);
      if (v.sizes() != r.view.sizes()) {
        v = expand(v, r.view.sizes());
      }
      copy_(r.view, v, false);
    }
    return 0;
  });
}

} // namespace flashlight::bind
