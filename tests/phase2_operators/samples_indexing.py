"""Samples of rows of indices: tables, bags, gather and scatter, masks."""

import torch
from sampling import backward_of, case, floats, mask, not_bool, real, t, wide


def places(*values):
    """A maker of indices, whatever the dtype."""
    return lambda dtype: torch.tensor(values)


def repeated(dtype):
    return torch.tensor([[0, 2, 1, 2], [1, 1, 0, 2]])


def on_copy(name, *args):
    """A function that writes to its first argument, on a copy."""
    return lambda t: lambda x, *args: getattr(t, name)(x.clone(), *args)


def into(name):
    """The out= form, where a row has that alone."""

    def of(t):
        def run(x, *args):
            return getattr(t, name)(x, *args, out=t.zeros(0, dtype=x.dtype))

        return run

    return of


def once(dtype):
    return dtype == torch.float32


def bag(t):
    """The sums alone: what comes beside has no meaning of its own."""
    return lambda *args: t.embedding_bag(*args)[0]


def inner_bag(t):
    return lambda *args: t._embedding_bag(*args)[0]


def bags(*options, scaled=False, via=bag, only=floats):
    scales = [t(5)] if scaled else [None]
    return [
        case(
            t(4, 3),
            places(0, 3, 1, 1, 2),
            places(*offsets),
            *head,
            *scales,
            *tail,
            via=via,
            only=only,
        )
        for offsets in ((0, 2, 5), (0, 0, 5))
        for head, tail in options
    ]


EXTRA = {
    "embedding_dense_backward": [
        backward_of(
            lambda t, w, i, p=p, f=f: t.embedding(w, i, p, f),
            t(4, 3),
            repeated,
            only=floats,
        )
        for p in (-1, 2)
        for f in (False, True)
        if not f  # PyTorch's second derivative forgets the frequencies
    ],
    "embedding": [case(t(4, 3), repeated, 2, via=lambda t: t.embedding, only=floats)],
    "embedding_bag": bags(
        ((False, 0, False), (False,)),
        ((False, 1, False), (True,)),
        ((False, 2, False), (False,)),
        only=once,
    ),
    "_embedding_bag": bags(
        ((False, 0, False), (False, 1)),
        ((False, 1, False), (True, -1)),
        ((False, 2, False), (False, 1)),
        via=inner_bag,
        only=once,
    )
    + bags(((False, 0, False), (False, 1)), scaled=True, via=inner_bag, only=once),
    "embedding_bag.padding_idx": bags(
        ((False, 0, False), (False, None)), ((False, 1, False), (False, -1)), only=once
    ),
    "_embedding_bag_forward_only": [
        case(
            t(4, 3),
            places(0, 3, 1),
            places(0, 2),
            False,
            mode,
            via=lambda t: t._embedding_bag_forward_only,
            only=once,
        )
        for mode in (0, 1, 2)
    ],
    "embedding_renorm_": [
        case(
            t(4, 3),
            places(0, 3, 0),
            1.0,
            p,
            via=on_copy("embedding_renorm_"),
            only=once,
        )
        for p in (2.0, 1.0)
    ],
    "one_hot": [
        case(repeated, n, via=lambda t: t.nn.functional.one_hot, only=once)
        for n in (-1, 5)
    ],
    "scatter.reduce": [
        case(t(3, 4), 0, repeated, t(3, 4, seed=1), reduce=r, only=not_float64)
        for not_float64 in (lambda d: real(d) and d != torch.float64,)
        for r in ("add", "multiply")
    ],
    "scatter.value_reduce": [
        case(t(3, 4), 0, repeated, 2, reduce=r, only=not_float64)
        for not_float64 in (lambda d: real(d) and d not in (torch.float64, torch.bool),)
        for r in ("add", "multiply")
    ],
    "index_fill.int_Scalar": [case(t(3, 4), 1, places(0, -1), 2)],
    # A tensor without dimensions is a number, unless it needs a gradient.
    "index_fill.int_Tensor": [
        case(
            t(3, 4),
            1,
            places(0, 2),
            t(),
            via=lambda t: lambda x, d, i, v: x.index_fill(
                d, i, v if v.requires_grad else v.clone().requires_grad_()
            ),
            only=floats,
        )
    ],
    **{
        name + ".out": [case(*args, via=into(name), only=once)]
        for name, args in (
            ("gather", (t(3, 4), 0, repeated)),
            ("index_select", (t(3, 4), 0, places(0, 2))),
            ("take", (t(3, 4), places(0, 7))),
            ("masked_select", (t(3, 4), mask(3, 4))),
        )
    },
    "nonzero": [case(mask(3, 4)), case(t(3, 4)), case(t())],
    "nonzero_static": [case(mask(3, 4), size=n, only=once) for n in (0, 2, 20)],
    "masked_fill.Scalar": [case(t(3, 2), mask(3, 2), 1, only=not_bool)],
    "_index": [
        case(t(3, 4), places(0, 2, 0), via=lambda t: lambda x, i: x[:, i]),
        case(t(3, 4), mask(3, 4), via=lambda t: lambda x, i: x[i]),
        case(t(3, 4), places(0, 2), via=lambda t: lambda x, i: x[i, i]),
    ],
    "index.Tensor": [case(t(3, 4), places(0, -1), via=lambda t: lambda x, i: x[i])],
    "_index_put": [
        case(
            t(3, 4),
            (places(0, 2),),
            t(4),
            accumulate,
            via=lambda t: t.index_put,
            only=wide,
        )
        for accumulate in (False, True)
    ],
    "index_put_": [case(t(3, 4), (places(0, 2),), t(4), via=on_copy("index_put_"))],
}
