"""Samples of recurrent layers, their cells and packed sequences."""

import torch
from sampling import case, t, wide

STEPS, BATCH, IN, HIDDEN = 4, 3, 5, 2


def weights(gates, layers=1, directions=1, bias=True, projected=0):
    """Makers of the parameters of all layers, in their order."""
    params, seed, state = [], 0, projected or HIDDEN
    for layer in range(layers):
        size = IN if layer == 0 else state * directions
        for _ in range(directions):
            shapes = [(gates * HIDDEN, size), (gates * HIDDEN, state)]
            shapes += [(gates * HIDDEN,)] * 2 if bias else []
            shapes += [(projected, HIDDEN)] if projected else []
            for shape in shapes:
                seed += 1
                params.append(t(*shape, low=-1, high=1, seed=seed))
    return params


def layers_of(name, gates, packed, states=1):
    cases = []
    for layers, directions, bias, first in (
        (1, 1, True, False),
        (2, 1, False, True),
        (2, 2, True, False),
        (1, 2, True, True),
    ):
        h = t(layers * directions, BATCH, HIDDEN, seed=9)
        h = [h, t(layers * directions, BATCH, HIDDEN, seed=10)] if states == 2 else h
        params = weights(gates, layers, directions, bias)
        options = (bias, layers, 0.0, True, directions == 2)
        if packed:
            data = (t(7, IN), lambda dtype: torch.tensor([3, 2, 1, 1]))
            cases.append(case(*data, h, params, *options, only=wide))
        else:
            shape = (BATCH, STEPS) if first else (STEPS, BATCH)
            x = t(*shape, IN)
            cases.append(case(x, h, params, *options, first, only=wide))
    return cases


def projections(packed):
    params = weights(4, 2, 2, True, projected=1)
    h = [t(4, BATCH, 1, seed=9), t(4, BATCH, HIDDEN, seed=10)]
    options = (True, 2, 0.0, True, True)
    if packed:
        data = (t(7, IN), lambda dtype: torch.tensor([3, 2, 1, 1]))
        return [case(*data, h, params, *options, only=wide)]
    return [case(t(STEPS, BATCH, IN), h, params, *options, False, only=wide)]


def cell_of(name, gates, states=1):
    h = t(BATCH, HIDDEN, seed=9)
    h = [h, t(BATCH, HIDDEN, seed=10)] if states == 2 else h
    via = lambda t: getattr(t, name)  # noqa: E731
    return [
        case(t(BATCH, IN), h, *weights(gates, bias=b), via=via, only=wide)
        for b in (True, False)
    ]


def gradient_of_cell(name, gates, states=1):
    """First derivatives alone, which are taken by loops of their own."""
    rest = weights(gates)

    def via(t):
        def call(x, *others):
            x = x.detach().requires_grad_()
            h = others[:states]
            out = getattr(t, name)(x, h if states > 1 else h[0], *others[states:])
            out = out if states > 1 else (out,)
            return t.autograd.grad(sum((y * y).sum() for y in out), x)

        return call

    h = [t(BATCH, HIDDEN, seed=9 + k) for k in range(states)]
    return [case(t(BATCH, IN), *h, *rest, via=via, only=float32)]


def float32(dtype):
    return dtype == torch.float32


def lengths(dtype):
    return torch.tensor([4, 2, 1])


EXTRA = {
    **{
        f"{name}.{kind}": layers_of(name, gates, kind == "data", states)
        for name, gates, states in (
            ("lstm", 4, 2),
            ("gru", 3, 1),
            ("rnn_tanh", 1, 1),
            ("rnn_relu", 1, 1),
        )
        for kind in ("input", "data")
    },
    "lstm_cell": cell_of("lstm_cell", 4, 2),
    "gru_cell": cell_of("gru_cell", 3),
    "rnn_tanh_cell": cell_of("rnn_tanh_cell", 1),
    "rnn_relu_cell": cell_of("rnn_relu_cell", 1),
    "_thnn_fused_lstm_cell": cell_of("lstm_cell", 4, 2),
    "_thnn_fused_gru_cell": cell_of("gru_cell", 3),
    "_thnn_fused_lstm_cell_backward_impl": gradient_of_cell("lstm_cell", 4, 2),
    "_thnn_fused_gru_cell_backward_impl": gradient_of_cell("gru_cell", 3),
    "_pack_padded_sequence": [
        case(t(STEPS, BATCH, 2), lengths, False, only=wide),
        case(t(BATCH, STEPS), lengths, True, only=wide),
        case(t(STEPS, BATCH), lambda dtype: torch.tensor([3, 3, 2]), False, only=wide),
    ],
    "_pad_packed_sequence": [
        case(t(7, 2), lambda dtype: torch.tensor([3, 2, 1, 1]), *rest, only=wide)
        for rest in ((False, 0.0, -1), (True, -1.5, 6))
    ],
    "pad_sequence": [
        case([t(4, 2), t(2, 2), t(3, 2)], *rest, via=lambda t: t._C._nn.pad_sequence)
        for rest in ((), (True, 1.0), (False, 2.0, "left"))
    ],
}
EXTRA["lstm.input"] += projections(False)
EXTRA["lstm.data"] += projections(True)
