// Recurrent layers and their cells, and sequences packed by length.
//
// Note [A layer in time]
// What a layer makes of its input is one product for all steps; the loop in
// time has the product with the hidden state and the cell. A cell is one row,
// which keeps its gates for the gradient. Steps of a packed sequence have fewer
// and fewer samples; a padded one is the case where all have as many.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/runtime.h"
#include "flashlight/kernels/accurate.h"
#include "flashlight/kernels/cells.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/activations.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/dropout.h"
#include "flashlight/ops/functions/indexing.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/recurrent.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

// Cells.

mx::array added(const mx::array& x, const std::optional<mx::array>& bias) {
  return bias ? mx::add(x, *bias) : x;
}

std::tuple<mx::array, mx::array, mx::array> lstm_kernel(
    const mx::array& input_gates,
    const mx::array& hidden_gates,
    const mx::array& cx,
    const std::optional<mx::array>& input_bias,
    const std::optional<mx::array>& hidden_bias) {
  mx::array x = added(input_gates, input_bias);
  mx::array h = added(hidden_gates, hidden_bias);
  if (cells::serve(x.dtype())) {
    auto out = cells::lstm(x, h, cx);
    return {out[0], out[1], out[2]};
  }
  mx::array gates = mx::add(x, h);
  auto parts = mx::split(gates, 4, 1);
  mx::array i = accurate::sigmoid(parts[0]);
  mx::array f = accurate::sigmoid(parts[1]);
  mx::array g = mx::tanh(parts[2]);
  mx::array o = accurate::sigmoid(parts[3]);
  mx::array cy = mx::add(mx::multiply(f, cx), mx::multiply(i, g));
  mx::array hy = mx::multiply(o, mx::tanh(cy));
  return {hy, cy, mx::concatenate({i, f, g, o}, 1)};
}

Tensor plus(const Tensor& a, const Tensor& b) {
  return !a.defined() ? b : !b.defined() ? a : a + b;
}

// Equal parts of the second dimension; undefined ones of what is undefined.
TensorList parts_of(const Tensor& x, int64_t n) {
  TensorList parts(static_cast<size_t>(n));
  if (x.defined()) {
    int64_t width = x.size(1) / n;
    for (int64_t k = 0; k < n; ++k) {
      parts[static_cast<size_t>(k)] =
          slice(x, 1, k * width, (k + 1) * width, 1);
    }
  }
  return parts;
}

Tensor sigmoid_slope(const Tensor& y) {
  return y * (Scalar(1) - y);
}

Tensor tanh_slope(const Tensor& y) {
  return Scalar(1) - y * y;
}

// The gradients of a cell's gates, state and biases.
TensorList cell_grads(
    const Tensor& input_gates,
    const Tensor& hidden_gates,
    const Tensor& state,
    const BoolList& needs) {
  TensorList out{input_gates, hidden_gates, state, {}, {}};
  if (needs[3]) {
    out[3] = sum(input_gates, IntList{0});
  }
  if (needs[4]) {
    out[4] = sum(hidden_gates, IntList{0});
  }
  return out;
}

// The gates are a result too, to which gradients may come in turn.
TensorList lstm_grad(
    const TensorList& grads,
    const Tensor& cx,
    const Tensor& cy,
    const Tensor& gates,
    const BoolList& needs) {
  if (!grad_enabled() && !grads[2].defined() &&
      cells::serve(to_mlx(cx.dtype()))) {
    auto [d, dcx] =
        _thnn_fused_lstm_cell_backward_impl(grads[0], grads[1], cx, cy, gates);
    return cell_grads(d, d, dcx, needs);
  }
  TensorList y = parts_of(gates, 4), more = parts_of(grads[2], 4);
  const Tensor &i = y[0], &f = y[1], &g = y[2], &o = y[3];
  Tensor dc = grads[1], d_o = more[3];
  if (grads[0].defined()) {
    Tensor t = tanh(cy);
    dc = plus(dc, grads[0] * o * tanh_slope(t));
    d_o = plus(d_o, grads[0] * t);
  }
  if (!dc.defined()) {
    dc = zeros_like(cx);
  }
  if (!d_o.defined()) {
    d_o = zeros_like(o);
  }
  Tensor d =
      cat({plus(dc * g, more[0]) * sigmoid_slope(i),
           plus(dc * cx, more[1]) * sigmoid_slope(f),
           plus(dc * i, more[2]) * tanh_slope(g),
           d_o * sigmoid_slope(o)},
          1);
  return cell_grads(d, d, dc * f, needs);
}

// Gates r, z and n, and the hidden part of n, which r multiplies.
std::tuple<mx::array, mx::array> gru_kernel(
    const mx::array& input_gates,
    const mx::array& hidden_gates,
    const mx::array& hx,
    const std::optional<mx::array>& input_bias,
    const std::optional<mx::array>& hidden_bias) {
  mx::array given = added(input_gates, input_bias);
  mx::array hidden = added(hidden_gates, hidden_bias);
  if (cells::serve(given.dtype())) {
    auto out = cells::gru(given, hidden, hx);
    return {out[0], out[1]};
  }
  auto x = mx::split(given, 3, 1);
  auto h = mx::split(hidden, 3, 1);
  mx::array r = accurate::sigmoid(mx::add(x[0], h[0]));
  mx::array z = accurate::sigmoid(mx::add(x[1], h[1]));
  mx::array n = mx::tanh(mx::add(x[2], mx::multiply(r, h[2])));
  mx::array hy = mx::add(n, mx::multiply(z, mx::subtract(hx, n)));
  return {hy, mx::concatenate({r, z, n, h[2]}, 1)};
}

TensorList gru_grad(
    const TensorList& grads,
    const Tensor& hx,
    const Tensor& gates,
    const BoolList& needs) {
  if (!grad_enabled() && !grads[1].defined() &&
      cells::serve(to_mlx(hx.dtype()))) {
    auto [dx, dh, dhx] =
        _thnn_fused_gru_cell_backward_impl(grads[0], hx, gates);
    return cell_grads(dx, dh, dhx, needs);
  }
  TensorList y = parts_of(gates, 4), more = parts_of(grads[1], 4);
  const Tensor &r = y[0], &z = y[1], &n = y[2], &hn = y[3];
  Tensor g = grads[0].defined() ? grads[0] : zeros_like(hx);
  Tensor dn = plus(g * (Scalar(1) - z), more[2]) * tanh_slope(n);
  Tensor dr = plus(dn * hn, more[0]) * sigmoid_slope(r);
  Tensor dz = plus(g * (hx - n), more[1]) * sigmoid_slope(z);
  return cell_grads(
      cat({dr, dz, dn}, 1),
      cat({dr, dz, plus(dn * r, more[3])}, 1),
      g * z,
      needs);
}

enum class Cell : uint8_t { Lstm, Gru, Tanh, Relu };

struct Weights {
  Tensor ih, hh, bias_ih, bias_hh;
  Tensor hr; // projects the hidden state of an LSTM
};

struct State {
  Tensor h, c;
};

template <typename F>
State each(const State& s, F&& f) {
  return {f(s.h), s.c.defined() ? f(s.c) : s.c};
}

// What the input adds to the gates, for any number of steps. Both biases, but
// for a GRU, whose hidden one is within a product.
Tensor gates_of_input(Cell cell, const Tensor& x, const Weights& w) {
  bool both = cell != Cell::Gru && w.bias_hh.defined();
  return linear(x, w.ih, both ? w.bias_ih + w.bias_hh : w.bias_ih);
}

// One step; `hh` is w.hh transposed.
State step(
    Cell cell,
    const Tensor& gates,
    const State& state,
    const Tensor& hh,
    const Weights& w) {
  switch (cell) {
    case Cell::Lstm: {
      auto [h, c, kept] =
          _thnn_fused_lstm_cell(gates, mm(state.h, hh), state.c);
      return {w.hr.defined() ? linear(h, w.hr) : h, c};
    }
    case Cell::Gru: {
      Tensor hidden =
          w.bias_hh.defined() ? addmm(w.bias_hh, state.h, hh) : mm(state.h, hh);
      return {std::get<0>(_thnn_fused_gru_cell(gates, hidden, state.h)), {}};
    }
    case Cell::Tanh:
      return {tanh(gates + mm(state.h, hh)), {}};
    default:
      return {relu(gates + mm(state.h, hh)), {}};
  }
}

// Layers.

Tensor rows(const Tensor& x, int64_t from, int64_t to) {
  return from == 0 && to == x.size(0) ? x : slice(x, 0, from, to, 1);
}

// One direction of one layer over `x`: [steps, batch, features], or the rows of
// a packed sequence with `sizes`.
std::pair<Tensor, State> run_layer(
    Cell cell,
    const Tensor& x,
    const std::optional<IntList>& sizes,
    const State& initial,
    const Weights& w,
    bool reverse) {
  Tensor gates = gates_of_input(cell, x, w);
  TensorList steps;
  if (sizes) {
    int64_t at = 0;
    for (int64_t n : *sizes) {
      steps.push_back(rows(gates, at, at + n));
      at += n;
    }
  } else {
    steps = unbind(gates, 0);
  }
  Tensor hh = t(w.hh);
  auto count = static_cast<int64_t>(steps.size());
  TensorList outputs(steps.size());
  std::vector<State> ended; // of samples that have no more steps
  State state = initial;
  auto size_at = [&](int64_t k) {
    return steps[static_cast<size_t>(k)].size(0);
  };
  int64_t batch = initial.h.size(0);
  if (sizes && reverse) {
    batch = size_at(count - 1);
    state = each(state, [&](const Tensor& s) { return rows(s, 0, batch); });
  }
  for (int64_t k = 0; k < count; ++k) {
    int64_t at = reverse ? count - 1 - k : k;
    int64_t n = sizes ? size_at(at) : batch;
    if (n < batch) {
      ended.push_back(
          each(state, [&](const Tensor& s) { return rows(s, n, batch); }));
      state = each(state, [&](const Tensor& s) { return rows(s, 0, n); });
    } else if (n > batch) {
      auto joined = [&](const Tensor& s, const Tensor& first) {
        return s.defined() ? cat({s, rows(first, batch, n)}, 0) : s;
      };
      state = {joined(state.h, initial.h), joined(state.c, initial.c)};
    }
    batch = n;
    state = step(cell, steps[static_cast<size_t>(at)], state, hh, w);
    outputs[static_cast<size_t>(at)] = state.h;
  }
  if (!ended.empty()) {
    ended.push_back(state);
    std::reverse(ended.begin(), ended.end());
    TensorList h, c;
    for (const State& s : ended) {
      h.push_back(s.h);
      c.push_back(s.c);
    }
    state = {cat(h, 0), state.c.defined() ? cat(c, 0) : state.c};
  }
  return {sizes ? cat(outputs, 0) : stack(outputs, 0), state};
}

struct Options {
  bool has_biases;
  int64_t num_layers;
  double dropout;
  bool train, bidirectional;
};

std::vector<Weights>
weights_of(const TensorList& params, const Options& o, bool projected) {
  auto each = static_cast<size_t>(o.has_biases ? 4 : 2) + (projected ? 1 : 0);
  FL_CHECK(
      params.size() % each == 0,
      "MatrixRef: ArrayRef size ",
      params.size(),
      " not divisible by stride ",
      each);
  std::vector<Weights> out;
  for (size_t i = 0; i < params.size(); i += each) {
    Weights w{params[i], params[i + 1], {}, {}, {}};
    if (o.has_biases) {
      w.bias_ih = params[i + 2];
      w.bias_hh = params[i + 3];
    }
    if (projected) {
      w.hr = params[i + each - 1];
    }
    out.push_back(std::move(w));
  }
  return out;
}

// All layers and directions: the output and the last hidden states, stacked.
std::tuple<Tensor, Tensor, Tensor> run_layers(
    Cell cell,
    Tensor x,
    const std::optional<IntList>& sizes,
    const Tensor& hx,
    const Tensor& cx,
    const TensorList& params,
    const Options& o) {
  bool projected = cx.defined() && hx.size(2) != cx.size(2);
  auto weights = weights_of(params, o, projected);
  TensorList h = unbind(hx, 0), c;
  if (cx.defined()) {
    c = unbind(cx, 0);
  }
  size_t directions = o.bidirectional ? 2 : 1;
  size_t runs = static_cast<size_t>(o.num_layers) * directions;
  FL_CHECK(h.size() == runs, "Expected more hidden states in stacked_rnn");
  FL_CHECK(weights.size() == runs, "Expected more weights in stacked_rnn");
  TensorList last_h, last_c;
  for (size_t layer = 0; layer < runs; layer += directions) {
    TensorList outputs;
    for (size_t d = 0; d < directions; ++d) {
      size_t k = layer + d;
      State initial{h[k], cx.defined() ? c[k] : Tensor()};
      auto [out, last] = run_layer(cell, x, sizes, initial, weights[k], d == 1);
      outputs.push_back(out);
      last_h.push_back(last.h);
      last_c.push_back(last.c);
    }
    x = directions == 2 ? cat(outputs, -1) : outputs[0];
    if (o.dropout > 0 && o.train && layer + directions < runs) {
      x = dropout(x, o.dropout, true);
    }
  }
  return {x, stack(last_h, 0), cx.defined() ? stack(last_c, 0) : Tensor()};
}

std::tuple<Tensor, Tensor, Tensor> run_padded(
    Cell cell,
    const Tensor& input,
    const Tensor& hx,
    const Tensor& cx,
    const TensorList& params,
    const Options& o,
    bool batch_first) {
  FL_CHECK(input.dim() == 3, "Expected input of 3 dimensions in stacked_rnn");
  FL_CHECK(
      input.size(batch_first ? 1 : 0) > 0,
      "Expected sequence length to be larger than 0 in RNN");
  auto [out, h, c] = run_layers(
      cell,
      batch_first ? transpose(input, 0, 1) : input,
      std::nullopt,
      hx,
      cx,
      params,
      o);
  return {batch_first ? transpose(out, 0, 1) : out, h, c};
}

IntList read_sizes(const Tensor& batch_sizes) {
  mx::array n = mx::contiguous(mx::astype(batch_sizes.value(), mx::int64));
  flashlight::eval({n});
  IntList out(n.size());
  std::copy_n(n.data<int64_t>(), n.size(), out.begin());
  return out;
}

std::tuple<Tensor, Tensor, Tensor> run_packed(
    Cell cell,
    const Tensor& data,
    const Tensor& batch_sizes,
    const Tensor& hx,
    const Tensor& cx,
    const TensorList& params,
    const Options& o) {
  IntList sizes = read_sizes(batch_sizes);
  int64_t all = 0;
  for (int64_t n : sizes) {
    all += n;
  }
  FL_CHECK(
      !sizes.empty() && all == data.size(0) && sizes[0] == hx.size(1),
      "batch_sizes ",
      sizes,
      " do not fit packed data of ",
      data.size(0),
      " rows and hidden states of ",
      hx.size(1));
  return run_layers(cell, data, sizes, hx, cx, params, o);
}

void check_states(const TensorList& hx, const char* name) {
  FL_CHECK(hx.size() == 2, name, " expects two hidden states");
}

template <Cell cell>
std::tuple<Tensor, Tensor> padded_op(
    const Tensor& input,
    const Tensor& hx,
    const TensorList& params,
    bool has_biases,
    int64_t num_layers,
    double dropout,
    bool train,
    bool bidirectional,
    bool batch_first) {
  Options o{has_biases, num_layers, dropout, train, bidirectional};
  auto [out, h, c] = run_padded(cell, input, hx, {}, params, o, batch_first);
  return {out, h};
}

template <Cell cell>
std::tuple<Tensor, Tensor> packed_op(
    const Tensor& data,
    const Tensor& batch_sizes,
    const Tensor& hx,
    const TensorList& params,
    bool has_biases,
    int64_t num_layers,
    double dropout,
    bool train,
    bool bidirectional) {
  Options o{has_biases, num_layers, dropout, train, bidirectional};
  auto [out, h, c] = run_packed(cell, data, batch_sizes, hx, {}, params, o);
  return {out, h};
}

// One step by itself.

void check_cell(
    const Tensor& input,
    const Tensor& hidden,
    const Tensor& w_ih,
    int64_t hidden_size,
    int label) {
  FL_CHECK(
      input.size(1) == w_ih.size(1),
      "input has inconsistent input_size: got ",
      input.size(1),
      " expected ",
      w_ih.size(1));
  FL_CHECK(
      input.size(0) == hidden.size(0),
      "Input batch size ",
      input.size(0),
      " doesn't match hidden",
      label,
      " batch size ",
      hidden.size(0));
  FL_CHECK(
      hidden.size(1) == hidden_size,
      "hidden",
      label,
      " has inconsistent hidden_size: got ",
      hidden.size(1),
      ", expected ",
      hidden_size);
}

State one_step(
    Cell cell,
    const Tensor& input,
    const State& state,
    const Weights& w) {
  return step(cell, gates_of_input(cell, input, w), state, t(w.hh), w);
}

template <Cell cell>
Tensor cell_op(
    const Tensor& input,
    const Tensor& hx,
    const Tensor& w_ih,
    const Tensor& w_hh,
    const Tensor& b_ih,
    const Tensor& b_hh) {
  check_cell(input, hx, w_ih, w_hh.size(1), 0);
  return one_step(cell, input, {hx, {}}, {w_ih, w_hh, b_ih, b_hh, {}}).h;
}

// Packed sequences.

// Where the rows of a packed sequence are among steps x batch.
mx::array packed_rows(const IntList& sizes, int64_t batch) {
  std::vector<int64_t> rows;
  for (size_t k = 0; k < sizes.size(); ++k) {
    for (int64_t b = 0; b < sizes[k]; ++b) {
      rows.push_back(static_cast<int64_t>(k) * batch + b);
    }
  }
  return mx::array(rows.data(), {static_cast<int>(rows.size())}, mx::int64);
}

mx::array int64_array(const IntList& values) {
  std::vector<int64_t> v(values.begin(), values.end());
  return mx::array(v.data(), {static_cast<int>(v.size())}, mx::int64);
}

std::tuple<Tensor, Tensor>
pack_padded(const Tensor& given, const Tensor& lengths, bool batch_first) {
  FL_CHECK(
      lengths.dim() == 1 && lengths.dtype() == Dtype::Int64,
      "'lengths' argument should be a 1D CPU int64 tensor, but got ",
      lengths.dim(),
      "D cpu ",
      scalar_name(lengths.dtype()),
      " tensor");
  FL_CHECK(given.numel() > 0, "Cannot pack empty tensors.");
  Tensor input = batch_first ? transpose(given, 0, 1) : given;
  int64_t batch = input.size(1);
  IntList n = read_sizes(lengths);
  FL_CHECK(
      ndim_of(n) == batch,
      "Expected `len(lengths)` to be equal to batch_size, but got ",
      n.size(),
      " (batch_size=",
      batch,
      ")");
  for (size_t i = 0; i < n.size(); ++i) {
    FL_CHECK(
        n[i] > 0,
        "Length of all samples has to be greater than 0, but found an element "
        "in 'lengths' that is <= 0");
    FL_CHECK(
        i == 0 || n[i] <= n[i - 1],
        "`lengths` array must be sorted in decreasing order when "
        "`enforce_sorted` is True. You can pass `enforce_sorted=False` to "
        "pack_padded_sequence and/or pack_sequence to sidestep this "
        "requirement "
        "if you do not need ONNX exportability.");
  }
  FL_CHECK(
      n[0] <= input.size(0),
      "Expected lengths of at most ",
      input.size(0),
      ", the size of the input, but found ",
      n[0]);
  IntList sizes(static_cast<size_t>(n[0]), int64_t{0});
  for (int64_t length : n) {
    for (int64_t k = 0; k < length; ++k) {
      ++sizes[static_cast<size_t>(k)];
    }
  }
  IntList flat = input.sizes();
  flat.erase(flat.begin());
  flat[0] = -1;
  Tensor data = _index(
      reshape(input, flat), {constant(packed_rows(sizes, batch), given)});
  return {data, constant(int64_array(sizes), lengths)};
}

std::tuple<Tensor, Tensor> pad_packed(
    const Tensor& data,
    const Tensor& batch_sizes,
    bool batch_first,
    const Scalar& padding_value,
    int64_t total_length) {
  IntList sizes = read_sizes(batch_sizes);
  auto longest = static_cast<int64_t>(sizes.size());
  FL_CHECK(longest > 0, "Expected batch_sizes to have an element");
  FL_CHECK(
      total_length <= 0 || total_length >= longest,
      "Expected total_length to be at least the length of the longest sequence "
      "in input, but got total_length=",
      total_length,
      " and max sequence length being ",
      longest);
  int64_t steps = std::max(longest, total_length), batch = sizes[0];
  IntList out = data.sizes(), flat = data.sizes(), n;
  flat[0] = steps * batch;
  out[0] = batch;
  out.insert(out.begin(), steps);
  for (int64_t b = 0; b < batch; ++b) {
    n.push_back(std::count_if(sizes.begin(), sizes.end(), [&](int64_t s) {
      return s > b;
    }));
  }
  Tensor padding = full(flat, padding_value, data.dtype(), {}, data.device());
  Tensor padded = reshape(
      _index_put(
          padding, {constant(packed_rows(sizes, batch), data)}, data, false),
      out);
  return {
      batch_first ? transpose(padded, 0, 1) : padded,
      constant(int64_array(n), batch_sizes)};
}

Tensor pad_sequences(
    const TensorList& sequences,
    bool batch_first,
    double padding_value,
    const std::string& side) {
  FL_CHECK(!sequences.empty(), "received an empty list of sequences");
  FL_CHECK(
      side == "left" || side == "right",
      "Expected padding_side to be one of left or right, but got ",
      side,
      ".");
  int64_t longest = 0;
  for (const Tensor& s : sequences) {
    longest = std::max(longest, s.size(0));
  }
  TensorList padded;
  for (const Tensor& s : sequences) {
    IntList rest = s.sizes();
    rest[0] = longest - s.size(0);
    if (rest[0] == 0) {
      padded.push_back(s);
      continue;
    }
    Tensor fill = full(rest, padding_value, s.dtype(), {}, s.device());
    padded.push_back(side == "left" ? cat({fill, s}, 0) : cat({s, fill}, 0));
  }
  return stack(padded, batch_first ? 0 : 1);
}

} // namespace

void register_recurrent() {
  op("_thnn_fused_lstm_cell(Tensor input_gates, Tensor hidden_gates, Tensor "
     "cx, Tensor? input_bias=None, Tensor? hidden_bias=None) -> (Tensor, "
     "Tensor, Tensor)")
      .forms("function")
      .kernel(lstm_kernel)
      .grad(
          "input_gates hidden_gates cx input_bias hidden_bias",
          "cx result1 result2 needs",
          lstm_grad)
      .doc("The step of an LSTM: hidden state, cell state and gates.");
  op("_thnn_fused_gru_cell(Tensor input_gates, Tensor hidden_gates, Tensor hx, "
     "Tensor? input_bias=None, Tensor? hidden_bias=None) -> (Tensor, Tensor)")
      .forms("function")
      .kernel(gru_kernel)
      .grad(
          "input_gates hidden_gates hx input_bias hidden_bias",
          "hx result1 needs",
          gru_grad)
      .doc("The step of a GRU: hidden state and gates.");
  // One loop each, where there is one and no second derivative is asked for.
  op("_thnn_fused_lstm_cell_backward_impl(Tensor? grad_hy, Tensor? grad_cy, "
     "Tensor cx, Tensor cy, Tensor workspace) -> (Tensor, Tensor)")
      .forms("")
      .kernel([](const std::optional<mx::array>& grad_hy,
                 const std::optional<mx::array>& grad_cy,
                 const mx::array& cx,
                 const mx::array& cy,
                 const mx::array& gates) {
        auto out = cells::lstm_backward(grad_hy, grad_cy, cx, cy, gates);
        return std::tuple(out[0], out[1]);
      })
      .not_differentiable()
      .doc("The gradients of an LSTM's gates and cell state.");
  op("_thnn_fused_gru_cell_backward_impl(Tensor grad_hy, Tensor hx, Tensor "
     "workspace) -> (Tensor, Tensor, Tensor)")
      .forms("")
      .kernel([](const mx::array& grad_hy,
                 const mx::array& hx,
                 const mx::array& gates) {
        auto out = cells::gru_backward(grad_hy, hx, gates);
        return std::tuple(out[0], out[1], out[2]);
      })
      .not_differentiable()
      .doc("The gradients of a GRU's gates and hidden state.");
  op("lstm.input(Tensor input, Tensor[] hx, Tensor[] params, bool has_biases, "
     "int num_layers, float dropout, bool train, bool bidirectional, bool "
     "batch_first) -> (Tensor, Tensor, Tensor)")
      .forms("function")
      .composite([](const Tensor& input,
                    const TensorList& hx,
                    const TensorList& params,
                    bool has_biases,
                    int64_t num_layers,
                    double dropout,
                    bool train,
                    bool bidirectional,
                    bool batch_first) {
        check_states(hx, "lstm");
        Options o{has_biases, num_layers, dropout, train, bidirectional};
        return run_padded(
            Cell::Lstm, input, hx[0], hx[1], params, o, batch_first);
      })
      .doc("Layers of long short-term memory.");
  op("lstm.data(Tensor data, Tensor batch_sizes, Tensor[] hx, Tensor[] params, "
     "bool has_biases, int num_layers, float dropout, bool train, bool "
     "bidirectional) -> (Tensor, Tensor, Tensor)")
      .forms("function")
      .composite([](const Tensor& data,
                    const Tensor& batch_sizes,
                    const TensorList& hx,
                    const TensorList& params,
                    bool has_biases,
                    int64_t num_layers,
                    double dropout,
                    bool train,
                    bool bidirectional) {
        check_states(hx, "lstm");
        Options o{has_biases, num_layers, dropout, train, bidirectional};
        return run_packed(
            Cell::Lstm, data, batch_sizes, hx[0], hx[1], params, o);
      })
      .doc("Layers of long short-term memory over packed sequences.");
  op("gru.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int "
     "num_layers, float dropout, bool train, bool bidirectional, bool "
     "batch_first) -> (Tensor, Tensor)")
      .forms("function")
      .composite(padded_op<Cell::Gru>)
      .doc("Layers of gated recurrent units.");
  op("gru.data(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] params, "
     "bool has_biases, int num_layers, float dropout, bool train, bool "
     "bidirectional) -> (Tensor, Tensor)")
      .forms("function")
      .composite(packed_op<Cell::Gru>)
      .doc("Layers of gated recurrent units over packed sequences.");
  op("rnn_tanh.input(Tensor input, Tensor hx, Tensor[] params, bool "
     "has_biases, int num_layers, float dropout, bool train, bool "
     "bidirectional, bool batch_first) -> (Tensor, Tensor)")
      .forms("function")
      .composite(padded_op<Cell::Tanh>)
      .doc("Layers of h' = tanh(W x + U h).");
  op("rnn_tanh.data(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] "
     "params, bool has_biases, int num_layers, float dropout, bool train, bool "
     "bidirectional) -> (Tensor, Tensor)")
      .forms("function")
      .composite(packed_op<Cell::Tanh>)
      .doc("Layers of h' = tanh(W x + U h) over packed sequences.");
  op("rnn_relu.input(Tensor input, Tensor hx, Tensor[] params, bool "
     "has_biases, int num_layers, float dropout, bool train, bool "
     "bidirectional, bool batch_first) -> (Tensor, Tensor)")
      .forms("function")
      .composite(padded_op<Cell::Relu>)
      .doc("Layers of h' = relu(W x + U h).");
  op("rnn_relu.data(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] "
     "params, bool has_biases, int num_layers, float dropout, bool train, bool "
     "bidirectional) -> (Tensor, Tensor)")
      .forms("function")
      .composite(packed_op<Cell::Relu>)
      .doc("Layers of h' = relu(W x + U h) over packed sequences.");
  op("lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? "
     "b_ih=None, Tensor? b_hh=None) -> (Tensor, Tensor)")
      .forms("function")
      .composite([](const Tensor& input,
                    const TensorList& hx,
                    const Tensor& w_ih,
                    const Tensor& w_hh,
                    const Tensor& b_ih,
                    const Tensor& b_hh) {
        check_states(hx, "lstm_cell");
        check_cell(input, hx[0], w_ih, w_hh.size(1), 0);
        check_cell(input, hx[1], w_ih, w_hh.size(0) / 4, 1);
        State s = one_step(
            Cell::Lstm, input, {hx[0], hx[1]}, {w_ih, w_hh, b_ih, b_hh, {}});
        return std::tuple(s.h, s.c);
      })
      .doc("A step of an LSTM.");
  op("gru_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? "
     "b_ih=None, Tensor? b_hh=None) -> Tensor")
      .forms("function")
      .composite(cell_op<Cell::Gru>)
      .doc("A step of a GRU.");
  op("rnn_tanh_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? "
     "b_ih=None, Tensor? b_hh=None) -> Tensor")
      .forms("function")
      .composite(cell_op<Cell::Tanh>)
      .doc("A step of h' = tanh(W x + U h).");
  op("rnn_relu_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? "
     "b_ih=None, Tensor? b_hh=None) -> Tensor")
      .forms("function")
      .composite(cell_op<Cell::Relu>)
      .doc("A step of h' = relu(W x + U h).");
  op("_pack_padded_sequence(Tensor input, Tensor lengths, bool batch_first) -> "
     "(Tensor, Tensor)")
      .forms("function")
      .composite(pack_padded)
      .doc(
          "The elements of sequences, step by step, and how many are in each.");
  op("_pad_packed_sequence(Tensor data, Tensor batch_sizes, bool batch_first, "
     "Scalar padding_value, int total_length) -> (Tensor, Tensor)")
      .forms("function")
      .composite(pad_packed)
      .doc("Packed sequences in rows of one length, and their lengths.");
  op("pad_sequence(Tensor[] sequences, bool batch_first=False, float "
     "padding_value=0.0, str padding_side=\"right\") -> Tensor")
      .forms("function")
      .module("nn")
      .composite(pad_sequences)
      .doc("Sequences of different lengths, padded and stacked.");
}

} // namespace flashlight
