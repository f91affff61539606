// See Note [Arguments] in signature.h.
#include "flashlight/bind/signature.h"
#include "flashlight/autograd/levels.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "flashlight/core/runtime.h"
#include "flashlight/core/warn_once.h"

namespace flashlight::bind {

bool takes_numbers(const std::string& name) {
  static const std::unordered_set<std::string> names = {
      "add",
      "sub",
      "mul",
      "div",
      "divide",
      "multiply",
      "subtract",
      "true_divide",
      "floor_divide",
      "copy"};
  return names.count(name) > 0;
}

namespace {

// One that a transform has left behind is what it stood for.
Tensor operand(PyObject* o) {
  const Tensor& t = as_tensor(o);
  return t->wrapped ? without_dead_levels(t) : t;
}

bool is_plain_tensor_number(PyObject* o, bool integral) {
  if (!is_tensor(o)) {
    return false;
  }
  const Tensor& t = as_tensor(o);
  return t.dim() == 0 && !requires_grad(t) &&
         (!integral || flashlight::is_integral(t.dtype(), false));
}

bool is_int_like(PyObject* o) {
  return is_int(o) || is_plain_tensor_number(o, true);
}

bool is_sequence(PyObject* o) {
  return PyTuple_Check(o) || PyList_Check(o);
}

PyObject* item(PyObject* sequence, Py_ssize_t i) {
  return PyTuple_Check(sequence) ? PyTuple_GET_ITEM(sequence, i)
                                 : PyList_GET_ITEM(sequence, i);
}
Py_ssize_t length(PyObject* sequence) {
  return PyTuple_Check(sequence) ? PyTuple_GET_SIZE(sequence)
                                 : PyList_GET_SIZE(sequence);
}

bool accepts(const Parameter& p, PyObject* o, bool* bad_element = nullptr) {
  if (o == Py_None) {
    return p.optional || (p.has_default && p.default_text == "None");
  }
  switch (p.type) {
    case Type::Tensor:
      return is_tensor(o) || (p.numbers_as_tensors && is_number(o));
    case Type::Scalar:
      return is_number(o) || is_plain_tensor_number(o, false);
    case Type::Int:
      return is_int_like(o);
    case Type::Double:
      return (is_number(o) && !PyComplex_Check(o)) ||
             is_plain_tensor_number(o, false);
    case Type::Bool:
      if (PyBool_Check(o)) {
        return true;
      }
      if (is_tensor(o)) {
        const Tensor& t = as_tensor(o);
        return t.dim() == 0 && t.dtype() == Dtype::Bool && !requires_grad(t);
      }
      return strcmp(Py_TYPE(o)->tp_name, "numpy.bool") == 0;
    case Type::IntList:
      if (is_sequence(o)) {
        PyObject* first = length(o) ? item(o, 0) : nullptr;
        if (first && is_tensor(first)) { // all have __index__
          const Tensor& t = as_tensor(first);
          return t.numel() == 1 && is_integral(t.dtype(), true);
        }
        return !first || is_int_like(first) || PyIndex_Check(first);
      }
      return p.list_size > 0 && is_int_like(o);
    case Type::DoubleList:
      if (is_sequence(o)) {
        return length(o) == 0 || is_number(item(o, 0));
      }
      return p.list_size > 0 && is_number(o);
    case Type::TensorList: {
      if (!is_sequence(o)) {
        return false;
      }
      for (Py_ssize_t i = 0; i < length(o); ++i) {
        PyObject* x = item(o, i);
        if (!is_tensor(x) && !(p.optional_elements && x == Py_None)) {
          if (bad_element) {
            *bad_element = true;
          }
          return false;
        }
      }
      return true;
    }
    case Type::ScalarList: {
      if (!is_sequence(o)) {
        return false;
      }
      for (Py_ssize_t i = 0; i < length(o); ++i) {
        if (!is_number(item(o, i))) {
          return false;
        }
      }
      return true;
    }
    case Type::BoolList:
      return is_sequence(o) && (length(o) == 0 || PyBool_Check(item(o, 0)));
    case Type::Dtype:
      return is_dtype(o);
    case Type::Device:
      return is_device(o);
    case Type::Layout:
      return is_layout(o);
    case Type::MemoryFormat:
      return is_memory_format(o);
    case Type::String:
      return PyUnicode_Check(o);
    case Type::Generator:
      return is_generator(o);
  }
  return false;
}

const char* type_text(const Parameter& p) {
  switch (p.type) {
    case Type::Tensor:
      return "Tensor";
    case Type::TensorList:
      return "tuple of Tensors";
    case Type::Scalar:
      return "Number";
    case Type::ScalarList:
      return "tuple of Scalars";
    case Type::Int:
      return "int";
    case Type::IntList:
      return "tuple of ints";
    case Type::Double:
      return "float";
    case Type::DoubleList:
      return "tuple of floats";
    case Type::Bool:
      return "bool";
    case Type::BoolList:
      return "tuple of bools";
    case Type::Dtype:
      return "torch.dtype";
    case Type::Device:
      return "torch.device";
    case Type::Layout:
      return "torch.layout";
    case Type::MemoryFormat:
      return "torch.memory_format";
    case Type::String:
      return "str";
    case Type::Generator:
      return "torch.Generator";
  }
  return "?";
}

std::string python_type(PyObject* o) {
  if (is_tensor(o)) {
    return Py_TYPE(o) == tensor_type() ? "Tensor" : Py_TYPE(o)->tp_name;
  }
  std::string name = Py_TYPE(o)->tp_name;
  size_t dot = name.rfind('.');
  bool own = name.rfind("flashlight", 0) == 0 || name.rfind("torch", 0) == 0;
  return own && dot != std::string::npos && !nb::isinstance<nb::str>(o)
             ? "torch." + name.substr(dot + 1)
             : name;
}

Value convert(const PySignature& s, const Parameter& p, PyObject* o);

[[noreturn]] void bad_int_element(
    const PySignature& s,
    const Parameter& p,
    PyObject* o,
    Py_ssize_t i) {
  fail<TypeError>(
      s.op->schema.name,
      "(): argument '",
      p.name,
      "' must be ",
      type_text(p),
      ", but found element of type ",
      python_type(o),
      " at pos ",
      i);
}

IntList int_list(const PySignature& s, const Parameter& p, PyObject* o) {
  if (!is_sequence(o)) {
    int64_t x = is_tensor(o) ? as_tensor(o).item().to_int() : to_int(o);
    return IntList(static_cast<size_t>(p.list_size), x);
  }
  IntList list;
  Py_ssize_t n = length(o);
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* x = item(o, i);
    if (PyLong_Check(x)) {
      list.push_back(to_int(x));
    } else if (is_tensor(x) && as_tensor(x).numel() == 1) {
      list.push_back(as_tensor(x).item().to_int());
    } else if (PyIndex_Check(x)) {
      list.push_back(to_int(x));
    } else {
      bad_int_element(s, p, x, i);
    }
  }
  return list;
}

Value convert(const PySignature& s, const Parameter& p, PyObject* o) {
  if (o == Py_None) {
    return {};
  }
  switch (p.type) {
    case Type::Tensor:
      return is_tensor(o) ? operand(o) : wrapped_number(to_scalar(o));
    case Type::Scalar:
      return to_scalar(o);
    case Type::Int:
      return is_tensor(o) ? as_tensor(o).item().to_int() : to_int(o);
    case Type::Double:
      return to_double(o);
    case Type::Bool:
      return PyObject_IsTrue(o) == 1;
    case Type::IntList:
      return int_list(s, p, o);
    case Type::DoubleList: {
      DoubleList list;
      if (!is_sequence(o)) {
        list.assign(static_cast<size_t>(p.list_size), to_double(o));
        return list;
      }
      for (Py_ssize_t i = 0; i < length(o); ++i) {
        list.push_back(to_double(item(o, i)));
      }
      return list;
    }
    case Type::TensorList: {
      TensorList list;
      for (Py_ssize_t i = 0; i < length(o); ++i) {
        PyObject* x = item(o, i);
        list.push_back(x == Py_None ? Tensor() : operand(x));
      }
      return list;
    }
    case Type::ScalarList: {
      ScalarList list;
      for (Py_ssize_t i = 0; i < length(o); ++i) {
        list.push_back(to_scalar(item(o, i)));
      }
      return list;
    }
    case Type::BoolList: {
      BoolList list;
      for (Py_ssize_t i = 0; i < length(o); ++i) {
        list.push_back(PyObject_IsTrue(item(o, i)) == 1);
      }
      return list;
    }
    case Type::Dtype:
      return to_dtype(o);
    case Type::Device:
      return to_device(o);
    case Type::Layout:
      return to_layout(o);
    case Type::MemoryFormat:
      return to_memory_format(o);
    case Type::String:
      return nb::cast<std::string>(nb::handle(o));
    case Type::Generator:
      return to_generator(o);
  }
  return {};
}

// What was given for each parameter; null for its default.
using Found = mx::SmallVector<PyObject*, 16>;

// The arguments of a call, by position and by name.
struct Given {
  PyObject* const* args;
  size_t nargs;
  PyObject* kwnames;

  size_t nkw() const {
    return kwnames ? static_cast<size_t>(PyTuple_GET_SIZE(kwnames)) : 0;
  }
  PyObject* keyword(const Parameter& p) const {
    for (size_t i = 0; i < nkw(); ++i) {
      PyObject* name = PyTuple_GET_ITEM(kwnames, static_cast<Py_ssize_t>(i));
      if (name == p.interned ||
          PyUnicode_CompareWithASCIIString(name, p.name.c_str()) == 0) {
        return args[nargs + i];
      }
    }
    return nullptr;
  }
};

// numpy's names of arguments, which PyTorch takes too.
PyObject* numpy_keyword(const Given& given, const Parameter& p) {
  static const std::pair<const char*, const char*> kSame[] = {
      {"dim", "axis"},
      {"keepdim", "keepdims"},
      {"input", "x"},
      {"other", "x2"}};
  for (auto [own, theirs] : kSame) {
    if (p.name == own) {
      Parameter alias;
      alias.name = theirs;
      return given.keyword(alias);
    }
  }
  return nullptr;
}

// Fills `found` (one entry per parameter; null: default) if the call fits.
// With `why`, fails with PyTorch's error instead of returning false.
bool match(
    const OpGroup& group,
    const PySignature& s,
    const Given& given,
    Found& found,
    bool& varargs,
    bool raise) {
  found.clear();
  found.resize(s.params.size(), nullptr);
  varargs = false;
  size_t nargs = given.nargs;
  if (nargs > s.max_positional) {
    // x.view(2, 3): all positional arguments are one list.
    if (s.varargs_ints && is_int_like(given.args[0])) {
      varargs = true;
    } else if (raise) {
      fail<TypeError>(
          group.name,
          "() takes ",
          s.max_positional,
          " positional argument",
          s.max_positional == 1 ? "" : "s",
          " but ",
          nargs,
          nargs == 1 ? " was given" : " were given");
    } else {
      return false;
    }
  }
  size_t position = 0, used_keywords = 0;
  for (size_t i = 0; i < s.params.size(); ++i) {
    const Parameter& p = s.params[i];
    PyObject* o = nullptr;
    bool by_position = false;
    if (!p.keyword_only && position < nargs) {
      if (s.varargs_ints && i == 0 &&
          (varargs || (is_int_like(given.args[0]) && p.list_size == 0))) {
        varargs = true;
        for (size_t k = 0; k < nargs; ++k) {
          if (!is_int_like(given.args[k])) {
            if (raise) {
              bad_int_element(s, p, given.args[k], static_cast<Py_ssize_t>(k));
            }
            return false;
          }
        }
        position = nargs;
        found[i] = given.args[0];
        if (given.nkw() && given.keyword(p)) {
          return false;
        }
        continue;
      }
      o = given.args[position++];
      by_position = true;
      if (given.nkw() && given.keyword(p)) {
        if (raise) {
          fail<TypeError>(
              group.name, "() got multiple values for argument '", p.name, "'");
        }
        return false;
      }
    } else if (given.nkw()) {
      o = given.keyword(p);
      if (!o) {
        o = numpy_keyword(given, p);
      }
      used_keywords += o != nullptr;
    }
    if (!o) {
      if (p.has_default) {
        continue;
      }
      if (raise) {
        std::string missing;
        size_t count = 0;
        for (size_t k = i; k < s.params.size(); ++k) {
          const Parameter& q = s.params[k];
          if (!q.has_default && !given.keyword(q)) {
            missing += (count++ ? ", " : "") + ("\"" + q.name + "\"");
          }
        }
        fail<TypeError>(
            group.name,
            "() missing ",
            count,
            " required positional arguments: ",
            missing);
      }
      return false;
    }
    if (!accepts(p, o)) {
      if (raise) {
        if (p.type == Type::TensorList && is_sequence(o)) {
          for (Py_ssize_t k = 0; k < length(o); ++k) {
            if (!is_tensor(item(o, k))) {
              fail<TypeError>(
                  "expected Tensor as element ",
                  k,
                  " in argument ",
                  by_position ? position - 1 : i,
                  ", but got ",
                  python_type(item(o, k)));
            }
          }
        }
        if (p.type == Type::IntList && is_sequence(o)) {
          bad_int_element(s, p, item(o, 0), 0);
        }
        if (by_position) {
          fail<TypeError>(
              group.name,
              "(): argument '",
              p.name,
              "' (position ",
              position,
              ") must be ",
              type_text(p),
              ", not ",
              python_type(o));
        }
        fail<TypeError>(
            group.name,
            "(): argument '",
            p.name,
            "' must be ",
            type_text(p),
            ", not ",
            python_type(o));
      }
      return false;
    }
    found[i] = o;
  }
  if (used_keywords < given.nkw()) {
    if (raise) {
      for (size_t k = 0; k < given.nkw(); ++k) {
        nb::str name = nb::borrow<nb::str>(
            PyTuple_GET_ITEM(given.kwnames, static_cast<Py_ssize_t>(k)));
        bool known = std::any_of(
            s.params.begin(), s.params.end(), [&](const Parameter& p) {
              return p.name == name.c_str();
            });
        if (!known) {
          fail<TypeError>(
              group.name,
              "() got an unexpected keyword argument '",
              name.c_str(),
              "'");
        }
      }
      fail<TypeError>("invalid keyword arguments");
    }
    return false;
  }
  return true;
}

[[noreturn]] void raise_no_match(const OpGroup& group, const Given& given) {
  size_t total = given.nargs + given.nkw();
  std::vector<const PySignature*> plausible;
  for (const PySignature& s : group.signatures) {
    if (total >= s.min_args && total <= s.params.size()) {
      plausible.push_back(&s);
    }
  }
  Found found;
  bool varargs = false;
  if (group.signatures.size() == 1) {
    (void)match(group, group.signatures[0], given, found, varargs, true);
  } else if (plausible.size() == 1) {
    (void)match(group, *plausible[0], given, found, varargs, true);
  }
  std::string got;
  for (size_t i = 0; i < given.nargs; ++i) {
    PyObject* o = given.args[i];
    got += got.empty() ? "" : ", ";
    if (PyTuple_Check(o) || PyList_Check(o)) {
      got += PyTuple_Check(o) ? "tuple of (" : "list of [";
      for (Py_ssize_t k = 0; k < length(o); ++k) {
        got += (k ? ", " : "") + python_type(item(o, k));
      }
      if (PyTuple_Check(o) && length(o) == 1) {
        got += ",";
      }
      got += PyTuple_Check(o) ? ")" : "]";
    } else {
      got += python_type(o);
    }
  }
  for (size_t i = 0; i < given.nkw(); ++i) {
    nb::str name = nb::borrow<nb::str>(
        PyTuple_GET_ITEM(given.kwnames, static_cast<Py_ssize_t>(i)));
    got += (got.empty() ? "" : ", ") + std::string(name.c_str()) + "=" +
           python_type(given.args[given.nargs + i]);
  }
  std::string text = group.name +
                     "() received an invalid combination of arguments - got (" +
                     got + "), but expected one of:";
  for (const PySignature& s : group.signatures) {
    text += "\n * " + s.text();
  }
  fail<TypeError>(text, "\n");
}

} // namespace

std::string PySignature::text() const {
  std::string out = "(";
  bool star = false;
  for (size_t i = 0; i < params.size(); ++i) {
    const Parameter& p = params[i];
    out += i ? ", " : "";
    if (p.keyword_only && !star) {
      out += "*, ";
      star = true;
    }
    out += std::string(type_text(p)) + " " + p.name;
    if (p.has_default) {
      out += " = " + p.default_text;
    }
  }
  return out + ")";
}

namespace {

// Is the argument's type SymInt, in some form of it?
bool is_symbolic(const std::string& schema, const std::string& argument) {
  std::string name = " " + argument;
  for (size_t at = 0; (at = schema.find(name, at)) != std::string::npos; ++at) {
    char next = schema[at + name.size()];
    if (next == ',' || next == '=' || next == ')') {
      size_t type = schema.find_last_of(" (", at - 1) + 1;
      return schema.compare(type, 6, "SymInt") == 0;
    }
  }
  return false;
}

} // namespace

PySignature make_signature(const Op& op, Form form) {
  PySignature s;
  s.op = &op;
  const Schema& schema = op.schema;
  // where(condition, self, other) is condition's method in none of its forms.
  s.self = static_cast<size_t>(std::max(schema.index_of("self"), 0));
  bool numbers = takes_numbers(schema.name);
  bool has_dtype = false, has_device = false, has_layout = false;
  for (size_t i = 0; i < schema.args.size(); ++i) {
    const Argument& a = schema.args[i];
    has_dtype = has_dtype || a.type == Type::Dtype;
    has_device = has_device || a.type == Type::Device;
    has_layout = has_layout || a.type == Type::Layout;
    if ((form == Form::Method || form == Form::Inplace) && i == s.self) {
      continue;
    }
    Parameter p;
    p.name = a.name == "self" && a.is_tensor() ? "input" : a.name;
    p.type = a.type;
    p.arg = static_cast<int>(i);
    p.optional = a.optional;
    p.optional_elements = a.optional_elements;
    p.has_default = a.has_default;
    p.default_text = a.default_text;
    p.keyword_only = a.keyword_only;
    p.numbers_as_tensors = numbers && a.is_tensor();
    p.list_size = a.list_size;
    p.symbolic = is_symbolic(schema.text, a.name);
    s.params.push_back(std::move(p));
  }
  for (const Parameter& p : s.params) {
    s.max_positional += !p.keyword_only;
    s.min_args += !p.has_default;
  }
  s.varargs_ints = s.max_positional == 1 && !s.params.empty() &&
                   s.params[0].type == Type::IntList;
  if (form == Form::Function && op.out) {
    Parameter p;
    p.name = "out";
    bool several = schema.returns.size() > 1 || op.list_result;
    p.type = several ? Type::TensorList : Type::Tensor;
    p.keyword_only = p.optional = p.has_default = true;
    p.default_text = "None";
    s.params.push_back(p);
  }
  // Factories: rows with dtype, layout and device.
  if (has_dtype && has_device && has_layout &&
      (form == Form::Function || form == Form::Method) &&
      schema.name != "_to_copy" && schema.name != "to") {
    Parameter p;
    p.name = "requires_grad";
    p.type = Type::Bool;
    p.keyword_only = p.has_default = true;
    p.default_text = "False";
    s.params.push_back(p);
    s.is_factory = true;
  }
  for (Parameter& p : s.params) {
    p.interned = PyUnicode_InternFromString(p.name.c_str());
  }
  return s;
}

std::vector<PySignature> deprecated_signatures(const Op& op, Form form) {
  using Order = std::vector<std::string_view>;
  static const std::map<std::string_view, std::vector<Order>> kOrders = {
      {"add", {{"self", "alpha", "other"}}},
      {"sub", {{"self", "alpha", "other"}}},
      {"addcdiv", {{"self", "value", "tensor1", "tensor2"}}},
      {"addcmul", {{"self", "value", "tensor1", "tensor2"}}},
      {"addmm",
       {{"beta", "self", "alpha", "mat1", "mat2"},
        {"beta", "self", "mat1", "mat2"}}},
      {"addmv",
       {{"beta", "self", "alpha", "mat", "vec"},
        {"beta", "self", "mat", "vec"}}},
      {"addr",
       {{"beta", "self", "alpha", "vec1", "vec2"},
        {"beta", "self", "vec1", "vec2"}}},
      {"addbmm",
       {{"beta", "self", "alpha", "batch1", "batch2"},
        {"beta", "self", "batch1", "batch2"}}},
      {"baddbmm",
       {{"beta", "self", "alpha", "batch1", "batch2"},
        {"beta", "self", "batch1", "batch2"}}},
  };
  std::vector<PySignature> out;
  auto found = kOrders.find(op.schema.name);
  // Of add.Scalar and the like there are none.
  if (found == kOrders.end() || op.schema.args[1].type != Type::Tensor) {
    return out;
  }
  PySignature whole = make_signature(op, form);
  for (const Order& order : found->second) {
    PySignature s = whole;
    s.params.clear();
    for (std::string_view name : order) {
      int arg = op.schema.index_of(name);
      for (const Parameter& p : whole.params) {
        if (p.arg == arg) {
          s.params.push_back(p);
          s.params.back().keyword_only = s.params.back().has_default = false;
        }
      }
    }
    s.max_positional = s.min_args = s.params.size();
    if (whole.params.back().name == "out") {
      s.params.push_back(whole.params.back());
    }
    out.push_back(std::move(s));
  }
  return out;
}

namespace {

// How PyTorch's generator spells a type; its order of overloads begins with
// that of these spellings.
const char* spelling(const Parameter& p) {
  switch (p.type) {
    case Type::Int:
      return p.symbolic ? "SymInt" : "int64_t";
    case Type::IntList:
      return p.symbolic ? "SymIntArrayRef" : "IntArrayRef";
    case Type::Double:
      return "double";
    case Type::DoubleList:
      return "ArrayRef<double>";
    case Type::Scalar:
      return "Scalar";
    case Type::ScalarList:
      return "ScalarList";
    case Type::TensorList:
      return "TensorList";
    case Type::Dtype:
      return "ScalarType";
    case Type::String:
      return "c10::string_view";
    default:
      return type_text(p);
  }
}

std::string sort_key(const PySignature& s) {
  std::string key;
  bool star = false;
  for (const Parameter& p : s.params) {
    key += ", ";
    if (p.keyword_only && !star) {
      key += "*, ";
      star = true;
    }
    key += std::string(spelling(p)) + (p.optional ? "? " : " ") + p.name;
    if (p.has_default) {
      key += "=" + p.default_text;
    }
  }
  return key + ")";
}

// A call that fits both types is for the other one.
bool yields(const Parameter& a, const Parameter& b) {
  bool list = b.type == Type::IntList || b.type == Type::DoubleList ||
              b.type == Type::BoolList || b.type == Type::ScalarList;
  bool ints = a.type == Type::IntList && a.list_size == 0 && !a.optional;
  bool other_ints = b.type == Type::IntList && b.list_size == 0 && !b.optional;
  return (a.type == Type::Scalar && b.type == Type::Tensor) ||
         (a.type == Type::Int && b.type == Type::Tensor && !a.optional &&
          !b.optional) ||
         (ints && !a.symbolic && b.type == Type::Int && !b.symbolic) ||
         (ints && a.symbolic && other_ints && !b.symbolic) ||
         (a.type == Type::TensorList && list);
}

// As PyTorch's partial order: of the same number of arguments, each of the same
// type or one that yields.
bool yields(const PySignature& a, const PySignature& b) {
  auto arguments = [](const PySignature& s) {
    return std::count_if(s.params.begin(), s.params.end(), [](const auto& p) {
      return p.arg >= 0;
    });
  };
  auto n = static_cast<size_t>(arguments(a));
  if (n != static_cast<size_t>(arguments(b))) {
    return false;
  }
  bool any = false;
  for (size_t i = 0; i < n; ++i) {
    const Parameter &p = a.params[i], &q = b.params[i];
    bool same = p.type == q.type && p.optional == q.optional &&
                p.symbolic == q.symbolic;
    any = any || !same;
    if (!same && !yields(p, q)) {
      return false;
    }
  }
  return any;
}

} // namespace

void sort_signatures(std::vector<PySignature>& signatures) {
  std::vector<PySignature> rest = std::move(signatures);
  std::stable_sort(rest.begin(), rest.end(), [](const auto& a, const auto& b) {
    return sort_key(a) < sort_key(b);
  });
  signatures.clear();
  // Topologically: those that yield to none of the others come first.
  while (!rest.empty()) {
    std::vector<PySignature> later, now;
    for (const PySignature& s : rest) {
      bool waits = std::any_of(rest.begin(), rest.end(), [&](const auto& o) {
        return yields(s, o);
      });
      (waits ? later : now).push_back(s);
    }
    signatures.insert(signatures.end(), now.begin(), now.end());
    rest = std::move(later);
  }
}

namespace {

void warn_of_deprecated(const OpGroup& group, const PySignature& used) {
  static WarnOnce warn;
  std::string text =
      "This overload of " + group.name + " is deprecated:\n\t" + group.name +
      used.text() + "\nConsider using one of the following signatures instead:";
  for (const PySignature& s : group.signatures) {
    text += "\n\t" + group.name + s.text();
  }
  warn(text);
}

// A factory makes its numbers in the dtype of `out`.
void fill_dtype_of_out(
    const PySignature& s,
    const Found& found,
    Parsed& parsed) {
  Dtype dtype = to_tensor(parsed.out, "out").dtype();
  for (size_t i = 0; i < s.params.size(); ++i) {
    if (s.params[i].type == Type::Dtype && s.params[i].arg >= 0) {
      Value& given = parsed.args[static_cast<size_t>(s.params[i].arg)];
      FL_CHECK(
          !found[i] || given.is_none() || given.as<Dtype>() == dtype,
          "dtype ",
          scalar_name(given.is_none() ? dtype : given.as<Dtype>()),
          " does not match dtype of out parameter (",
          scalar_name(dtype),
          ")");
      given = dtype;
    }
  }
}

} // namespace

void parse_arguments(
    const OpGroup& group,
    PyObject* self,
    PyObject* const* args,
    size_t nargs,
    PyObject* kwnames,
    Parsed& parsed) {
  Given given{args, nargs, kwnames};
  Found found;
  bool varargs = false;
  const PySignature* chosen = nullptr;
  for (const PySignature& s : group.signatures) {
    if (match(group, s, given, found, varargs, false)) {
      chosen = &s;
      break;
    }
  }
  bool deprecated = !chosen;
  for (const PySignature& s : group.deprecated) {
    if (!chosen && match(group, s, given, found, varargs, false)) {
      chosen = &s;
      warn_of_deprecated(group, s);
      break;
    }
  }
  if (!chosen) {
    raise_no_match(group, given);
  }
  parsed.signature = chosen;
  const Schema& schema = chosen->op->schema;
  parsed.args.resize(schema.args.size());
  for (size_t k = 0; deprecated && k < schema.args.size(); ++k) {
    parsed.args[k] = schema.args[k].default_value; // what it does not name
  }
  if (self) {
    parsed.args[chosen->self].emplace(operand(self));
  }
  for (size_t i = 0; i < chosen->params.size(); ++i) {
    const Parameter& p = chosen->params[i];
    PyObject* o = found[i];
    if (p.arg < 0) {
      if (o && p.name == "out" && o != Py_None) {
        parsed.out = o;
      } else if (o && p.name == "requires_grad") {
        parsed.requires_grad = PyObject_IsTrue(o) == 1;
      }
      continue;
    }
    auto k = static_cast<size_t>(p.arg);
    if (!o) {
      parsed.args[k] = schema.args[k].default_value;
    } else if (varargs && i == 0) {
      IntList list;
      for (size_t a = 0; a < nargs; ++a) {
        PyObject* x = args[a];
        list.push_back(is_tensor(x) ? as_tensor(x).item().to_int() : to_int(x));
      }
      parsed.args[k] = std::move(list);
    } else if (p.type == Type::Tensor && is_tensor(o)) {
      parsed.args[k].emplace(operand(o)); // made in its place
    } else {
      parsed.args[k] = convert(*chosen, p, o);
    }
  }
  if (chosen->is_factory && parsed.out) {
    fill_dtype_of_out(*chosen, found, parsed);
  }
}

} // namespace flashlight::bind
