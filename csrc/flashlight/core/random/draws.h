// Numbers in [0, 1) and standard normals from a generator's words, one by one
// or many.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <optional>
#include <utility>

#include "flashlight/core/generator.h"
#include "flashlight/core/random/cloned.h"

namespace flashlight::draws {

// A draw as a float in [0, 1): its low 24 bits.
FL_INLINE float unit_float(uint32_t bits) {
  // Through int: CPUs convert signed integers in one instruction.
  return static_cast<float>(static_cast<int32_t>(bits & 0xffffff)) * 0x1p-24f;
}

FL_INLINE double unit_double(uint64_t bits) {
  constexpr uint64_t kMask = (uint64_t{1} << 53) - 1;
  return static_cast<double>(static_cast<int64_t>(bits & kMask)) * 0x1p-53;
}

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
inline double draw_unit(Generator& gen) {
  return unit_double(gen.random64());
}

// One standard normal double.
inline double draw_normal(Generator& gen) {
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

} // namespace flashlight::draws
