// __torch_dispatch__ of modes and classes: ops as Python sees them below
// autograd.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <map>
#include <utility>

#include "flashlight/bind/py_autograd.h"
#include "flashlight/bind/signature.h"
#include "flashlight/bind/values.h"
#include "flashlight/ops/dispatch_mode.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/transforms.h"

namespace flashlight::bind {

namespace {

// flashlight.utils._python_dispatch: asks the modes and the classes.
nb::object& handler() {
  static auto* function = new nb::object; // outlives the interpreter's clean-up
  return *function;
}

// torch.ops.aten.<name>.<overload>, looked up once.
nb::handle overload_of(const Op& op, OpForm form) {
  static std::map<std::pair<const Op*, OpForm>, nb::object*> found;
  nb::object*& one = found[{&op, form}];
  if (!one) {
    nb::object find = nb::module_::import_("flashlight._aten").attr("overload");
    static constexpr const char* kForms[] = {"", "inplace", "out"};
    one = new nb::object(
        find(op.schema.full_name(), kForms[static_cast<size_t>(form)]));
  }
  return *one;
}

// As PyTorch: what is as the schema has it by default is left out, from the
// end.
std::pair<nb::object, nb::dict> python_arguments(
    const Op& op,
    const Value* args) {
  nb::dict keywords;
  std::vector<nb::object> positional;
  size_t needed = 0;
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    const Argument& a = op.schema.args[i];
    bool left_out = a.has_default && is_default(a, args[i]);
    nb::object value = nb::steal(argument_object(args[i]));
    // As PyTorch: what came as a number is shown as one.
    if (const Tensor* t = args[i].tensor();
        t && (*t)->wrapped_number && takes_numbers(op.schema.name)) {
      value = nb::steal(scalar_object(t->item()));
    }
    if (!a.keyword_only) {
      positional.push_back(std::move(value));
      needed = left_out ? needed : positional.size();
    } else if (!left_out) {
      keywords[a.name.c_str()] = std::move(value);
    }
  }
  nb::object tuple =
      nb::steal(check(PyTuple_New(static_cast<Py_ssize_t>(needed))));
  for (size_t i = 0; i < needed; ++i) {
    PyTuple_SET_ITEM(
        tuple.ptr(), static_cast<Py_ssize_t>(i), positional[i].release().ptr());
  }
  return {tuple, keywords};
}

Value result_value(const Op& op, const Return& r, nb::handle object) {
  PyObject* o = object.ptr();
  if (o == Py_None) {
    return {};
  }
  switch (r.type) {
    case Type::Tensor:
      FL_CHECK(
          is_tensor(o),
          "Unable to cast ",
          nb::cast<std::string>(nb::str(object)),
          " to Tensor");
      return as_tensor(o);
    case Type::TensorList: {
      TensorList list;
      for (nb::handle t : nb::borrow<nb::sequence>(object)) {
        list.push_back(to_tensor(t.ptr(), op.schema.name.c_str()));
      }
      return list;
    }
    case Type::Bool:
      return nb::cast<bool>(object);
    case Type::Int:
      return to_int(o);
    case Type::Double:
      return to_double(o);
    case Type::Scalar:
      return to_scalar(o);
    case Type::Dtype:
      return to_dtype(o);
    default:
      fail<NotImplementedError>(
          "aten::",
          op.schema.name,
          " returns what a __torch_dispatch__ cannot give");
  }
}

// Operands whose classes are asked: one of each, a class before its bases.
class Overloaded {
 public:
  void add(const Tensor& t) {
    if (!is_dispatching(t)) {
      return;
    }
    nb::object o = nb::steal(wrap(t));
    nb::handle type = o.type();
    for (const nb::object& x : found_) {
      if (x.type().is(type)) {
        return;
      }
    }
    auto at = std::find_if(found_.begin(), found_.end(), [&](const auto& x) {
      return PyObject_IsSubclass(type.ptr(), x.type().ptr()) == 1;
    });
    found_.insert(at, std::move(o));
  }
  nb::tuple tuple() const {
    nb::list all;
    for (const nb::object& o : found_) {
      all.append(o);
    }
    return nb::tuple(all);
  }

 private:
  std::vector<nb::object> found_;
};

nb::tuple overloaded(const Op& op, const Value* args, const TensorList* outs) {
  Overloaded all;
  auto add = [&](const Tensor& t) { all.add(t); };
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(args[i], add);
  }
  if (outs) {
    std::for_each(outs->begin(), outs->end(), add);
  }
  return all.tuple();
}

Results run_in_python(
    const Op& op,
    OpForm form,
    const Value* args,
    const TensorList* outs) {
  nb::gil_scoped_acquire gil;
  auto [positional, keywords] = python_arguments(op, args);
  if (outs) {
    FL_CHECK_AS(
        NotImplementedError,
        outs->size() == 1 && !op.list_result,
        "aten::",
        op.schema.name,
        " with several out= under __torch_dispatch__");
    keywords["out"] = nb::steal(wrap(outs->front()));
  }
  nb::object result = handler()(
      overload_of(op, form), positional, keywords, overloaded(op, args, outs));
  Results results;
  const auto& returns = op.schema.returns;
  if (form != OpForm::Functional || returns.empty()) {
    return results;
  }
  if (returns.size() == 1) {
    results.push_back(result_value(op, returns[0], result));
    return results;
  }
  nb::sequence many = nb::cast<nb::sequence>(result);
  FL_CHECK(
      nb::len(many) == returns.size(),
      "aten::",
      op.schema.name,
      " has ",
      returns.size(),
      " results, but a __torch_dispatch__ returned ",
      nb::len(many));
  for (size_t i = 0; i < returns.size(); ++i) {
    results.push_back(result_value(op, returns[i], many[i]));
  }
  return results;
}

} // namespace

// Has the class a __torch_dispatch__ that is not the one of Tensor?
bool class_dispatches(PyTypeObject* type) {
  if (type == tensor_type() || type == tensor_base_type()) {
    return false;
  }
  static PyObject* disabled = [] {
    nb::object m = nb::module_::import_("flashlight._C");
    nb::object f = nb::getattr(m, "_disabled_torch_dispatch_impl", nb::none());
    return f.release().ptr();
  }();
  nb::handle cls(reinterpret_cast<PyObject*>(type));
  nb::object own = nb::getattr(cls, "__torch_dispatch__", nb::none());
  return !own.is_none() && own.ptr() != disabled;
}
PyTypeObject* subclass(PyObject* cls) {
  FL_CHECK_TYPE(
      PyType_Check(cls),
      "cls must be a type (got ",
      Py_TYPE(cls)->tp_name,
      ")");
  auto* type = reinterpret_cast<PyTypeObject*>(cls);
  FL_CHECK_TYPE(
      PyType_IsSubtype(type, tensor_base_type()),
      "Creating a Tensor subclass from a class that does not inherit from "
      "Tensor is not possible. Make sure your class inherits from Tensor.");
  return type;
}

Answers answers(const Tensor& t) {
  return is_dispatching(t) ? static_cast<PyTensor*>(t->python)->answers
                           : Answers::Nothing;
}

void ask(const Tensor& t, const char* name, nb::object is, nb::handle option) {
  nb::object ask = nb::module_::import_("flashlight._wrappers").attr("ask");
  nb::object self = nb::steal(wrap(t));
  if (option.is_valid()) {
    ask(self, name, is, option);
  } else {
    ask(self, name, is);
  }
}

void bind_dispatch_mode(nb::module_& m) {
  set_dispatch_handler(run_in_python);
  dispatching_hooks().detach = [](const Tensor& t) {
    NoGrad guard;
    return detach(t);
  };
  dispatching_hooks().item = [](const Tensor& t) {
    static const Op& row = get_op("_local_scalar_dense");
    return invoke<Scalar>(row, t);
  };
  m.def("_dispatching_tensors", [] { return dispatching_tensors.load(); });
  m.def("_require_grad", [](const Tensor& t) { require_grad(t); });
  m.def("_share_storage", [](const Tensor& to, const Tensor& from) {
    to->storage = from->storage;
  });
  m.def("_is_dispatching", [](const Tensor& t) { return is_dispatching(t); });
  m.def("_class_dispatches", [](nb::handle cls) {
    return class_dispatches(subclass(cls.ptr()));
  });
  m.def(
      "_make_wrapper",
      [](nb::handle cls,
         const std::vector<int64_t>& sizes,
         const std::vector<int64_t>& strides,
         int64_t offset,
         nb::handle dtype,
         nb::handle device,
         int answers) {
        Geometry g{
            IntList(sizes.begin(), sizes.end()),
            IntList(strides.begin(), strides.end()),
            offset};
        Tensor t = born(without_data(
            std::move(g), to_dtype(dtype.ptr()), to_device(device.ptr())));
        nb::object out = nb::steal(wrap_as(subclass(cls.ptr()), t));
        reinterpret_cast<PyTensor*>(out.ptr())->answers =
            static_cast<Answers>(answers);
        return out;
      });
  m.def("_set_dispatch_handler", [](nb::object f) { handler() = f; });
  m.def("_overloaded", [](nb::list tensors) {
    Overloaded all;
    for (nb::handle t : tensors) {
      all.add(to_tensor(t.ptr()));
    }
    return all.tuple();
  });
  m.def("_grad_mode_before_dispatch", [] { return grad_before_dispatch(); });
  // Is there a mode on this thread?
  m.def("_set_dispatching", [](bool on) {
    autograd_state().in_dispatch_mode = on;
  });
  // Is no class asked? The answer is what was so before.
  m.def("_set_dispatching_disabled", [](bool disabled) {
    return std::exchange(dispatching_disabled(), disabled);
  });
}

} // namespace flashlight::bind
