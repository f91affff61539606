// random_, randint, randperm, and coins.
#include "flashlight/core/generator.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "flashlight/core/error.h"
#include "flashlight/core/random/draws.h"
#include "flashlight/core/random/elements.h"

namespace flashlight {

using namespace draws;

namespace {

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

} // namespace

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

} // namespace flashlight
