// Maxima and averages over windows, and what gives them back.
#pragma once

#include <array>

#include "flashlight/core/int_list.h"
#include "flashlight/kernels/host.h"

namespace flashlight {

// Windows along one dimension: output o sees first[o], first[o] + step ...
// below last[o], all of them in the input.
struct PoolAxis {
  int64_t in = 1, out = 1, step = 1;
  IntList first{0}, last{1};
  IntList count{1}; // what an average over the window is divided by

  // Where windows lie evenly, they begin `stride` apart, at -padding.
  int64_t kernel = 1, stride = 1, padding = 0;
  bool even = true;

  PoolAxis() = default;
  static PoolAxis evenly(
      int64_t in,
      int64_t out,
      int64_t kernel,
      int64_t stride,
      int64_t padding,
      int64_t dilation,
      bool count_padding);
  // As many windows as there are outputs, of about the same size.
  static PoolAxis adaptive(int64_t in, int64_t out);
  // Windows of `kernel` that begin at these.
  static PoolAxis at(int64_t in, int64_t kernel, IntList starts);
};

// Depth, height, width; leading ones are trivial if there are fewer.
struct Pool {
  std::array<PoolAxis, 3> axes;

  int64_t area() const {
    return axes[0].in * axes[1].in * axes[2].in;
  }
  int64_t places() const {
    return axes[0].out * axes[1].out * axes[2].out;
  }
};

// x is [planes..., in...]; `shape` is that of the result. NaN is the greatest.
// The indices are of elements of a plane.
std::pair<mx::array, mx::array>
max_pool(const mx::array& x, const Pool& pool, mx::Shape shape);
// Windows of each plane from three numbers of `samples` in [0, 1): see
// PyTorch's fractional pooling. `sizes` are those of the windows.
std::pair<mx::array, mx::array> fractional_max_pool(
    const mx::array& x,
    const mx::array& samples,
    const std::array<int64_t, 3>& in,
    const std::array<int64_t, 3>& out,
    const std::array<int64_t, 3>& sizes,
    int dims,
    mx::Shape shape);

// `divisor` 0: by the counts of the axes.
mx::array average_pool(
    const mx::array& x,
    const Pool& pool,
    int64_t divisor,
    mx::Shape shape);
mx::array average_pool_grad(
    const mx::array& grad,
    const Pool& pool,
    int64_t divisor,
    mx::Shape shape);

// Puts values where the indices of their plane of `area` elements say, zero
// elsewhere. Those that meet are added, or the last one stays. Indices beyond
// the plane are passed over.
mx::array put_in_planes(
    const mx::array& values,
    const mx::array& indices,
    int64_t planes,
    int64_t area,
    bool add,
    mx::Shape shape);

} // namespace flashlight
