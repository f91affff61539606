"""Samples of reduced stretches, hashes and old names: see registry.extra()."""

import torch
from sampling import backward_of, case, inexact, real, t, wide


def fixed(value):
    return lambda dtype: torch.tensor(value)


def reduced(reduce, **kwargs):
    return case(
        t(6, 3),
        reduce,
        via=lambda t: t.segment_reduce,
        only=wide,
        **kwargs,
    )


def without_gradient(function):
    return lambda tensors, *args: function([x.detach() for x in tensors], *args)


EXTRA = {
    "segment_reduce": [
        reduced(r, lengths=fixed([2, 1, 3])) for r in ("sum", "mean", "max", "prod")
    ]
    + [
        reduced("min", offsets=fixed([0, 2, 2, 6]), initial=1),
        reduced("sum", lengths=fixed([2, 2]), unsafe=True),
        case(
            *(t(2, 4, 3), "max"),
            lengths=fixed([[1, 3], [2, 2]]),
            axis=1,
            only=wide,
        ),
    ],
    "_segment_reduce_backward": [
        backward_of(
            lambda t, x, lengths, r=r: t.segment_reduce(x, r, lengths=lengths),
            *(t(6, 3), fixed([2, 4])),
            only=wide,
        )
        for r in ("sum", "mean", "max", "min", "prod")
    ],
    "hash_tensor": [
        case(t(3, 4), only=real),
        case(t(3, 4), [0], keepdim=True, only=real),
        case(t(2, 3, 4), [0, 2], only=real),
    ],
    "conv_tbc": [case(t(5, 2, 3), t(2, 3, 4), t(4), pad, only=wide) for pad in (0, 1)],
    "_chunk_cat": [
        # torch has no derivative.
        case(list_of, *args, via=lambda t: without_gradient(t._chunk_cat))
        for list_of, *args in (
            ([t(5, 2), t(3, 3), t(2)], 0, 2),
            ([t(2, 5, 2), t(2, 3)], 1, 3),
        )
    ],
    "flatten_dense_tensors": [
        case([t(3, 2), t(2)], via=lambda t: t._C._nn.flatten_dense_tensors)
    ],
    "unflatten_dense_tensors": [
        case(
            *(t(8), [t(3, 2), t(2)]),
            via=lambda t: lambda x, like: t._C._nn.unflatten_dense_tensors(
                x, [y.detach() for y in like]
            ),
        )
    ],
    "frobenius_norm.dim": [
        case(t(2, 3, 4), dims, keepdim, only=inexact)
        for dims in ([0], [1, 2])
        for keepdim in (False, True)
    ],
    "nuclear_norm": [case(t(2, 3, 4), keepdim, only=wide) for keepdim in (False, True)],
    "nuclear_norm.dim": [case(t(2, 3, 4), [0, 2], True, only=wide)],
    "detach_copy": [case(t(3, 2), via=lambda t: lambda x: t.detach_copy(x.detach()))],
}
