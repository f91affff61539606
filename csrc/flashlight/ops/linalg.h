// What the files of linear algebra share: checks, and matrices in memory.
#pragma once

#include <complex>
#include <string>
#include <vector>

#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

inline const mx::Device kCpu = mx::Device::cpu;

inline Tensor mT(const Tensor& x) {
  return transpose(x, -2, -1);
}
inline Tensor mH(const Tensor& x) {
  return conj(mT(x));
}

inline void check_precise(Dtype d, std::string_view name) {
  FL_CHECK(
      d == Dtype::Float32 || d == Dtype::Float64 || is_complex(d),
      name,
      is_floating(d) ? ": Low precision dtypes not supported. Got "
                     : ": Expected a floating point or complex tensor as "
                       "input. Got ",
      scalar_name(d));
}

inline void check_precise(const mx::array& a, std::string_view name) {
  check_precise(from_mlx(a.dtype()), name);
}

inline void
check_square(const IntList& sizes, Dtype dtype, std::string_view name) {
  size_t n = sizes.size();
  FL_CHECK(
      n >= 2, name, ": The input tensor A must have at least 2 dimensions.");
  FL_CHECK(
      sizes[n - 1] == sizes[n - 2],
      name,
      ": A must be batches of square matrices, but they are ",
      sizes[n - 2],
      " by ",
      sizes[n - 1],
      " matrices");
  check_precise(dtype, name);
}
inline void check_square(const mx::array& a, std::string_view name) {
  check_square(to_int_list(a.shape()), from_mlx(a.dtype()), name);
}
inline void check_square(const Tensor& a, std::string_view name) {
  check_square(a.sizes(), a.dtype(), name);
}

// A complex matrix as a real one of twice the size, which multiplies alike.
inline mx::array as_real(const mx::array& a) {
  mx::array re = mx::real(a), im = mx::imag(a);
  return mx::concatenate(
      {mx::concatenate({re, mx::negative(im)}, -1),
       mx::concatenate({im, re}, -1)},
      -2);
}

// The first `rows` x `cols` of x, from these offsets.
inline mx::array
block(const mx::array& x, int row, int col, int rows, int cols) {
  mx::Shape from(x.ndim(), 0), to = x.shape();
  size_t n = x.ndim();
  from[n - 2] = row;
  from[n - 1] = col;
  to[n - 2] = row + rows;
  to[n - 1] = col + cols;
  return mx::slice(x, from, to);
}

inline mx::array complex_of(const mx::array& re, const mx::array& im) {
  return mx::add(
      mx::astype(re, mx::complex64),
      mx::multiply(mx::array(mx::complex64_t(0, 1)), im));
}

template <typename T>
std::vector<T> load(const mx::array& a) {
  constexpr bool complex = !std::is_same_v<T, double>;
  mx::array x = mx::contiguous(
      mx::astype(a, complex ? mx::complex64 : mx::float64, kCpu), false, kCpu);
  eval({x});
  if constexpr (complex) {
    const auto* from = x.data<mx::complex64_t>();
    return std::vector<T>(from, from + x.size());
  } else {
    const auto* from = x.data<double>();
    return std::vector<T>(from, from + x.size());
  }
}

template <typename T>
mx::array store(const std::vector<T>& v, const mx::Shape& shape, mx::Dtype to) {
  if constexpr (std::is_same_v<T, double>) {
    if (to == mx::float32) {
      std::vector<float> narrow(v.begin(), v.end());
      return mx::array(narrow.data(), shape, mx::float32);
    }
    return mx::array(v.data(), shape, mx::float64);
  } else {
    std::vector<mx::complex64_t> narrow;
    for (const T& x : v) {
      narrow.emplace_back(
          static_cast<float>(x.real()), static_cast<float>(x.imag()));
    }
    return mx::array(narrow.data(), shape, mx::complex64);
  }
}

// f(T{}) for the type that a's elements are computed in.
template <typename F>
auto in_double(const mx::array& a, F f) {
  return a.dtype() == mx::complex64 ? f(std::complex<double>{}) : f(double{});
}

inline mx::Shape with_last(
    const mx::array& a,
    std::initializer_list<int> last) {
  mx::Shape shape(a.shape().begin(), a.shape().end() - 2);
  shape.insert(shape.end(), last.begin(), last.end());
  return shape;
}

inline std::string batch_text(const mx::array& a, size_t b) {
  return a.ndim() > 2 ? detail::concat("(Batch element ", b, "): ") : "";
}

// The lower triangle of x, its diagonal scaled.
inline Tensor lower_of(const Tensor& x, float diagonal) {
  int n = static_cast<int>(x.size(-1));
  mx::Dtype type = to_mlx(x.dtype());
  mx::array mask = mx::add(
      mx::tril(mx::ones({n, n}, type), -1),
      mx::multiply(mx::array(diagonal, type), mx::eye(n, type)));
  return x * constant(mask, x);
}

} // namespace flashlight
