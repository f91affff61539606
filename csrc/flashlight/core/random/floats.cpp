// Uniform, normal and what follows from them.
#include "flashlight/core/generator.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <type_traits>
#include <vector>

#include "flashlight/core/error.h"
#include "flashlight/core/random/draws.h"
#include "flashlight/core/random/elements.h"

namespace flashlight {

using namespace draws;

namespace {

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

FL_DEFINE_CLONED(
    uniform_block,
    (const uint32_t* bits, float* out, size_t n, float from, float to),
    (bits, out, n, from, to))
FL_DEFINE_CLONED(
    normal_block,
    (const uint32_t* bits, float* out, size_t n, float mean, float std),
    (bits, out, n, mean, std))

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

} // namespace

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

} // namespace flashlight
