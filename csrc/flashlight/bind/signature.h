// Python's side of a schema: matching arguments, choosing overloads, errors.
//
// Note [Arguments]
// A name (torch.sum) stands for a group of rows. Each row gives one signature:
// its arguments in order, `self` spelled `input` in functions and bound in
// methods, `out` and the tensor options that PyTorch adds. A call tries the
// signatures in order with checks that do not raise; if none matches, the error
// is worded from the same signatures. Nothing here knows an op by name, except
// that PyTorch takes numbers for tensors in some.
#pragma once

#include <string>
#include <vector>

#include "flashlight/bind/py_tensor.h"
#include "flashlight/ops/op.h"

namespace flashlight::bind {

enum class Form : uint8_t { Function, Method, Inplace, InplaceFunction };

struct Parameter {
  std::string name;
  Type type;
  int arg = -1; // index in the schema; -1: out, requires_grad
  bool optional = false;
  bool optional_elements = false;
  bool has_default = false;
  bool keyword_only = false;
  bool numbers_as_tensors = false;
  bool symbolic = false; // SymInt in the schema: an int, but ordered apart
  int64_t list_size = 0;
  std::string default_text;
  PyObject* interned = nullptr;
};

struct PySignature {
  const Op* op = nullptr;
  std::vector<Parameter> params;
  size_t self = 0; // the argument that a method is of
  size_t max_positional = 0;
  size_t min_args = 0;
  bool varargs_ints = false; // x.view(2, 3)
  bool is_factory = false;   // takes requires_grad

  std::string text() const; // "(Tensor input, *, Tensor out=None)"
};

struct OpGroup {
  std::string name; // "add"
  Form form = Form::Function;
  std::vector<PySignature> signatures;
  std::vector<PySignature> deprecated = {}; // found last, and in no error
};

struct Parsed {
  const PySignature* signature = nullptr;
  mx::SmallVector<Value, 8> args; // no heap for most ops
  PyObject* out = nullptr;        // borrowed
  bool requires_grad = false;
};

// Takes Python numbers where the schema says Tensor: PyTorch's list.
bool takes_numbers(const std::string& name);
PySignature make_signature(const Op& op, Form form);
// The orders in which PyTorch once took the same arguments: add(2, other).
std::vector<PySignature> deprecated_signatures(const Op& op, Form form);
// Orders overloads as PyTorch does: tensors before numbers.
void sort_signatures(std::vector<PySignature>& signatures);

// `self` is nullptr for functions. Sets `parsed`, or throws TypeError.
void parse_arguments(
    const OpGroup& group,
    PyObject* self,
    PyObject* const* args,
    size_t nargs,
    PyObject* kwnames,
    Parsed& parsed);

} // namespace flashlight::bind
