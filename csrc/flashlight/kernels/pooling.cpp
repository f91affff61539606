#include "flashlight/kernels/pooling.h"

#include <algorithm>
#include <limits>

namespace flashlight {

namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Even windows are read tap by tap, so that the loop runs along the outputs.
// Calls tap(input, first output, last output) for each: the input of the first.
template <typename F>
void each_tap(const PoolAxis& w, F tap) {
  for (int64_t k = 0; k < w.kernel; ++k) {
    int64_t offset = k * w.step - w.padding;
    int64_t from = offset >= 0 ? 0 : (-offset + w.stride - 1) / w.stride;
    int64_t to = offset >= w.in ? 0 : (w.in - offset + w.stride - 1) / w.stride;
    to = std::min(to, w.out);
    if (from < to) {
      tap(offset + from * w.stride, from, to);
    }
  }
}

// Calls line(offset of a line of the input) for each that the windows at depth
// d and height h see.
template <typename F>
void each_line(const Pool& p, int64_t d, int64_t h, F line) {
  const auto& [depth, height, width] = p.axes;
  for (int64_t z = depth.first[at(d)]; z < depth.last[at(d)]; z += depth.step) {
    for (int64_t y = height.first[at(h)]; y < height.last[at(h)];
         y += height.step) {
      line((z * height.in + y) * width.in);
    }
  }
}

// One tap of even windows. Plain arrays of one width that do not overlap: the
// compiler makes vectors of it.
template <typename T, typename I>
void take_greater(
    const T* __restrict x,
    int64_t stride,
    I first,
    int64_t n,
    T* __restrict best,
    I* __restrict where) {
  auto step = static_cast<I>(stride);
  auto take = [&](int64_t o, T value) {
    bool more = value > best[o] || value != value;
    best[o] = more ? value : best[o];
    where[o] =
        more ? static_cast<I>(first + static_cast<I>(o) * step) : where[o];
  };
  if (stride == 1) {
    for (int64_t o = 0; o < n; ++o) {
      take(o, x[o]);
    }
  } else if (stride == 2) {
    for (int64_t o = 0; o < n; ++o) {
      take(o, x[2 * o]);
    }
  } else {
    for (int64_t o = 0; o < n; ++o) {
      take(o, x[o * stride]);
    }
  }
}

template <typename T>
constexpr T kLeast =
    std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                : std::numeric_limits<T>::lowest();

// I: of indices in the plane.
template <typename T, typename I>
void max_plane(const T* x, const Pool& p, T* out, int64_t* indices) {
  const auto& [depth, height, width] = p.axes;
  std::vector<I> where(at(width.out));
  for (int64_t d = 0; d < depth.out; ++d) {
    for (int64_t h = 0; h < height.out; ++h) {
      // The first element, unless another is greater.
      int64_t start =
          (depth.first[at(d)] * height.in + height.first[at(h)]) * width.in;
      std::fill(out, out + width.out, kLeast<T>);
      for (int64_t o = 0; o < width.out; ++o) {
        where[at(o)] = static_cast<I>(start + width.first[at(o)]);
      }
      each_line(p, d, h, [&](int64_t line) {
        if (width.even) {
          each_tap(width, [&](int64_t i, int64_t from, int64_t to) {
            take_greater(
                x + line + i,
                width.stride,
                static_cast<I>(line + i),
                to - from,
                out + from,
                where.data() + from);
          });
          return;
        }
        for (int64_t o = 0; o < width.out; ++o) {
          T best = out[o];
          for (int64_t i = width.first[at(o)]; i < width.last[at(o)]; ++i) {
            T value = x[line + i];
            if (value > best || value != value) {
              best = value;
              where[at(o)] = static_cast<I>(line + i);
            }
          }
          out[o] = best;
        }
      });
      std::copy(where.begin(), where.end(), indices);
      out += width.out;
      indices += width.out;
    }
  }
}

template <typename T>
void max_plane(const T* x, const Pool& p, T* out, int64_t* indices) {
  if (p.area() <= std::numeric_limits<int32_t>::max()) {
    max_plane<T, int32_t>(x, p, out, indices);
  } else {
    max_plane<T, int64_t>(x, p, out, indices);
  }
}

// Sums in double precision, or whole numbers.
template <typename T>
using Sum = std::conditional_t<std::is_floating_point_v<T>, double, T>;

template <typename T>
void average_plane(
    const T* x,
    const Pool& p,
    int64_t divisor,
    std::vector<Sum<T>>& sums,
    T* out) {
  const auto& [depth, height, width] = p.axes;
  sums.resize(at(width.out));
  for (int64_t d = 0; d < depth.out; ++d) {
    for (int64_t h = 0; h < height.out; ++h) {
      std::fill(sums.begin(), sums.end(), Sum<T>(0));
      each_line(p, d, h, [&](int64_t line) {
        if (width.even) {
          each_tap(width, [&](int64_t i, int64_t from, int64_t to) {
            const T* row = x + line + i;
            for (int64_t o = from; o < to; ++o, row += width.stride) {
              sums[at(o)] += static_cast<Sum<T>>(*row);
            }
          });
          return;
        }
        for (int64_t o = 0; o < width.out; ++o) {
          T sum(0);
          for (int64_t i = width.first[at(o)]; i < width.last[at(o)]; ++i) {
            sum += x[line + i];
          }
          sums[at(o)] += static_cast<Sum<T>>(sum);
        }
      });
      int64_t outer = depth.count[at(d)] * height.count[at(h)];
      for (int64_t o = 0; o < width.out; ++o) {
        int64_t by = divisor ? divisor : outer * width.count[at(o)];
        out[o] = by == 0
                     ? T(0)
                     : static_cast<T>(sums[at(o)] / static_cast<Sum<T>>(by));
      }
      out += width.out;
    }
  }
}

template <typename T>
void spread_plane(
    const T* grad,
    const Pool& p,
    int64_t divisor,
    std::vector<T>& shares,
    T* to) {
  const auto& [depth, height, width] = p.axes;
  shares.resize(at(width.out));
  std::fill(to, to + p.area(), T(0));
  for (int64_t d = 0; d < depth.out; ++d) {
    for (int64_t h = 0; h < height.out; ++h) {
      int64_t outer = depth.count[at(d)] * height.count[at(h)];
      for (int64_t o = 0; o < width.out; ++o) {
        int64_t by = divisor ? divisor : outer * width.count[at(o)];
        shares[at(o)] = by == 0 ? T(0) : grad[o] / static_cast<T>(by);
      }
      each_line(p, d, h, [&](int64_t line) {
        if (width.even) {
          each_tap(width, [&](int64_t i, int64_t from, int64_t end) {
            T* row = to + line + i;
            for (int64_t o = from; o < end; ++o, row += width.stride) {
              *row += shares[at(o)];
            }
          });
          return;
        }
        for (int64_t o = 0; o < width.out; ++o) {
          for (int64_t i = width.first[at(o)]; i < width.last[at(o)]; ++i) {
            to[line + i] += shares[at(o)];
          }
        }
      });
      grad += width.out;
    }
  }
}

// Where the windows of fractional pooling begin: evenly in the mean, the last
// at the end.
template <typename T>
IntList fractional_starts(T sample, int64_t in, int64_t out, int64_t kernel) {
  IntList starts(at(out), 0);
  if (out > 1) {
    T alpha = static_cast<T>(in - kernel) / static_cast<T>(out - 1);
    for (int64_t i = 0; i < out - 1; ++i) {
      auto place = [&](T k) {
        return static_cast<int64_t>((k + sample) * alpha);
      };
      starts[at(i)] = place(static_cast<T>(i)) - place(T(0));
    }
  }
  if (out > 0) {
    starts[at(out - 1)] = in - kernel;
  }
  return starts;
}

mx::Dtype float_type(mx::Dtype dtype) {
  return dtype == mx::float64 ? mx::float64 : mx::float32;
}

// MLX's ops on even windows: [planes..., out..., taps] of a padded input.
struct Plain {
  const Pool& p;
  int64_t planes;

  mx::array windows(const mx::array& x, const mx::array& fill) const {
    mx::Shape shape{static_cast<int>(planes)}, view = shape, taps;
    mx::Shape low{0}, high{0};
    for (const PoolAxis& a : p.axes) {
      int64_t needed =
          (a.out - 1) * a.stride + (a.kernel - 1) * a.step + 1 - a.padding;
      shape.push_back(static_cast<int>(a.in));
      low.push_back(static_cast<int>(a.padding));
      high.push_back(static_cast<int>(std::max<int64_t>(0, needed - a.in)));
      view.push_back(static_cast<int>(a.out));
      taps.push_back(static_cast<int>(a.kernel));
    }
    mx::array padded = mx::contiguous(
        mx::pad(mx::reshape(x, shape), {0, 1, 2, 3}, low, high, fill));
    mx::Strides each(4, 1);
    for (int d = 2; d >= 0; --d) {
      each[at(d)] = each[at(d + 1)] * padded.shape(d + 1);
    }
    mx::Strides strides{each[0]};
    for (size_t d = 0; d < 3; ++d) {
      strides.push_back(each[d + 1] * p.axes[d].stride);
    }
    for (size_t d = 0; d < 3; ++d) {
      strides.push_back(each[d + 1] * p.axes[d].step);
    }
    mx::Shape all = view;
    all.insert(all.end(), taps.begin(), taps.end());
    view.push_back(taps[0] * taps[1] * taps[2]);
    return mx::reshape(mx::as_strided(padded, all, strides, 0), view);
  }
  mx::array divisors(int64_t divisor, mx::Dtype dtype) const {
    if (divisor) {
      return mx::array(static_cast<int>(divisor), dtype);
    }
    mx::array all = mx::array(1, dtype);
    for (int d = 0; d < 3; ++d) {
      mx::Shape shape{1, 1, 1, 1};
      shape[at(d + 1)] = static_cast<int>(p.axes[at(d)].out);
      std::vector<int> counts;
      for (int64_t n : p.axes[at(d)].count) {
        counts.push_back(std::max(static_cast<int>(n), 1));
      }
      mx::array axis(counts.begin(), shape, dtype);
      all = mx::multiply(all, axis);
    }
    return all;
  }
  mx::array average(const mx::array& x, int64_t divisor) const {
    mx::array sum =
        mx::sum(windows(x, mx::array(0, x.dtype())), -1, /*keepdims=*/false);
    mx::array by = divisors(divisor, x.dtype());
    bool whole = mx::issubdtype(x.dtype(), mx::integer);
    return whole ? mx::floor_divide(sum, by) : mx::divide(sum, by);
  }
  // (values, indices)
  std::pair<mx::array, mx::array> maximum(const mx::array& x) const {
    bool floats = mx::issubdtype(x.dtype(), mx::floating);
    mx::array numbers = windows(x, mx::array(0, x.dtype()));
    mx::array valid = windows(mx::ones(x.shape(), mx::bool_), mx::array(false));
    mx::array lowest = floats
                           ? mx::array(-std::numeric_limits<float>::infinity())
                           : mx::min(x);
    mx::array seen = mx::where(valid, numbers, mx::astype(lowest, x.dtype()));
    mx::array best = mx::max(seen, -1, true);
    mx::array hit = mx::equal(seen, best);
    if (floats) {
      hit = mx::logical_or(hit, mx::isnan(seen));
    }
    mx::array tap = mx::argmax(mx::logical_and(hit, valid), -1, true);
    mx::array places = mx::reshape(
        mx::arange(0, static_cast<double>(p.area()), mx::int64),
        {1,
         static_cast<int>(p.axes[0].in),
         static_cast<int>(p.axes[1].in),
         static_cast<int>(p.axes[2].in)});
    mx::array index = Plain{p, 1}.windows(places, mx::array(0, mx::int64));
    index = mx::broadcast_to(index, numbers.shape());
    auto chosen = [&](const mx::array& of) {
      return mx::squeeze(mx::take_along_axis(of, tap, -1), -1);
    };
    return {chosen(numbers), chosen(index)};
  }
};

bool is_even(const Pool& p) {
  return p.axes[0].even && p.axes[1].even && p.axes[2].even;
}

int64_t planes_of(const mx::array& x, int64_t each) {
  return each == 0 ? 0 : static_cast<int64_t>(x.size()) / each;
}

} // namespace

PoolAxis PoolAxis::evenly(
    int64_t in,
    int64_t out,
    int64_t kernel,
    int64_t stride,
    int64_t padding,
    int64_t dilation,
    bool count_padding) {
  PoolAxis a;
  a.in = in;
  a.out = out;
  a.step = dilation;
  a.kernel = kernel;
  a.stride = stride;
  a.padding = padding;
  a.first.clear();
  a.last.clear();
  a.count.clear();
  for (int64_t o = 0; o < out; ++o) {
    int64_t start = o * stride - padding;
    int64_t stop = std::min(start + (kernel - 1) * dilation + 1, in + padding);
    int64_t skipped = start < 0 ? (-start + dilation - 1) / dilation : 0;
    a.first.push_back(start + skipped * dilation);
    a.last.push_back(std::min(stop, in));
    int64_t seen = std::max<int64_t>(a.last.back() - a.first.back(), 0);
    a.count.push_back(count_padding ? stop - start : seen);
  }
  return a;
}

PoolAxis PoolAxis::adaptive(int64_t in, int64_t out) {
  PoolAxis a;
  a.in = in;
  a.out = out;
  a.even = false;
  a.first.clear();
  a.last.clear();
  a.count.clear();
  for (int64_t o = 0; o < out; ++o) {
    a.first.push_back(o * in / out);
    a.last.push_back(((o + 1) * in + out - 1) / out);
    a.count.push_back(a.last.back() - a.first.back());
  }
  return a;
}

PoolAxis PoolAxis::at(int64_t in, int64_t kernel, IntList starts) {
  PoolAxis a;
  a.in = in;
  a.out = ndim_of(starts);
  a.even = false;
  a.last.clear();
  for (int64_t start : starts) {
    a.last.push_back(start + kernel);
  }
  a.first = std::move(starts);
  return a;
}

std::pair<mx::array, mx::array>
max_pool(const mx::array& x, const Pool& pool, mx::Shape shape) {
  int64_t planes = planes_of(x, pool.area());
  if (!use_host() && is_even(pool) && x.size() != 0) {
    auto [values, indices] = Plain{pool, planes}.maximum(x);
    return {mx::reshape(values, shape), mx::reshape(indices, shape)};
  }
  mx::Dtype type = ordered_type(x.dtype());
  auto loop = [=](const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(type, [&](auto zero) {
      using T = decltype(zero);
      for (int64_t i = 0; i < planes; ++i) {
        max_plane(
            in[0].data<T>() + i * pool.area(),
            pool,
            out[0].data<T>() + i * pool.places(),
            out[1].data<int64_t>() + i * pool.places());
      }
    });
  };
  auto out = host_op(
      "MaxPool",
      {mx::astype(x, type)},
      {{shape, type}, {shape, mx::int64}},
      loop);
  return {mx::astype(out[0], x.dtype()), out[1]};
}

std::pair<mx::array, mx::array> fractional_max_pool(
    const mx::array& x,
    const mx::array& samples,
    const std::array<int64_t, 3>& in_sizes,
    const std::array<int64_t, 3>& out_sizes,
    const std::array<int64_t, 3>& kernel,
    int dims,
    mx::Shape shape) {
  mx::Dtype type = float_type(x.dtype());
  int64_t area = in_sizes[0] * in_sizes[1] * in_sizes[2];
  int64_t planes = planes_of(x, area);
  auto loop = [=](const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(type, [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_floating_point_v<T>) {
        for (int64_t i = 0; i < planes; ++i) {
          const T* sample = in[1].data<T>() + i * dims;
          Pool p;
          for (size_t d = 0; d < 3; ++d) {
            // In two dimensions the first sample is the width's.
            size_t from = dims == 2 ? 2 - d : d;
            if (d + at(dims) >= 3) {
              p.axes[d] = PoolAxis::at(
                  in_sizes[d],
                  kernel[d],
                  fractional_starts(
                      sample[from], in_sizes[d], out_sizes[d], kernel[d]));
            }
          }
          max_plane(
              in[0].data<T>() + i * area,
              p,
              out[0].data<T>() + i * p.places(),
              out[1].data<int64_t>() + i * p.places());
        }
      }
    });
  };
  auto out = host_op(
      "FractionalMaxPool",
      {mx::astype(x, type), mx::astype(samples, type)},
      {{shape, type}, {shape, mx::int64}},
      loop);
  return {mx::astype(out[0], x.dtype()), out[1]};
}

mx::array average_pool(
    const mx::array& x,
    const Pool& pool,
    int64_t divisor,
    mx::Shape shape) {
  int64_t planes = planes_of(x, pool.area());
  mx::Dtype type = ordered_type(x.dtype());
  mx::array values = mx::astype(x, type);
  if (!use_host() && is_even(pool) && x.size() != 0) {
    mx::array out = Plain{pool, planes}.average(values, divisor);
    return mx::astype(mx::reshape(out, shape), x.dtype());
  }
  auto loop = [=](const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(type, [&](auto zero) {
      using T = decltype(zero);
      std::vector<Sum<T>> sums;
      for (int64_t i = 0; i < planes; ++i) {
        average_plane(
            in[0].data<T>() + i * pool.area(),
            pool,
            divisor,
            sums,
            out[0].data<T>() + i * pool.places());
      }
    });
  };
  auto out = host_op("AveragePool", {values}, {{std::move(shape), type}}, loop);
  return mx::astype(out[0], x.dtype());
}

mx::array average_pool_grad(
    const mx::array& grad,
    const Pool& pool,
    int64_t divisor,
    mx::Shape shape) {
  mx::Dtype type = float_type(grad.dtype());
  mx::array values = mx::astype(grad, type);
  int64_t planes = planes_of(grad, pool.places());
  if (!use_host() && is_even(pool) && grad.size() != 0) {
    Plain plain{pool, planes};
    auto forward = [&](const std::vector<mx::array>& x) {
      return std::vector<mx::array>{plain.average(x[0], divisor)};
    };
    std::vector<int> sizes{static_cast<int>(planes)};
    for (const PoolAxis& a : pool.axes) {
      sizes.push_back(static_cast<int>(a.out));
    }
    auto back = mx::vjp(
        forward,
        {mx::zeros(shape, type)},
        {mx::reshape(values, mx::Shape(sizes.begin(), sizes.end()))});
    return mx::astype(mx::reshape(back.second[0], shape), grad.dtype());
  }
  auto loop = [=](const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(type, [&](auto zero) {
      using T = decltype(zero);
      std::vector<T> shares;
      for (int64_t i = 0; i < planes; ++i) {
        spread_plane(
            in[0].data<T>() + i * pool.places(),
            pool,
            divisor,
            shares,
            out[0].data<T>() + i * pool.area());
      }
    });
  };
  auto out =
      host_op("AveragePoolGrad", {values}, {{std::move(shape), type}}, loop);
  return mx::astype(out[0], grad.dtype());
}

mx::array put_in_planes(
    const mx::array& values,
    const mx::array& indices,
    int64_t planes,
    int64_t area,
    bool add,
    mx::Shape shape) {
  mx::Dtype type = ordered_type(values.dtype());
  int64_t each = planes_of(values, planes);
  auto loop = [=](const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(type, [&](auto zero) {
      using T = decltype(zero);
      const T* from = in[0].data<T>();
      const int64_t* where = in[1].data<int64_t>();
      T* to = out[0].data<T>();
      std::fill(to, to + planes * area, T(0));
      for (int64_t p = 0; p < planes; ++p, to += area) {
        for (int64_t i = 0; i < each; ++i, ++from, ++where) {
          if (*where >= 0 && *where < area) {
            to[*where] = add ? to[*where] + *from : *from;
          }
        }
      }
    });
  };
  auto out = host_op(
      "PutInPlanes",
      {mx::astype(values, type), indices},
      {{std::move(shape), type}},
      loop);
  return mx::astype(out[0], values.dtype());
}

} // namespace flashlight
