// Factorizations of dense matrices by the textbook, in double precision. For
// matrices with NaN or infinities, of which LAPACKs make different things.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <utility>

namespace flashlight::dense {

inline double conj_of(double x) {
  return x;
}
inline std::complex<double> conj_of(std::complex<double> x) {
  return std::conj(x);
}

// a (m x n, column by column) becomes L and U. As LAPACK's getrf: pivots count
// from 1, and the result is the first column without one, or 0.
template <typename T>
int lu(int64_t m, int64_t n, T* a, int* pivots) {
  int zero = 0;
  for (int64_t k = 0; k < std::min(m, n); ++k) {
    int64_t best = k;
    for (int64_t i = k + 1; i < m; ++i) {
      if (std::abs(a[k * m + i]) > std::abs(a[k * m + best])) {
        best = i;
      }
    }
    pivots[k] = static_cast<int>(best + 1);
    for (int64_t j = 0; best != k && j < n; ++j) {
      std::swap(a[j * m + k], a[j * m + best]);
    }
    T pivot = a[k * m + k];
    if (pivot == T(0)) {
      zero = zero ? zero : static_cast<int>(k + 1);
      continue;
    }
    for (int64_t i = k + 1; i < m; ++i) {
      T factor = a[k * m + i] / pivot;
      a[k * m + i] = factor;
      for (int64_t j = k + 1; factor != T(0) && j < n; ++j) {
        a[j * m + i] -= factor * a[j * m + k];
      }
    }
  }
  return zero;
}

// b (n x m, column by column) becomes A^-1 b by what lu() leaves.
template <typename T>
void solve(int64_t n, int64_t m, const T* a, const int* pivots, T* b) {
  for (int64_t j = 0; j < m; ++j, b += n) {
    for (int64_t i = 0; i < n; ++i) {
      std::swap(b[i], b[pivots[i] - 1]);
    }
    for (int64_t k = 0; k < n; ++k) {
      for (int64_t i = k + 1; i < n; ++i) {
        b[i] -= a[k * n + i] * b[k];
      }
    }
    for (int64_t k = n - 1; k >= 0; --k) {
      b[k] /= a[k * n + k];
      for (int64_t i = 0; i < k; ++i) {
        b[i] -= a[k * n + i] * b[k];
      }
    }
  }
}

// x = L^-1 b or U^-1 b in place, b (n x m), row by row.
template <typename T>
void solve_triangular(
    const T* a,
    T* b,
    int64_t n,
    int64_t m,
    bool upper,
    bool unit) {
  for (int64_t step = 0; step < n; ++step) {
    int64_t i = upper ? n - 1 - step : step;
    int64_t from = upper ? i + 1 : 0, to = upper ? n : i;
    for (int64_t k = from; k < to; ++k) {
      T factor = a[i * n + k];
      for (int64_t j = 0; j < m; ++j) {
        b[i * m + j] -= factor * b[k * m + j];
      }
    }
    if (!unit) {
      for (int64_t j = 0; j < m; ++j) {
        b[i * m + j] /= a[i * n + i];
      }
    }
  }
}

// a (n x n, column by column) becomes its lower factor; what is above its
// diagonal stays. Gives the order of the first minor that is not positive, or
// 0.
template <typename T>
int cholesky(int64_t n, T* a) {
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = j; i < n; ++i) {
      T sum = a[j * n + i];
      for (int64_t k = 0; k < j; ++k) {
        sum -= a[k * n + i] * conj_of(a[k * n + j]);
      }
      if (i > j) {
        a[j * n + i] = sum / a[j * n + j];
        continue;
      }
      double d = std::real(sum);
      if (!(d > 0)) {
        a[j * n + j] = sum;
        return static_cast<int>(j + 1);
      }
      a[j * n + j] = std::sqrt(d);
    }
  }
  return 0;
}

} // namespace flashlight::dense
