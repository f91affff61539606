#include "flashlight/core/dtype.h"

#include <atomic>

#include "flashlight/core/error.h"
#include "flashlight/core/names.h"

namespace flashlight {

namespace {

constexpr std::array<DtypeInfo, kDtypes + kMoreDtypes> kInfo{{
    {"bool", "", "Bool", 1, false, false, false},
    {"uint8", "", "Byte", 1, false, false, false},
    {"uint16", "", "UInt16", 2, false, false, false},
    {"uint32", "", "UInt32", 4, false, false, false},
    {"uint64", "", "UInt64", 8, false, false, false},
    {"int8", "", "Char", 1, false, false, true},
    {"int16", "short", "Short", 2, false, false, true},
    {"int32", "int", "Int", 4, false, false, true},
    {"int64", "long", "Long", 8, false, false, true},
    {"float16", "half", "Half", 2, true, false, true},
    {"float32", "float", "Float", 4, true, false, true},
    {"float64", "double", "Double", 8, true, false, true},
    {"bfloat16", "", "BFloat16", 2, true, false, true},
    {"complex64", "cfloat", "ComplexFloat", 8, false, true, true},
    {"complex32", "chalf", "ComplexHalf", 4, false, true, true},
    {"complex128", "cdouble", "ComplexDouble", 16, false, true, true},
    {"float8_e4m3fn", "", "Float8_e4m3fn", 1, true, false, true},
    {"float8_e5m2", "", "Float8_e5m2", 1, true, false, true},
    {"float8_e4m3fnuz", "", "Float8_e4m3fnuz", 1, true, false, true},
    {"float8_e5m2fnuz", "", "Float8_e5m2fnuz", 1, true, false, true},
    {"qint8", "", "QInt8", 1, false, false, true},
    {"quint8", "", "QUInt8", 1, false, false, false},
    {"qint32", "", "QInt32", 4, false, false, true},
    {"quint4x2", "", "QUInt4x2", 1, false, false, false},
    {"quint2x4", "", "QUInt2x4", 1, false, false, false},
}};

std::atomic<Dtype> default_dtype_{Dtype::Float32};

bool is_barebones_unsigned(Dtype d) {
  return d == Dtype::UInt16 || d == Dtype::UInt32 || d == Dtype::UInt64;
}

// bool < integers < floats < complex
int category(Dtype d) {
  if (is_complex(d)) {
    return 3;
  }
  if (is_floating(d)) {
    return 2;
  }
  return d == Dtype::Bool ? 0 : 1;
}

} // namespace

const DtypeInfo& info(Dtype dtype) {
  return kInfo[static_cast<size_t>(dtype)];
}

std::string_view c_name(Dtype d) {
  switch (d) {
    case Dtype::Float64:
      return "double";
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
    case Dtype::Int64:
      return "long int";
    case Dtype::Int32:
      return "int";
    case Dtype::Int16:
      return "short int";
    case Dtype::Int8:
      return "signed char";
    case Dtype::Bool:
      return "bool";
    case Dtype::UInt8:
      return "unsigned char";
    default:
      return name(d);
  }
}

namespace {

bool is_float8(Dtype d) {
  return d >= Dtype::Float8E4M3FN && d <= Dtype::Float8E5M2FNUZ;
}

} // namespace

bool is_integral(Dtype d, bool include_bool) {
  return d == Dtype::Bool ? include_bool
                          : d >= Dtype::UInt8 && d <= Dtype::Int64;
}

Dtype promote_types(Dtype a, Dtype b) {
  if (a == b) {
    return a;
  }
  FL_CHECK(
      !is_float8(a) && !is_float8(b),
      "Promotion for Float8 Types is not supported, attempted to promote ",
      scalar_name(a),
      " and ",
      scalar_name(b));
  if (is_barebones_unsigned(a) || is_barebones_unsigned(b)) {
    FL_CHECK(
        is_floating(a) || is_floating(b),
        "Promotion for uint16, uint32, uint64 types is not supported, "
        "attempted to promote ",
        scalar_name(a),
        " and ",
        scalar_name(b));
    return is_floating(a) ? a : b;
  }
  int ca = category(a), cb = category(b);
  if (ca < cb) {
    std::swap(a, b);
    std::swap(ca, cb);
  }
  if (ca == 3) {
    // The wider, of what the two are as complex numbers.
    Dtype other = cb >= 2 ? to_complex(b) : a;
    return itemsize(other) > itemsize(a) ? other : a;
  }
  if (ca == 2) {
    if (cb < 2) {
      return a;
    }
    // Two different floats: the wider; the two halves meet in float32.
    if (a == Dtype::Float64 || b == Dtype::Float64) {
      return Dtype::Float64;
    }
    return Dtype::Float32;
  }
  if (cb == 0) {
    return a;
  }
  // Two different integers.
  if (a == Dtype::UInt8 || b == Dtype::UInt8) {
    Dtype other = a == Dtype::UInt8 ? b : a;
    return other == Dtype::Int8 ? Dtype::Int16 : other;
  }
  return a > b ? a : b;
}

bool can_cast(Dtype from, Dtype to) {
  if (is_complex(from) && !is_complex(to)) {
    return false;
  }
  if (is_floating(from) && is_integral(to, false)) {
    return false;
  }
  return from == Dtype::Bool || to != Dtype::Bool;
}

Dtype to_complex(Dtype d) {
  switch (d) {
    case Dtype::Float64:
      return Dtype::Complex128;
    case Dtype::Float16:
      return Dtype::Complex32;
    default:
      return is_complex(d) ? d : Dtype::Complex64;
  }
}

Dtype to_real(Dtype d) {
  switch (d) {
    case Dtype::Complex64:
      return Dtype::Float32;
    case Dtype::Complex128:
      return Dtype::Float64;
    case Dtype::Complex32:
      return Dtype::Float16;
    default:
      return d;
  }
}

void check_storable(Dtype d) {
  if (!is_storable(d)) {
    fail<NotImplementedError>(
        "dtype torch.", name(d), " is not supported: MLX has no such type");
  }
}

mx::Dtype to_mlx(Dtype d) {
  check_storable(d);
  if (d == Dtype::Complex128) {
    throw NotForComplex128();
  }
  return mx::Dtype(
      static_cast<mx::Dtype::Val>(d), static_cast<uint8_t>(itemsize(d)));
}

Dtype default_dtype() {
  return default_dtype_.load(std::memory_order_relaxed);
}

void set_default_dtype(Dtype d) {
  FL_CHECK_TYPE(
      is_floating(d) && itemsize(d) > 1,
      "only floating-point types are supported as the default type");
  default_dtype_.store(d, std::memory_order_relaxed);
}

} // namespace flashlight
