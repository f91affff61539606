#include "flashlight/kernels/along.h"

#include <algorithm>
#include <complex>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/kernels/host.h"

namespace flashlight {

namespace {

// Calls f with a type of that many bytes, for loops that only move elements.
template <typename F>
void for_width(size_t bytes, F&& f) {
  switch (bytes) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    default:
      return f(uint64_t{});
  }
}

// The type in which elements are brought together.
mx::Dtype sum_type(mx::Dtype dtype) {
  return dtype == mx::complex64 ? dtype : ordered_type(dtype);
}

template <typename F>
void for_sum(mx::Dtype dtype, F&& f) {
  dtype == mx::complex64 ? f(std::complex<float>{}) : for_ordered(dtype, f);
}

// What one element does to another.
template <Reduce kReduce, typename T>
void bring(T& to, T value) {
  if constexpr (kReduce == Reduce::Set) {
    to = value;
  } else if constexpr (kReduce == Reduce::Prod) {
    if constexpr (requires { value.imag(); }) { // no infinity made of NaN
      to = {
          to.real() * value.real() - to.imag() * value.imag(),
          to.real() * value.imag() + to.imag() * value.real()};
    } else {
      to = to * value;
    }
  } else if constexpr (kReduce == Reduce::Sum || kReduce == Reduce::Mean) {
    to = to + value;
  } else if constexpr (requires { value < to; }) {
    bool better = kReduce == Reduce::Min ? value < to : value > to;
    to = better || value != value ? value : to;
  }
}

template <Reduce kReduce, typename T>
T neutral() {
  using Limits = std::numeric_limits<T>;
  if constexpr (kReduce == Reduce::Prod) {
    return T(1);
  } else if constexpr (kReduce == Reduce::Min) {
    return Limits::has_infinity ? Limits::infinity() : Limits::max();
  } else if constexpr (kReduce == Reduce::Max) {
    return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  } else {
    return T(0);
  }
}

// Where each element of the source goes: f(source, target), in order.
template <typename F>
void each_place(
    const Rows& to,
    int64_t count,
    const int64_t* index,
    bool per_slice,
    F&& f) {
  int64_t from = 0;
  for (int64_t o = 0; o < to.outer; ++o) {
    int64_t base = o * to.size * to.inner;
    for (int64_t k = 0; k < count; ++k) {
      if (per_slice) {
        int64_t target = base + index[k] * to.inner;
        for (int64_t i = 0; i < to.inner; ++i) {
          f(from++, target + i);
        }
      } else {
        for (int64_t i = 0; i < to.inner; ++i, ++from) {
          f(from, base + index[from] * to.inner + i);
        }
      }
    }
  }
}

// A sum as the narrow integer type that it is of would have it.
int64_t overflowed(int64_t sum, mx::Dtype type) {
  if (mx::issubdtype(type, mx::unsignedinteger)) {
    int64_t bits = 8 * mx::size_of(type);
    return bits < 64 ? sum & ((int64_t{1} << bits) - 1) : sum;
  }
  switch (mx::size_of(type)) {
    case 1:
      return static_cast<int8_t>(sum);
    case 2:
      return static_cast<int16_t>(sum);
    case 4:
      return static_cast<int32_t>(sum);
    default:
      return sum;
  }
}

template <Reduce kReduce, typename T>
void scatter(
    const Rows& to,
    int64_t count,
    const int64_t* index,
    bool per_slice,
    const T* source,
    bool with_self,
    mx::Dtype type,
    T* out) {
  auto each = [&](auto&& f) { each_place(to, count, index, per_slice, f); };
  if (!with_self) {
    each([&](int64_t, int64_t at) { out[at] = neutral<kReduce, T>(); });
  }
  each(
      [&](int64_t from, int64_t at) { bring<kReduce>(out[at], source[from]); });
  if constexpr (kReduce == Reduce::Mean) {
    std::vector<int64_t> counts(
        static_cast<size_t>(to.outer * to.size * to.inner), with_self ? 1 : 0);
    each([&](int64_t, int64_t at) { ++counts[static_cast<size_t>(at)]; });
    for (size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] < 2) {
        continue;
      }
      if constexpr (std::is_same_v<T, int64_t>) { // rounds down
        int64_t n = counts[i];
        out[i] = overflowed(out[i], type);
        out[i] = out[i] / n - (out[i] % n != 0 && out[i] < 0);
      } else {
        out[i] = out[i] / static_cast<decltype(std::real(out[i]))>(counts[i]);
      }
    }
  }
}

template <Reduce kReduce>
mx::array scattered(
    const mx::array& x,
    const mx::array& index,
    const mx::array& source,
    int axis,
    bool with_self,
    bool pairs) {
  bool move = kReduce == Reduce::Set;
  mx::Dtype narrow = x.dtype(), type = move ? narrow : sum_type(narrow);
  bool per_slice = index.ndim() + size_t{pairs} != source.ndim();
  mx::Shape shape = x.shape();
  if (pairs) {
    shape.pop_back();
  }
  Rows to(shape, axis);
  int64_t count = source.shape(axis);
  auto out = host_op(
      "Scatter",
      {mx::astype(x, type), index, mx::astype(source, type)},
      {{x.shape(), type}},
      [=](const std::vector<mx::array>& in, std::vector<mx::array>& results) {
        auto run = [&](auto zero) {
          using T = decltype(zero);
          char* bytes = results[0].data<char>();
          std::copy_n(in[0].data<char>(), in[0].nbytes(), bytes);
          scatter<kReduce, T>(
              to,
              count,
              in[1].data<int64_t>(),
              per_slice,
              reinterpret_cast<const T*>(in[2].data<char>()),
              with_self,
              narrow,
              reinterpret_cast<T*>(bytes));
        };
        if (pairs) {
          run(std::complex<double>{});
        } else if constexpr (kReduce == Reduce::Set) {
          for_width(mx::size_of(type), run);
        } else {
          for_sum(type, run);
        }
      });
  return mx::astype(out[0], x.dtype());
}

mx::array read_along(
    const mx::array& x,
    const mx::array& index,
    int axis,
    bool per_slice) {
  mx::Shape shape = x.shape();
  if (per_slice) {
    shape[static_cast<size_t>(axis)] = static_cast<int>(index.size());
  } else {
    shape = index.shape();
  }
  Rows from(x.shape(), axis);
  int64_t count = shape[static_cast<size_t>(axis)];
  auto out = host_op(
      "Gather",
      {x, index},
      {{shape, x.dtype()}},
      [=](const std::vector<mx::array>& in, std::vector<mx::array>& results) {
        for_width(in[0].itemsize(), [&](auto zero) {
          using T = decltype(zero);
          const T* data = in[0].data<T>();
          T* to = results[0].data<T>();
          const auto* places = in[1].data<int64_t>();
          if (per_slice) {
            for (int64_t o = 0; o < from.outer; ++o) {
              const T* base = data + o * from.size * from.inner;
              for (int64_t k = 0; k < count; ++k, to += from.inner) {
                std::copy_n(base + places[k] * from.inner, from.inner, to);
              }
            }
          } else {
            each_place(from, count, places, false, [&](int64_t i, int64_t at) {
              to[i] = data[at];
            });
          }
        });
      });
  return out[0];
}

} // namespace

mx::array gather_along(const mx::array& x, const mx::array& index, int axis) {
  if (!use_host()) {
    return mx::take_along_axis(x, index, axis);
  }
  return read_along(x, index, axis, false);
}

mx::array select_along(const mx::array& x, const mx::array& index, int axis) {
  return use_host() ? read_along(x, index, axis, true)
                    : mx::take(x, index, axis);
}

mx::array scatter_along(
    const mx::array& x,
    const mx::array& index,
    const mx::array& source,
    int axis,
    Reduce reduce,
    bool with_self,
    bool pairs) {
  if (!use_host() && index.ndim() == source.ndim() && with_self) {
    if (reduce == Reduce::Set) {
      return mx::put_along_axis(x, index, source, axis);
    }
    if (reduce == Reduce::Sum && x.dtype() != mx::bool_) {
      mx::Dtype type = sum_type(x.dtype());
      return mx::astype(
          mx::scatter_add_axis(
              mx::astype(x, type), index, mx::astype(source, type), axis),
          x.dtype());
    }
  }
  switch (reduce) {
    case Reduce::Set:
      return scattered<Reduce::Set>(x, index, source, axis, with_self, pairs);
    case Reduce::Sum:
      return scattered<Reduce::Sum>(x, index, source, axis, with_self, pairs);
    case Reduce::Prod:
      return scattered<Reduce::Prod>(x, index, source, axis, with_self, pairs);
    case Reduce::Mean:
      return scattered<Reduce::Mean>(x, index, source, axis, with_self, pairs);
    case Reduce::Min:
      return scattered<Reduce::Min>(x, index, source, axis, with_self, pairs);
    default:
      return scattered<Reduce::Max>(x, index, source, axis, with_self, pairs);
  }
}

} // namespace flashlight
