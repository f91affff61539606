"""Samples of rows of random numbers and dropout, drawn from the same seed in both."""

import torch
from sampling import backward_of, case, floats, real, t


def in_place(name):
    """The in-place form on a copy, for rows that have no other."""

    def of(t):
        def run(x, *args, **kwargs):
            return getattr(x.clone(), name + "_")(*args, **kwargs)

        return run

    return of


def on_copy(name):
    """A function that writes to its first argument, on a copy."""
    return lambda t: lambda x, *args: getattr(t, name)(x.clone(), *args)


def exact(dtype):
    return real(dtype) and dtype != torch.bool


def once(dtype):
    return dtype == torch.float32


def drops(*shapes, via=None):
    return [
        case(t(*shape), p, train, via=via, only=floats)
        for shape in shapes
        for p, train in ((0.3, True), (0.5, False), (0.0, True), (1.0, True))
    ]


def chances(*shape):
    return t(*shape, low=0, high=1)


ELEMENTS = ((3, 4), (0, 2), ())
FEATURES = ((3, 4, 5), (2, 3, 2, 4), (0, 2, 3))

EXTRA = {
    "rand": [case(3, 4, only=once), case((20,), dtype=torch.float64, only=once)],
    "rand_like": [case(t(3, 4), only=floats)],
    "randperm": [case(7, only=once), case(9, dtype=torch.int32, only=once)],
    "randint": [case(9, (3, 4), only=once)],
    "randint.low": [case(-3, 9, (3, 4), only=once)],
    "normal.float_float": [case(0.5, 2.0, (3, 8), only=once)],
    "normal.Tensor_float": [case(t(3, 8), 2.0, only=floats)],
    "normal.float_Tensor": [case(1.0, t(3, 8, low=0), only=floats)],
    "normal.Tensor_Tensor": [case(t(3, 8), t(8, low=0), only=floats)],
    "normal": [
        case(t(3, 8), 1.0, 2.0, via=in_place("normal"), only=floats),
        case(t(3), via=in_place("normal"), only=floats),
    ],
    "uniform": [case(t(3, 4), -1.0, 2.0, via=in_place("uniform"), only=floats)],
    "random": [case(t(3, 4), via=in_place("random"), only=real)],
    "random.from": [
        case(t(3, 4), 2, 9, via=in_place("random"), only=exact),
        case(t(3, 4), 2, None, via=in_place("random"), only=exact),
    ],
    "random.to": [case(t(3, 4), 9, via=in_place("random"), only=exact)],
    "bernoulli": [case(chances(3, 4), only=floats)],
    # PyTorch has no derivative of these two: no case in float64.
    "bernoulli.p": [case(t(3, 4), 0.3, only=lambda d: d != torch.float64 and real(d))],
    "bernoulli.Tensor": [
        case(t(3, 4), lambda _: chances(4)(p), via=in_place("bernoulli"), only=real)
        for p in (torch.float32, torch.float64)
    ],
    "bernoulli.float": [
        case(t(3, 4), via=in_place("bernoulli"), only=real),
        case(t(3, 4), 0.2, via=in_place("bernoulli"), only=real),
    ],
    "exponential": [case(t(3, 4), 2.0, via=in_place("exponential"), only=floats)],
    "cauchy": [case(t(3, 4), 1.0, 2.0, via=in_place("cauchy"), only=floats)],
    "log_normal": [case(t(3, 4), 1.0, 0.5, via=in_place("log_normal"), only=floats)],
    "geometric": [case(t(3, 4), 0.3, via=in_place("geometric"), only=exact)],
    "poisson": [case(t(3, 4, low=0, high=30), only=floats)],
    # PyTorch's own loop does not end for a count of NaN: the counts are integers.
    "binomial": [
        case(
            lambda _: t(3, 4, low=0, high=30)(torch.int64),
            lambda d: t(4, low=0, high=1)(d).clamp(0, 1),
            via=lambda t: lambda n, p: t.binomial(n.to(p.dtype), p.nan_to_num(0.5)),
            only=once,
        )
    ],
    "multinomial": [
        case(t(3, 4, low=0), 2, replacement, only=floats)
        for replacement in (False, True)
    ],
    "multinomial.out": [
        case(
            t(3, 4, low=0),
            2,
            via=lambda t: lambda x, n: t.multinomial(
                x, n, out=t.zeros(0, dtype=t.int64)
            ),
            only=floats,
        )
    ],
    "dropout": drops(*ELEMENTS),
    "alpha_dropout": drops(*ELEMENTS),
    "feature_dropout": drops(*FEATURES),
    "feature_alpha_dropout": drops(*FEATURES),
    **{
        name + "_": drops(*shapes, via=on_copy(name + "_"))
        for name, shapes in (
            ("dropout", ELEMENTS),
            ("alpha_dropout", ELEMENTS),
            ("feature_dropout", FEATURES),
            ("feature_alpha_dropout", FEATURES),
        )
    },
    "native_dropout": drops((3, 4), ()) + [case(t(3, 4), 0.3, None, only=floats)],
    "native_dropout_backward": [
        backward_of(lambda t, x: t.native_dropout(x, 0.3, True), t(3, 4), only=floats)
    ],
}
