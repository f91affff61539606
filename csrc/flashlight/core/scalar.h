// A Python number: bool, int, float or complex, with its kind kept.
#pragma once

#include <complex>
#include <cstdint>
#include <ostream>

#include "flashlight/core/api.h"
#include "flashlight/core/dtype.h"

namespace flashlight {

class FL_API Scalar {
 public:
  enum class Kind : uint8_t { Bool, Int, Double, Complex };

  Scalar() : Scalar(int64_t{0}) {}
  Scalar(bool x) : kind_(Kind::Bool), int_(x) {}
  Scalar(int x) : Scalar(static_cast<int64_t>(x)) {}
  Scalar(int64_t x) : kind_(Kind::Int), int_(x) {}
  Scalar(double x) : kind_(Kind::Double), re_(x) {}
  Scalar(std::complex<double> x)
      : kind_(Kind::Complex), re_(x.real()), im_(x.imag()) {}

  Kind kind() const {
    return kind_;
  }
  bool is_bool() const {
    return kind_ == Kind::Bool;
  }
  // An int or a bool.
  bool is_integral() const {
    return kind_ <= Kind::Int;
  }
  bool is_double() const {
    return kind_ == Kind::Double;
  }
  bool is_complex() const {
    return kind_ == Kind::Complex;
  }

  double to_double() const {
    return is_integral() ? static_cast<double>(int_) : re_;
  }
  int64_t to_int() const {
    return is_integral() ? int_ : static_cast<int64_t>(re_);
  }
  bool to_bool() const {
    return is_integral() ? int_ != 0 : re_ != 0 || im_ != 0;
  }
  std::complex<double> to_complex() const {
    return {to_double(), is_complex() ? im_ : 0.0};
  }

  // The dtype that torch.tensor(x) has.
  Dtype dtype() const {
    switch (kind_) {
      case Kind::Bool:
        return Dtype::Bool;
      case Kind::Int:
        return Dtype::Int64;
      case Kind::Double:
        return default_dtype();
      default:
        return default_complex_dtype();
    }
  }

  bool operator==(const Scalar& other) const {
    return to_complex() == other.to_complex();
  }

 private:
  Kind kind_;
  int64_t int_ = 0;
  double re_ = 0;
  double im_ = 0;
};

inline std::ostream& operator<<(std::ostream& out, const Scalar& x) {
  switch (x.kind()) {
    case Scalar::Kind::Bool:
      return out << (x.to_bool() ? "True" : "False");
    case Scalar::Kind::Int:
      return out << x.to_int();
    case Scalar::Kind::Double:
      return out << x.to_double();
    default:
      return out << x.to_complex();
  }
}

} // namespace flashlight
