// Steps of recurrent cells, each one loop over its gates, and back.
//
// Of float32 on the CPU; the plain form, of MLX's ops, is in ops/recurrent.cpp.
#pragma once

#include <optional>
#include <vector>

#include <mlx/array.h>

#include "flashlight/core/api.h"

namespace flashlight {

namespace mx = mlx::core;

namespace cells {

// Whether these loops serve arrays of this dtype here.
FL_API bool serve(mx::Dtype dtype);

// Gates i, f, g and o of [batch, 4 * hidden] come in two summands. Gives the
// hidden state, the cell state and the gates after their functions.
FL_API std::vector<mx::array>
lstm(const mx::array& x, const mx::array& h, const mx::array& cx);
// The gradients of the summed gates and of cx.
FL_API std::vector<mx::array> lstm_backward(
    const std::optional<mx::array>& grad_hy,
    const std::optional<mx::array>& grad_cy,
    const mx::array& cx,
    const mx::array& cy,
    const mx::array& gates);

// Gates r, z and n of [batch, 3 * hidden], of the input and of the hidden
// state. Gives the hidden state, and r, z, n and the hidden part of n.
FL_API std::vector<mx::array>
gru(const mx::array& x, const mx::array& h, const mx::array& hx);
// The gradients of the gates of the input, of the hidden state, and of hx.
FL_API std::vector<mx::array> gru_backward(
    const mx::array& grad_hy,
    const mx::array& hx,
    const mx::array& gates);

} // namespace cells

} // namespace flashlight
