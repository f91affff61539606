#include "flashlight/ops/schema.h"

#include <array>
#include <charconv>
#include <limits>

namespace flashlight {

namespace {

struct Parser {
  std::string_view text;
  size_t at = 0;

  [[noreturn]] void bad(const char* what) const {
    fail("schema '", text, "': ", what, " at column ", at);
  }
  void skip() {
    while (at < text.size() && text[at] == ' ') {
      ++at;
    }
  }
  bool eat(std::string_view token) {
    skip();
    if (text.substr(at, token.size()) != token) {
      return false;
    }
    at += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!eat(token)) {
      bad("unexpected text");
    }
  }
  std::string_view word() {
    skip();
    size_t start = at;
    auto ok = [](char c) { return isalnum(c) || c == '_'; };
    while (at < text.size() && ok(text[at])) {
      ++at;
    }
    return text.substr(start, at - start);
  }

  // "(a!)", "(a -> *)"
  void alias(bool& view, bool& mutated) {
    skip();
    if (at < text.size() && text[at] == '(') {
      size_t close = text.find(')', at);
      view = true;
      mutated = text.substr(at, close - at).find('!') != std::string_view::npos;
      at = close + 1;
    }
  }

  Type base_type(std::string_view w) const {
    static constexpr std::array<std::pair<std::string_view, Type>, 13> kTypes{{
        {"Tensor", Type::Tensor},
        {"Scalar", Type::Scalar},
        {"int", Type::Int},
        {"SymInt", Type::Int},
        {"float", Type::Double},
        {"bool", Type::Bool},
        {"ScalarType", Type::Dtype},
        {"Device", Type::Device},
        {"Layout", Type::Layout},
        {"MemoryFormat", Type::MemoryFormat},
        {"str", Type::String},
        {"Generator", Type::Generator},
        {"Dimname", Type::String},
    }};
    for (const auto& [name, type] : kTypes) {
      if (name == w) {
        return type;
      }
    }
    bad("unknown type");
  }

  Type list_of(Type t) const {
    switch (t) {
      case Type::Tensor:
        return Type::TensorList;
      case Type::Scalar:
        return Type::ScalarList;
      case Type::Int:
        return Type::IntList;
      case Type::Double:
        return Type::DoubleList;
      case Type::Bool:
        return Type::BoolList;
      default:
        bad("a list of this type is not supported");
    }
  }

  Argument argument() {
    Argument a;
    a.type = base_type(word());
    alias(a.view, a.mutated);
    bool optional = eat("?");
    if (eat("[")) {
      std::string_view size = word();
      if (!size.empty()) {
        std::from_chars(size.data(), size.data() + size.size(), a.list_size);
      }
      expect("]");
      a.type = list_of(a.type);
      a.optional_elements = optional;
      optional = eat("?");
      bool view = false, mutated = false;
      alias(view, mutated);
      a.view = a.view || view;
      a.mutated = a.mutated || mutated;
    }
    a.optional = optional;
    a.name = std::string(word());
    if (eat("=")) {
      a.has_default = true;
      default_of(a);
    }
    return a;
  }

  void default_of(Argument& a) {
    skip();
    size_t start = at;
    int depth = 0;
    for (; at < text.size(); ++at) {
      char c = text[at];
      if (depth == 0 && (c == ',' || c == ')')) {
        break;
      }
      depth += (c == '[') - (c == ']');
    }
    std::string_view d = text.substr(start, at - start);
    a.default_text = std::string(d);
    if (d == "None") {
      return;
    }
    auto number = [&](std::string_view s) {
      double x = 0;
      auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), x);
      if (error != std::errc()) {
        bad("bad number");
      }
      return x;
    };
    auto integer = [&](std::string_view s) {
      if (s == "Mean") {
        return int64_t{0}; // what PyTorch's Python makes of it; C++ has 1
      }
      if (s == "long_max" || s == "9223372036854775807") {
        return std::numeric_limits<int64_t>::max();
      }
      return static_cast<int64_t>(number(s));
    };
    switch (a.type) {
      case Type::Bool:
        a.default_value = d == "True";
        break;
      case Type::Int:
        a.default_value = integer(d);
        break;
      case Type::Double:
        a.default_value =
            d == "inf" ? std::numeric_limits<double>::infinity() : number(d);
        break;
      case Type::Scalar: {
        bool is_int = d.find_first_of(".e") == std::string_view::npos;
        a.default_value = d == "True" || d == "False" ? Scalar(d == "True")
                          : is_int                    ? Scalar(integer(d))
                                                      : Scalar(number(d));
        break;
      }
      case Type::String:
        a.default_value = std::string(d.substr(1, d.size() - 2));
        break;
      case Type::IntList:
      case Type::DoubleList:
      case Type::BoolList:
        list_default(a, d, integer);
        break;
      case Type::MemoryFormat:
        if (d == "contiguous_format") {
          a.default_value = MemoryFormat::Contiguous;
        } else if (d == "preserve_format") {
          a.default_value = MemoryFormat::Preserve;
        } else {
          bad("bad memory format");
        }
        break;
      case Type::Dtype:
        if (d == "long") {
          a.default_value = Dtype::Int64;
        } else if (d == "float") {
          a.default_value = Dtype::Float32;
        } else {
          bad("bad dtype");
        }
        break;
      default:
        bad("a default of this type is not supported");
    }
  }

  template <typename F>
  void list_default(Argument& a, std::string_view d, F&& integer) {
    IntList ints;
    if (d.front() != '[') {
      int64_t x = d == "True" ? 1 : d == "False" ? 0 : integer(d);
      ints = IntList(static_cast<size_t>(std::max<int64_t>(a.list_size, 1)), x);
    } else {
      std::string_view inside = d.substr(1, d.size() - 2);
      while (!inside.empty()) {
        size_t comma = inside.find(',');
        std::string_view item = inside.substr(0, comma);
        while (!item.empty() && item.front() == ' ') {
          item.remove_prefix(1);
        }
        ints.push_back(
            item == "True"    ? 1
            : item == "False" ? 0
                              : integer(item));
        inside = comma == std::string_view::npos ? std::string_view()
                                                 : inside.substr(comma + 1);
      }
    }
    if (a.type == Type::IntList) {
      a.default_value = ints;
    } else if (a.type == Type::BoolList) {
      a.default_value = BoolList(ints.begin(), ints.end());
    } else {
      a.default_value = DoubleList(ints.begin(), ints.end());
    }
  }

  Return result() {
    Return r;
    r.type = base_type(word());
    alias(r.view, r.mutated);
    if (eat("[")) {
      expect("]");
      r.type = list_of(r.type);
    }
    r.name = std::string(word());
    return r;
  }

  Schema schema() {
    Schema s;
    s.text = std::string(text);
    s.name = std::string(word());
    if (eat(".")) {
      s.overload = std::string(word());
    }
    expect("(");
    bool keyword_only = false;
    while (!eat(")")) {
      if (eat("*")) {
        keyword_only = true;
      } else {
        s.args.push_back(argument());
        s.args.back().keyword_only = keyword_only;
      }
      eat(",");
    }
    expect("->");
    if (eat("(")) {
      while (!eat(")")) {
        s.returns.push_back(result());
        eat(",");
      }
    } else {
      s.returns.push_back(result());
    }
    skip();
    if (at != text.size()) {
      bad("text after the end");
    }
    return s;
  }
};

} // namespace

int Schema::index_of(std::string_view arg) const {
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].name == arg) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

Schema parse_schema(std::string_view text) {
  return Parser{text}.schema();
}

} // namespace flashlight
