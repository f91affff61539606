// Batches of matrices in memory as LAPACK has them: column by column.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "flashlight/autograd/levels.h"
#include "flashlight/kernels/dense.h"
#include "flashlight/kernels/lapack.h"
#include "flashlight/ops/linalg.h"
#include "flashlight/ops/op.h"

namespace flashlight {

// What LAPACK does not factor.
inline constexpr int kImprecise = kBools | kIntegers | kHalves;

template <typename T>
struct Batch {
  int rows, columns;
  size_t count;
  std::vector<T> data;

  Batch(size_t count, int rows, int columns)
      : rows(rows), columns(columns), count(count), data(count * each()) {}
  size_t each() const {
    return static_cast<size_t>(rows) * static_cast<size_t>(columns);
  }
  T* at(size_t k) {
    return data.data() + k * each();
  }
};

inline size_t product_of(const mx::Shape& shape, size_t ndim) {
  size_t n = 1;
  for (size_t d = 0; d < ndim; ++d) {
    n *= static_cast<size_t>(shape[d]);
  }
  return n;
}

// The shape of a batch of matrices like a's, without the matrices.
inline mx::Shape batch_shape(const mx::array& a) {
  return mx::Shape(a.shape().begin(), a.shape().end() - 2);
}

template <typename T>
Batch<T> load_batch(const mx::array& a) {
  Batch<T> out(product_of(a.shape(), a.ndim() - 2), a.shape(-2), a.shape(-1));
  if (a.size()) {
    out.data = load<T>(mx::swapaxes(a, -1, -2));
  }
  return out;
}

// ... with the first of `shape`'s dimensions those of the batch.
template <typename T>
mx::array store_batch(const Batch<T>& batch, mx::Shape shape, mx::Dtype dtype) {
  shape.push_back(batch.columns);
  shape.push_back(batch.rows);
  return mx::swapaxes(store(batch.data, shape, dtype), -1, -2);
}

template <typename T>
bool all_finite(const T* a, size_t n) {
  return std::all_of(a, a + n, [](T x) {
    return std::isfinite(std::real(x)) && std::isfinite(std::imag(x));
  });
}

template <typename T>
int factor_lu(int m, int n, T* a, int* pivots) {
  size_t size = static_cast<size_t>(m) * static_cast<size_t>(n);
  return all_finite(a, size) ? lapack::getrf(m, n, a, pivots)
                             : dense::lu(m, n, a, pivots);
}

// Whole numbers, one row a matrix: pivots, codes.
inline mx::array store_ints(const std::vector<int>& v, const mx::Shape& shape) {
  return mx::array(v.data(), shape, mx::int32);
}

inline std::vector<int> load_ints(const mx::array& a) {
  mx::array x = mx::contiguous(mx::astype(a, mx::int32, kCpu), false, kCpu);
  eval({x});
  return std::vector<int>(x.data<int>(), x.data<int>() + x.size());
}

// LinAlgError of the first matrix whose code is not zero. `text(code)` says
// what it is.
template <typename F>
void check_info(const Tensor& info, std::string_view name, F text) {
  std::vector<int> codes = load_ints(outside_levels(info).value());
  for (size_t k = 0; k < codes.size(); ++k) {
    if (codes[k]) {
      fail<LinAlgError>(
          name,
          ": ",
          info.dim() ? detail::concat("(Batch element ", k, "): ") : "",
          text(codes[k]));
    }
  }
}

} // namespace flashlight
