// Sizes, strides and other short lists of int64, and how PyTorch prints them.
#pragma once

#include <cstdint>
#include <ostream>

#include <mlx/array.h>

namespace flashlight {

namespace mx = mlx::core;

using IntList = mx::SmallVector<int64_t, 6>;

// "[2, 3]"
inline std::ostream& operator<<(std::ostream& out, const IntList& list) {
  out << '[';
  for (size_t i = 0; i < list.size(); ++i) {
    out << (i ? ", " : "") << list[i];
  }
  return out << ']';
}

inline int64_t product(const IntList& list) {
  int64_t n = 1;
  for (int64_t x : list) {
    n *= x;
  }
  return n;
}

inline int64_t ndim_of(const IntList& list) {
  return static_cast<int64_t>(list.size());
}

} // namespace flashlight

// The operator is looked up by argument; IntList lives in MLX's namespace.
namespace mlx::core {
using flashlight::operator<<;
}
