"""Recurrent layers."""

import math
import numbers
import warnings
import weakref

import flashlight

from .. import init
from ..module import Module
from ..parameter import Parameter
from ..utils.rnn import PackedSequence

__all__ = [
    "GRU",
    "GRUCell",
    "LSTM",
    "LSTMCell",
    "RNN",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _apply_permutation(tensor, permutation, dim: int = 1):
    return tensor.index_select(dim, permutation)


def apply_permutation(tensor, permutation, dim: int = 1):
    """Deprecated: reorder ``tensor`` along ``dim``."""
    warnings.warn(
        "`apply_permutation` is deprecated, please use "
        "`tensor.index_select(dim, permutation)` instead",
        FutureWarning,
        stacklevel=2,
    )
    return _apply_permutation(tensor, permutation, dim)


class RNNBase(Module):
    """What RNN, LSTM and GRU share: the options, the weights, the checks.

    Args:
        mode: ``"LSTM"``, ``"GRU"``, ``"RNN_TANH"`` or ``"RNN_RELU"``.
        input_size: Features of the input.
        hidden_size: Features of the hidden state.
        num_layers: Number of layers.
        bias: Whether there are biases.
        batch_first: Whether the batch is the first dimension of input and output.
        dropout: Dropout after each layer but the last.
        bidirectional: Also run backwards.
        proj_size: Size that the hidden state of an LSTM is projected to; 0 for not.
        device: Device of the parameters.
        dtype: Dtype of the parameters.
    """

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]
    __jit_unused_properties__ = ["all_weights"]

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device=None,
        dtype=None,
    ) -> None:
        factory_kwargs = {"device": device, "dtype": dtype}
        super().__init__()
        if (
            not isinstance(dropout, numbers.Number)
            or not 0 <= dropout <= 1
            or isinstance(dropout, bool)
        ):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the "
                "probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so "
                "non-zero dropout expects num_layers greater than 1, but got "
                f"dropout={dropout} and num_layers={num_layers}",
                stacklevel=2,
            )
        for name, value in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(value, bool):
                raise TypeError(
                    f"{name} should be of type bool, got: {type(value).__name__}"
                )
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(value, int):
                raise TypeError(
                    f"{name} should be of type int, got: {type(value).__name__}"
                )
            if value <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._flat_weight_refs: list = []

        num_directions = 2 if bidirectional else 1
        gate_size = _GATES[mode] * hidden_size
        out_size = proj_size if proj_size > 0 else hidden_size
        self._flat_weights_names: list = []
        self._all_weights: list = []
        for layer in range(num_layers):
            layer_in = input_size if layer == 0 else out_size * num_directions
            for direction in range(num_directions):
                suffix = f"_l{layer}" + ("_reverse" if direction == 1 else "")
                shapes = {
                    "weight_ih": (gate_size, layer_in),
                    "weight_hh": (gate_size, out_size),
                }
                if bias:
                    shapes["bias_ih"] = shapes["bias_hh"] = (gate_size,)
                if proj_size > 0:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = [name + suffix for name in shapes]
                for name, shape in zip(names, shapes.values()):
                    weight = Parameter(flashlight.empty(shape, **factory_kwargs))
                    setattr(self, name, weight)
                self._flat_weights_names.extend(names)
                self._all_weights.append(names)
        self._init_flat_weights()
        self.reset_parameters()

    def _init_flat_weights(self) -> None:
        self._flat_weights = [
            getattr(self, name, None) for name in self._flat_weights_names
        ]
        self._flat_weight_refs = [
            None if w is None else weakref.ref(w) for w in self._flat_weights
        ]

    def __setattr__(self, attr, value):
        names = self.__dict__.get("_flat_weights_names", ())
        if "_flat_weights" in self.__dict__ and attr in names:
            # Keep the list in step with the attribute.
            self._flat_weights[names.index(attr)] = value
        super().__setattr__(attr, value)

    def flatten_parameters(self) -> None:
        """Do nothing: weights need not be contiguous with each other here."""

    def _apply(self, fn, recurse=True):
        self._flat_weight_refs = []
        ret = super()._apply(fn, recurse)
        self._init_flat_weights()
        return ret

    def reset_parameters(self) -> None:
        stdv = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -stdv, stdv)

    def check_input(self, input, batch_sizes) -> None:
        dtype = self._flat_weights[0].dtype
        if input.dtype != dtype and not flashlight.is_autocast_enabled():
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype "
                f"({dtype}). Convert input: input.to({dtype}), or convert model: "
                f"model.to({input.dtype})"
            )
        expected_input_dim = 2 if batch_sizes is not None else 3
        if input.dim() != expected_input_dim:
            raise RuntimeError(
                f"input must have {expected_input_dim} dimensions, got {input.dim()}"
            )
        if self.input_size != input.size(-1):
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.size(-1)}"
            )

    def _state_size(self, input, batch_sizes, size):
        if batch_sizes is not None:
            mini_batch = int(batch_sizes[0])
        else:
            mini_batch = input.size(0) if self.batch_first else input.size(1)
        num_directions = 2 if self.bidirectional else 1
        return (self.num_layers * num_directions, mini_batch, size)

    def get_expected_hidden_size(self, input, batch_sizes):
        size = self.proj_size if self.proj_size > 0 else self.hidden_size
        return self._state_size(input, batch_sizes, size)

    def check_hidden_size(
        self, hx, expected_hidden_size, msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        if tuple(hx.size()) != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input, hidden, batch_sizes) -> None:
        self.check_input(input, batch_sizes)
        self.check_hidden_size(
            hidden, self.get_expected_hidden_size(input, batch_sizes)
        )

    def permute_hidden(self, hx, permutation):
        if permutation is None:
            return hx
        return _apply_permutation(hx, permutation)

    def extra_repr(self) -> str:
        s = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            s += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            s += f", num_layers={self.num_layers}"
        if self.bias is not True:
            s += f", bias={self.bias}"
        if self.batch_first is not False:
            s += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            s += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            s += f", bidirectional={self.bidirectional}"
        return s

    def __getstate__(self):
        state = super().__getstate__()
        # Weak references cannot be pickled, and are made again.
        state["_flat_weight_refs"] = None
        return state

    def __setstate__(self, d):
        super().__setstate__(d)
        if "all_weights" in d:
            self._all_weights = d["all_weights"]
        self.__dict__.setdefault("proj_size", 0)
        self._flat_weights_names = [n for names in self._all_weights for n in names]
        self._init_flat_weights()

    @property
    def all_weights(self):
        """Return the weights of each layer and direction."""
        return [[getattr(self, n) for n in names] for names in self._all_weights]

    def _replicate_for_data_parallel(self):
        replica = super()._replicate_for_data_parallel()
        replica._flat_weights = replica._flat_weights[:]
        replica._flat_weights_names = replica._flat_weights_names[:]
        return replica

    # ---------------------------------------------------------------------- forward

    def _zeros(self, input, shape):
        return flashlight.zeros(shape, dtype=input.dtype, device=input.device)

    def _prepare(self, input, states):
        """Add a batch dimension, fill in and check the hidden states.

        Returns:
            (input, batch_sizes, states, sorted_indices, unsorted_indices, is_batched).
        """
        name = self._get_name()
        if isinstance(input, PackedSequence):
            input, batch_sizes, sorted_indices, unsorted_indices = input
            is_batched = True
        else:
            batch_sizes = sorted_indices = unsorted_indices = None
            if input.dim() not in (2, 3):
                what = "D tensor instead" if name == "RNN" else "D instead"
                raise ValueError(
                    f"{name}: Expected input to be 2D or 3D, got {input.dim()}{what}"
                )
            is_batched = input.dim() == 3
            if not is_batched:
                input = input.unsqueeze(0 if self.batch_first else 1)
        sizes = self._state_sizes(input, batch_sizes)
        if states is None:
            return (
                input,
                batch_sizes,
                [self._zeros(input, size) for size in sizes],
                sorted_indices,
                unsorted_indices,
                is_batched,
            )
        if batch_sizes is None:
            self._check_state_dims(states, is_batched)
            if not is_batched:
                states = [hx.unsqueeze(1) for hx in states]
        # The order of the batch is that of the lengths.
        states = [self._permute(hx, sorted_indices) for hx in states]
        return input, batch_sizes, states, sorted_indices, unsorted_indices, is_batched

    def _state_sizes(self, input, batch_sizes):
        return [self.get_expected_hidden_size(input, batch_sizes)]

    @staticmethod
    def _permute(hx, permutation):
        return hx if permutation is None else _apply_permutation(hx, permutation)

    def _check_state_dims(self, states, is_batched) -> None:
        if any(hx.dim() != (3 if is_batched else 2) for hx in states):
            got = states[0].dim()
            kind, n = ("batched 3-D", 3) if is_batched else ("unbatched 2-D", 2)
            raise RuntimeError(
                f"For {kind} input, hx should also be {n}-D but got {got}-D tensor"
            )

    def _run(self, op, input, batch_sizes, hx):
        args = (self._flat_weights, self.bias, self.num_layers, self.dropout)
        args += (self.training, self.bidirectional)
        if batch_sizes is None:
            return op(input, hx, *args, self.batch_first)
        return op(input, batch_sizes, hx, *args)

    def _finish(self, output, states, prepared):
        """Undo what :meth:`_prepare` did to the order and the dimensions."""
        _, batch_sizes, _, sorted_indices, unsorted_indices, is_batched = prepared
        if batch_sizes is not None:
            output = PackedSequence(
                output, batch_sizes, sorted_indices, unsorted_indices
            )
        elif not is_batched:
            output = output.squeeze(0 if self.batch_first else 1)
            states = [hx.squeeze(1) for hx in states]
        return output, [self._permute(hx, unsorted_indices) for hx in states]


_RNN_DOC = """

    Args:
        input_size: Features of the input.
        hidden_size: Features of the hidden state.
        num_layers: Number of layers.
{extra}        bias: Whether there are biases.
        batch_first: Whether the batch is the first dimension of input and output.
        dropout: Dropout after each layer but the last.
        bidirectional: Also run backwards.
{proj}        device: Device of the parameters.
        dtype: Dtype of the parameters.

    Shape:
        - Input: (L, N, input_size), (L, input_size), or a PackedSequence.
        - Hidden states: (num_layers * directions, N, hidden_size).
        - Output: (L, N, directions * hidden_size), and the last hidden states.

    Attributes:
        weight_ih_l[k], weight_hh_l[k]: Weights of layer k, gates stacked.
        bias_ih_l[k], bias_hh_l[k]: Its biases.
    """


class RNN(RNNBase):
    __doc__ = (
        "Elman network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."
        + _RNN_DOC.format(
            extra='        nonlinearity: ``"tanh"`` or ``"relu"``.\n', proj=""
        )
    )

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        nonlinearity="tanh",
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        device=None,
        dtype=None,
        **kwargs,
    ):
        if "proj_size" in kwargs:
            raise ValueError(
                "proj_size argument is only supported for LSTM, not RNN or GRU"
            )
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        self.nonlinearity = nonlinearity
        super().__init__(
            "RNN_" + nonlinearity.upper(),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **kwargs,
        )

    def forward(self, input, hx=None):
        prepared = self._prepare(input, None if hx is None else [hx])
        input, batch_sizes, states = prepared[:3]
        self.check_forward_args(input, states[0], batch_sizes)
        op = flashlight.rnn_tanh if self.mode == "RNN_TANH" else flashlight.rnn_relu
        output, hidden = self._run(op, input, batch_sizes, states[0])
        output, (hidden,) = self._finish(output, [hidden], prepared)
        return output, hidden


class LSTM(RNNBase):
    __doc__ = "Long short-term memory network." + _RNN_DOC.format(
        extra="",
        proj="        proj_size: Size to project the hidden state to; 0 for not.\n",
    )

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        device=None,
        dtype=None,
    ):
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
        )

    def get_expected_cell_size(self, input, batch_sizes):
        return self._state_size(input, batch_sizes, self.hidden_size)

    def _state_sizes(self, input, batch_sizes):
        return [
            self.get_expected_hidden_size(input, batch_sizes),
            self.get_expected_cell_size(input, batch_sizes),
        ]

    def check_forward_args(self, input, hidden, batch_sizes) -> None:
        self.check_input(input, batch_sizes)
        hidden_size, cell_size = self._state_sizes(input, batch_sizes)
        self.check_hidden_size(
            hidden[0], hidden_size, "Expected hidden[0] size {}, got {}"
        )
        self.check_hidden_size(
            hidden[1], cell_size, "Expected hidden[1] size {}, got {}"
        )

    def permute_hidden(self, hx, permutation):
        return self._permute(hx[0], permutation), self._permute(hx[1], permutation)

    def _check_state_dims(self, states, is_batched) -> None:
        dims = tuple(hx.dim() for hx in states)
        n = 3 if is_batched else 2
        if any(d != n for d in dims):
            kind = "batched 3-D" if is_batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {n}-D but got "
                f"({dims[0]}-D, {dims[1]}-D) tensors"
            )

    def forward(self, input, hx=None):
        prepared = self._prepare(input, hx)
        input, batch_sizes, states = prepared[:3]
        self.check_forward_args(input, states, batch_sizes)
        output, *states = self._run(flashlight.lstm, input, batch_sizes, states)
        output, states = self._finish(output, states, prepared)
        return output, tuple(states)


class GRU(RNNBase):
    __doc__ = "Gated recurrent network." + _RNN_DOC.format(extra="", proj="")

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        device=None,
        dtype=None,
        **kwargs,
    ):
        if "proj_size" in kwargs:
            raise ValueError(
                "proj_size argument is only supported for LSTM, not RNN or GRU"
            )
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **kwargs,
        )

    def forward(self, input, hx=None):
        prepared = self._prepare(input, None if hx is None else [hx])
        input, batch_sizes, states = prepared[:3]
        self.check_forward_args(input, states[0], batch_sizes)
        output, hidden = self._run(flashlight.gru, input, batch_sizes, states[0])
        output, (hidden,) = self._finish(output, [hidden], prepared)
        return output, hidden


class RNNCellBase(Module):
    """What the cells share: one step of a layer.

    Args:
        input_size: Features of the input.
        hidden_size: Features of the hidden state.
        bias: Whether there are biases.
        num_chunks: Number of gates.
        device: Device of the parameters.
        dtype: Dtype of the parameters.
    """

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device=None,
        dtype=None,
    ) -> None:
        factory_kwargs = {"device": device, "dtype": dtype}
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(
            flashlight.empty((gates, input_size), **factory_kwargs)
        )
        self.weight_hh = Parameter(
            flashlight.empty((gates, hidden_size), **factory_kwargs)
        )
        if bias:
            self.bias_ih = Parameter(flashlight.empty(gates, **factory_kwargs))
            self.bias_hh = Parameter(flashlight.empty(gates, **factory_kwargs))
        else:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def extra_repr(self) -> str:
        s = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            s += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            s += f", nonlinearity={self.nonlinearity}"
        return s

    def reset_parameters(self) -> None:
        stdv = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -stdv, stdv)

    def _check(self, what, value) -> None:
        if value.dim() not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected {what} to be 1D or 2D, got "
                f"{value.dim()}D instead"
            )

    def _weights(self):
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _step(self, op, input, hx):
        """Run a cell whose state is one tensor."""
        self._check("input", input)
        if hx is not None:
            self._check("hidden", hx)
        is_batched = input.dim() == 2
        if not is_batched:
            input = input.unsqueeze(0)
        if hx is None:
            hx = flashlight.zeros(
                input.size(0), self.hidden_size, dtype=input.dtype, device=input.device
            )
        elif not is_batched:
            hx = hx.unsqueeze(0)
        ret = op(input, hx, *self._weights())
        return ret if is_batched else ret.squeeze(0)


class RNNCell(RNNCellBase):
    """One step of :class:`RNN`.

    Args:
        input_size: Features of the input.
        hidden_size: Features of the hidden state.
        bias: Whether there are biases.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        device: Device of the parameters.
        dtype: Dtype of the parameters.

    Shape:
        - Input: (N, input_size) or (input_size).
        - Hidden: (N, hidden_size) or (hidden_size).
        - Output: the next hidden state.
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device=None,
        dtype=None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        tanh = self.nonlinearity == "tanh"
        op = flashlight.rnn_tanh_cell if tanh else flashlight.rnn_relu_cell
        return self._step(op, input, hx)


class LSTMCell(RNNCellBase):
    """One step of :class:`LSTM`.

    Args:
        input_size: Features of the input.
        hidden_size: Features of the hidden state.
        bias: Whether there are biases.
        device: Device of the parameters.
        dtype: Dtype of the parameters.

    Shape:
        - Input: (N, input_size) or (input_size).
        - Hidden and cell state: (N, hidden_size) or (hidden_size).
        - Output: the next hidden and cell state.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device=device, dtype=dtype)

    def forward(self, input, hx=None):
        self._check("input", input)
        if hx is not None:
            for idx, value in enumerate(hx):
                self._check(f"hx[{idx}]", value)
        is_batched = input.dim() == 2
        if not is_batched:
            input = input.unsqueeze(0)
        if hx is None:
            zeros = flashlight.zeros(
                input.size(0), self.hidden_size, dtype=input.dtype, device=input.device
            )
            hx = (zeros, zeros)
        elif not is_batched:
            hx = (hx[0].unsqueeze(0), hx[1].unsqueeze(0))
        h, c = flashlight.lstm_cell(input, hx, *self._weights())
        return (h, c) if is_batched else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of :class:`GRU`.

    Args:
        input_size: Features of the input.
        hidden_size: Features of the hidden state.
        bias: Whether there are biases.
        device: Device of the parameters.
        dtype: Dtype of the parameters.

    Shape:
        - Input: (N, input_size) or (input_size).
        - Hidden: (N, hidden_size) or (hidden_size).
        - Output: the next hidden state.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device=device, dtype=dtype)

    def forward(self, input, hx=None):
        return self._step(flashlight.gru_cell, input, hx)
