// Functions of numbers, element by element, in float64 on the host.
#pragma once

#include <string>
#include <utility>

#include "flashlight/kernels/host.h"

namespace flashlight {

// f(double) of each element, in x's dtype.
template <typename F>
mx::array
host_map(std::string name, const mx::array& x, F f, HostVjp vjp = nullptr) {
  auto loop = [f](const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    const auto* from = in[0].data<double>();
    auto* to = out[0].data<double>();
    for (size_t i = 0; i < in[0].size(); ++i) {
      to[i] = f(from[i]);
    }
  };
  mx::array y = host_op(
      std::move(name),
      {mx::astype(x, mx::float64, mx::Device::cpu)},
      {{x.shape(), mx::float64}},
      loop,
      std::move(vjp))[0];
  return mx::astype(y, x.dtype(), mx::Device::cpu);
}

// f(T, T) of the elements of arrays that are broadcast; both are of T's type.
template <typename T, typename F>
mx::array host_zip(
    std::string name,
    const mx::array& a,
    const mx::array& b,
    F f,
    HostVjp vjp = nullptr) {
  auto pair = mx::broadcast_arrays({a, b}, mx::Device::cpu);
  auto loop = [f](const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    const T *x = in[0].data<T>(), *y = in[1].data<T>();
    T* to = out[0].data<T>();
    for (size_t i = 0; i < in[0].size(); ++i) {
      to[i] = f(x[i], y[i]);
    }
  };
  return host_op(
      std::move(name),
      pair,
      {{pair[0].shape(), a.dtype()}},
      loop,
      std::move(vjp))[0];
}

// f(double, double), in a's dtype.
template <typename F>
mx::array
host_map(std::string name, const mx::array& a, const mx::array& b, F f) {
  auto wide = [](const mx::array& x) {
    return mx::astype(x, mx::float64, mx::Device::cpu);
  };
  mx::array y = host_zip<double>(std::move(name), wide(a), wide(b), f);
  return mx::astype(y, a.dtype(), mx::Device::cpu);
}

} // namespace flashlight
