#include "flashlight/kernels/lapack.h"

#include <algorithm>
#include <cstddef>
#include <vector>

// OpenBLAS's, or those that MLX itself is linked to: see Note [BLAS under MLX].
#ifdef FLASHLIGHT_OPENBLAS
#define FL_NAME(name) scipy_##name##_
#else
#define FL_NAME(name) name##_
#endif

using Complex = std::complex<double>;

extern "C" {
// The last arguments are the lengths of those that are letters.
#define FL_BOTH(                                                              \
    T, geqrf, orgqr, ormqr, getrf, getrs, potrf, sytrf, sytrs, gels)          \
  void FL_NAME(geqrf)(                                                        \
      const int*, const int*, T*, const int*, T*, T*, const int*, int*);      \
  void FL_NAME(orgqr)(                                                        \
      const int*,                                                             \
      const int*,                                                             \
      const int*,                                                             \
      T*,                                                                     \
      const int*,                                                             \
      const T*,                                                               \
      T*,                                                                     \
      const int*,                                                             \
      int*);                                                                  \
  void FL_NAME(ormqr)(                                                        \
      const char*,                                                            \
      const char*,                                                            \
      const int*,                                                             \
      const int*,                                                             \
      const int*,                                                             \
      const T*,                                                               \
      const int*,                                                             \
      const T*,                                                               \
      T*,                                                                     \
      const int*,                                                             \
      T*,                                                                     \
      const int*,                                                             \
      int*,                                                                   \
      size_t,                                                                 \
      size_t);                                                                \
  void FL_NAME(getrf)(const int*, const int*, T*, const int*, int*, int*);    \
  void FL_NAME(getrs)(                                                        \
      const char*,                                                            \
      const int*,                                                             \
      const int*,                                                             \
      const T*,                                                               \
      const int*,                                                             \
      const int*,                                                             \
      T*,                                                                     \
      const int*,                                                             \
      int*,                                                                   \
      size_t);                                                                \
  void FL_NAME(potrf)(const char*, const int*, T*, const int*, int*, size_t); \
  void FL_NAME(sytrf)(                                                        \
      const char*,                                                            \
      const int*,                                                             \
      T*,                                                                     \
      const int*,                                                             \
      int*,                                                                   \
      T*,                                                                     \
      const int*,                                                             \
      int*,                                                                   \
      size_t);                                                                \
  void FL_NAME(sytrs)(                                                        \
      const char*,                                                            \
      const int*,                                                             \
      const int*,                                                             \
      const T*,                                                               \
      const int*,                                                             \
      const int*,                                                             \
      T*,                                                                     \
      const int*,                                                             \
      int*,                                                                   \
      size_t);                                                                \
  void FL_NAME(gels)(                                                         \
      const char*,                                                            \
      const int*,                                                             \
      const int*,                                                             \
      const int*,                                                             \
      T*,                                                                     \
      const int*,                                                             \
      T*,                                                                     \
      const int*,                                                             \
      T*,                                                                     \
      const int*,                                                             \
      int*,                                                                   \
      size_t);
FL_BOTH(
    double,
    dgeqrf,
    dorgqr,
    dormqr,
    dgetrf,
    dgetrs,
    dpotrf,
    dsytrf,
    dsytrs,
    dgels)
FL_BOTH(
    Complex,
    zgeqrf,
    zungqr,
    zunmqr,
    zgetrf,
    zgetrs,
    zpotrf,
    zsytrf,
    zsytrs,
    zgels)
#undef FL_BOTH
void FL_NAME(zhetrf)(
    const char*,
    const int*,
    Complex*,
    const int*,
    int*,
    Complex*,
    const int*,
    int*,
    size_t);
void FL_NAME(zhetrs)(
    const char*,
    const int*,
    const int*,
    const Complex*,
    const int*,
    const int*,
    Complex*,
    const int*,
    int*,
    size_t);
void FL_NAME(dgeev)(
    const char*,
    const char*,
    const int*,
    double*,
    const int*,
    double*,
    double*,
    double*,
    const int*,
    double*,
    const int*,
    double*,
    const int*,
    int*,
    size_t,
    size_t);
void FL_NAME(zgeev)(
    const char*,
    const char*,
    const int*,
    Complex*,
    const int*,
    Complex*,
    Complex*,
    const int*,
    Complex*,
    const int*,
    Complex*,
    const int*,
    double*,
    int*,
    size_t,
    size_t);
void FL_NAME(dgesdd)(
    const char*,
    const int*,
    const int*,
    double*,
    const int*,
    double*,
    double*,
    const int*,
    double*,
    const int*,
    double*,
    const int*,
    int*,
    int*,
    size_t);
void FL_NAME(zgesdd)(
    const char*,
    const int*,
    const int*,
    Complex*,
    const int*,
    double*,
    Complex*,
    const int*,
    Complex*,
    const int*,
    Complex*,
    const int*,
    double*,
    int*,
    int*,
    size_t);
#define FL_LEAST(name, T, ...) \
  void FL_NAME(name)(          \
      const int*,              \
      const int*,              \
      const int*,              \
      T*,                      \
      const int*,              \
      T*,                      \
      const int*,              \
      __VA_ARGS__,             \
      int*);
FL_LEAST(dgelsy, double, int*, const double*, int*, double*, const int*)
FL_LEAST(
    zgelsy,
    Complex,
    int*,
    const double*,
    int*,
    Complex*,
    const int*,
    double*)
FL_LEAST(dgelss, double, double*, const double*, int*, double*, const int*)
FL_LEAST(
    zgelss,
    Complex,
    double*,
    const double*,
    int*,
    Complex*,
    const int*,
    double*)
FL_LEAST(
    dgelsd,
    double,
    double*,
    const double*,
    int*,
    double*,
    const int*,
    int*)
FL_LEAST(
    zgelsd,
    Complex,
    double*,
    const double*,
    int*,
    Complex*,
    const int*,
    double*,
    int*)
#undef FL_LEAST
}

namespace flashlight::lapack {

namespace {

// Leading dimensions are 1 at least.
int lead(int n) {
  return std::max(n, 1);
}

size_t length(int n) {
  return static_cast<size_t>(std::max(n, 1));
}

// Calls f(work, size) twice: for the size it wants, which it puts in work[0],
// and for the work.
template <typename T, typename F>
void with_work(F f) {
  T wanted(0);
  f(&wanted, -1);
  int size = std::max(1, static_cast<int>(std::real(wanted)));
  std::vector<T> work(static_cast<size_t>(size));
  f(work.data(), size);
}

} // namespace

#define FL_DEFINE(                                                          \
    T,                                                                      \
    geqrf_,                                                                 \
    orgqr_,                                                                 \
    ormqr_,                                                                 \
    getrf_,                                                                 \
    getrs_,                                                                 \
    potrf_,                                                                 \
    sytrf_,                                                                 \
    hetrf_,                                                                 \
    sytrs_,                                                                 \
    hetrs_,                                                                 \
    gels_,                                                                  \
    adjoint_letter)                                                         \
  int geqrf(int m, int n, T* a, T* tau) {                                   \
    int info = 0, lda = lead(m);                                            \
    with_work<T>([&](T* work, int size) {                                   \
      FL_NAME(geqrf_)(&m, &n, a, &lda, tau, work, &size, &info);            \
    });                                                                     \
    return info;                                                            \
  }                                                                         \
  int orgqr(int m, int n, int k, T* a, const T* tau) {                      \
    int info = 0, lda = lead(m);                                            \
    with_work<T>([&](T* work, int size) {                                   \
      FL_NAME(orgqr_)(&m, &n, &k, a, &lda, tau, work, &size, &info);        \
    });                                                                     \
    return info;                                                            \
  }                                                                         \
  int ormqr(                                                                \
      bool left,                                                            \
      bool adjoint,                                                         \
      int m,                                                                \
      int n,                                                                \
      int k,                                                                \
      const T* a,                                                           \
      const T* tau,                                                         \
      T* c) {                                                               \
    int info = 0, lda = lead(left ? m : n), ldc = lead(m);                  \
    char side = left ? 'L' : 'R', how = adjoint ? adjoint_letter : 'N';     \
    with_work<T>([&](T* work, int size) {                                   \
      FL_NAME(ormqr_)(                                                      \
          &side,                                                            \
          &how,                                                             \
          &m,                                                               \
          &n,                                                               \
          &k,                                                               \
          a,                                                                \
          &lda,                                                             \
          tau,                                                              \
          c,                                                                \
          &ldc,                                                             \
          work,                                                             \
          &size,                                                            \
          &info,                                                            \
          1,                                                                \
          1);                                                               \
    });                                                                     \
    return info;                                                            \
  }                                                                         \
  int getrf(int m, int n, T* a, int* pivots) {                              \
    int info = 0, lda = lead(m);                                            \
    FL_NAME(getrf_)(&m, &n, a, &lda, pivots, &info);                        \
    return info;                                                            \
  }                                                                         \
  int getrs(int n, int columns, const T* a, const int* pivots, T* b) {      \
    int info = 0, lda = lead(n);                                            \
    FL_NAME(getrs_)("N", &n, &columns, a, &lda, pivots, b, &lda, &info, 1); \
    return info;                                                            \
  }                                                                         \
  int potrf(int n, T* a) {                                                  \
    int info = 0, lda = lead(n);                                            \
    FL_NAME(potrf_)("L", &n, a, &lda, &info, 1);                            \
    return info;                                                            \
  }                                                                         \
  int sytrf(bool hermitian, int n, T* a, int* pivots) {                     \
    int info = 0, lda = lead(n);                                            \
    auto factor = hermitian ? FL_NAME(hetrf_) : FL_NAME(sytrf_);            \
    with_work<T>([&](T* work, int size) {                                   \
      factor("L", &n, a, &lda, pivots, work, &size, &info, 1);              \
    });                                                                     \
    return info;                                                            \
  }                                                                         \
  int sytrs(                                                                \
      bool hermitian,                                                       \
      int n,                                                                \
      int columns,                                                          \
      const T* a,                                                           \
      const int* pivots,                                                    \
      T* b) {                                                               \
    int info = 0, lda = lead(n);                                            \
    auto solve = hermitian ? FL_NAME(hetrs_) : FL_NAME(sytrs_);             \
    solve("L", &n, &columns, a, &lda, pivots, b, &lda, &info, 1);           \
    return info;                                                            \
  }                                                                         \
  int gels(int m, int n, int columns, T* a, T* b) {                         \
    int info = 0, lda = lead(m), ldb = lead(std::max(m, n));                \
    with_work<T>([&](T* work, int size) {                                   \
      FL_NAME(gels_)                                                        \
      ("N", &m, &n, &columns, a, &lda, b, &ldb, work, &size, &info, 1);     \
    });                                                                     \
    return info;                                                            \
  }
FL_DEFINE(
    double,
    dgeqrf,
    dorgqr,
    dormqr,
    dgetrf,
    dgetrs,
    dpotrf,
    dsytrf,
    dsytrf,
    dsytrs,
    dsytrs,
    dgels,
    'T')
FL_DEFINE(
    Complex,
    zgeqrf,
    zungqr,
    zunmqr,
    zgetrf,
    zgetrs,
    zpotrf,
    zsytrf,
    zhetrf,
    zsytrs,
    zhetrs,
    zgels,
    'C')
#undef FL_DEFINE

int geev(int n, double* a, Complex* values, Complex* vectors) {
  int info = 0, lda = lead(n), one = 1;
  auto size_n = static_cast<size_t>(n);
  std::vector<double> re(length(n)), im(length(n));
  std::vector<double> v(vectors ? size_n * size_n : 1);
  const char* job = vectors ? "V" : "N";
  with_work<double>([&](double* work, int size) {
    FL_NAME(dgeev)(
        "N",
        job,
        &n,
        a,
        &lda,
        re.data(),
        im.data(),
        nullptr,
        &one,
        v.data(),
        vectors ? &lda : &one,
        work,
        &size,
        &info,
        1,
        1);
  });
  for (size_t j = 0; j < size_n; ++j) {
    values[j] = Complex(re[j], im[j]);
    if (!vectors) {
      continue;
    }
    // A pair of conjugates shares two columns: real and imaginary parts.
    bool first = im[j] > 0, second = im[j] < 0;
    size_t at = (second ? j - 1 : j) * size_n;
    for (size_t i = 0; i < size_n; ++i) {
      double part = first || second ? v[at + size_n + i] : 0;
      vectors[j * size_n + i] = Complex(v[at + i], second ? -part : part);
    }
  }
  return info;
}

int geev(int n, Complex* a, Complex* values, Complex* vectors) {
  int info = 0, lda = lead(n), one = 1;
  std::vector<double> real(2 * length(n));
  const char* job = vectors ? "V" : "N";
  with_work<Complex>([&](Complex* work, int size) {
    FL_NAME(zgeev)(
        "N",
        job,
        &n,
        a,
        &lda,
        values,
        nullptr,
        &one,
        vectors,
        vectors ? &lda : &one,
        work,
        &size,
        real.data(),
        &info,
        1,
        1);
  });
  return info;
}

int gesdd(
    char which,
    int m,
    int n,
    double* a,
    double* s,
    double* u,
    double* vh) {
  int info = 0, k = std::min(m, n), lda = lead(m);
  int ldu = lead(m), ldv = lead(which == 'A' ? n : k);
  std::vector<int> whole(8 * length(k));
  with_work<double>([&](double* work, int size) {
    FL_NAME(dgesdd)(
        &which,
        &m,
        &n,
        a,
        &lda,
        s,
        u,
        &ldu,
        vh,
        &ldv,
        work,
        &size,
        whole.data(),
        &info,
        1);
  });
  return info;
}

int gesdd(
    char which,
    int m,
    int n,
    Complex* a,
    double* s,
    Complex* u,
    Complex* vh) {
  int info = 0, k = std::min(m, n), lda = lead(m);
  int ldu = lead(m), ldv = lead(which == 'A' ? n : k);
  std::vector<int> whole(8 * length(k));
  size_t small = length(k), big = length(std::max(m, n));
  std::vector<double> real(
      std::max(
          5 * small * small + 5 * small,
          2 * big * small + 2 * small * small + small));
  with_work<Complex>([&](Complex* work, int size) {
    FL_NAME(zgesdd)(
        &which,
        &m,
        &n,
        a,
        &lda,
        s,
        u,
        &ldu,
        vh,
        &ldv,
        work,
        &size,
        real.data(),
        whole.data(),
        &info,
        1);
  });
  return info;
}

int gelsy(
    int m,
    int n,
    int columns,
    double* a,
    double* b,
    double rcond,
    int* rank) {
  int info = 0, lda = lead(m), ldb = lead(std::max(m, n));
  std::vector<int> order(length(n));
  with_work<double>([&](double* work, int size) {
    FL_NAME(dgelsy)(
        &m,
        &n,
        &columns,
        a,
        &lda,
        b,
        &ldb,
        order.data(),
        &rcond,
        rank,
        work,
        &size,
        &info);
  });
  return info;
}

int gelsy(
    int m,
    int n,
    int columns,
    Complex* a,
    Complex* b,
    double rcond,
    int* rank) {
  int info = 0, lda = lead(m), ldb = lead(std::max(m, n));
  std::vector<int> order(length(n));
  std::vector<double> real(2 * length(n));
  with_work<Complex>([&](Complex* work, int size) {
    FL_NAME(zgelsy)(
        &m,
        &n,
        &columns,
        a,
        &lda,
        b,
        &ldb,
        order.data(),
        &rcond,
        rank,
        work,
        &size,
        real.data(),
        &info);
  });
  return info;
}

namespace {

// How many levels, at most, gelsd divides min(m, n) into (of 25 or fewer).
size_t levels(int k) {
  size_t n = 1;
  for (int left = k / 26; left > 0; left /= 2) {
    ++n;
  }
  return n;
}

size_t whole_size(int k) {
  return 3 * length(k) * (levels(k) + 1) + 11 * length(k);
}

} // namespace

int gelss(
    bool divide,
    int m,
    int n,
    int columns,
    double* a,
    double* b,
    double* s,
    double rcond,
    int* rank) {
  int info = 0, lda = lead(m), ldb = lead(std::max(m, n));
  std::vector<int> whole(whole_size(std::min(m, n)));
  with_work<double>([&](double* work, int size) {
    if (divide) {
      FL_NAME(dgelsd)(
          &m,
          &n,
          &columns,
          a,
          &lda,
          b,
          &ldb,
          s,
          &rcond,
          rank,
          work,
          &size,
          whole.data(),
          &info);
    } else {
      FL_NAME(dgelss)(
          &m,
          &n,
          &columns,
          a,
          &lda,
          b,
          &ldb,
          s,
          &rcond,
          rank,
          work,
          &size,
          &info);
    }
  });
  return info;
}

int gelss(
    bool divide,
    int m,
    int n,
    int columns,
    Complex* a,
    Complex* b,
    double* s,
    double rcond,
    int* rank) {
  int info = 0, lda = lead(m), ldb = lead(std::max(m, n));
  int k = std::min(m, n);
  std::vector<int> whole(whole_size(k));
  size_t right = length(columns);
  std::vector<double> real(
      10 * length(k) + 50 * length(k) + 8 * length(k) * (levels(k) + 1) +
      75 * right + std::max<size_t>(676, length(k) * (1 + right) + 2 * right));
  with_work<Complex>([&](Complex* work, int size) {
    if (divide) {
      FL_NAME(zgelsd)(
          &m,
          &n,
          &columns,
          a,
          &lda,
          b,
          &ldb,
          s,
          &rcond,
          rank,
          work,
          &size,
          real.data(),
          whole.data(),
          &info);
    } else {
      FL_NAME(zgelss)(
          &m,
          &n,
          &columns,
          a,
          &lda,
          b,
          &ldb,
          s,
          &rcond,
          rank,
          work,
          &size,
          real.data(),
          &info);
    }
  });
  return info;
}

} // namespace flashlight::lapack
