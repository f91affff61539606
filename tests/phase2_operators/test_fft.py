"""Fourier transforms, windows and grids beyond the samples of the registry walk."""

import pytest
import torch
from registry import same, to_ours

import flashlight

WINDOWS = flashlight.signal.windows


def raised(function, t):
    with pytest.raises((RuntimeError, IndexError, ValueError, TypeError)) as e:
        function(t)
    return e.value


ERRORS = {
    "no_dimensions": lambda t: t.fft.fft(t.ones(())),
    "no_points": lambda t: t.fft.fft(t.ones(3), n=0),
    "dim": lambda t: t.fft.fft(t.ones(3), dim=1),
    "norm": lambda t: t.fft.fft(t.ones(3), norm="x"),
    "half": lambda t: t.fft.fft(t.ones(4, dtype=t.float16)),
    "rfft_complex": lambda t: t.fft.rfft(t.ones(4, dtype=t.complex64)),
    "ihfft_complex": lambda t: t.fft.ihfft(t.ones(4, dtype=t.complex64)),
    "irfft_one": lambda t: t.fft.irfft(t.ones(1)),
    "lengths": lambda t: t.fft.fftn(t.ones(3, 3), s=(2,), dim=(0, 1)),
    "too_many": lambda t: t.fft.fftn(t.ones(3, 3), s=(2, 2, 2)),
    "twice": lambda t: t.fft.fftn(t.ones(3, 3), dim=(0, 0)),
    "rfftn_none": lambda t: t.fft.rfftn(t.ones(3, 3), dim=()),
    "hfftn_none": lambda t: t.fft.hfftn(t.ones(3, 3), dim=()),
    "ihfftn_complex": lambda t: t.fft.ihfftn(t.ones(2, 2, dtype=t.complex64)),
    "freq_dtype": lambda t: t.fft.fftfreq(4, dtype=t.int64),
    "out": lambda t: t.fft.fft(t.ones(3), out=t.empty(3)),
    "window_length": lambda t: t.hann_window(-1),
    "window_dtype": lambda t: t.hann_window(3, dtype=t.int64),
    "stft_asks": lambda t: t.stft(t.ones(8), 4),
    "stft_hop": lambda t: t.stft(t.ones(8), 4, hop_length=0, return_complex=True),
    "stft_width": lambda t: t.stft(t.ones(8), 4, win_length=5, return_complex=True),
    "stft_long": lambda t: t.stft(t.ones(8), 40, center=False, return_complex=True),
    "stft_window": lambda t: t.stft(
        t.ones(8), 4, window=t.ones(5), return_complex=True
    ),
    "stft_ndim": lambda t: t.stft(t.ones(2, 2, 8), 4, return_complex=True),
    "stft_align": lambda t: t.stft(t.ones(8), 4, align_to_window=True),
    "istft_real": lambda t: t.istft(t.ones(3, 4), 4),
    "istft_empty": lambda t: t.istft(t.ones(3, 0, dtype=t.complex64), 4),
    "istft_rows": lambda t: t.istft(t.ones(4, 4, dtype=t.complex64), 4, onesided=True),
    "istft_hop": lambda t: t.istft(t.ones(3, 4, dtype=t.complex64), 4, hop_length=5),
    "istft_zeros": lambda t: t.istft(
        t.ones(3, 4, dtype=t.complex64), 4, window=t.zeros(4)
    ),
    "meshgrid_none": lambda t: t.meshgrid(),
    "meshgrid_dtypes": lambda t: t.meshgrid(
        t.ones(3), t.ones(2, dtype=t.float64), indexing="ij"
    ),
    "meshgrid_indexing": lambda t: t.meshgrid(t.ones(3), t.ones(2), indexing="x"),
    "cartesian_matrix": lambda t: t.cartesian_prod(t.ones(3), t.ones(2, 2)),
    "combinations_matrix": lambda t: t.combinations(t.ones(2, 2)),
    "combinations_negative": lambda t: t.combinations(t.ones(3), -1),
    "block_diag_cube": lambda t: t.block_diag(t.ones(2, 2, 2)),
    "rot90_vector": lambda t: t.rot90(t.ones(3)),
    "rot90_same": lambda t: t.rot90(t.ones(3, 3), 1, [0, -2]),
    "gradient_short": lambda t: t.gradient(t.ones(1)),
    "gradient_bytes": lambda t: t.gradient(t.ones(3, dtype=t.uint8)),
    "gradient_spacing": lambda t: t.gradient(t.ones(3, 3), spacing=(2.0,)),
    "gradient_twice": lambda t: t.gradient(t.ones(3, 3), dim=(0, 0)),
    "gradient_order": lambda t: t.gradient(t.ones(3, 3), edge_order=3),
    "signal_length": lambda t: t.signal.windows.hann(-1),
    "signal_dtype": lambda t: t.signal.windows.kaiser(3, dtype=t.int64),
    "signal_tau": lambda t: t.signal.windows.exponential(5, tau=0),
    "signal_center": lambda t: t.signal.windows.exponential(5, center=1),
    "signal_std": lambda t: t.signal.windows.gaussian(5, std=0),
    "signal_none": lambda t: t.signal.windows.general_cosine(5, a=[]),
    "signal_number": lambda t: t.signal.windows.general_cosine(5, a=3),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_texts(name):
    ours, theirs = raised(ERRORS[name], flashlight), raised(ERRORS[name], torch)
    assert type(ours) is type(theirs) and str(ours) == str(theirs)


ARGUMENTS = {
    "exponential": [{"tau": 2.0}, {"center": 1.5, "sym": False}],
    "gaussian": [{"std": 2.0}],
    "general_cosine": [{"a": [0.5, 0.3, 0.2]}],
    "general_hamming": [{"alpha": 0.7}],
    "kaiser": [{"beta": 5.0}],
}


@pytest.mark.parametrize("name", WINDOWS.__all__)
def test_signal_windows(name):
    assert sorted(WINDOWS.__all__) == sorted(torch.signal.windows.__all__)
    for more in ARGUMENTS.get(name, []) + [{}] * (name != "general_cosine"):
        for length in (0, 1, 2, 7, 8):
            for sym in (True, False):
                for d in ("float32", "float64"):
                    kwargs = {"sym": sym, **more}
                    ours = getattr(WINDOWS, name)(
                        length, dtype=getattr(flashlight, d), **kwargs
                    )
                    theirs = getattr(torch.signal.windows, name)(
                        length, dtype=getattr(torch, d), **kwargs
                    )
                    same(ours, theirs, 1e-5, f"{name}({length}, {kwargs}): ")


@pytest.mark.parametrize("center", [True, False])
def test_istft_undoes_stft(center):
    x = torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    kwargs = {"hop_length": 2, "win_length": 7, "center": center}

    def run(t, x):
        window = t.hann_window(7) + 0.1
        s = t.stft(x, 8, window=window, return_complex=True, **kwargs)
        try:
            return s, t.istft(s, 8, window=window, **kwargs)
        except RuntimeError as e:  # nothing covers the ends
            return s, str(e).rpartition(")")[2]

    same(run(flashlight, to_ours(x)), run(torch, x), 1e-5, "")


def test_stft_begins_where_the_window_does():
    x = torch.randn(20, generator=torch.Generator().manual_seed(0))
    for align in (None, True, False):

        def run(t, x):
            return t.stft(
                x,
                8,
                hop_length=3,
                win_length=4,
                center=False,
                align_to_window=align,  # noqa: B023
                return_complex=True,
            )

        same(run(flashlight, to_ours(x)), run(torch, x), 1e-5, f"{align}: ")


def test_meshgrid_is_of_views_and_warns_without_indexing():
    x = flashlight.arange(3)
    grid = flashlight.meshgrid(x, flashlight.arange(2), indexing="ij")[0]
    x[0] = 7
    assert grid[0].tolist() == [7, 7]
    flashlight.functional._warn_of_indexing.cache_clear()
    with pytest.warns(UserWarning, match="required to pass the indexing argument"):
        flashlight.meshgrid(x, x)


def test_combinations_and_products_of_little():
    def run(t):
        x = t.arange(4)
        return [
            t.combinations(x, r, w) for r in (0, 1, 2, 3, 5) for w in (False, True)
        ] + [
            t.combinations(x[:0], 2),
            t.cartesian_prod(x),
            t.cartesian_prod(x, x[:2], x[:3]),
            t.block_diag(),
            t.block_diag(x, t.ones(2, 0), t.ones(2, 2), x[0]),
        ]

    same(run(flashlight), run(torch), 0, "")
