#include "flashlight/kernels/cells.h"

#include <cmath>

#include "flashlight/kernels/host.h"

namespace flashlight::cells {

namespace {

float sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

// Calls f(b, j) for each element of the hidden state.
template <typename F>
void for_states(const mx::Shape& shape, F&& f) {
  for (int64_t b = 0; b < shape[0]; ++b) {
    for (int64_t j = 0; j < shape[1]; ++j) {
      f(b, j);
    }
  }
}

mx::Shape wide(const mx::array& state, int n) {
  return {state.shape(0), n * state.shape(1)};
}

} // namespace

bool serve(mx::Dtype dtype) {
  return dtype == mx::float32 && use_host();
}

std::vector<mx::array>
lstm(const mx::array& x, const mx::array& h, const mx::array& cx) {
  mx::Shape shape = cx.shape();
  auto run =
      [shape](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        const auto *xs = in[0].data<float>(), *hs = in[1].data<float>(),
                   *c = in[2].data<float>();
        auto *hy = out[0].data<float>(), *cy = out[1].data<float>(),
             *gates = out[2].data<float>();
        int64_t n = shape[1];
        for_states(shape, [&](int64_t b, int64_t j) {
          int64_t k = b * n + j, at = b * 4 * n + j;
          float i = sigmoid(xs[at] + hs[at]);
          float f = sigmoid(xs[at + n] + hs[at + n]);
          float g = std::tanh(xs[at + 2 * n] + hs[at + 2 * n]);
          float o = sigmoid(xs[at + 3 * n] + hs[at + 3 * n]);
          gates[at] = i;
          gates[at + n] = f;
          gates[at + 2 * n] = g;
          gates[at + 3 * n] = o;
          cy[k] = f * c[k] + i * g;
          hy[k] = o * std::tanh(cy[k]);
        });
      };
  return host_op(
      "lstm_cell",
      {x, h, cx},
      {{shape, mx::float32}, {shape, mx::float32}, {wide(cx, 4), mx::float32}},
      run);
}

std::vector<mx::array> lstm_backward(
    const std::optional<mx::array>& grad_hy,
    const std::optional<mx::array>& grad_cy,
    const mx::array& cx,
    const mx::array& cy,
    const mx::array& gates) {
  mx::Shape shape = cx.shape();
  std::vector<mx::array> inputs{cx, cy, gates};
  for (const auto* g : {&grad_hy, &grad_cy}) {
    if (*g) {
      inputs.push_back(**g);
    }
  }
  auto run = [shape, has_h = grad_hy.has_value(), has_c = grad_cy.has_value()](
                 const std::vector<mx::array>& in,
                 std::vector<mx::array>& out) {
    const auto *c = in[0].data<float>(), *c_next = in[1].data<float>(),
               *y = in[2].data<float>();
    const float* gh = has_h ? in[3].data<float>() : nullptr;
    const float* gc = has_c ? in[has_h ? 4 : 3].data<float>() : nullptr;
    auto *d = out[0].data<float>(), *dcx = out[1].data<float>();
    int64_t n = shape[1];
    for_states(shape, [&](int64_t b, int64_t j) {
      int64_t k = b * n + j, at = b * 4 * n + j;
      float i = y[at], f = y[at + n], g = y[at + 2 * n], o = y[at + 3 * n];
      float t = std::tanh(c_next[k]);
      float dh = gh ? gh[k] : 0.0f;
      float dc = (gc ? gc[k] : 0.0f) + dh * o * (1 - t * t);
      d[at] = dc * g * i * (1 - i);
      d[at + n] = dc * c[k] * f * (1 - f);
      d[at + 2 * n] = dc * i * (1 - g * g);
      d[at + 3 * n] = dh * t * o * (1 - o);
      dcx[k] = dc * f;
    });
  };
  return host_op(
      "lstm_cell_backward",
      inputs,
      {{gates.shape(), mx::float32}, {shape, mx::float32}},
      run);
}

std::vector<mx::array>
gru(const mx::array& x, const mx::array& h, const mx::array& hx) {
  mx::Shape shape = hx.shape();
  auto run =
      [shape](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        const auto *xs = in[0].data<float>(), *hs = in[1].data<float>(),
                   *state = in[2].data<float>();
        auto *hy = out[0].data<float>(), *gates = out[1].data<float>();
        int64_t n = shape[1];
        for_states(shape, [&](int64_t b, int64_t j) {
          int64_t k = b * n + j, at = b * 3 * n + j, to = b * 4 * n + j;
          float r = sigmoid(xs[at] + hs[at]);
          float z = sigmoid(xs[at + n] + hs[at + n]);
          float hidden = hs[at + 2 * n];
          float c = std::tanh(xs[at + 2 * n] + r * hidden);
          gates[to] = r;
          gates[to + n] = z;
          gates[to + 2 * n] = c;
          gates[to + 3 * n] = hidden;
          hy[k] = c + z * (state[k] - c);
        });
      };
  return host_op(
      "gru_cell",
      {x, h, hx},
      {{shape, mx::float32}, {wide(hx, 4), mx::float32}},
      run);
}

std::vector<mx::array> gru_backward(
    const mx::array& grad_hy,
    const mx::array& hx,
    const mx::array& gates) {
  mx::Shape shape = hx.shape();
  auto run =
      [shape](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        const auto *grad = in[0].data<float>(), *state = in[1].data<float>(),
                   *y = in[2].data<float>();
        auto *dx = out[0].data<float>(), *dh = out[1].data<float>(),
             *dhx = out[2].data<float>();
        int64_t n = shape[1];
        for_states(shape, [&](int64_t b, int64_t j) {
          int64_t k = b * n + j, at = b * 4 * n + j, to = b * 3 * n + j;
          float r = y[at], z = y[at + n], c = y[at + 2 * n], h = y[at + 3 * n];
          float dc = grad[k] * (1 - z) * (1 - c * c);
          float dz = grad[k] * (state[k] - c) * z * (1 - z);
          float dr = dc * h * r * (1 - r);
          dx[to] = dh[to] = dr;
          dx[to + n] = dh[to + n] = dz;
          dx[to + 2 * n] = dc;
          dh[to + 2 * n] = dc * r;
          dhx[k] = grad[k] * z;
        });
      };
  mx::Shape three = wide(hx, 3);
  return host_op(
      "gru_cell_backward",
      {grad_hy, hx, gates},
      {{three, mx::float32}, {three, mx::float32}, {shape, mx::float32}},
      run);
}

} // namespace flashlight::cells
