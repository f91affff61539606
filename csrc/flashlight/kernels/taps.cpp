#include "flashlight/kernels/taps.h"

#include <algorithm>
#include <complex>

namespace flashlight {

namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

mx::Dtype loop_type(mx::Dtype dtype) {
  if (dtype == mx::float64 || dtype == mx::complex64) {
    return dtype;
  }
  return mx::issubdtype(dtype, mx::floating) ? mx::float32 : mx::int64;
}

template <typename F>
void for_loop_type(mx::Dtype type, F&& f) {
  if (type == mx::complex64) {
    f(std::complex<float>{});
  } else {
    for_ordered(type, f);
  }
}

template <typename T>
T weight_of(double w) {
  if constexpr (std::is_same_v<T, std::complex<float>>) {
    return T(static_cast<float>(w));
  } else {
    return static_cast<T>(w);
  }
}

// One line of `inner` values an output, from the lines that its taps name.
template <typename T>
void gather_lines(
    const T* x,
    const Taps& taps,
    const std::vector<T>& weight,
    int64_t inner,
    T* out) {
  for (int64_t o = 0; o < taps.out(); ++o, out += inner) {
    int64_t from = taps.begin[at(o)], to = taps.begin[at(o + 1)];
    if (inner == 1) {
      T sum(0);
      for (int64_t k = from; k < to; ++k) {
        sum += weight[at(k)] * x[taps.index[at(k)]];
      }
      *out = sum;
      continue;
    }
    std::fill(out, out + inner, T(0));
    for (int64_t k = from; k < to; ++k) {
      const T* line = x + taps.index[at(k)] * inner;
      T w = weight[at(k)];
      for (int64_t i = 0; i < inner; ++i) {
        out[i] += w * line[i];
      }
    }
  }
}

template <typename T>
void copy_lines(const T* x, const Taps& taps, int64_t inner, T* out) {
  for (int64_t i : taps.index) {
    std::copy(x + i * inner, x + (i + 1) * inner, out);
    out += inner;
  }
}

bool picks(const Taps& taps) {
  for (size_t o = 0; o < taps.begin.size(); ++o) {
    if (taps.begin[o] != static_cast<int64_t>(o)) {
      return false;
    }
  }
  return taps.weight.empty();
}

// MLX's ops: the k-th tap of every output together.
mx::array plain(const mx::array& x, const Taps& taps, int axis, int64_t most) {
  auto n = static_cast<int>(taps.out());
  mx::Shape shape(x.ndim(), 1);
  shape[at(axis)] = n;
  std::optional<mx::array> sum;
  for (int64_t k = 0; k < most; ++k) {
    std::vector<int> index;
    std::vector<double> weight;
    for (int64_t o = 0; o < taps.out(); ++o) {
      int64_t i = taps.begin[at(o)] + k;
      bool there = i < taps.begin[at(o + 1)];
      index.push_back(there ? static_cast<int>(taps.index[at(i)]) : 0);
      weight.push_back(
          !there                ? 0
          : taps.weight.empty() ? 1
                                : taps.weight[at(i)]);
    }
    mx::array part = mx::multiply(
        mx::take(x, mx::array(index.begin(), {n}, mx::int32), axis),
        mx::array(weight.begin(), shape, x.dtype()));
    sum = sum ? mx::add(*sum, part) : part;
  }
  shape = x.shape();
  shape[at(axis)] = n;
  return sum.value_or(mx::zeros(shape, x.dtype()));
}

int64_t most_taps(const Taps& taps) {
  int64_t most = 0;
  for (int64_t o = 0; o < taps.out(); ++o) {
    most = std::max(most, taps.begin[at(o + 1)] - taps.begin[at(o)]);
  }
  return most;
}

} // namespace

Taps Taps::pick(int64_t in, std::vector<int64_t> indices) {
  Taps taps(in);
  taps.index = std::move(indices);
  for (int64_t k = 1; k <= static_cast<int64_t>(taps.index.size()); ++k) {
    taps.begin.push_back(k);
  }
  return taps;
}

Taps Taps::merged() const {
  Taps all(in);
  for (int64_t o = 0; o < out(); ++o) {
    for (int64_t k = begin[at(o)]; k < begin[at(o + 1)]; ++k) {
      bool first = static_cast<int64_t>(all.index.size()) == all.begin.back();
      if (!first && all.index.back() == index[at(k)]) {
        all.weight.back() += weight[at(k)];
      } else {
        all.add(index[at(k)], weight[at(k)]);
      }
    }
    all.next();
  }
  return all;
}

Taps Taps::transposed() const {
  Taps back(out());
  back.begin.assign(at(in + 1), 0);
  for (int64_t i : index) {
    ++back.begin[at(i + 1)];
  }
  for (int64_t i = 0; i < in; ++i) {
    back.begin[at(i + 1)] += back.begin[at(i)];
  }
  std::vector<int64_t> place(back.begin.begin(), back.begin.end() - 1);
  back.index.resize(index.size());
  back.weight.resize(weight.size());
  for (int64_t o = 0; o < out(); ++o) {
    for (int64_t k = begin[at(o)]; k < begin[at(o + 1)]; ++k) {
      int64_t to = place[at(index[at(k)])]++;
      back.index[at(to)] = o;
      if (!weight.empty()) {
        back.weight[at(to)] = weight[at(k)];
      }
    }
  }
  return back;
}

mx::array apply_taps(const mx::array& x, const Taps& taps, int axis) {
  mx::Dtype type = loop_type(x.dtype());
  bool pick = picks(taps);
  int64_t most = most_taps(taps);
  bool host = use_host() || most > 16;
  if (pick && (!host || type != x.dtype())) {
    mx::array index(
        taps.index.begin(), {static_cast<int>(taps.out())}, mx::int32);
    return mx::take(x, index, axis);
  }
  mx::array values = mx::astype(x, type);
  if (!host && x.size() != 0) {
    return mx::astype(plain(values, taps, axis, most), x.dtype());
  }
  auto loop = [=, rows = Rows(x.shape(), axis)](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_loop_type(type, [&](auto zero) {
      using T = decltype(zero);
      std::vector<T> weight(taps.index.size(), T(1));
      for (size_t k = 0; k < taps.weight.size(); ++k) {
        weight[k] = weight_of<T>(taps.weight[k]);
      }
      const T* from = reinterpret_cast<const T*>(in[0].data<char>());
      T* to = reinterpret_cast<T*>(out[0].data<char>());
      for (int64_t o = 0; o < rows.outer; ++o) {
        if (pick) {
          copy_lines(from, taps, rows.inner, to);
        } else {
          gather_lines(from, taps, weight, rows.inner, to);
        }
        from += rows.size * rows.inner;
        to += taps.out() * rows.inner;
      }
    });
  };
  mx::Shape shape = x.shape();
  shape[at(axis)] = static_cast<int>(taps.out());
  return mx::astype(
      host_op("ApplyTaps", {values}, {{shape, type}}, loop)[0], x.dtype());
}

mx::array apply_taps_to_bytes(const mx::array& x, const Taps& given, int axis) {
  Taps taps = given.merged();
  double greatest = 0;
  for (double w : taps.weight) {
    greatest = std::max(greatest, w);
  }
  int bits = 0;
  while (bits < 22 &&
         static_cast<int>(0.5 + greatest * (1 << (bits + 1))) < (1 << 15)) {
    ++bits;
  }
  std::vector<int32_t> weight;
  for (double w : taps.weight) {
    double scaled = w * (1 << bits);
    weight.push_back(static_cast<int32_t>(scaled + (w < 0 ? -0.5 : 0.5)));
  }
  auto loop = [=, rows = Rows(x.shape(), axis)](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    const auto* from = in[0].data<uint8_t>();
    auto* to = out[0].data<uint8_t>();
    for (int64_t r = 0; r < rows.outer; ++r) {
      for (int64_t o = 0; o < taps.out(); ++o) {
        for (int64_t i = 0; i < rows.inner; ++i, ++to) {
          int32_t sum = bits > 0 ? 1 << (bits - 1) : 0;
          for (int64_t k = taps.begin[at(o)]; k < taps.begin[at(o + 1)]; ++k) {
            sum += weight[at(k)] * from[taps.index[at(k)] * rows.inner + i];
          }
          *to = static_cast<uint8_t>(std::clamp(sum >> bits, 0, 255));
        }
      }
      from += rows.size * rows.inner;
    }
  };
  mx::Shape shape = x.shape();
  shape[at(axis)] = static_cast<int>(taps.out());
  return host_op("ApplyTapsToBytes", {x}, {{shape, mx::uint8}}, loop)[0];
}

} // namespace flashlight
