// The elements that random numbers are written to: their C++ types, their names
// in errors, and conversions with PyTorch's bits.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "flashlight/core/error.h"
#include "flashlight/core/generator.h"
#include "flashlight/core/random/cloned.h"

namespace flashlight::draws {

struct Half {
  uint16_t bits;
};

struct BFloat16 {
  uint16_t bits;
};

FL_INLINE float to_float(float x) {
  return x;
}

FL_INLINE double to_float(double x) {
  return x;
}

FL_INLINE float to_float(BFloat16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}

FL_INLINE float to_float(Half x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000) << 16;
  const uint32_t rest = x.bits & 0x7fff;
  if (rest >= 0x7c00) { // inf, nan
    return std::bit_cast<float>(sign | 0x7f800000 | (rest << 13));
  }
  // Reads the bits as a float whose exponent is too small by 127 - 15.
  const float value = std::bit_cast<float>(rest << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
}

FL_INLINE BFloat16 to_bfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffff) > 0x7f800000) {
    return {0x7fc0};
  }
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

FL_INLINE Half to_half(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t rest = bits & 0x7fffffff;
  uint32_t half;
  if (rest > 0x7f800000) {
    half = 0x7e00;
  } else if (rest >= 0x477ff000) { // rounds to 2^16 or more
    half = 0x7c00;
  } else if (rest < 0x38800000) { // below the least normal, 2^-14
    // Adding 0.5 leaves the value, rounded to 2^-24, in the low bits.
    const float sum = std::bit_cast<float>(rest) + 0.5f;
    half = std::bit_cast<uint32_t>(sum) - 0x3f000000;
  } else {
    half = (rest - 0x38000000 + 0xfff + ((rest >> 13) & 1)) >> 13;
  }
  return {static_cast<uint16_t>(sign | half)};
}

template <typename T>
constexpr bool kReduced =
    std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <typename T>
constexpr bool kFloating = std::is_floating_point_v<T> || kReduced<T>;

// The type in which PyTorch computes for elements of type T.
template <typename T>
using Compute = std::conditional_t<kReduced<T>, float, T>;

template <typename T>
struct Traits {
  static constexpr int kDigits = std::numeric_limits<T>::digits;
  static constexpr double kMax =
      static_cast<double>(std::numeric_limits<T>::max());
};
template <>
struct Traits<Half> {
  static constexpr int kDigits = 11;
  static constexpr double kMax = 65504.0;
};
template <>
struct Traits<BFloat16> {
  static constexpr int kDigits = 8;
  static constexpr double kMax = 0x1.fep127;
};

// What cvttsd2si does, spelled out: C++ leaves the conversion of a value out
// of range undefined and CPUs differ.
template <typename I>
I truncate(double x) {
  constexpr double kBound = std::is_same_v<I, int64_t> ? 0x1p63 : 0x1p31;
  return x >= -kBound && x < kBound ? static_cast<I>(x)
                                    : std::numeric_limits<I>::min();
}

// static_cast<T>(x) as PyTorch's x86 build does it.
template <typename T, typename X>
FL_INLINE T convert(X x) {
  if constexpr (std::is_same_v<T, Half>) {
    return to_half(static_cast<float>(x));
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(static_cast<float>(x));
  } else if constexpr (std::is_same_v<T, bool>) {
    return x != X(0);
  } else if constexpr (std::is_integral_v<T> && std::is_floating_point_v<X>) {
    if constexpr (sizeof(T) < 8) {
      return static_cast<T>(truncate<int32_t>(x));
    } else {
      return static_cast<T>(truncate<int64_t>(x));
    }
  } else {
    return static_cast<T>(x);
  }
}

// Names as PyTorch's errors have them: of the ScalarType, of the C++ type.
struct Names {
  const char* scalar;
  const char* cpp;
};

inline Names names_of(SampleType type) {
  switch (type) {
    case SampleType::Bool:
      return {"Bool", "bool"};
    case SampleType::UInt8:
      return {"Byte", "unsigned char"};
    case SampleType::UInt16:
      return {"UInt16", "short unsigned int"};
    case SampleType::UInt32:
      return {"UInt32", "unsigned int"};
    case SampleType::UInt64:
      return {"UInt64", "long unsigned int"};
    case SampleType::Int8:
      return {"Char", "signed char"};
    case SampleType::Int16:
      return {"Short", "short int"};
    case SampleType::Int32:
      return {"Int", "int"};
    case SampleType::Int64:
      return {"Long", "long int"};
    case SampleType::Float16:
      return {"Half", "c10::Half"};
    case SampleType::Float32:
      return {"Float", "float"};
    case SampleType::Float64:
      return {"Double", "double"};
    case SampleType::BFloat16:
      return {"BFloat16", "c10::BFloat16"};
  }
  return {"Undefined", "undefined"};
}

inline const char* scalar_name(SampleType type) {
  return names_of(type).scalar;
}

inline const char* cpp_name(SampleType type) {
  return names_of(type).cpp;
}

using TypeSet = uint32_t;

template <typename... Types>
constexpr TypeSet set_of(Types... types) {
  return ((1u << static_cast<unsigned>(types)) | ...);
}

constexpr TypeSet kWide = set_of(SampleType::Float32, SampleType::Float64);
constexpr TypeSet kFloats =
    kWide | set_of(SampleType::Float16, SampleType::BFloat16);
constexpr TypeSet kSmallUnsigned =
    set_of(SampleType::UInt16, SampleType::UInt32, SampleType::UInt64);
constexpr TypeSet kAll = (1u << 13) - 1;
constexpr TypeSet kNoBool = kAll & ~set_of(SampleType::Bool);

inline bool contains(TypeSet set, SampleType type) {
  return (set >> static_cast<unsigned>(type)) & 1;
}

// Calls f.template operator()<T>() for the C++ type of `type`, or raises.
template <TypeSet kSet, typename F>
void dispatch(const char* kernel, SampleType type, F&& f) {
#define FL_CASE(Name, T)                                    \
  case SampleType::Name:                                    \
    if constexpr ((kSet & set_of(SampleType::Name)) != 0) { \
      f.template operator()<T>();                           \
      return;                                               \
    }                                                       \
    break;
  switch (type) {
    FL_CASE(Bool, bool)
    FL_CASE(UInt8, uint8_t)
    FL_CASE(UInt16, uint16_t)
    FL_CASE(UInt32, uint32_t)
    FL_CASE(UInt64, uint64_t)
    FL_CASE(Int8, int8_t)
    FL_CASE(Int16, int16_t)
    FL_CASE(Int32, int32_t)
    FL_CASE(Int64, int64_t)
    FL_CASE(Float16, Half)
    FL_CASE(Float32, float)
    FL_CASE(Float64, double)
    FL_CASE(BFloat16, BFloat16)
  }
#undef FL_CASE
  fail<NotImplementedError>(
      '"', kernel, "\" not implemented for '", scalar_name(type), '\'');
}

} // namespace flashlight::draws
