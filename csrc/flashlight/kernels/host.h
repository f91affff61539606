// Ops that MLX has not: loops in C++, recorded like any MLX op.
//
// Note [Host ops]
// host_op() records a primitive of ours that runs on MLX's CPU stream, over
// the same buffers wherever memory is unified. It stays lazy, so it is for ops
// whose result sizes are known without looking at values.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <mlx/array.h>
#include <mlx/ops.h>

#include "flashlight/core/api.h"

namespace flashlight {

namespace mx = mlx::core;

struct HostResult {
  mx::Shape shape;
  mx::Dtype dtype;
};

// Inputs are row-contiguous; outputs are allocated, row-contiguous, not filled.
using HostFn = std::function<
    void(const std::vector<mx::array>& in, std::vector<mx::array>& out)>;

// For mx::vjp over a host op: the gradients of the inputs, from the inputs, the
// gradients of the results, and the results.
using HostVjp = std::function<std::vector<mx::array>(
    const std::vector<mx::array>& in,
    const std::vector<mx::array>& grads,
    const std::vector<mx::array>& out)>;

FL_API std::vector<mx::array> host_op(
    std::string name,
    const std::vector<mx::array>& inputs,
    const std::vector<HostResult>& results,
    HostFn fn,
    HostVjp vjp = nullptr);

// Whether a loop of ours beats MLX's own op: on the CPU, unless
// FLASHLIGHT_KERNELS=0.
FL_API bool use_host();

// Rows along one axis of a contiguous array: `outer` x `size` x `inner`.
struct Rows {
  int64_t outer = 1, size = 1, inner = 1;

  Rows(const mx::Shape& shape, int axis) {
    for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
      (d < axis   ? outer
       : d > axis ? inner
                  : size) *= shape[static_cast<size_t>(d)];
    }
  }
  // Calls f with where each row begins; its elements are `inner` apart. A
  // result of another size along the axis has its own Rows, in the same order.
  template <typename F>
  void each(F&& f) const {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) {
        f(o * size * inner + i);
      }
    }
  }
  int64_t start(int64_t row) const {
    return row / inner * size * inner + row % inner;
  }
  int64_t count() const {
    return outer * inner;
  }
};

// The type that orders as `dtype` does and holds its values: int64, float32 or
// float64. Loops that only compare are compiled for these three.
inline mx::Dtype ordered_type(mx::Dtype dtype) {
  if (dtype == mx::float64 || dtype == mx::float32) {
    return dtype;
  }
  return mx::issubdtype(dtype, mx::floating) ? mx::float32 : mx::int64;
}

// Calls f(T{}) for one of ordered_type()'s.
template <typename F>
void for_ordered(mx::Dtype dtype, F&& f) {
  if (dtype == mx::float64) {
    f(double{});
  } else if (dtype == mx::float32) {
    f(float{});
  } else {
    f(int64_t{});
  }
}

// a < b with NaN as the greatest, as PyTorch orders.
template <typename T>
bool nan_less(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return (b != b && a == a) || a < b;
  } else {
    return a < b;
  }
}

// Picks `count` elements of each row along `axis`: f(row, values, indices) gets
// the row and fills vectors of `count`. Gives values of x's type and int64
// indices. f is a template over the element type; see for_ordered.
template <typename F>
std::pair<mx::array, mx::array>
pick_rows(std::string name, const mx::array& x, int axis, int count, F f) {
  mx::Dtype type = ordered_type(x.dtype());
  mx::Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = count;
  auto loop = [type, f, in_rows = Rows(x.shape(), axis), count](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(type, [&](auto zero) {
      using T = decltype(zero);
      Rows out_rows = in_rows;
      out_rows.size = count;
      std::vector<T> row(static_cast<size_t>(in_rows.size));
      std::vector<T> values(static_cast<size_t>(count));
      std::vector<int64_t> indices(static_cast<size_t>(count));
      const T* from = in[0].data<T>();
      T* to = out[0].data<T>();
      auto* at = out[1].data<int64_t>();
      for (int64_t r = 0; r < in_rows.count(); ++r) {
        const T* source = from + in_rows.start(r);
        for (size_t i = 0; i < row.size(); ++i) {
          row[i] = source[static_cast<int64_t>(i) * in_rows.inner];
        }
        f(row, values, indices);
        int64_t start = out_rows.start(r);
        for (size_t i = 0; i < values.size(); ++i) {
          int64_t place = start + static_cast<int64_t>(i) * out_rows.inner;
          to[place] = values[i];
          at[place] = indices[i];
        }
      }
    });
  };
  auto out = host_op(
      std::move(name),
      {mx::astype(x, type)},
      {{shape, type}, {shape, mx::int64}},
      loop);
  return {mx::astype(out[0], x.dtype()), out[1]};
}

} // namespace flashlight
