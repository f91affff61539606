"""Samples of Fourier transforms, windows and grids: see registry.extra()."""

import torch
from sampling import case, floats, numbers, t, wide


def cpu_complex(dtype):
    return dtype == torch.complex64


def single(dtype):
    return dtype == torch.float32


def once(dtype):
    """For rows that make tensors of no other."""
    return dtype == torch.float32


WINDOWS = ("hann", "hamming", "bartlett", "blackman", "kaiser")

EXTRA = {
    "_fft_c2c": [
        case(t(3, 4), [1], scaling, forward, only=cpu_complex)
        for scaling in (0, 1, 2)
        for forward in (True, False)
    ]
    + [case(t(2, 3, 4), [2, 0], 1, True, only=cpu_complex)],
    "_fft_r2c": [
        case(t(3, 4), [1], scaling, onesided, only=single)
        for scaling in (0, 1, 2)
        for onesided in (True, False)
    ]
    + [case(t(2, 3, 5), [0, 2], 1, True, only=single)],
    "_fft_c2r": [
        case(t(3, 4), [1], scaling, size, only=cpu_complex)
        for scaling in (0, 1, 2)
        for size in (6, 7)
    ]
    + [case(t(2, 3, 4), [0, 2], 1, 6, only=cpu_complex)],
    **{
        f"fft_{name}": [
            case(n, d, via=lambda t, name=name: getattr(t.fft, name), only=once)
            for n in (0, 5, 6)
            for d in (1.0, 0.5)
        ]
        for name in ("fftfreq", "rfftfreq")
    },
    **{f"{name}_window": [case(n, only=once) for n in (0, 1, 6)] for name in WINDOWS},
    **{
        f"{name}_window.periodic": [
            case(n, periodic, dtype=dtype, only=once)
            for n in (1, 5, 6)
            for periodic in (True, False)
            for dtype in (torch.float32, torch.float64)
        ]
        for name in WINDOWS
    },
    "hamming_window.periodic_alpha": [case(5, True, 0.6, only=once)],
    "hamming_window.periodic_alpha_beta": [case(5, False, 0.6, 0.3, only=once)],
    "kaiser_window.beta": [case(n, False, 3.5, only=once) for n in (5, 8)],
    "meshgrid": [
        case([t(3), t(2)], via=lambda t: lambda x: t.meshgrid(x)),
        case([t(3), t(), t(2)], via=lambda t: lambda x: t.meshgrid(x)),
    ],
    "gradient.scalarrayint": [
        case(t(4, 5), spacing=[2.0, 0.5], only=numbers),
        case(t(4, 5), spacing=[2.0], dim=1, edge_order=2, only=floats),
    ],
    "gradient.array": [case(t(4, 5), dim=[1, 0], only=numbers)],
    "gradient.scalararray": [
        case(t(4, 5), spacing=2.0, dim=[1, 0], only=numbers),
        case(t(4, 5), spacing=0.5, dim=[0], edge_order=2, only=floats),
    ],
    "gradient.tensorarrayint": [
        case(
            *(t(4, 5),),
            spacing=[lambda d: torch.tensor([0.0, 1.0, 3.0, 3.5])],
            dim=0,
            edge_order=order,
            only=wide,
        )
        for order in (1, 2)
    ],
}
