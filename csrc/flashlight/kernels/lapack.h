// Factorizations of matrices by LAPACK, in double precision.
//
// Matrices lie column by column, without gaps unless a leading dimension is
// given. Each function gives LAPACK's info: 0, or what it says of the matrix.
#pragma once

#include <complex>

#include "flashlight/core/api.h"

namespace flashlight::lapack {

// For T double and std::complex<double>.
#define FL_LAPACK_FUNCTIONS(T)                                               \
  /* Householder: R above the diagonal of a, reflectors below and in tau. */ \
  FL_API int geqrf(int m, int n, T* a, T* tau);                              \
  /* The first n columns of the product of k reflectors. */                  \
  FL_API int orgqr(int m, int n, int k, T* a, const T* tau);                 \
  /* c = Q c, or with Q^H, or from the right. */                             \
  FL_API int ormqr(                                                          \
      bool left,                                                             \
      bool adjoint,                                                          \
      int m,                                                                 \
      int n,                                                                 \
      int k,                                                                 \
      const T* a,                                                            \
      const T* tau,                                                          \
      T* c);                                                                 \
  /* L and U; info is the first pivot that is zero. */                       \
  FL_API int getrf(int m, int n, T* a, int* pivots);                         \
  FL_API int getrs(int n, int columns, const T* a, const int* pivots, T* b); \
  /* The lower factor; info is the first minor that is not positive. */      \
  FL_API int potrf(int n, T* a);                                             \
  /* L D L^T of a symmetric matrix (or L D L^H), by its lower triangle. */   \
  FL_API int sytrf(bool hermitian, int n, T* a, int* pivots);                \
  FL_API int sytrs(                                                          \
      bool hermitian,                                                        \
      int n,                                                                 \
      int columns,                                                           \
      const T* a,                                                            \
      const int* pivots,                                                     \
      T* b);                                                                 \
  /* Eigenvalues, and right eigenvectors unless `vectors` is null. */        \
  FL_API int geev(                                                           \
      int n,                                                                 \
      T* a,                                                                  \
      std::complex<double>* values,                                          \
      std::complex<double>* vectors);                                        \
  /* Singular values; vectors 'A'll, 'S'ome or 'N'one. */                    \
  FL_API int gesdd(char which, int m, int n, T* a, double* s, T* u, T* vh);  \
  /* Least squares. b has max(m, n) rows. */                                 \
  FL_API int gels(int m, int n, int columns, T* a, T* b);                    \
  FL_API int gelsy(                                                          \
      int m, int n, int columns, T* a, T* b, double rcond, int* rank);       \
  /* By singular values; `divide` and conquer or not. */                     \
  FL_API int gelss(                                                          \
      bool divide,                                                           \
      int m,                                                                 \
      int n,                                                                 \
      int columns,                                                           \
      T* a,                                                                  \
      T* b,                                                                  \
      double* s,                                                             \
      double rcond,                                                          \
      int* rank);
FL_LAPACK_FUNCTIONS(double)
FL_LAPACK_FUNCTIONS(std::complex<double>)
#undef FL_LAPACK_FUNCTIONS

} // namespace flashlight::lapack
