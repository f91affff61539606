// Compile with -ffp-contract=off. PyTorch's kernels are built with fused
// multiply-adds and these results depend on which operations are fused: the
// fused ones are spelled std::fma, and no other may be. -fno-math-errno, for
// this file, makes the float normals faster; it changes no result.
#include "flashlight/core/generator.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <random>
#include <type_traits>
#include <utility>

#include "flashlight/core/error.h"

// The hot loops are compiled a second time for CPUs that have AVX2 and FMA.
// The arithmetic is the same, so are the bits; only the speed differs.
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__)) && \
    !(defined(__AVX2__) && defined(__FMA__))
#define FL_AVX2_CLONE 1
#else
#define FL_AVX2_CLONE 0
#endif
#define FL_INLINE inline __attribute__((always_inline))

namespace flashlight {

namespace {

// --- element types -----------------------------------------------------------

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

Names names_of(SampleType type) {
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

const char* scalar_name(SampleType type) {
  return names_of(type).scalar;
}

const char* cpp_name(SampleType type) {
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

bool contains(TypeSet set, SampleType type) {
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

// --- mt19937 -----------------------------------------------------------------

constexpr uint32_t kShift = 397;

FL_INLINE uint32_t twist(uint32_t high, uint32_t low) {
  const uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
  return (mixed >> 1) ^ ((0u - (low & 1u)) & 0x9908b0dfu);
}

FL_INLINE uint32_t temper(uint32_t y) {
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

FL_INLINE void twist_block_body(uint32_t* w) {
  constexpr uint32_t kN = 624;
  for (uint32_t i = 0; i < kN - kShift; ++i) {
    w[i] = w[i + kShift] ^ twist(w[i], w[i + 1]);
  }
  for (uint32_t i = kN - kShift; i < kN - 1; ++i) {
    w[i] = w[i + kShift - kN] ^ twist(w[i], w[i + 1]);
  }
  w[kN - 1] = w[kShift - 1] ^ twist(w[kN - 1], w[0]);
}

FL_INLINE void temper_block_body(
    const uint32_t* __restrict in,
    uint32_t* __restrict out,
    size_t n) {
  for (size_t i = 0; i < n; ++i) {
    out[i] = temper(in[i]);
  }
}

// --- uniform and normal floats -----------------------------------------------

// A draw as a float in [0, 1): its low 24 bits.
FL_INLINE float unit_float(uint32_t bits) {
  // Through int: CPUs convert signed integers in one instruction.
  return static_cast<float>(static_cast<int32_t>(bits & 0xffffff)) * 0x1p-24f;
}

FL_INLINE double unit_double(uint64_t bits) {
  constexpr uint64_t kMask = (uint64_t{1} << 53) - 1;
  return static_cast<double>(static_cast<int64_t>(bits & kMask)) * 0x1p-53;
}

FL_INLINE void uniform_block_body(
    const uint32_t* __restrict bits,
    float* __restrict out,
    size_t n,
    float from,
    float to) {
  const float range = to - from;
  for (size_t i = 0; i < n; ++i) {
    const float x = std::fma(unit_float(bits[i]), range, from);
    out[i] = x == to ? from : x;
  }
}

constexpr int kLanes = 8;
constexpr int kPairBlock = 2 * kLanes;

// Natural logarithm on (0, 1] by the polynomial of Cephes' logf. Selects are
// integer masks: compilers do not vectorise a float comparison that may trap.
FL_INLINE float log_unit(float u) {
  constexpr auto kSqrtHalf = std::bit_cast<uint32_t>(0.707106781186547524f);
  const uint32_t bits = std::bit_cast<uint32_t>(u);
  const uint32_t mantissa = (bits & 0x007fffffu) | 0x3f000000u; // [0.5, 1)
  const uint32_t small = mantissa < kSqrtHalf ? ~0u : 0u;
  const auto exponent = static_cast<int32_t>((bits >> 23) - 126 + small);
  const auto e = static_cast<float>(exponent);
  const float x = (std::bit_cast<float>(mantissa) - 1.0f) +
                  std::bit_cast<float>(mantissa & small);
  const float z = x * x;
  float y = 7.0376836292e-2f;
  y = std::fma(y, x, -1.1514610310e-1f);
  y = std::fma(y, x, 1.1676998740e-1f);
  y = std::fma(y, x, -1.2420140846e-1f);
  y = std::fma(y, x, 1.4249322787e-1f);
  y = std::fma(y, x, -1.6668057665e-1f);
  y = std::fma(y, x, 2.0000714765e-1f);
  y = std::fma(y, x, -2.4999993993e-1f);
  y = std::fma(y, x, 3.3333331174e-1f);
  y = std::fma(x * y, z, e * -2.12194440e-4f);
  y = std::fma(-z, 0.5f, y);
  return std::fma(e, 0.693359375f, x + y);
}

// Sine and cosine on [0, 2 pi] by the polynomials of Cephes' sinf and cosf.
FL_INLINE void sin_cos(float theta, float& sine, float& cosine) {
  const int32_t octant =
      (static_cast<int32_t>(theta * 1.27323954473516f) + 1) & ~1;
  const float y = static_cast<float>(octant);
  float x = std::fma(y, -0.78515625f, theta);
  x = std::fma(y, -2.4187564849853515625e-4f, x);
  x = std::fma(y, -3.77489497744594108e-8f, x);
  const float z = x * x;

  float c = 2.443315711809948e-5f;
  c = std::fma(c, z, -1.388731625493765e-3f);
  c = std::fma(c, z, 4.166664568298827e-2f);
  c = std::fma(z * c, z, -(z * 0.5f)) + 1.0f;

  float s = -1.9515295891e-4f;
  s = std::fma(s, z, 8.3321608736e-3f);
  s = std::fma(s, z, -1.6666654611e-1f);
  s = std::fma(x, z * s, x);

  const bool swap = (octant & 2) != 0;
  const uint32_t sine_sign = static_cast<uint32_t>(octant & 4) << 29;
  const uint32_t cosine_sign = static_cast<uint32_t>(~(octant - 2) & 4) << 29;
  const auto sine_bits = std::bit_cast<uint32_t>(swap ? c : s);
  const auto cosine_bits = std::bit_cast<uint32_t>(swap ? s : c);
  sine = std::bit_cast<float>(sine_bits ^ sine_sign);
  cosine = std::bit_cast<float>(cosine_bits ^ cosine_sign);
}

// Box-Muller on n floats, n a multiple of 16. Each run of 16 draws pairs its
// element j with j + 8.
FL_INLINE void normal_block_body(
    const uint32_t* __restrict bits,
    float* __restrict out,
    size_t n,
    float mean,
    float std) {
  constexpr auto kTwoPi = static_cast<float>(2.0 * std::numbers::pi);
  for (size_t i = 0; i < n; i += kPairBlock) {
    float radius[kLanes];
    float sine[kLanes];
    float cosine[kLanes];
    for (int j = 0; j < kLanes; ++j) {
      radius[j] = -2.0f * log_unit(1.0f - unit_float(bits[j]));
      const float theta = kTwoPi * unit_float(bits[j + kLanes]);
      sin_cos(theta, sine[j], cosine[j]);
    }
    // Apart: without -fno-math-errno this loop stays scalar.
    for (int j = 0; j < kLanes; ++j) {
      radius[j] = std::sqrt(radius[j]);
    }
    for (int j = 0; j < kLanes; ++j) {
      out[j] = std::fma(radius[j] * cosine[j], std, mean);
      out[j + kLanes] = std::fma(radius[j] * sine[j], std, mean);
    }
    bits += kPairBlock;
    out += kPairBlock;
  }
}

#if FL_AVX2_CLONE
bool has_avx2_fma() {
  static const bool yes =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return yes;
}
#define FL_DEFINE_CLONED(name, params, args)                    \
  __attribute__((target("avx2,fma"))) void name##_avx2 params { \
    name##_body args;                                           \
  }                                                             \
  void name params {                                            \
    if (has_avx2_fma()) {                                       \
      name##_avx2 args;                                         \
    } else {                                                    \
      name##_body args;                                         \
    }                                                           \
  }
#else
#define FL_DEFINE_CLONED(name, params, args) \
  void name params {                         \
    name##_body args;                        \
  }
#endif

FL_DEFINE_CLONED(twist_block, (uint32_t* w), (w))
FL_DEFINE_CLONED(
    temper_block,
    (const uint32_t* in, uint32_t* out, size_t n),
    (in, out, n))
FL_DEFINE_CLONED(
    uniform_block,
    (const uint32_t* bits, float* out, size_t n, float from, float to),
    (bits, out, n, from, to))
FL_DEFINE_CLONED(
    normal_block,
    (const uint32_t* bits, float* out, size_t n, float mean, float std),
    (bits, out, n, mean, std))
#undef FL_DEFINE_CLONED

// --- drawing -----------------------------------------------------------------

constexpr int64_t kBlock = 1024;

// f(i, draw) for i in [0, n).
template <typename F>
void each32(Generator& gen, int64_t n, F&& f) {
  uint32_t bits[kBlock];
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t count = std::min(kBlock, n - i);
    gen.random_block(bits, static_cast<size_t>(count));
    for (int64_t j = 0; j < count; ++j) {
      f(i + j, bits[j]);
    }
  }
}

template <typename F>
void each64(Generator& gen, int64_t n, F&& f) {
  uint32_t bits[2 * kBlock];
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t count = std::min(kBlock, n - i);
    gen.random_block(bits, static_cast<size_t>(2 * count));
    for (int64_t j = 0; j < count; ++j) {
      f(i + j, (static_cast<uint64_t>(bits[2 * j]) << 32) | bits[2 * j + 1]);
    }
  }
}

// One double in [0, 1).
double draw_unit(Generator& gen) {
  return unit_double(gen.random64());
}

// One standard normal double.
double draw_normal(Generator& gen) {
  auto& next = gen.next_double_normal_sample;
  if (next) {
    return *std::exchange(next, std::nullopt);
  }
  const double u1 = draw_unit(gen);
  const double u2 = draw_unit(gen);
  const double r = std::sqrt(-2.0 * std::log1p(-u2));
  const double theta = 2.0 * std::numbers::pi * u1;
  next = r * std::sin(theta);
  return r * std::cos(theta);
}

template <typename T>
void normal_serial(Generator& gen, T* out, int64_t n, double mean, double std) {
  for (int64_t i = 0; i < n; ++i) {
    out[i] = convert<T>(std::fma(draw_normal(gen), std, mean));
  }
}

// Turns 16 uniform doubles into normals, in place.
void box_muller(double* data, double mean, double std) {
  for (int j = 0; j < kLanes; ++j) {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - data[j]));
    const double theta = 2.0 * std::numbers::pi * data[j + kLanes];
    data[j] = std::fma(radius * std::cos(theta), std, mean);
    data[j + kLanes] = std::fma(radius * std::sin(theta), std, mean);
  }
}

// n normals for n a multiple of 16.
template <typename T>
void normal_runs(Generator& gen, T* out, int64_t n, double mean, double std) {
  if constexpr (std::is_same_v<T, double>) {
    each64(gen, n, [&](int64_t i, uint64_t r) {
      out[i] = unit_double(r);
      if (i % kPairBlock == kPairBlock - 1) {
        box_muller(out + i + 1 - kPairBlock, mean, std);
      }
    });
  } else {
    uint32_t bits[kBlock];
    for (int64_t i = 0; i < n; i += kBlock) {
      const auto count = static_cast<size_t>(std::min(kBlock, n - i));
      gen.random_block(bits, count);
      const auto mean_f = static_cast<float>(mean);
      const auto std_f = static_cast<float>(std);
      if constexpr (std::is_same_v<T, float>) {
        normal_block(bits, out + i, count, mean_f, std_f);
      } else {
        float values[kBlock];
        normal_block(bits, values, count, mean_f, std_f);
        for (size_t j = 0; j < count; ++j) {
          out[i + static_cast<int64_t>(j)] = convert<T>(values[j]);
        }
      }
    }
  }
}

// PyTorch draws for all n elements, transforms the whole runs of 16, and then
// replaces the last 16 elements with a fresh run.
template <typename T>
void normal_fill(Generator& gen, T* out, int64_t n, double mean, double std) {
  const int64_t rest = n % kPairBlock;
  normal_runs(gen, out, n - rest, mean, std);
  if (rest != 0) {
    if constexpr (!kReduced<T>) {
      // The draws behind the last whole run are made but never seen.
      uint32_t unused[2 * kPairBlock];
      const int64_t words = std::is_same_v<T, double> ? 2 * rest : rest;
      gen.random_block(unused, static_cast<size_t>(words));
    }
    normal_runs(gen, out + n - kPairBlock, kPairBlock, mean, std);
  }
}

void check_std(double std) {
  FL_CHECK(std >= 0.0, "normal expects std >= 0.0, but found std ", std);
}

template <typename T>
void check_stds(const T* std, int64_t n) {
  FL_CHECK(
      std::all_of(std, std + n, [](T x) { return to_float(x) >= 0; }),
      "normal expects all elements of std >= 0.0");
}

// --- random_ -----------------------------------------------------------------

// floor(log2 |x|)
int log2_of(int64_t x) {
  auto magnitude = static_cast<uint64_t>(x);
  magnitude = x < 0 ? 0 - magnitude : magnitude;
  return static_cast<int>(std::bit_width(magnitude)) - 1;
}

// `from` moved up, and `to` moved down, to a neighbour whose conversion to T
// stays within the range.
template <typename T>
int64_t round_from(int64_t from) {
  const int64_t next = static_cast<int64_t>(static_cast<uint64_t>(from) + 1);
  const auto seen = truncate<int64_t>(to_float(convert<T>(next)));
  if (seen >= from) {
    return from;
  }
  return seen + (int64_t{1} << (log2_of(next) - Traits<T>::kDigits + 1));
}

template <typename T>
int64_t round_to(int64_t to) {
  const auto seen = truncate<int64_t>(to_float(convert<T>(to - 1)));
  if (seen < to) {
    return to;
  }
  return seen - (int64_t{1} << (log2_of(to - 1) - Traits<T>::kDigits + 1));
}

template <typename T>
bool fits(int64_t value) {
  if constexpr (kFloating<T>) {
    const auto x = static_cast<double>(value);
    return x >= -Traits<T>::kMax && x <= Traits<T>::kMax;
  } else if constexpr (std::is_same_v<T, bool>) {
    return value == 0 || value == 1;
  } else {
    return std::in_range<T>(value);
  }
}

// The greatest value of random_(from, None), as PyTorch's int64 arithmetic
// has it.
template <typename T>
int64_t last_value() {
  if constexpr (kFloating<T>) {
    return int64_t{1} << Traits<T>::kDigits;
  } else {
    return static_cast<int64_t>(std::numeric_limits<T>::max());
  }
}

// --- multinomial -------------------------------------------------------------

template <typename T>
struct Probs {
  const T* data;
  int64_t row_stride;
  int64_t category_stride;

  Compute<T> at(int64_t row, int64_t category) const {
    return to_float(data[row * row_stride + category * category_stride]);
  }
};

// One row by inverting the cumulative distribution.
template <typename T>
void multinomial_row(
    Generator& gen,
    const Probs<T>& probs,
    int64_t row,
    std::vector<Compute<T>>& cumulative,
    int64_t samples,
    int64_t* out) {
  const auto categories = static_cast<int64_t>(cumulative.size());
  Compute<T> sum = 0;
  for (int64_t c = 0; c < categories; ++c) {
    sum += probs.at(row, c);
    cumulative[static_cast<size_t>(c)] = sum;
  }
  for (auto& x : cumulative) {
    x /= sum;
  }
  cumulative.back() = 1; // rounding must not leave the last one below 1
  for (int64_t i = 0; i < samples; ++i) {
    const double u = draw_unit(gen);
    const auto it = std::lower_bound(cumulative.begin(), cumulative.end(), u);
    out[i] = it - cumulative.begin();
  }
}

template <typename T>
using Scored = std::pair<T, int64_t>;

template <typename T>
bool ranks_before(const Scored<T>& a, const Scored<T>& b) {
  return (std::isnan(a.first) && !std::isnan(b.first)) || a.first > b.first;
}

// The indices of the k best of `queue`, best first. Which of equal scores wins
// is an accident of these standard algorithms: they are the ones topk calls.
template <typename T>
void take_best(std::vector<Scored<T>>& queue, int64_t k, int64_t* out) {
  const auto first = queue.begin();
  const auto n = static_cast<int64_t>(queue.size());
  if (k == 1) {
    // argmax: the first of the greatest, and nan is greatest.
    auto best = first;
    for (auto it = first; it != queue.end(); ++it) {
      if (ranks_before(*it, *best)) {
        best = it;
      }
    }
    out[0] = best->second;
    return;
  }
  if (k * 64 <= n) {
    std::partial_sort(first, first + k, queue.end(), ranks_before<T>);
  } else {
    std::nth_element(first, first + k - 1, queue.end(), ranks_before<T>);
    std::sort(first, first + k - 1, ranks_before<T>);
  }
  for (int64_t i = 0; i < k; ++i) {
    out[i] = queue[static_cast<size_t>(i)].second;
  }
}

// --- rejection samplers ------------------------------------------------------

// Knuth's product of uniforms below 10, Hoermann's PTRS (1993) above.
double draw_poisson(Generator& gen, double rate) {
  if (rate == 0) {
    return 0;
  }
  if (rate < 10) {
    const double limit = std::exp(-rate);
    int64_t k = 0;
    for (double product = draw_unit(gen); product > limit; ++k) {
      product *= draw_unit(gen);
    }
    return static_cast<double>(k);
  }
  const double root = std::sqrt(rate);
  const double log_rate = std::log(rate);
  const double b = 0.931 + 2.53 * root;
  const double a = -0.059 + 0.02483 * b;
  const double inv_alpha = 1.1239 + 1.1328 / (b - 3.4);
  const double squeeze = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = draw_unit(gen) - 0.5;
    const double v = draw_unit(gen);
    const double us = 0.5 - std::fabs(u);
    const auto k =
        truncate<int64_t>(std::floor((2 * a / us + b) * u + rate + 0.43));
    const auto x = static_cast<double>(k);
    if (us >= 0.07 && v <= squeeze) {
      return x;
    }
    if (k < 0 || (us < 0.013 && v > us)) {
      continue;
    }
    const double lhs =
        std::log(v) + std::log(inv_alpha) - std::log(a / (us * us) + b);
    if (lhs <= -rate + x * log_rate - std::lgamma(x + 1)) {
      return x;
    }
  }
}

// What Stirling's formula lacks of log(k!).
double stirling_tail(double k) {
  constexpr double kFirst[] = {
      0.0810614667953272,
      0.0413406959554092,
      0.0276779256849983,
      0.02079067210376509,
      0.0166446911898211,
      0.0138761288230707,
      0.0118967099458917,
      0.0104112652619720,
      0.00925546218271273,
      0.00833056343336287};
  if (k < 10) {
    return kFirst[static_cast<size_t>(k)];
  }
  const double square = (k + 1) * (k + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

// Sums geometric gaps until they pass `count`. For count * prob < 10.
// Some steps of the two binomial samplers are in T, the others in double: the
// types of the operands decide, as in PyTorch.
template <typename T>
T binomial_by_gaps(Generator& gen, T count, T prob) {
  const double log_q = std::log1p(-prob);
  T hits = 0;
  double position = 0;
  for (;;) {
    position += std::ceil(std::log(draw_unit(gen)) / log_q);
    if (position > count) {
      return hits;
    }
    hits += 1;
  }
}

// Hoermann's BTRS (1993), for prob <= 0.5 and count * prob >= 10.
template <typename T>
T binomial_by_rejection(Generator& gen, T count, T prob) {
  const double stddev = std::sqrt(count * prob * (1 - prob));
  const double b = 1.15 + 2.53 * stddev;
  const double a = -0.0873 + 0.0248 * b + 0.01 * prob;
  const double c = count * prob + 0.5;
  const double squeeze = 0.92 - 4.2 / b;
  const double odds = prob / (1 - prob);
  const double alpha = (2.83 + 5.1 / b) * stddev;
  const double mode = std::floor((count + 1) * prob);
  for (;;) {
    const double u = draw_unit(gen) - 0.5;
    const double v = draw_unit(gen);
    const double us = 0.5 - std::fabs(u);
    const T k = static_cast<T>(std::floor((2 * a / us + b) * u + c));
    if (k < 0 || k > count) {
      continue;
    }
    if (us >= 0.07 && v <= squeeze) {
      return k;
    }
    const double bound =
        (mode + 0.5) * std::log((mode + 1) / (odds * (count - mode + 1))) +
        (count + 1) * std::log((count - mode + 1) / (count - k + 1)) +
        (k + 0.5) * std::log(odds * (count - k + 1) / (k + 1)) +
        stirling_tail(mode) + stirling_tail(count - mode) - stirling_tail(k) -
        stirling_tail(count - k);
    if (std::log(v * alpha / (a / (us * us) + b)) <= bound) {
      return k;
    }
  }
}

template <typename T>
T draw_binomial(Generator& gen, T count, T prob) {
  if (count <= 0 || prob <= 0) {
    return 0;
  }
  if (prob >= 1) {
    return count;
  }
  if (std::isnan(prob) || std::isnan(count)) { // PyTorch's loop has no end
    return std::numeric_limits<T>::quiet_NaN();
  }
  const bool mirrored = prob > T(0.5);
  const T p = mirrored ? static_cast<T>(1.0 - prob) : prob;
  const T hits = count * p >= 10 ? binomial_by_rejection(gen, count, p)
                                 : binomial_by_gaps(gen, count, p);
  return mirrored ? count - hits : hits;
}

// Marsaglia and Tsang (2000). The float literals are PyTorch's.
template <typename T>
T draw_gamma(Generator& gen, T alpha) {
  double scale = 1;
  if (alpha < 1) {
    if (alpha == 0) {
      return 0;
    }
    // Boost alpha: the method wants at least 1.
    scale = std::pow(1 - draw_unit(gen), static_cast<double>(1.0f / alpha));
    alpha += 1;
  }
  const double d = alpha - 1.0f / 3.0f;
  const double c = 1.0f / std::sqrt(9.0f * d);
  for (;;) {
    double x, y;
    do {
      x = draw_normal(gen);
      y = 1.0 + c * x;
    } while (y <= 0);
    const double v = y * y * y;
    const double u = 1 - draw_unit(gen);
    const double xx = x * x;
    if (u < 1.0 - static_cast<double>(0.0331f) * xx * xx ||
        std::log(u) < 0.5 * xx + d * (1.0 - v + std::log(v))) {
      return static_cast<T>(scale * d * v);
    }
  }
}

} // namespace

// --- Generator ---------------------------------------------------------------

Generator::Generator(uint64_t seed) {
  manual_seed(seed);
}

void Generator::manual_seed(uint64_t seed) {
  seed_ = seed;
  words_[0] = static_cast<uint32_t>(seed);
  for (uint32_t i = 1; i < kWords; ++i) {
    const uint32_t last = words_[i - 1];
    words_[i] = 1812433253u * (last ^ (last >> 30)) + i;
  }
  left_ = 1;
  next_ = 0;
  next_double_normal_sample.reset();
  next_float_normal_sample.reset();
}

uint64_t Generator::seed() {
  std::random_device device;
  const uint64_t high = device();
  manual_seed((high << 32) | device());
  return seed_;
}

void Generator::refill() {
  twist_block(words_.data());
  left_ = kWords;
  next_ = 0;
}

uint32_t Generator::random() {
  if (--left_ == 0) {
    refill();
  }
  return temper(words_[next_++]);
}

uint64_t Generator::random64() {
  const uint64_t high = random();
  return (high << 32) | random();
}

void Generator::random_block(uint32_t* out, size_t n) {
  while (n > 0) {
    if (left_ == 1) {
      refill();
      ++left_; // random() takes one off before it refills
    }
    const size_t count = std::min<size_t>(n, left_ - 1);
    temper_block(words_.data() + next_, out, count);
    left_ -= static_cast<uint32_t>(count);
    next_ += static_cast<uint32_t>(count);
    out += count;
    n -= count;
  }
}

namespace {

// torch.get_rng_state(): a record kept compatible with PyTorch's first one,
// where each word of the engine took 64 bits.
struct StateRecord {
  uint64_t seed;
  int32_t left;
  int32_t seeded;
  uint64_t next;
  uint64_t words[624];
  double unused_x;
  double next_double;
  double unused_rho;
  int32_t has_next_double;
  int32_t padding;
  float next_float;
  uint8_t has_next_float;
  uint8_t tail[3];
};
static_assert(sizeof(StateRecord) == Generator::kStateBytes);
static_assert(std::endian::native == std::endian::little);

} // namespace

std::vector<uint8_t> Generator::get_state() const {
  StateRecord record{};
  record.seed = seed_;
  record.left = static_cast<int32_t>(left_);
  record.seeded = 1;
  record.next = next_;
  std::copy(words_.begin(), words_.end(), record.words);
  record.has_next_double = next_double_normal_sample.has_value();
  record.next_double = next_double_normal_sample.value_or(0.0);
  record.has_next_float = next_float_normal_sample.has_value();
  record.next_float = next_float_normal_sample.value_or(0.0f);
  std::vector<uint8_t> state(kStateBytes);
  std::memcpy(state.data(), &record, kStateBytes);
  return state;
}

void Generator::set_state(const std::vector<uint8_t>& state) {
  FL_CHECK(
      state.size() == kStateBytes,
      "Expected a CPUGeneratorImplState of size ",
      kStateBytes,
      " but found the input RNG state size to be ",
      state.size());
  StateRecord record;
  std::memcpy(&record, state.data(), kStateBytes);
  const auto next = static_cast<uint32_t>(record.next);
  const int64_t left = record.left;
  // The second line keeps random() within the words; PyTorch trusts it.
  FL_CHECK(
      record.seeded != 0 && left > 0 && left <= kWords && next <= kWords &&
          left + next <= kWords + 1,
      "Invalid mt19937 state");
  seed_ = record.seed;
  left_ = static_cast<uint32_t>(left);
  next_ = next;
  for (uint32_t i = 0; i < kWords; ++i) {
    words_[i] = static_cast<uint32_t>(record.words[i]);
  }
  next_double_normal_sample.reset();
  if (record.has_next_double != 0) {
    next_double_normal_sample = record.next_double;
  }
  next_float_normal_sample.reset();
  if (record.has_next_float != 0) {
    next_float_normal_sample = record.next_float;
  }
}

std::unique_ptr<Generator> Generator::clone() const {
  auto copy = std::make_unique<Generator>(seed_);
  copy->left_ = left_;
  copy->next_ = next_;
  copy->words_ = words_;
  copy->next_double_normal_sample = next_double_normal_sample;
  copy->next_float_normal_sample = next_float_normal_sample;
  return copy;
}

Generator& default_generator() {
  static Generator* generator = [] {
    auto* made = new Generator; // outlives the threads that may still draw
    made->seed();
    return made;
  }();
  return *generator;
}

// --- fills -------------------------------------------------------------------

void fill_uniform(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double from /* = 0.0 */,
    double to /* = 1.0 */) {
  dispatch<kFloats>("check_uniform_bounds", type, [&]<typename T>() {
    constexpr double kMax = Traits<T>::kMax;
    FL_CHECK(
        from >= -kMax && from <= kMax,
        "from is out of bounds for ",
        cpp_name(type));
    FL_CHECK(
        to >= -kMax && to <= kMax, "to is out of bounds for ", cpp_name(type));
    FL_CHECK(
        from <= to,
        "uniform_ expects to return a [from, to) range, but found from=",
        from,
        " > to=",
        to);
    FL_CHECK(
        to - from <= kMax,
        "uniform_ expects to-from <= std::numeric_limits<",
        scalar_name(type),
        ">::max(), but found to=",
        to,
        " and from=",
        from,
        " which result in to-from to exceed the limit");
    auto* data = static_cast<T*>(out);
    if constexpr (std::is_same_v<T, double>) {
      const double range = to - from;
      each64(gen, n, [&](int64_t i, uint64_t r) {
        const double x = std::fma(unit_double(r), range, from);
        data[i] = x == to ? from : x;
      });
    } else {
      const auto low = static_cast<float>(from);
      const auto high = static_cast<float>(to);
      uint32_t bits[kBlock];
      for (int64_t i = 0; i < n; i += kBlock) {
        const auto count = static_cast<size_t>(std::min(kBlock, n - i));
        gen.random_block(bits, count);
        if constexpr (std::is_same_v<T, float>) {
          uniform_block(bits, data + i, count, low, high);
        } else {
          // Rounding to T may reach `to` again.
          const T low_t = convert<T>(from);
          const float high_t = to_float(convert<T>(to));
          float values[kBlock];
          uniform_block(bits, values, count, low, high);
          for (size_t j = 0; j < count; ++j) {
            const T x = convert<T>(values[j]);
            data[i + static_cast<int64_t>(j)] =
                to_float(x) == high_t ? low_t : x;
          }
        }
      }
    }
  });
}

void fill_normal(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double mean /* = 0.0 */,
    double std /* = 1.0 */) {
  if (n < kPairBlock) {
    fill_normal_serial(gen, type, out, n, mean, std);
    return;
  }
  check_std(std);
  dispatch<kFloats>("normal_kernel_cpu", type, [&]<typename T>() {
    normal_fill(gen, static_cast<T*>(out), n, mean, std);
  });
}

void fill_normal_serial(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double mean /* = 0.0 */,
    double std /* = 1.0 */) {
  check_std(std);
  dispatch<kFloats>("normal_kernel_cpu", type, [&]<typename T>() {
    normal_serial(gen, static_cast<T*>(out), n, mean, std);
  });
}

namespace {

// out = out * std + mean, each step rounded to T; a null pointer is left out.
template <typename T>
void scale_and_shift(T* out, int64_t n, const T* std, const T* mean) {
  for (int64_t i = 0; i < n; ++i) {
    if (std != nullptr) {
      out[i] = convert<T>(to_float(out[i]) * to_float(std[i]));
    }
    if (mean != nullptr) {
      out[i] = convert<T>(to_float(out[i]) + to_float(mean[i]));
    }
  }
}

} // namespace

void fill_normal_means(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* mean,
    double std) {
  fill_normal(gen, type, out, n, 0.0, std);
  dispatch<kFloats>("normal_kernel_cpu", type, [&]<typename T>() {
    const T* no_std = nullptr;
    scale_and_shift(
        static_cast<T*>(out), n, no_std, static_cast<const T*>(mean));
  });
}

void fill_normal_stds(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double mean,
    const void* std) {
  dispatch<kFloats>("normal_kernel_cpu", type, [&]<typename T>() {
    check_stds(static_cast<const T*>(std), n);
    fill_normal(gen, type, out, n);
    const std::vector<T> means(static_cast<size_t>(n), convert<T>(mean));
    scale_and_shift(
        static_cast<T*>(out), n, static_cast<const T*>(std), means.data());
  });
}

void fill_normal_means_stds(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* mean,
    const void* std) {
  dispatch<kFloats>("normal_kernel_cpu", type, [&]<typename T>() {
    check_stds(static_cast<const T*>(std), n);
    fill_normal(gen, type, out, n);
    scale_and_shift(
        static_cast<T*>(out),
        n,
        static_cast<const T*>(std),
        static_cast<const T*>(mean));
  });
}

void fill_random(Generator& gen, SampleType type, void* out, int64_t n) {
  constexpr TypeSet kSet = kAll & ~kSmallUnsigned;
  dispatch<kSet>("random_kernel_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    if constexpr (std::is_same_v<T, double>) {
      each64(gen, n, [=](int64_t i, uint64_t r) {
        data[i] = static_cast<double>(r % ((uint64_t{1} << 53) + 1));
      });
    } else if constexpr (std::is_same_v<T, int64_t>) {
      each64(gen, n, [=](int64_t i, uint64_t r) {
        data[i] = static_cast<int64_t>(r & (~uint64_t{0} >> 1));
      });
    } else if constexpr (kFloating<T>) {
      each32(gen, n, [=](int64_t i, uint32_t r) {
        data[i] = convert<T>(r % ((uint32_t{1} << Traits<T>::kDigits) + 1));
      });
    } else {
      constexpr auto kMask =
          static_cast<uint32_t>(std::numeric_limits<T>::max());
      each32(gen, n, [=](int64_t i, uint32_t r) {
        data[i] = static_cast<T>(r & kMask);
      });
    }
  });
}

namespace {

// PyTorch's kernel for all 2^64 values.
void fill_random_64(Generator& gen, SampleType type, void* out, int64_t n) {
  constexpr const char* kName = "random_full_64_bits_range_kernel_cpu";
  constexpr TypeSet kSet =
      kAll & ~kSmallUnsigned & ~set_of(SampleType::Bool, SampleType::Float16);
  dispatch<kSet>(kName, type, [&]<typename T>() {
    if constexpr (kFloating<T> || std::is_same_v<T, int64_t>) {
      auto* data = static_cast<T*>(out);
      each64(gen, n, [=](int64_t i, uint64_t r) {
        data[i] = convert<T>(static_cast<int64_t>(r));
      });
    } else {
      fail(kName, " handles only int64, double, float and bfloat16");
    }
  });
}

} // namespace

void fill_random_from_to(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    int64_t from,
    std::optional<int64_t> to) {
  if (!to && from == std::numeric_limits<int64_t>::min()) {
    if (n > 0) {
      fill_random_64(gen, type, out, n);
    }
    return;
  }
  if (to) {
    FL_CHECK(
        from < *to,
        "random_ expects 'from' to be less than 'to', but got from=",
        from,
        " >= to=",
        *to);
  }
  dispatch<kAll>("random_from_to_kernel_cpu", type, [&]<typename T>() {
    int64_t low = from;
    int64_t last; // the greatest result
    if constexpr (kFloating<T>) {
      low = round_from<T>(from);
    }
    if (to) {
      int64_t end = *to;
      if constexpr (kFloating<T>) {
        end = round_to<T>(end);
        FL_CHECK(
            low < end,
            "random_ expects 'from' casted to dtype to be less than 'to' "
            "casted to dtype, but got from=",
            low,
            " >= to=",
            end);
      }
      last = end - 1;
    } else {
      last = last_value<T>();
      if constexpr (kFloating<T>) {
        FL_CHECK(
            low < last,
            "random_ expects 'from' casted to dtype to be less than or equal "
            "to 'to_inc' casted to dtype, but got from=",
            low,
            " > to_inc=",
            last);
      }
    }
    FL_CHECK(fits<T>(low), "from is out of bounds for ", cpp_name(type));
    FL_CHECK(fits<T>(last), "to - 1 is out of bounds for ", cpp_name(type));

    auto* data = static_cast<T*>(out);
    const auto base = static_cast<uint64_t>(low);
    const uint64_t range = static_cast<uint64_t>(last) - base + 1;
    // A wide range takes 64 bits, so that the modulo stays nearly even.
    if (range >= uint64_t{1} << 28) {
      each64(gen, n, [=](int64_t i, uint64_t r) {
        data[i] = convert<T>(static_cast<int64_t>(r % range + base));
      });
    } else {
      const auto range32 = static_cast<uint32_t>(range);
      each32(gen, n, [=](int64_t i, uint32_t r) {
        data[i] = convert<T>(static_cast<int64_t>(r % range32 + base));
      });
    }
  });
}

namespace {

template <typename T>
void check_randperm(int64_t n, SampleType type) {
  FL_CHECK(n >= 0, "n must be non-negative, got", n);
  if constexpr (std::is_same_v<T, Half>) {
    FL_CHECK(n <= 2049, "n cannot be greater than 2049 for Half type.");
  } else if constexpr (std::is_floating_point_v<T>) {
    constexpr int kDigits = Traits<T>::kDigits;
    FL_CHECK(
        n <= (int64_t{1} << kDigits) + 1,
        "n cannot be greater than 2^",
        kDigits,
        "+1 for ",
        scalar_name(type),
        " type.");
  } else if constexpr (std::is_integral_v<T>) {
    FL_CHECK(
        n == 0 || std::in_range<T>(n - 1),
        "value cannot be converted to type ",
        sizeof(T) == 1 ? (std::is_signed_v<T> ? "int8_t" : "uint8_t")
                       : (sizeof(T) == 2 ? "int16_t" : "int"),
        " without overflow");
  }
}

} // namespace

void fill_randperm(Generator& gen, SampleType type, void* out, int64_t n) {
  constexpr TypeSet kSet = kNoBool & ~kSmallUnsigned;
  // From here on PyTorch draws 64 bits, or the modulo would be uneven.
  constexpr int64_t kLarge = std::numeric_limits<uint32_t>::max() / 20;
  dispatch<kSet>("randperm", type, [&]<typename T>() {
    check_randperm<T>(n, type);
    auto* data = static_cast<T*>(out);
    if (n < kLarge) {
      for (int64_t i = 0; i < n; ++i) {
        data[i] = convert<T>(i);
      }
      each32(gen, std::max<int64_t>(n - 1, 0), [=](int64_t i, uint32_t r) {
        std::swap(data[i], data[i + r % static_cast<uint32_t>(n - i)]);
      });
    } else {
      each64(gen, n, [=](int64_t i, uint64_t r) {
        const auto z = static_cast<int64_t>(r % static_cast<uint64_t>(i + 1));
        data[i] = convert<T>(i);
        data[i] = data[z];
        data[z] = convert<T>(i);
      });
    }
  });
}

void fill_bernoulli(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double p) {
  FL_CHECK(
      0 <= p && p <= 1, "bernoulli_ expects p to be in [0, 1], but got p=", p);
  constexpr TypeSet kSet = kAll & ~kSmallUnsigned;
  dispatch<kSet>("bernoulli_scalar_cpu_", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const T values[] = {convert<T>(0), convert<T>(1)};
    each64(gen, n, [=](int64_t i, uint64_t r) {
      data[i] = values[unit_double(r) < p];
    });
  });
}

void fill_bernoulli_tensor(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    SampleType p_type,
    const void* p) {
  constexpr TypeSet kSet = kAll & ~kSmallUnsigned;
  dispatch<kSet>("bernoulli_tensor_cpu_self_", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const T values[] = {convert<T>(0), convert<T>(1)};
    dispatch<kFloats>("bernoulli_tensor_cpu_p_", p_type, [&]<typename P>() {
      const auto* probs = static_cast<const P*>(p);
      const bool valid = std::all_of(probs, probs + n, [](P x) {
        return to_float(x) >= 0 && to_float(x) <= 1;
      });
      FL_CHECK(
          valid, "Expected p_in >= 0 && p_in <= 1 to be true, but got false.");
      if constexpr (std::is_same_v<P, double>) {
        each64(gen, n, [=](int64_t i, uint64_t r) {
          data[i] = values[unit_double(r) < probs[i]];
        });
      } else {
        each32(gen, n, [=](int64_t i, uint32_t r) {
          data[i] = values[unit_float(r) < to_float(probs[i])];
        });
      }
    });
  });
}

void fill_exponential(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double lambda /* = 1.0 */) {
  FL_CHECK(
      lambda > 0.0,
      "exponential_ expects lambda > 0.0, but found lambda=",
      lambda);
  FL_CHECK(
      contains(kFloats, type),
      "Exponential distribution is a continuous probability distribution. "
      "dtype must be a floating point but you specified ",
      scalar_name(type));
  dispatch<kFloats>("exponential_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const double scale = -1.0 / lambda;
    each64(gen, n, [=](int64_t i, uint64_t r) {
      data[i] = convert<T>(scale * std::log1p(-unit_double(r)));
    });
  });
}

void fill_cauchy(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double median /* = 0.0 */,
    double sigma /* = 1.0 */) {
  FL_CHECK(sigma > 0.0, "cauchy_ expects sigma > 0.0, but found sigma=", sigma);
  FL_CHECK(
      contains(kFloats, type),
      "Cauchy distribution is a continuous probability distribution. dtype "
      "must be a floating point but you specified ",
      cpp_name(type));
  dispatch<kFloats>("cauchy_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    each64(gen, n, [=](int64_t i, uint64_t r) {
      const double angle = std::numbers::pi * (unit_double(r) - 0.5);
      data[i] = convert<T>(std::fma(sigma, std::tan(angle), median));
    });
  });
}

void fill_log_normal(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double mean /* = 1.0 */,
    double std /* = 2.0 */) {
  FL_CHECK(std > 0.0, "log_normal_ expects std > 0.0, but found std=", std);
  dispatch<kFloats>("log_normal_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    for (int64_t i = 0; i < n; ++i) {
      data[i] = convert<T>(std::exp(std::fma(draw_normal(gen), std, mean)));
    }
  });
}

void fill_geometric(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double p) {
  FL_CHECK(
      0 < p && p < 1, "geometric_ expects p to be in (0, 1), but got p=", p);
  constexpr TypeSet kSet = kNoBool & ~kSmallUnsigned;
  dispatch<kSet>("geometric_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const double log_q = std::log1p(-p);
    each64(gen, n, [=](int64_t i, uint64_t r) {
      data[i] = convert<T>(std::ceil(std::log(unit_double(r)) / log_q));
    });
  });
}

void fill_poisson(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* rate) {
  dispatch<kFloats>("poisson_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const auto* rates = static_cast<const T*>(rate);
    FL_CHECK(
        std::all_of(rates, rates + n, [](T x) { return to_float(x) >= 0; }),
        "invalid Poisson rate, expected rate to be non-negative");
    for (int64_t i = 0; i < n; ++i) {
      data[i] = convert<T>(draw_poisson(gen, to_float(rates[i])));
    }
  });
}

void fill_binomial(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* count,
    const void* prob) {
  dispatch<kWide>("binomial_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const auto* counts = static_cast<const T*>(count);
    const auto* probs = static_cast<const T*>(prob);
    for (int64_t i = 0; i < n; ++i) {
      data[i] = draw_binomial(gen, counts[i], probs[i]);
    }
  });
}

void fill_standard_gamma(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* alpha) {
  dispatch<kWide>("gamma_cpu", type, [&]<typename T>() {
    auto* data = static_cast<T*>(out);
    const auto* alphas = static_cast<const T*>(alpha);
    for (int64_t i = 0; i < n; ++i) {
      data[i] =
          std::max(std::numeric_limits<T>::min(), draw_gamma(gen, alphas[i]));
    }
  });
}

namespace {

template <typename T>
void multinomial(
    Generator& gen,
    const Probs<T>& probs,
    int64_t rows,
    int64_t categories,
    int64_t samples,
    bool replacement,
    int64_t* out) {
  const bool by_sums = replacement && samples > 1;
  for (int64_t r = 0; r < rows; ++r) {
    bool valid = true;
    bool positive = false;
    for (int64_t c = 0; c < categories; ++c) {
      const auto p = probs.at(r, c);
      FL_CHECK(
          !by_sums || p >= 0,
          "invalid multinomial distribution (encountering probability entry < "
          "0)");
      FL_CHECK(
          !by_sums || std::isfinite(p),
          "invalid multinomial distribution (encountering probability entry = "
          "infinity or NaN)");
      valid = valid && p >= 0 && std::isfinite(p);
      positive = positive || p > 0;
    }
    FL_CHECK(
        valid,
        "probability tensor contains either `inf`, `nan` or element < 0");
    FL_CHECK(
        positive,
        "invalid multinomial distribution (sum of probabilities <= 0)");
  }
  const auto width = static_cast<size_t>(categories);
  if (by_sums) {
    std::vector<Compute<T>> cumulative(width);
    for (int64_t r = 0; r < rows; ++r) {
      multinomial_row(gen, probs, r, cumulative, samples, out + r * samples);
    }
    return;
  }
  // The best p / e with e exponential: an exponential race. The e are drawn
  // in the order of memory.
  const bool by_column = rows > 1 && categories > 1 && probs.row_stride > 0 &&
                         probs.row_stride < probs.category_stride;
  const auto outer = by_column ? categories : rows;
  const auto inner = by_column ? rows : categories;
  std::vector<T> scores(static_cast<size_t>(rows) * width);
  each64(gen, outer * inner, [&](int64_t i, uint64_t draw) {
    const int64_t r = by_column ? i % inner : i / inner;
    const int64_t c = by_column ? i / inner : i % inner;
    const T e = convert<T>(-std::log1p(-unit_double(draw)));
    scores[static_cast<size_t>(r * categories + c)] =
        convert<T>(probs.at(r, c) / to_float(e));
  });
  std::vector<Scored<Compute<T>>> queue(width);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < categories; ++c) {
      queue[static_cast<size_t>(c)] = {
          to_float(scores[static_cast<size_t>(r * categories + c)]), c};
    }
    take_best(queue, samples, out + r * samples);
  }
}

} // namespace

void sample_multinomial(
    Generator& gen,
    SampleType type,
    const void* probs,
    int64_t rows,
    int64_t categories,
    int64_t row_stride,
    int64_t category_stride,
    int64_t samples,
    bool replacement,
    int64_t* out) {
  FL_CHECK(
      contains(kFloats, type),
      "multinomial only supports floating-point dtypes for input, got: ",
      scalar_name(type));
  FL_CHECK(samples > 0, "cannot sample n_sample <= 0 samples");
  FL_CHECK(
      replacement || samples <= categories,
      "cannot sample n_sample > prob_dist.size(-1) samples without "
      "replacement");
  FL_CHECK(
      categories <= int64_t{1} << 24,
      "number of categories cannot exceed 2^24");
  dispatch<kFloats>("multinomial", type, [&]<typename T>() {
    const Probs<T> view{
        static_cast<const T*>(probs), row_stride, category_stride};
    multinomial(gen, view, rows, categories, samples, replacement, out);
  });
}

} // namespace flashlight
