// The golden numbers are those of PyTorch 2.13 on x86-64 with AVX2: hashes
// (FNV-1a) of the bytes of the result and of get_rng_state() behind it. If only
// some distributions fail, look at the flags that generator.cpp asks for.
#include "flashlight/core/generator.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "flashlight/core/error.h"

namespace {

using flashlight::Generator;
using enum flashlight::SampleType;
using flashlight::SampleType;

constexpr int64_t kCount = 1000;

uint64_t hash(const std::vector<uint8_t>& bytes) {
  uint64_t h = 0xcbf29ce484222325;
  for (uint8_t b : bytes) {
    h = (h ^ b) * 0x100000001b3;
  }
  return h;
}

size_t size_of(SampleType type) {
  switch (type) {
    case Bool:
    case UInt8:
    case Int8:
      return 1;
    case UInt16:
    case Int16:
    case Float16:
    case BFloat16:
      return 2;
    case UInt32:
    case Int32:
    case Float32:
      return 4;
    default:
      return 8;
  }
}

struct Result {
  uint64_t values;
  uint64_t state;

  bool operator==(const Result&) const = default;
};

doctest::String toString(const Result& r) {
  return doctest::toString(r.values) + " behind " + doctest::toString(r.state);
}

using Fill = std::function<void(Generator&, SampleType, void*, int64_t)>;

// What `fill` makes of n elements under seed 42.
Result run(SampleType type, int64_t n, const Fill& fill) {
  Generator gen(42);
  std::vector<uint8_t> out(static_cast<size_t>(n) * size_of(type));
  fill(gen, type, out.data(), n);
  return {hash(out), hash(gen.get_state())};
}

// (i % 128) / 128 * scale + shift, exact in float.
template <typename T = float>
std::vector<T> ramp(int64_t n, T scale = 1, T shift = 0) {
  std::vector<T> out;
  for (int64_t i = 0; i < n; ++i) {
    out.push_back(static_cast<T>(i % 128) / T(128) * scale + shift);
  }
  return out;
}

// States that only draws have touched: `n` draws of 32 or of 64 bits.
constexpr uint64_t kAfter32 = 0x47756a6594c69aab;
constexpr uint64_t kAfter64 = 0xfe61af2947b8e48c;

} // namespace

TEST_CASE("generator state has PyTorch's bytes") {
  Generator gen;
  CHECK_EQ(gen.initial_seed(), 67280421310721u);
  CHECK_EQ(gen.get_state().size(), 5056u);

  gen.manual_seed(0);
  CHECK_EQ(hash(gen.get_state()), 0xd383c07ab3df60e4u);
  gen.manual_seed(std::numeric_limits<uint64_t>::max());
  CHECK_EQ(hash(gen.get_state()), 0x6c31680f074856a2u);
  gen.manual_seed(42);
  CHECK_EQ(hash(gen.get_state()), 0x54d354babfe0cddeu);

  std::vector<float> many(1000);
  flashlight::fill_uniform(gen, Float32, many.data(), 1000);
  CHECK_EQ(hash(gen.get_state()), kAfter32);
  CHECK_FALSE(gen.next_double_normal_sample.has_value());
  double one;
  flashlight::fill_normal(gen, Float64, &one, 1);
  CHECK(gen.next_double_normal_sample.has_value());
  CHECK_NE(hash(gen.get_state()), kAfter32);
}

TEST_CASE("generator state goes around") {
  Generator gen(7);
  for (int64_t n : {0, 1, 623, 1, 700}) {
    std::vector<double> skipped(static_cast<size_t>(n));
    flashlight::fill_normal_serial(gen, Float64, skipped.data(), n);
    const auto state = gen.get_state();
    const auto copy = gen.clone();
    Generator other;
    other.next_float_normal_sample = 1.0f;
    other.set_state(state);
    CHECK_EQ(other.get_state(), state);
    CHECK_EQ(copy->get_state(), state);
    CHECK_EQ(other.initial_seed(), 7u);

    const uint64_t next = gen.random64();
    CHECK_EQ(other.random64(), next);
    const uint64_t high = copy->random();
    CHECK_EQ((high << 32 | copy->random()), next);
  }

  gen.next_float_normal_sample = 0.5f;
  gen.next_double_normal_sample = -2.0;
  Generator other;
  other.set_state(gen.get_state());
  CHECK_EQ(other.next_float_normal_sample, 0.5f);
  CHECK_EQ(other.next_double_normal_sample, -2.0);
}

TEST_CASE("generator rejects states") {
  Generator gen(1);
  gen.random();
  const auto good = gen.get_state();
  CHECK_THROWS_WITH_AS(
      gen.set_state({1, 2, 3}),
      "Expected a CPUGeneratorImplState of size 5056 but found the input RNG "
      "state size to be 3",
      flashlight::Error);
  // left, seeded, and a `next` that would run past the words
  for (size_t offset : {size_t{8}, size_t{12}, size_t{16}}) {
    auto bad = good;
    bad[offset] = offset == 16 ? 200 : 0;
    bad[offset + 1] = 0;
    CHECK_THROWS_WITH_AS(
        gen.set_state(bad), "Invalid mt19937 state", flashlight::Error);
  }
  CHECK_EQ(gen.get_state(), good);
}

TEST_CASE("generator draws in blocks as one by one") {
  Generator a(3), b(3);
  for (size_t n : {0u, 1u, 5u, 617u, 1u, 624u, 625u, 2000u}) {
    std::vector<uint32_t> block(n);
    a.random_block(block.data(), n);
    for (uint32_t x : block) {
      REQUIRE_EQ(x, b.random());
    }
    CHECK_EQ(a.get_state(), b.get_state());
  }
}

TEST_CASE("generator reseeds and shares under its mutex") {
  Generator gen;
  const uint64_t first = gen.seed();
  CHECK_EQ(gen.initial_seed(), first);
  CHECK_NE(gen.seed(), first);

  auto& shared = flashlight::default_generator();
  CHECK_EQ(&shared, &flashlight::default_generator());
  shared.manual_seed(9);
  auto draw = [&] {
    for (int i = 0; i < 500; ++i) {
      std::lock_guard lock(shared.mutex);
      shared.random();
    }
  };
  std::thread one(draw), two(draw);
  one.join();
  two.join();
  Generator alone(9);
  for (int i = 0; i < 1000; ++i) {
    alone.random();
  }
  CHECK_EQ(shared.get_state(), alone.get_state());
}

TEST_CASE("first values under seed 42") {
  Generator gen(42);
  float x[16];
  flashlight::fill_uniform(gen, Float32, x, 3);
  CHECK_EQ(x[0], 0x1.c3b8ccp-1f);
  CHECK_EQ(x[1], 0x1.d47b66p-1f);
  CHECK_EQ(x[2], 0x1.880d7p-2f);

  gen.manual_seed(42);
  flashlight::fill_normal(gen, Float32, x, 16);
  CHECK_EQ(x[0], 0x1.ed4a52p+0f);
  CHECK_EQ(x[1], 0x1.7cbea6p+0f);
  CHECK_EQ(x[2], 0x1.cd2acep-1f);

  // Below 16 elements: another algorithm, whose spare sample is kept.
  gen.manual_seed(42);
  flashlight::fill_normal(gen, Float32, x, 3);
  CHECK_EQ(x[0], 0x1.58c55cp-2f);
  CHECK_EQ(x[1], 0x1.07cd3ap-3f);
  CHECK_EQ(x[2], 0x1.e02dcep-3f);
  double y[3];
  flashlight::fill_normal(gen, Float64, y, 3);
  CHECK_EQ(y[0], doctest::Approx(0x1.d7b8d7b0a7c22p-3).epsilon(1e-14));
  CHECK_EQ(y[1], doctest::Approx(-0x1.1f7383f8320c1p+0).epsilon(1e-14));
  CHECK_EQ(y[2], doctest::Approx(-0x1.7d99b0fe3842ep-3).epsilon(1e-14));

  gen.manual_seed(42);
  int64_t p[8];
  flashlight::fill_randperm(gen, Int64, p, 8);
  const int64_t expected[] = {6, 3, 0, 7, 2, 1, 4, 5};
  for (int i = 0; i < 8; ++i) {
    CHECK_EQ(p[i], expected[i]);
  }
}

TEST_CASE("uniform") {
  struct Case {
    SampleType type;
    int64_t n;
    Result result;
  };
  const Case cases[] = {
      {Float16, 5, {0xa98670a2f2da8e8a, 0x98b3f6b06f15660f}},
      {Float16, 1000, {0x62ad962f1c309f64, kAfter32}},
      {BFloat16, 100, {0x1c32cc0283bb1179, 0x5544171a3d91501b}},
      {BFloat16, 1000, {0x63f6cae2e277f7a6, kAfter32}},
      {Float32, 16, {0x0a05e9217742f6ad, 0x340690764e7aab7b}},
      {Float32, 1000, {0xab96aa07721a2656, kAfter32}},
      {Float64, 5, {0xa969def05de5628c, 0x78e861c7f7971e87}},
      {Float64, 1000, {0xc6c6ef87ed6b9f7f, kAfter64}},
  };
  for (const auto& c : cases) {
    CAPTURE(static_cast<int>(c.type));
    CAPTURE(c.n);
    auto fill = [](auto& g, auto t, void* out, int64_t n) {
      flashlight::fill_uniform(g, t, out, n, -0.3, 1.7);
    };
    CHECK_EQ(run(c.type, c.n, fill), c.result);
  }
}

TEST_CASE("normal of 16 and more") {
  struct Case {
    SampleType type;
    int64_t n;
    Result result;
  };
  const Case cases[] = {
      {Float16, 16, {0x4b67307a393da192, 0x340690764e7aab7b}},
      {Float16, 1000, {0x847dec7629b82db6, 0x0dbf5366f433c81b}},
      {BFloat16, 16, {0xd870ce869d77a256, 0x340690764e7aab7b}},
      {BFloat16, 1000, {0x8f9599bf7b667a66, 0x0dbf5366f433c81b}},
      {Float32, 16, {0x27d13cc1eaec2c1c, 0x340690764e7aab7b}},
      {Float32, 100, {0x68cc5bc398c505f2, 0x85d97b4901d227fe}},
      {Float32, 1000, {0x16dd781452e06f2c, 0x7df624c1af38586b}},
  };
  auto fill = [](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_normal(g, t, out, n, 0.3, 1.7);
  };
  for (const auto& c : cases) {
    CAPTURE(static_cast<int>(c.type));
    CAPTURE(c.n);
    CHECK_EQ(run(c.type, c.n, fill), c.result);
  }
  // The logarithm of doubles is the C library's, so only the draws are sure.
  CHECK_EQ(run(Float64, 1000, fill).state, 0xa876dae03130334cu);

  auto serial = [](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_normal_serial(g, t, out, n, 0.3, 1.7);
  };
  CHECK_EQ(
      run(Float32, 100, serial),
      Result{0xebf2d769e2fb4718, 0xa8c3ccb1893ed86e});
}

TEST_CASE("normal with tensors") {
  const auto mean = ramp(kCount);
  const auto std = ramp(kCount, 1.0f, 1.0f);
  auto both = [&](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_normal_means_stds(g, t, out, n, mean.data(), std.data());
  };
  auto means = [&](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_normal_means(g, t, out, n, mean.data(), 1.7);
  };
  auto stds = [&](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_normal_stds(g, t, out, n, 0.3, mean.data());
  };
  constexpr uint64_t kState = 0x7df624c1af38586b;
  CHECK_EQ(run(Float32, kCount, both), Result{0xfecdaf2cf0a4e844, kState});
  CHECK_EQ(run(Float32, kCount, means), Result{0x48f1ed99eeae9ff5, kState});
  CHECK_EQ(run(Float32, kCount, stds), Result{0xcbe3a1c0cbea1d9a, kState});

  // Multiples of 1/128 below 2 are bfloat16 numbers.
  std::vector<uint16_t> mean16, std16;
  for (int64_t i = 0; i < kCount; ++i) {
    auto bits = [](float x) {
      uint32_t word;
      std::memcpy(&word, &x, 4);
      return static_cast<uint16_t>(word >> 16);
    };
    mean16.push_back(bits(mean[static_cast<size_t>(i)]));
    std16.push_back(bits(std[static_cast<size_t>(i)]));
  }
  auto halves = [&](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_normal_means_stds(
        g, t, out, n, mean16.data(), std16.data());
  };
  CHECK_EQ(
      run(BFloat16, kCount, halves),
      Result{0x54d74cb63b65bde7, 0x0dbf5366f433c81b});
}

TEST_CASE("random") {
  struct Case {
    SampleType type;
    uint64_t random;  // random_(), 0 where PyTorch has none
    uint64_t from_to; // random_(3, 100)
  };
  const Case cases[] = {
      {Bool, 0xa269ec6e4cb55df9, 0},
      {UInt8, 0x6ba03231d6482bb1, 0x5c603cecad906ea5},
      {UInt16, 0, 0xc5f75f48e8d5705f},
      {UInt32, 0, 0xdab3ea9d86aa8e87},
      {UInt64, 0, 0x98d0e510cba08697},
      {Int8, 0x610030052f543331, 0x5c603cecad906ea5},
      {Int16, 0x89357954f94ace26, 0xc5f75f48e8d5705f},
      {Int32, 0x5cdc149b3c49fe88, 0xdab3ea9d86aa8e87},
      {Int64, 0x3413a61731ede354, 0x98d0e510cba08697},
      {Float16, 0xa54628794f2f71e8, 0xa3d1cfbb83cdec24},
      {BFloat16, 0xd40a7cd8898a20b7, 0xfed33fb08d8c554a},
      {Float32, 0xa27b6e03898ccbd8, 0x2bee86600da2fc9a},
      {Float64, 0xcd65bf765e390202, 0x8b3375dcfa42b942},
  };
  auto fill = [](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_random(g, t, out, n);
  };
  auto from_to = [](int64_t from, std::optional<int64_t> to) {
    return [=](auto& g, auto t, void* out, int64_t n) {
      flashlight::fill_random_from_to(g, t, out, n, from, to);
    };
  };
  for (const auto& c : cases) {
    CAPTURE(static_cast<int>(c.type));
    if (c.random != 0) {
      const bool wide = c.type == Int64 || c.type == Float64;
      CHECK_EQ(
          run(c.type, kCount, fill),
          Result{c.random, wide ? kAfter64 : kAfter32});
    } else {
      CHECK_THROWS_AS(
          run(c.type, kCount, fill), flashlight::NotImplementedError);
    }
    if (c.from_to != 0) {
      CHECK_EQ(
          run(c.type, kCount, from_to(3, 100)), Result{c.from_to, kAfter32});
    } else {
      CHECK_THROWS_AS(run(c.type, kCount, from_to(3, 100)), flashlight::Error);
    }
  }

  constexpr auto kLowest = std::numeric_limits<int64_t>::min();
  CHECK_EQ(
      run(Int64, kCount, from_to(-5, int64_t{1} << 40)),
      Result{0x87e5d106b99033fc, kAfter64});
  CHECK_EQ(
      run(Float32, kCount, from_to(0, 1 << 24)),
      Result{0x120571d6bad1d078, kAfter32});
  CHECK_EQ(
      run(Float32, kCount, from_to(7, std::nullopt)),
      Result{0xbfe9aefb87f0933c, kAfter32});
  CHECK_EQ(
      run(Int32, kCount, from_to(7, std::nullopt)),
      Result{0x622479fc74aabc3b, kAfter64});
  CHECK_EQ(
      run(Int64, kCount, from_to(kLowest, std::nullopt)),
      Result{0xc0c60cfe44b07ed4, kAfter64});
  CHECK_EQ(
      run(BFloat16, kCount, from_to(kLowest, std::nullopt)),
      Result{0x5cb98d0c368df0a4, kAfter64});

  CHECK_THROWS_WITH_AS(
      run(Float32, 1, from_to(3, 3)),
      "random_ expects 'from' to be less than 'to', but got from=3 >= to=3",
      flashlight::Error);
  CHECK_THROWS_WITH_AS(
      run(Float16, 1, from_to(0, 70000)),
      "to - 1 is out of bounds for c10::Half",
      flashlight::Error);
  CHECK_THROWS_WITH_AS(
      run(UInt16, 1, fill),
      "\"random_kernel_cpu\" not implemented for 'UInt16'",
      flashlight::NotImplementedError);
}

TEST_CASE("randperm") {
  auto fill = [](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_randperm(g, t, out, n);
  };
  constexpr uint64_t kState = 0x00b676056241dcb7; // 999 draws
  CHECK_EQ(run(Int64, kCount, fill), Result{0xac050cc352041a61, kState});
  CHECK_EQ(run(Float16, kCount, fill), Result{0xcce56cce873244ab, kState});
  CHECK_EQ(run(Int64, 0, fill).state, 0x54d354babfe0cddeu);
  CHECK_THROWS_WITH_AS(
      run(Float16, 2050, fill),
      "n cannot be greater than 2049 for Half type.",
      flashlight::Error);
}

TEST_CASE("bernoulli") {
  auto scalar = [](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_bernoulli(g, t, out, n, 0.3);
  };
  CHECK_EQ(run(Bool, kCount, scalar), Result{0x3cbfbd6525fe7b55, kAfter64});
  CHECK_EQ(run(Float16, kCount, scalar), Result{0x5472fc620e18de65, kAfter64});

  const auto p32 = ramp(kCount);
  const auto p64 = ramp<double>(kCount);
  auto from32 = [&](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_bernoulli_tensor(g, t, out, n, Float32, p32.data());
  };
  auto from64 = [&](auto& g, auto t, void* out, int64_t n) {
    flashlight::fill_bernoulli_tensor(g, t, out, n, Float64, p64.data());
  };
  CHECK_EQ(run(Float32, kCount, from32), Result{0x0f37ce8123e03dc5, kAfter32});
  CHECK_EQ(run(Float64, kCount, from64), Result{0xde58964ba360cb98, kAfter64});

  CHECK_THROWS_WITH_AS(
      run(Bool,
          1,
          [](auto& g, auto t, void* out, int64_t n) {
            flashlight::fill_bernoulli(g, t, out, n, 2.0);
          }),
      "bernoulli_ expects p to be in [0, 1], but got p=2",
      flashlight::Error);
}

TEST_CASE("other distributions") {
  auto check = [](SampleType type, Result result, const Fill& fill) {
    CHECK_EQ(run(type, kCount, fill), result);
  };
  using G = Generator&;
  using T = SampleType;
  check(
      Float32,
      {0x0cd5d0b132770f49, kAfter64},
      [](G g, T t, void* o, int64_t n) {
        flashlight::fill_exponential(g, t, o, n, 0.7);
      });
  check(
      Float32,
      {0x152bcc8b65ba8d04, kAfter64},
      [](G g, T t, void* o, int64_t n) {
        flashlight::fill_cauchy(g, t, o, n, 0.3, 1.7);
      });
  check(
      Float32,
      {0xf2430b7dbe4e2474, kAfter64},
      [](G g, T t, void* o, int64_t n) {
        flashlight::fill_log_normal(g, t, o, n, 0.3, 0.7);
      });
  check(
      Int64, {0x9fb96207ccaa7226, kAfter64}, [](G g, T t, void* o, int64_t n) {
        flashlight::fill_geometric(g, t, o, n, 0.1);
      });
  // Too large for the type: wraps as a conversion on x86 does.
  check(
      UInt8, {0x9d88ea32eedb472f, kAfter64}, [](G g, T t, void* o, int64_t n) {
        flashlight::fill_geometric(g, t, o, n, 0.001);
      });
  check(
      Float32,
      {0xb6a96da6b3bda69b, 0xa86e88525a9fd07e},
      [](G g, T t, void* o, int64_t n) {
        const auto rate = ramp(n, 40.0f);
        flashlight::fill_poisson(g, t, o, n, rate.data());
      });
  check(
      Float32,
      {0x1a1bc3ac399a7b1d, 0x6acbd2f98cf7c9b8},
      [](G g, T t, void* o, int64_t n) {
        const std::vector<float> count(static_cast<size_t>(n), 60.0f);
        const auto prob = ramp(n);
        flashlight::fill_binomial(g, t, o, n, count.data(), prob.data());
      });
  check(
      Float32,
      {0x159424e7f91ba617, 0x07dba2689841b483},
      [](G g, T t, void* o, int64_t n) {
        const auto alpha = ramp(n, 3.0f, 0.25f);
        flashlight::fill_standard_gamma(g, t, o, n, alpha.data());
      });
}

TEST_CASE("multinomial") {
  const auto probs = ramp(60, 1.0f, 0.01f);
  auto sample = [&](int64_t rows,
                    int64_t row_stride,
                    int64_t category_stride,
                    int64_t k,
                    bool replacement) {
    Generator gen(42);
    std::vector<int64_t> out(static_cast<size_t>(rows * k));
    flashlight::sample_multinomial(
        gen,
        Float32,
        probs.data(),
        rows,
        60 / rows,
        row_stride,
        category_stride,
        k,
        replacement,
        out.data());
    return out;
  };
  using Out = std::vector<int64_t>;
  CHECK_EQ(
      sample(3, 20, 1, 5, true),
      Out{4, 4, 6, 4, 14, 11, 19, 18, 2, 3, 3, 8, 17, 17, 8});
  CHECK_EQ(
      sample(3, 20, 1, 5, false),
      Out{16, 8, 3, 9, 10, 17, 4, 5, 0, 9, 12, 7, 1, 16, 19});
  // One sample per row is the same with and without replacement.
  CHECK_EQ(sample(3, 20, 1, 1, false), Out{16, 17, 12});
  CHECK_EQ(sample(3, 20, 1, 1, true), Out{16, 17, 12});
  // A transposed tensor is drawn for in memory order.
  CHECK_EQ(
      sample(3, 1, 3, 5, false),
      Out{8, 9, 19, 10, 11, 12, 8, 17, 5, 14, 15, 13, 6, 9, 18});
  CHECK_EQ(sample(1, 60, 1, 4, false), Out{37, 24, 25, 52});
  CHECK_THROWS_AS(sample(1, 60, 1, 61, false), flashlight::Error);
}
