// mt19937, and the state as torch.get_rng_state() has it.
#include "flashlight/core/generator.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>

#include "flashlight/core/error.h"
#include "flashlight/core/random/cloned.h"

namespace flashlight {

namespace {

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

FL_DEFINE_CLONED(twist_block, (uint32_t* w), (w))
FL_DEFINE_CLONED(
    temper_block,
    (const uint32_t* in, uint32_t* out, size_t n),
    (in, out, n))

} // namespace

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

} // namespace flashlight
