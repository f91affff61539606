// A fast BLAS and LAPACK under MLX on Linux.
//
// Note [BLAS under MLX]
// MLX's Linux wheel is linked to the reference BLAS, a few tens of times slower
// than a tuned one. It leaves cblas_sgemm and the rest undefined, and the
// dynamic linker looks for them breadth-first from the library that brought MLX
// in: here, in libflashlight, before the reference one. So each of these names
// is a jump to OpenBLAS's, which has the same interface under another name.
// (A process that loads MLX before flashlight keeps what MLX was bound to.)
#include "flashlight/kernels/blas.h"

#include <algorithm>

#ifdef FLASHLIGHT_OPENBLAS

#if defined(__x86_64__)
#define FL_JUMP "jmp "
#define FL_PLT "@PLT"
#elif defined(__aarch64__)
#define FL_JUMP "b "
#define FL_PLT ""
#else
#error "no jump for this processor"
#endif

#define FL_FORWARD(name)                                   \
  asm(".text\n"                                            \
      ".globl " #name                                      \
      "\n"                                                 \
      ".type " #name ", %function\n" #name ":\n\t" FL_JUMP \
      "scipy_" #name FL_PLT                                \
      "\n"                                                 \
      ".size " #name ", .-" #name "\n");

FL_FORWARD(cblas_sgemm)
FL_FORWARD(cblas_dgemm)
FL_FORWARD(cblas_cgemm)
FL_FORWARD(cgeev_)
FL_FORWARD(dgeev_)
FL_FORWARD(sgeev_)
FL_FORWARD(cgesdd_)
FL_FORWARD(dgesdd_)
FL_FORWARD(sgesdd_)
FL_FORWARD(cheevd_)
FL_FORWARD(dsyevd_)
FL_FORWARD(ssyevd_)
FL_FORWARD(dgeqrf_)
FL_FORWARD(sgeqrf_)
FL_FORWARD(dorgqr_)
FL_FORWARD(sorgqr_)
FL_FORWARD(dgetrf_)
FL_FORWARD(sgetrf_)
FL_FORWARD(dgetri_)
FL_FORWARD(sgetri_)
FL_FORWARD(dpotrf_)
FL_FORWARD(spotrf_)
FL_FORWARD(dtrtri_)
FL_FORWARD(strtri_)

extern "C" {
void scipy_openblas_set_num_threads(int);
void scipy_cblas_sgemm(
    int,
    int,
    int,
    int,
    int,
    int,
    float,
    const float*,
    int,
    const float*,
    int,
    float,
    float*,
    int);
void scipy_cblas_dgemm(
    int,
    int,
    int,
    int,
    int,
    int,
    double,
    const double*,
    int,
    const double*,
    int,
    double,
    double*,
    int);
void scipy_cblas_cgemm(
    int,
    int,
    int,
    int,
    int,
    int,
    const void*,
    const void*,
    int,
    const void*,
    int,
    const void*,
    void*,
    int);
}

namespace flashlight {

void set_blas_threads(int n) {
  scipy_openblas_set_num_threads(n);
}

} // namespace flashlight

#else

namespace flashlight {

void set_blas_threads(int) {} // Accelerate chooses for itself

} // namespace flashlight

#endif

namespace flashlight {

namespace {

template <typename T>
void plain_gemm(
    bool ta,
    bool tb,
    int m,
    int n,
    int k,
    const T* a,
    const T* b,
    bool add,
    T* c) {
  if (!add) {
    std::fill(c, c + static_cast<int64_t>(m) * n, T(0));
  }
  for (int64_t i = 0; i < m; ++i, c += n) {
    for (int64_t l = 0; l < k; ++l) {
      T x = ta ? a[l * m + i] : a[i * k + l];
      for (int64_t j = 0; j < n; ++j) {
        c[j] += x * (tb ? b[j * k + l] : b[l * n + j]);
      }
    }
  }
}

} // namespace

#ifdef FLASHLIGHT_OPENBLAS
#define FL_GEMM(T, name, ONE, ZERO)                               \
  void gemm(                                                      \
      bool ta,                                                    \
      bool tb,                                                    \
      int m,                                                      \
      int n,                                                      \
      int k,                                                      \
      const T* a,                                                 \
      const T* b,                                                 \
      bool add,                                                   \
      T* c) {                                                     \
    if (m == 0 || n == 0 || k == 0) {                             \
      plain_gemm(ta, tb, m, n, k, a, b, add, c);                  \
      return;                                                     \
    }                                                             \
    constexpr int row_major = 101, as_is = 111, transposed = 112; \
    const T one = 1, zero = 0;                                    \
    name(                                                         \
        row_major,                                                \
        ta ? transposed : as_is,                                  \
        tb ? transposed : as_is,                                  \
        m,                                                        \
        n,                                                        \
        k,                                                        \
        ONE,                                                      \
        a,                                                        \
        ta ? m : k,                                               \
        b,                                                        \
        tb ? k : n,                                               \
        add ? ONE : ZERO,                                         \
        c,                                                        \
        n);                                                       \
    (void)one;                                                    \
    (void)zero;                                                   \
  }
FL_GEMM(float, scipy_cblas_sgemm, one, zero)
FL_GEMM(double, scipy_cblas_dgemm, one, zero)
FL_GEMM(std::complex<float>, scipy_cblas_cgemm, &one, &zero)
#else
#define FL_GEMM(T)                             \
  void gemm(                                   \
      bool ta,                                 \
      bool tb,                                 \
      int m,                                   \
      int n,                                   \
      int k,                                   \
      const T* a,                              \
      const T* b,                              \
      bool add,                                \
      T* c) {                                  \
    plain_gemm(ta, tb, m, n, k, a, b, add, c); \
  }
FL_GEMM(float)
FL_GEMM(double)
FL_GEMM(std::complex<float>)
#endif

void gemm(
    bool ta,
    bool tb,
    int m,
    int n,
    int k,
    const int64_t* a,
    const int64_t* b,
    bool add,
    int64_t* c) {
  plain_gemm(ta, tb, m, n, k, a, b, add, c);
}

} // namespace flashlight
