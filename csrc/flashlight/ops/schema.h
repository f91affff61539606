// PyTorch's schema strings, parsed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flashlight/core/value.h"

namespace flashlight {

enum class Type : uint8_t {
  Tensor,
  TensorList,
  Scalar,
  ScalarList,
  Int,
  IntList,
  Double,
  DoubleList,
  Bool,
  BoolList,
  Dtype,
  Device,
  Layout,
  MemoryFormat,
  String,
  Generator,
};

struct Argument {
  std::string name;
  Type type = Type::Tensor;
  bool optional = false;          // T?
  bool optional_elements = false; // Tensor?[]
  int64_t list_size = 0;          // int[2]: 2, and one int stands for all
  bool has_default = false;
  Value default_value;
  std::string default_text;
  bool keyword_only = false;
  bool view = false;    // Tensor(a)
  bool mutated = false; // Tensor(a!)

  bool is_tensor() const {
    return type == Type::Tensor;
  }
};

struct Return {
  std::string name; // "values", or empty
  Type type = Type::Tensor;
  bool view = false;
  bool mutated = false;
};

struct FL_API Schema {
  std::string text;
  std::string name;     // "add"
  std::string overload; // "Tensor", or empty
  std::vector<Argument> args;
  std::vector<Return> returns;

  // "add.Tensor"
  std::string full_name() const {
    return overload.empty() ? name : name + "." + overload;
  }
  // -1 if there is none
  int index_of(std::string_view arg) const;
};

// Error if the text is not in PyTorch's grammar.
FL_API Schema parse_schema(std::string_view text);

} // namespace flashlight
