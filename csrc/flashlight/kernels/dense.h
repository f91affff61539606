// Factorizations of small dense matrices, row by row in memory, in double
// precision. For results that come with an error code, which a call must know.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <vector>

namespace flashlight::dense {

inline double conj_of(double x) {
  return x;
}
inline std::complex<double> conj_of(std::complex<double> x) {
  return std::conj(x);
}

// a (n x n) becomes L and U; rows[i] is where row i came from. Gives the parity
// of the permutation; `zero` is the first column without a pivot, from 1, or 0.
template <typename T>
int lu(T* a, int64_t n, std::vector<int64_t>& rows, int64_t& zero) {
  rows.resize(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    rows[static_cast<size_t>(i)] = i;
  }
  int parity = 1;
  zero = 0;
  for (int64_t k = 0; k < n; ++k) {
    int64_t best = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i * n + k]) > std::abs(a[best * n + k])) {
        best = i;
      }
    }
    if (best != k) {
      std::swap_ranges(a + k * n, a + (k + 1) * n, a + best * n);
      std::swap(rows[static_cast<size_t>(k)], rows[static_cast<size_t>(best)]);
      parity = -parity;
    }
    T pivot = a[k * n + k];
    if (pivot == T(0)) {
      zero = zero ? zero : k + 1;
      continue;
    }
    for (int64_t i = k + 1; i < n; ++i) {
      T factor = a[i * n + k] / pivot;
      a[i * n + k] = factor;
      if (factor != T(0)) {
        for (int64_t j = k + 1; j < n; ++j) {
          a[i * n + j] -= factor * a[k * n + j];
        }
      }
    }
  }
  return parity;
}

// x = L^-1 b or U^-1 b in place, b (n x m).
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

// a (n x n) becomes its lower factor. Gives the order of the first minor that
// is not positive, or 0.
template <typename T>
int64_t cholesky(T* a, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      T sum = a[i * n + j];
      for (int64_t k = 0; k < j; ++k) {
        sum -= a[i * n + k] * conj_of(a[j * n + k]);
      }
      if (i == j) {
        double d = std::real(sum);
        if (!(d > 0)) {
          return i + 1;
        }
        a[i * n + i] = std::sqrt(d);
      } else {
        a[i * n + j] = sum / a[j * n + j];
      }
    }
    std::fill(a + i * n + i + 1, a + (i + 1) * n, T(0));
  }
  return 0;
}

// Householder: a (m x n) becomes R, q (m x m) the orthogonal factor. The signs
// are LAPACK's.
template <typename T>
void qr(T* a, T* q, int64_t m, int64_t n) {
  std::fill(q, q + m * m, T(0));
  for (int64_t i = 0; i < m; ++i) {
    q[i * m + i] = T(1);
  }
  std::vector<T> v(static_cast<size_t>(m));
  for (int64_t k = 0; k < std::min(m, n); ++k) {
    double below = 0;
    for (int64_t i = k + 1; i < m; ++i) {
      below += std::norm(a[i * n + k]);
    }
    T alpha = a[k * n + k];
    if (below == 0 && std::imag(alpha) == 0) {
      continue;
    }
    double length = std::sqrt(below + std::norm(alpha));
    double beta = std::real(alpha) >= 0 ? -length : length;
    T tau = (T(beta) - alpha) / beta;
    v[static_cast<size_t>(k)] = T(1);
    for (int64_t i = k + 1; i < m; ++i) {
      v[static_cast<size_t>(i)] = a[i * n + k] / (alpha - T(beta));
    }
    // H^H = I - conj(tau) v v^H on the rows of a.
    for (int64_t j = k; j < n; ++j) {
      T dot(0);
      for (int64_t i = k; i < m; ++i) {
        dot += conj_of(v[static_cast<size_t>(i)]) * a[i * n + j];
      }
      dot *= conj_of(tau);
      for (int64_t i = k; i < m; ++i) {
        a[i * n + j] -= v[static_cast<size_t>(i)] * dot;
      }
    }
    // q = q H
    for (int64_t i = 0; i < m; ++i) {
      T dot(0);
      for (int64_t j = k; j < m; ++j) {
        dot += q[i * m + j] * v[static_cast<size_t>(j)];
      }
      dot *= tau;
      for (int64_t j = k; j < m; ++j) {
        q[i * m + j] -= dot * conj_of(v[static_cast<size_t>(j)]);
      }
    }
    for (int64_t i = k + 1; i < m; ++i) {
      a[i * n + k] = T(0);
    }
  }
}

} // namespace flashlight::dense
