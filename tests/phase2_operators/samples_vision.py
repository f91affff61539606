"""Samples of resampling, padding and rearranging: see registry.collected()."""

import torch
from sampling import backward_of, case, floats, inexact, not_bool, t, wide

PLANES = t(2, 3, 5, 6)
SOURCES = {1: t(2, 3, 7), 2: PLANES, 3: t(1, 2, 4, 3, 5)}
TARGETS = {1: [[10], [3]], 2: [[8, 4], [4, 9]], 3: [[3, 5, 7], [6, 2, 5]]}


def not_double(dtype):
    return dtype not in (torch.float64, torch.complex64, torch.complex128)


def native(name):
    return lambda t: getattr(t._C._nn, name)


def resampled(dims, mode, **options):
    def run(t, x):
        return t.nn.functional.interpolate(x, TARGETS[dims][0], mode=mode, **options)

    return run


def functional(name):
    return lambda t: getattr(t.nn.functional, name)


def second(t, function, x, weight):
    """The gradient, in the direction, of a gradient of `function`."""
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    (first,) = t.autograd.grad(function(t, x), x, weight, create_graph=True)
    return t.autograd.grad(first, weight, t.ones_like(first))


def twice(mode, dims):
    return lambda t: lambda x, w: second(t, resampled(dims, mode), x, w)


def twice_padded(mode):
    def padded(t, x):
        return t.nn.functional.pad(x, [2, 1, -1, 3], mode)

    return lambda t: lambda x, w: second(t, padded, x, w)


def by_name(name, dims, *corners, only=floats):
    """Cases of the row of that name, and of its overload that takes factors."""
    factors = [1.5, 0.7, 2.0][:dims]
    return {
        name: [
            case(SOURCES[dims], size, *c, via=native(name), only=only)
            for size in TARGETS[dims]
            for c in corners
        ],
        f"{name}.vec": [
            case(SOURCES[dims], None, *c, factors, via=native(name), only=only)
            for c in corners
        ],
    }


BOTH = ((False,), (True,))
EXTRA = {
    **{
        name: cases
        for n in (1, 2, 3)
        for kind in ("upsample_nearest", "_upsample_nearest_exact")
        for name, cases in by_name(f"{kind}{n}d", n, ()).items()
    },
    **by_name("upsample_linear1d", 1, *BOTH),
    **by_name("upsample_bilinear2d", 2, *BOTH),
    **by_name("upsample_bicubic2d", 2, *BOTH),
    **by_name("upsample_trilinear3d", 3, *BOTH),
    **by_name("_upsample_bilinear2d_aa", 2, *BOTH, only=wide),
    **by_name("_upsample_bicubic2d_aa", 2, (False,), only=wide),
    **by_name("_upsample_lanczos2d_aa", 2, (False,), only=wide),
    "_resample_backward": [
        backward_of(resampled(2, "bicubic"), PLANES, only=wide),
        backward_of(resampled(2, "nearest"), PLANES, only=floats),
        backward_of(resampled(2, "bilinear", antialias=True), PLANES, only=wide),
        backward_of(resampled(3, "trilinear"), SOURCES[3], only=wide),
    ],
    "_resample": [
        case(PLANES, t(2, 3, 8, 4, seed=1), via=twice("bicubic", 2), only=wide)
    ],
    **{
        f"{kind}_pad{n}d": [
            case(SOURCES[n], pad, via=native(f"{kind}_pad{n}d"), only=not_bool)
        ]
        for kind in ("reflection", "replication")
        for n, pad in ((1, [2, 1]), (2, [1, 3, 2, -1]), (3, [1, 2, 0, 1, 3, 2]))
    },
    "_pad_circular": [
        case(PLANES, [2, 1, -1, 3], via=native("_pad_circular")),
        case(SOURCES[1], [7, 0], via=native("_pad_circular")),
    ],
    "_pad_by": [
        case(PLANES, t(2, 3, 7, 9, seed=1), via=twice_padded(mode), only=wide)
        for mode in ("reflect", "replicate", "circular")
    ],
    "_pad_by_backward": [
        backward_of(
            lambda t, x, mode=mode: t.nn.functional.pad(x, [2, 1, -1, 3], mode), PLANES
        )
        for mode in ("reflect", "replicate", "circular")
    ],
    "pad": [
        case(PLANES, [1, 2], value=1.5, via=functional("pad")),
        case(PLANES, [1, 2, 0, -1], "reflect", via=functional("pad"), only=floats),
    ],
    "im2col": [
        case(PLANES, [2, 3], [2, 1], [1, 2], [2, 1], via=native("im2col"), only=inexact)
    ],
    "col2im": [
        case(
            *(t(2, 12, 8), [5, 6], [2, 3], [1, 1], [0, 0], [1, 2]),
            via=native("col2im"),
            only=inexact,
        )
    ],
    "channel_shuffle": [case(t(2, 6, 3, 2), 3), case(t(2, 6, 3, 2), 2)],
    # torch's has no gradient.
    "native_channel_shuffle": [case(t(2, 6, 3, 2), 3, only=not_double)],
    "grid_sampler": [
        case(PLANES, t(2, 4, 3, 2, low=-1.3, high=1.3), mode, outside, c, only=wide)
        for mode in (0, 1, 2)
        for outside, c in ((0, False), (1, True), (2, False), (2, True))
    ],
    "grid_sampler_3d": [
        case(
            *(SOURCES[3], t(1, 2, 4, 3, 3, low=-1.3, high=1.3), mode, outside, c),
            only=wide,
        )
        for mode in (0, 1)
        for outside, c in ((0, False), (1, True), (2, False))
    ],
    "affine_grid_generator": [
        case(t(2, 2, 3), [2, 3, 4, 5], c, only=wide) for c in (False, True)
    ]
    + [case(t(2, 3, 4), [2, 1, 3, 4, 5], c, only=wide) for c in (False, True)],
}
