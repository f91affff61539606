#include "flashlight/kernels/log_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "flashlight/kernels/host.h"

namespace flashlight::rows {

namespace {

// Calls f(where a row begins) for rows of `width`.
template <typename F>
void for_rows(const mx::array& x, int64_t width, F&& f) {
  auto size = static_cast<int64_t>(x.size());
  for (int64_t at = 0; at < size; at += width) {
    f(at);
  }
}

} // namespace

bool serve(const mx::array& x, int axis) {
  return x.dtype() == mx::float32 && x.size() > 0 && x.ndim() > 0 &&
         axis == static_cast<int>(x.ndim()) - 1 && use_host();
}

mx::array log_softmax(const mx::array& x) {
  int64_t width = x.shape(-1);
  auto run =
      [width](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        const auto* from = in[0].data<float>();
        auto* to = out[0].data<float>();
        for_rows(in[0], width, [&](int64_t at) {
          float high = -std::numeric_limits<float>::infinity();
          for (int64_t i = at; i < at + width; ++i) {
            high = std::max(high, from[i]);
          }
          double sum = 0;
          for (int64_t i = at; i < at + width; ++i) {
            to[i] = from[i] - high;
            sum += static_cast<double>(std::exp(to[i]));
          }
          auto shift = static_cast<float>(std::log(sum));
          for (int64_t i = at; i < at + width; ++i) {
            to[i] -= shift;
          }
        });
      };
  return host_op("log_softmax", {x}, {{x.shape(), mx::float32}}, run)[0];
}

mx::array log_softmax_backward(const mx::array& grad, const mx::array& result) {
  int64_t width = result.shape(-1);
  auto run =
      [width](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        const auto *g = in[0].data<float>(), *y = in[1].data<float>();
        auto* to = out[0].data<float>();
        for_rows(in[0], width, [&](int64_t at) {
          double sum = 0;
          for (int64_t i = at; i < at + width; ++i) {
            sum += static_cast<double>(g[i]);
          }
          auto total = static_cast<float>(sum);
          for (int64_t i = at; i < at + width; ++i) {
            to[i] = g[i] - std::exp(y[i]) * total;
          }
        });
      };
  return host_op(
      "log_softmax_backward",
      {grad, result},
      {{result.shape(), mx::float32}},
      run)[0];
}

} // namespace flashlight::rows
