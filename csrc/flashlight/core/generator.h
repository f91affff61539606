// The random number engine of the CPU: PyTorch's numbers, bit for bit.
//
// Locking: nothing here locks. Whoever reads or advances a generator that
// another thread may use holds `Generator::mutex` for the whole call.
//
// The fill functions write n consecutive elements in the order in which
// PyTorch writes a contiguous tensor. For a tensor that is not contiguous
// PyTorch walks the elements by increasing address (dimensions sorted by
// stride), so: fill a packed buffer of n elements and scatter it in that
// order. The one difference is the normal distribution: its output is then
// that of fill_normal_serial, whatever n is. A dense permuted tensor (x.t())
// is filled like its memory, but fill_normal_serial still applies.
//
// Complex tensors count as 2 * n reals; normal_ divides std by sqrt(2) first.
// Dropout draws fill_bernoulli(1 - p) for a buffer laid out as its input (in
// the input's dtype; the draws are the same in every dtype) and draws nothing
// if p is 0 or 1, if there are no elements, or in evaluation.
//
// The reference is PyTorch on x86-64 with AVX2 and FMA. Where it calls the C
// library (log, log1p, exp, pow, sin, cos, tan, lgamma of doubles) so do we:
// the bits agree when both use the same one. float32, float16 and bfloat16
// normals of 16 elements or more, uniforms, Bernoulli and integers use none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "flashlight/core/api.h"

namespace flashlight {

// mt19937 with PyTorch's seeding, state layout and cached normal samples.
class FL_API Generator {
 public:
  // What torch.Generator() starts with.
  static constexpr uint64_t kDefaultSeed = 67280421310721;
  // Bytes in get_state().
  static constexpr size_t kStateBytes = 5056;

  explicit Generator(uint64_t seed = kDefaultSeed);
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  // Seeds the engine and drops the cached samples.
  void manual_seed(uint64_t seed);
  // Seeds from the system's entropy; returns the seed.
  uint64_t seed();
  uint64_t initial_seed() const {
    return seed_;
  }

  uint32_t random();
  // Two draws; the first is the high half.
  uint64_t random64();
  // The next n values of random(), faster than n calls.
  void random_block(uint32_t* out, size_t n);

  // Box-Muller yields two samples; the second waits here.
  std::optional<double> next_double_normal_sample;
  // Part of PyTorch's state; no CPU kernel uses it.
  std::optional<float> next_float_normal_sample;

  // The bytes of torch.get_rng_state(), little endian.
  std::vector<uint8_t> get_state() const;
  // Raises Error for a wrong size or a state no generator can be in.
  void set_state(const std::vector<uint8_t>& state);

  // An independent generator in the same state.
  std::unique_ptr<Generator> clone() const;

  mutable std::mutex mutex;

 private:
  static constexpr uint32_t kWords = 624;

  void refill();

  uint64_t seed_;
  // PyTorch's bookkeeping: draws until the next refill, and where they are.
  uint32_t left_;
  uint32_t next_;
  std::array<uint32_t, kWords> words_;
};

// The generator of manual_seed(); starts from a random seed.
FL_API Generator& default_generator();

// Element types of the buffers below, in the order of MLX's dtypes.
// Float16 and BFloat16 are uint16_t bit patterns, Bool is one byte.
enum class SampleType : uint8_t {
  Bool,
  UInt8,
  UInt16,
  UInt32,
  UInt64,
  Int8,
  Int16,
  Int32,
  Int64,
  Float16,
  Float32,
  Float64,
  BFloat16,
};

// Every function below checks its arguments as PyTorch does: it raises Error
// with PyTorch's text, and NotImplementedError for a type that PyTorch's
// kernel does not have. `out` holds n elements of type `type`.

// uniform_(from, to), rand. Floating types.
FL_API void fill_uniform(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double from = 0.0,
    double to = 1.0);

// normal_(mean, std), randn, for a contiguous tensor. Floating types.
FL_API void fill_normal(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double mean = 0.0,
    double std = 1.0);

// The same for a tensor that is not contiguous: other numbers if n >= 16.
FL_API void fill_normal_serial(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double mean = 0.0,
    double std = 1.0);

// torch.normal with tensors: `mean` and `std` point to n elements of type
// `type`, already broadcast. The result is contiguous, hence fill_normal.
FL_API void fill_normal_means(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* mean,
    double std);
FL_API void fill_normal_stds(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double mean,
    const void* std);
FL_API void fill_normal_means_stds(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* mean,
    const void* std);

// random_(): [0, max] for integers, [0, 2^mantissa] for floating types.
// All types but UInt16, UInt32 and UInt64.
FL_API void fill_random(Generator& gen, SampleType type, void* out, int64_t n);

// random_(from, to), randint: [from, to); without `to`, up to the greatest
// value. random_(to) is from = 0. All types.
FL_API void fill_random_from_to(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    int64_t from,
    std::optional<int64_t> to);

// randperm(n). Types but Bool, UInt16, UInt32 and UInt64.
FL_API void
fill_randperm(Generator& gen, SampleType type, void* out, int64_t n);

// bernoulli_(p). All types but UInt16, UInt32 and UInt64.
FL_API void
fill_bernoulli(Generator& gen, SampleType type, void* out, int64_t n, double p);

// bernoulli_(tensor), bernoulli(tensor): `p` points to n elements of the
// floating type `p_type`, already broadcast. A Float64 p draws 64 bits per
// element, the others 32.
FL_API void fill_bernoulli_tensor(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    SampleType p_type,
    const void* p);

// exponential_(lambda). Floating types.
FL_API void fill_exponential(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double lambda = 1.0);

// cauchy_(median, sigma). Floating types.
FL_API void fill_cauchy(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double median = 0.0,
    double sigma = 1.0);

// log_normal_(mean, std). Floating types.
FL_API void fill_log_normal(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    double mean = 1.0,
    double std = 2.0);

// geometric_(p). All types but Bool, UInt16, UInt32 and UInt64.
FL_API void
fill_geometric(Generator& gen, SampleType type, void* out, int64_t n, double p);

// poisson(rate): `rate` points to n elements of `type`. Floating types.
FL_API void fill_poisson(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* rate);

// binomial(count, prob): both point to n elements. Float32 and Float64.
FL_API void fill_binomial(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* count,
    const void* prob);

// _standard_gamma(alpha). Float32 and Float64.
FL_API void fill_standard_gamma(
    Generator& gen,
    SampleType type,
    void* out,
    int64_t n,
    const void* alpha);

// multinomial(probs, samples, replacement) into out[rows][samples]. Element
// (r, c) of probs is at r * row_stride + c * category_stride: PyTorch draws in
// memory order, so a transposed `probs` must not be copied first. One row
// stands for a vector. Floating types.
FL_API void sample_multinomial(
    Generator& gen,
    SampleType type,
    const void* probs,
    int64_t rows,
    int64_t categories,
    int64_t row_stride,
    int64_t category_stride,
    int64_t samples,
    bool replacement,
    int64_t* out);

} // namespace flashlight
