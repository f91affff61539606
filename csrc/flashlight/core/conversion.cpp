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
    case Dtype::Complex128:
      return "c10::complex<double>";
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
  // The greatest value is one more as a double, if it has 64 bits: let through.
  double x = value.to_double();
  double end = std::ldexp(1.0, is_signed ? bits - 1 : bits);
  return x <= (bits == 64 ? end : end - 1) && x >= (is_signed ? -end : 0);
}

// The greatest finite value of the type that a number passes through.
double greatest(Dtype dtype, HalfFloats halves) {
  bool direct = halves == HalfFloats::Direct;
  switch (dtype) {
    case Dtype::Float16:
      return direct ? 65504.0 : std::numeric_limits<double>::max();
    case Dtype::BFloat16:
      return direct ? 0x1.fep127 : std::numeric_limits<double>::max();
    case Dtype::Float32:
    case Dtype::Complex64:
      return std::numeric_limits<float>::max();
    default:
      return std::numeric_limits<double>::max();
  }
}

} // namespace

void fail_to_fit(Dtype dtype, HalfFloats halves) {
  bool half = dtype == Dtype::Float16 || dtype == Dtype::BFloat16;
  bool by_double = half && halves == HalfFloats::ByWayOfDouble;
  fail(
      "value cannot be converted to type ",
      element_name(by_double ? Dtype::Float64 : dtype),
      " without overflow");
}

void check_fits(const Scalar& value, Dtype dtype, HalfFloats halves) {
  if (dtype == Dtype::Bool) {
    return;
  }
  std::complex<double> z = value.to_complex();
  bool fits = is_complex(dtype) || z.imag() == 0;
  if (is_integral(dtype, false)) {
    fits = fits && fits_integer(value, dtype);
  } else {
    double top = greatest(dtype, halves);
    for (double x : {z.real(), z.imag()}) {
      fits = fits && (!std::isfinite(x) || std::abs(x) <= top);
    }
  }
  if (!fits) {
    fail_to_fit(dtype, halves);
  }
}

} // namespace flashlight
