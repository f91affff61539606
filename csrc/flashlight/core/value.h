// One argument or result of an op, of any type that a schema can name.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "flashlight/core/error.h"
#include "flashlight/core/generator.h"
#include "flashlight/core/int_list.h"
#include "flashlight/core/scalar.h"
#include "flashlight/core/tensor.h"

namespace flashlight {

using TensorList = std::vector<Tensor>; // an undefined Tensor is None
using DoubleList = std::vector<double>;
using BoolList = std::vector<bool>;
using ScalarList = std::vector<Scalar>;
using GeneratorHandle = std::shared_ptr<Generator>;

enum class MemoryLayout : uint8_t { Strided, Sparse, Jagged };

class Value {
 public:
  using Variant = std::variant<
      std::monostate,
      Tensor,
      Scalar,
      int64_t,
      double,
      bool,
      Dtype,
      Device,
      MemoryFormat,
      MemoryLayout,
      IntList,
      TensorList,
      DoubleList,
      BoolList,
      ScalarList,
      std::string,
      GeneratorHandle>;

  Value() = default;
  template <typename T>
    requires std::is_constructible_v<Variant, T&&> &&
             (!std::is_same_v<std::remove_cvref_t<T>, Value>)
  Value(T&& x) : v_(std::forward<T>(x)) {}
  template <typename T>
  Value(const std::optional<T>& x) {
    if (x) {
      v_ = *x;
    }
  }

  bool is_none() const {
    if (const auto* t = std::get_if<Tensor>(&v_)) {
      return !t->defined();
    }
    return v_.index() == 0;
  }
  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(v_);
  }
  template <typename T>
  const T& as() const {
    return std::get<T>(v_);
  }
  template <typename T>
  T& as() {
    return std::get<T>(v_);
  }
  template <typename T>
  void emplace(T&& x) {
    v_.template emplace<std::remove_cvref_t<T>>(std::forward<T>(x));
  }
  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&v_);
  }

  // The tensor, or nullptr.
  const Tensor* tensor() const {
    const auto* t = std::get_if<Tensor>(&v_);
    return t && t->defined() ? t : nullptr;
  }

 private:
  Variant v_;
};

} // namespace flashlight
