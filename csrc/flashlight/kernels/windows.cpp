#include "flashlight/kernels/windows.h"

#include <algorithm>
#include <complex>
#include <cstring>

#include "flashlight/kernels/blas.h"

namespace flashlight {

namespace {

// The outputs whose windows have their tap at `offset` inside the input.
struct Span {
  int64_t first, last;

  Span(int64_t offset, int64_t stride, int64_t in, int64_t out) {
    first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    last = offset >= in ? 0 : (in - offset + stride - 1) / stride;
    first = std::min(first, out);
    last = std::clamp(last, first, out);
  }
};

// Calls row(input, column, Span of the last dimension) for each line of one
// plane; input is an offset that may be negative, where the span starts later.
// skip(column, n) says where padding is.
template <typename Row, typename Skip>
void each_line(const Windows& w, Row row, Skip skip) {
  int64_t column = 0;
  for (int64_t a = 0; a < w.kernel[0]; ++a) {
    for (int64_t b = 0; b < w.kernel[1]; ++b) {
      for (int64_t c = 0; c < w.kernel[2]; ++c) {
        Windows::Dims at{a, b, c}, offset{};
        for (size_t d = 0; d < 3; ++d) {
          offset[d] = at[d] * w.dilation[d] - w.padding[d];
        }
        Span span(offset[2], w.stride[2], w.in[2], w.out[2]);
        for (int64_t i = 0; i < w.out[0]; ++i) {
          int64_t z = i * w.stride[0] + offset[0];
          for (int64_t j = 0; j < w.out[1]; ++j, column += w.out[2]) {
            int64_t y = j * w.stride[1] + offset[1];
            if (z < 0 || z >= w.in[0] || y < 0 || y >= w.in[1]) {
              skip(column, w.out[2]);
              continue;
            }
            row((z * w.in[1] + y) * w.in[2] + offset[2], column, span);
          }
        }
      }
    }
  }
}

template <typename T>
void gather_columns(const T* x, const Windows& w, T* columns) {
  int64_t step = w.stride[2], n = w.out[2];
  each_line(
      w,
      [=](int64_t from, int64_t column, Span s) {
        T* to = columns + column;
        std::fill(to, to + s.first, T(0));
        if (step == 1) {
          if (s.last > s.first) {
            std::memcpy(
                to + s.first,
                x + from + s.first,
                static_cast<size_t>(s.last - s.first) * sizeof(T));
          }
        } else {
          for (int64_t k = s.first; k < s.last; ++k) {
            to[k] = x[from + k * step];
          }
        }
        std::fill(to + s.last, to + n, T(0));
      },
      [=](int64_t column, int64_t count) {
        std::fill(columns + column, columns + column + count, T(0));
      });
}

template <typename T>
void add_columns(const T* columns, const Windows& w, T* x) {
  int64_t step = w.stride[2];
  each_line(
      w,
      [=](int64_t to, int64_t column, Span s) {
        const T* from = columns + column;
        if (step == 1) {
          for (int64_t k = s.first; k < s.last; ++k) {
            x[to + k] += from[k];
          }
        } else {
          for (int64_t k = s.first; k < s.last; ++k) {
            x[to + k * step] += from[k];
          }
        }
      },
      [](int64_t, int64_t) {});
}

// The dtype that a loop computes `dtype` in.
mx::Dtype loop_type(mx::Dtype dtype) {
  if (dtype == mx::float64 || dtype == mx::complex64) {
    return dtype;
  }
  return mx::issubdtype(dtype, mx::floating) ? mx::float32 : mx::int64;
}

template <typename F>
void for_loop_type(mx::Dtype type, F&& f) {
  if (type == mx::float32) {
    f(float{});
  } else if (type == mx::float64) {
    f(double{});
  } else if (type == mx::complex64) {
    f(std::complex<float>{});
  } else {
    f(int64_t{});
  }
}

template <typename T>
const T* read(const mx::array& x) {
  return reinterpret_cast<const T*>(x.data<char>());
}
template <typename T>
T* write(mx::array& x) {
  return reinterpret_cast<T*>(x.data<char>());
}

// Runs f<T>(inputs, output) for arrays of one dtype, in the type it takes.
template <typename F>
mx::array
run_typed(std::string name, std::vector<mx::array> in, mx::Shape shape, F f) {
  mx::Dtype dtype = in[0].dtype(), type = loop_type(dtype);
  for (mx::array& x : in) {
    x = mx::astype(x, type);
  }
  auto loop =
      [type, f](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        for_loop_type(type, [&](auto zero) { f(zero, in, out[0]); });
      };
  return mx::astype(
      host_op(std::move(name), in, {{std::move(shape), type}}, loop)[0], dtype);
}

// Sizes of the product of one image and one group.
struct Product {
  int64_t channels, filters; // of one group
  int m, n, k;

  explicit Product(const ConvShape& c)
      : channels(c.channels / c.groups),
        filters(c.filters / c.groups),
        m(static_cast<int>(filters)),
        n(static_cast<int>(c.windows.places())),
        k(static_cast<int>(channels * c.windows.taps())) {}
};

template <typename T>
const T* columns_of(
    const T* x,
    const ConvShape& c,
    const Product& p,
    std::vector<T>& buffer) {
  const Windows& w = c.windows;
  if (w.trivial()) {
    return x;
  }
  buffer.resize(static_cast<size_t>(p.k) * static_cast<size_t>(p.n));
  for (int64_t i = 0; i < p.channels; ++i) {
    gather_columns(
        x + i * w.area(), w, buffer.data() + i * w.taps() * w.places());
  }
  return buffer.data();
}

// Calls f(image and group's index, group).
template <typename F>
void each_group(const ConvShape& c, F f) {
  for (int64_t i = 0; i < c.batch; ++i) {
    for (int64_t g = 0; g < c.groups; ++g) {
      f(i * c.groups + g, g);
    }
  }
}

template <typename T>
void add_bias(T* out, const T* bias, int64_t planes, int64_t each, int64_t n) {
  for (int64_t p = 0; p < planes; ++p, out += n) {
    for (int64_t i = 0; i < n; ++i) {
      out[i] += bias[p % each];
    }
  }
}

std::vector<mx::array> with_bias(
    const mx::array& a,
    const mx::array& b,
    const std::optional<mx::array>& bias) {
  std::vector<mx::array> in{a, b};
  if (bias) {
    in.push_back(*bias);
  }
  return in;
}

} // namespace

mx::array conv_forward(
    const mx::array& x,
    const mx::array& weight,
    const std::optional<mx::array>& bias,
    const ConvShape& c,
    mx::Shape shape) {
  auto loop = [c](auto zero, const std::vector<mx::array>& in, mx::array& out) {
    using T = decltype(zero);
    Product p(c);
    std::vector<T> buffer;
    T* to = write<T>(out);
    each_group(c, [&](int64_t i, int64_t g) {
      const T* image = read<T>(in[0]) + i * p.channels * c.windows.area();
      const T* columns = columns_of(image, c, p, buffer);
      const T* w = read<T>(in[1]) + g * p.m * p.k;
      gemm(false, false, p.m, p.n, p.k, w, columns, false, to + i * p.m * p.n);
    });
    if (in.size() > 2) {
      add_bias(to, read<T>(in[2]), c.batch * c.filters, c.filters, p.n);
    }
  };
  return run_typed(
      "Convolution", with_bias(x, weight, bias), std::move(shape), loop);
}

mx::array conv_input(
    const mx::array& grad,
    const mx::array& weight,
    const std::optional<mx::array>& bias,
    const ConvShape& c,
    mx::Shape shape) {
  auto loop = [c](auto zero, const std::vector<mx::array>& in, mx::array& out) {
    using T = decltype(zero);
    Product p(c);
    const Windows& w = c.windows;
    bool direct = w.trivial();
    std::vector<T> buffer;
    T* to = write<T>(out);
    if (!direct) {
      std::fill(to, to + out.size(), T(0));
      buffer.resize(static_cast<size_t>(p.k) * static_cast<size_t>(p.n));
    }
    each_group(c, [&](int64_t i, int64_t g) {
      const T* from = read<T>(in[0]) + i * p.m * p.n;
      const T* filters = read<T>(in[1]) + g * p.m * p.k;
      T* image = to + i * p.channels * w.area();
      T* columns = direct ? image : buffer.data();
      gemm(true, false, p.k, p.n, p.m, filters, from, false, columns);
      for (int64_t j = 0; !direct && j < p.channels; ++j) {
        add_columns(
            columns + j * w.taps() * w.places(), w, image + j * w.area());
      }
    });
    if (in.size() > 2) {
      add_bias(to, read<T>(in[2]), c.batch * c.channels, c.channels, w.area());
    }
  };
  return run_typed(
      "ConvolutionInput",
      with_bias(grad, weight, bias),
      std::move(shape),
      loop);
}

mx::array conv_weight(
    const mx::array& grad,
    const mx::array& x,
    const ConvShape& c,
    mx::Shape shape) {
  auto loop = [c](auto zero, const std::vector<mx::array>& in, mx::array& out) {
    using T = decltype(zero);
    Product p(c);
    std::vector<T> buffer;
    T* to = write<T>(out);
    std::fill(to, to + out.size(), T(0));
    each_group(c, [&](int64_t i, int64_t g) {
      const T* image = read<T>(in[1]) + i * p.channels * c.windows.area();
      const T* columns = columns_of(image, c, p, buffer);
      const T* from = read<T>(in[0]) + i * p.m * p.n;
      gemm(false, true, p.m, p.k, p.n, from, columns, true, to + g * p.m * p.k);
    });
  };
  return run_typed("ConvolutionWeight", {grad, x}, std::move(shape), loop);
}

mx::array to_columns(const mx::array& x, const Windows& w, int64_t n) {
  auto loop = [w, n](
                  auto zero, const std::vector<mx::array>& in, mx::array& out) {
    using T = decltype(zero);
    for (int64_t i = 0; i < n; ++i) {
      gather_columns(
          read<T>(in[0]) + i * w.area(),
          w,
          write<T>(out) + i * w.taps() * w.places());
    }
  };
  mx::Shape shape{
      static_cast<int>(n),
      static_cast<int>(w.taps()),
      static_cast<int>(w.places())};
  return run_typed("ToColumns", {x}, shape, loop);
}

mx::array from_columns(const mx::array& x, const Windows& w, int64_t n) {
  auto loop = [w, n](
                  auto zero, const std::vector<mx::array>& in, mx::array& out) {
    using T = decltype(zero);
    T* to = write<T>(out);
    std::fill(to, to + out.size(), T(0));
    for (int64_t i = 0; i < n; ++i) {
      add_columns(
          read<T>(in[0]) + i * w.taps() * w.places(), w, to + i * w.area());
    }
  };
  mx::Shape shape{static_cast<int>(n), static_cast<int>(w.area())};
  return run_typed("FromColumns", {x}, shape, loop);
}

} // namespace flashlight
