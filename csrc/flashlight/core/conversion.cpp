#include "flashlight/core/conversion.h"

#include <cmath>
#include <limits>

#include "flashlight/core/error.h"

namespace flashlight {

const char* element_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::UInt8:
      return "uint8_t";
    case Dtype::UInt16:
      return "uint16_t";
    case Dtype::UInt32:
      return "uint32_t";
    case Dtype::UInt64:
      return "uint64_t";
    case Dtype::Int8:
      return "int8_t";
    case Dtype::Int16:
      return "int16_t";
    case Dtype::Int32:
      return "int";
    case Dtype::Int64:
      return "int64_t";
    case Dtype::Bool:
      return "bool";
    case Dtype::Float16:
      return "c10::Half";
    case Dtype::BFloat16:
      return "c10::BFloat16";
    case Dtype::Float32:
      return "float";
    case Dtype::Complex64:
      return "c10::complex<float>";
    default:
      return "double";
  }
}

namespace {

// Of both kinds of integer, the range of the values that fit.
bool fits_integer(const Scalar& value, Dtype dtype) {
  int bits = static_cast<int>(itemsize(dtype)) * 8;
  bool is_signed = info(dtype).is_signed;
  if (value.is_integral()) {
    int64_t x = value.to_int();
    if (bits == 64) {
      return true;
    }
    int64_t top = (int64_t{1} << (is_signed ? bits - 1 : bits)) - 1;
    return x <= top && x >= (is_signed ? -top - 1 : -top);
  }
  double x = value.to_double();
  double top = std::ldexp(1.0, is_signed ? bits - 1 : bits);
  return x < top && (is_signed ? x >= -top : x > -top);
}

bool fits_float(double x) {
  return std::isinf(x) || std::isnan(x) ||
         std::abs(x) <= std::numeric_limits<float>::max();
}

} // namespace

void check_fits(const Scalar& value, Dtype dtype) {
  bool fits = true;
  if (dtype == Dtype::Bool) {
    return;
  }
  std::complex<double> z = value.to_complex();
  if (is_complex(dtype)) {
    fits = fits_float(z.real()) && fits_float(z.imag());
  } else if (z.imag() != 0) {
    fits = false;
  } else if (is_integral(dtype, false)) {
    fits = fits_integer(value, dtype);
  } else if (dtype == Dtype::Float32) {
    fits = fits_float(z.real());
  }
  // Half floats are reached by way of double.
  bool half = dtype == Dtype::Float16 || dtype == Dtype::BFloat16;
  FL_CHECK(
      fits,
      "value cannot be converted to type ",
      element_name(half ? Dtype::Float64 : dtype),
      " without overflow");
}

} // namespace flashlight
