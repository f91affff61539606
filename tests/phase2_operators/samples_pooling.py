"""Samples of pooling: see registry.collected()."""

import torch
from sampling import backward_of, case, floats, real, t


def not_bool(dtype):
    return real(dtype) and dtype != torch.bool


def functional(name):
    return lambda t: getattr(t.nn.functional, name)


def native(name):
    return lambda t: getattr(t._C._nn, name)


def pool(name, *args, **options):
    """A pooling function of its first argument, for backward_of()."""

    def run(t, x):
        return getattr(t.nn.functional, name)(x, *args, **options)

    return run


def places(*shape):
    """A maker of different indices for each plane, whatever the dtype."""

    def make(dtype):
        each = torch.Size(shape[2:]).numel()
        return (torch.arange(each) * 3 % 20).reshape(shape[2:]).expand(shape).clone()

    return make


PLANES, VOLUMES = t(2, 3, 7, 8), t(2, 3, 5, 4, 6)
WINDOWS = [
    {"kernel_size": 2},
    {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0], "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "dilation": [2, 3], "padding": 1},
    {"kernel_size": [1, 3], "stride": [1, 2], "ceil_mode": True},
]
AVERAGES = [
    {"kernel_size": 2, "count_include_pad": False, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True, "divisor_override": 5},
    {"kernel_size": 4, "padding": 2, "ceil_mode": True, "count_include_pad": False},
]

EXTRA = {
    "max_pool2d_with_indices": [
        case(x, via=functional("max_pool2d_with_indices"), only=not_bool, **options)
        for options in WINDOWS
        for x in (PLANES, t(3, 9, 9, seed=1))
    ],
    "max_pool3d_with_indices": [
        case(VOLUMES, 2, via=functional("max_pool3d_with_indices"), only=not_bool),
        case(
            *(VOLUMES, [3, 2, 3], [2, 1, 2], [1, 1, 0], [1, 1, 2], True),
            via=functional("max_pool3d_with_indices"),
            only=not_bool,
        ),
    ],
    "max_pool1d_with_indices": [
        case(
            t(2, 3, 9),
            3,
            2,
            1,
            1,
            c,
            via=functional("max_pool1d_with_indices"),
            only=floats,
        )
        for c in (False, True)
    ],
    "adaptive_max_pool2d": [
        case(PLANES, sizes, via=native("adaptive_max_pool2d"), only=floats)
        for sizes in ([3, 5], [1, 1], [9, 2])
    ],
    "adaptive_max_pool3d": [
        case(VOLUMES, sizes, via=native("adaptive_max_pool3d"), only=floats)
        for sizes in ([3, 3, 5], [5, 8, 2])
    ],
    "max_unpool2d": [
        case(
            *(t(1, 2, 2, 3), places(1, 2, 2, 3), [4, 6]),
            via=native("max_unpool2d"),
            only=floats,
        )
    ],
    "max_unpool3d": [
        case(
            *(t(1, 2, 1, 2, 3), places(1, 2, 1, 2, 3), [2, 4, 6], [2, 2, 2], [0, 0, 0]),
            via=native("max_unpool3d"),
            only=floats,
        )
    ],
    "avg_pool2d": [
        case(PLANES, via=functional("avg_pool2d"), only=floats, **options)
        for options in AVERAGES
    ],
    "avg_pool3d": [
        case(
            VOLUMES,
            via=functional("avg_pool3d"),
            only=lambda d: d in (torch.float32, torch.float64),
            **options,
        )
        for options in AVERAGES
    ],
    "avg_pool2d_backward": [
        backward_of(pool("avg_pool2d", **options), PLANES, only=floats)
        for options in AVERAGES
    ],
    "avg_pool3d_backward": [
        backward_of(
            pool("avg_pool3d", **options),
            VOLUMES,
            only=lambda d: d in (torch.float32, torch.float64),
        )
        for options in AVERAGES
    ],
    "_adaptive_avg_pool2d": [
        case(PLANES, sizes, via=functional("adaptive_avg_pool2d"), only=floats)
        for sizes in ([3, 5], [1, 1], [7, 8], [9, 2])
    ],
    "_adaptive_avg_pool3d": [
        case(VOLUMES, sizes, via=functional("adaptive_avg_pool3d"), only=floats)
        for sizes in ([3, 3, 5], [1, 1, 1], [5, 8, 2])
    ],
    "_adaptive_avg_pool2d_backward": [
        backward_of(pool("adaptive_avg_pool2d", [3, 5]), PLANES, only=floats)
    ],
    "_adaptive_avg_pool3d_backward": [
        backward_of(pool("adaptive_avg_pool3d", [3, 3, 5]), VOLUMES, only=floats)
    ],
    "_pool_put": [
        backward_of(pool("max_pool2d", 3, 2), PLANES, only=floats),
        backward_of(pool("adaptive_max_pool3d", [2, 3, 4]), VOLUMES, only=floats),
    ],
    "_pool_pick": [
        backward_of(
            lambda t, x, where: t.nn.functional.max_unpool2d(x, where, 2, 2, 0, [4, 6]),
            t(1, 2, 2, 3),
            places(1, 2, 2, 3),
            only=floats,
        )
    ],
}
