#pragma once

#include <complex>
#include <cstdint>

#include "flashlight/core/api.h"

namespace flashlight {

// How many threads a matrix product may use (torch.set_num_threads).
FL_API void set_blas_threads(int n);

// c = op(a) @ op(b) + (add ? c : 0), row-major and dense: c is m x n, the inner
// dimension k, and a `t` says that the matrix lies transposed.
FL_API void gemm(
    bool ta,
    bool tb,
    int m,
    int n,
    int k,
    const float* a,
    const float* b,
    bool add,
    float* c);
FL_API void gemm(
    bool ta,
    bool tb,
    int m,
    int n,
    int k,
    const double* a,
    const double* b,
    bool add,
    double* c);
FL_API void gemm(
    bool ta,
    bool tb,
    int m,
    int n,
    int k,
    const std::complex<float>* a,
    const std::complex<float>* b,
    bool add,
    std::complex<float>* c);
FL_API void gemm(
    bool ta,
    bool tb,
    int m,
    int n,
    int k,
    const int64_t* a,
    const int64_t* b,
    bool add,
    int64_t* c);

} // namespace flashlight
