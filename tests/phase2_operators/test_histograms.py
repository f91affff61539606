"""Histograms and samples of gamma distributions beyond the registry walk."""

import pytest
import torch
from registry import same, to_ours, to_theirs

import flashlight

ERRORS = {
    "long": lambda t: t.histogram(t.ones(3, dtype=t.int64), 3),
    "no_bins": lambda t: t.histogram(t.ones(3), 0),
    "order": lambda t: t.histogram(t.ones(3), 3, range=(1.0, 0.0)),
    "nan": lambda t: t.histogram(t.tensor([float("nan")]), 3),
    "weights": lambda t: t.histogram(t.ones(3), 3, weight=t.ones(4)),
    "weight_dtype": lambda t: t.histogram(
        t.ones(3), 3, weight=t.ones(3, dtype=t.float64)
    ),
    "edges_ndim": lambda t: t.histogram(t.ones(3), t.ones(3, 3)),
    "edges_dtype": lambda t: t.histogram(t.ones(3), t.ones(3, dtype=t.float64)),
    "no_edges": lambda t: t.histogram(t.ones(3), t.ones(0)),
    "one_edge": lambda t: t.histogram(t.ones(3), t.ones(1)),
    "range": lambda t: t.histogramdd(t.ones(3, 2), 2, range=[0.0, 1.0]),
    "dims": lambda t: t.histogramdd(t.ones(3), 2),
    "counts": lambda t: t.histogramdd(t.ones(3, 2), [2]),
    "sequences": lambda t: t.histogramdd(t.ones(3, 2), [t.ones(3)]),
    "gamma_long": lambda t: t._standard_gamma(t.ones(3, dtype=t.int64)),
    "dirichlet_long": lambda t: t._sample_dirichlet(t.ones(3, dtype=t.int64)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_texts(name):
    got = []
    for t in (flashlight, torch):
        with pytest.raises((RuntimeError, TypeError)) as e:
            ERRORS[name](t)
        got.append(e.value)
    assert type(got[0]) is type(got[1]) and str(got[0]) == str(got[1])


def test_edges_belong_to_bins_as_in_torch():
    def run(t):
        x = t.tensor([0.0, 0.5, 1.0, 2.0, 3.0, -1.0])
        return [
            *t.histogram(x, t.tensor([0.0, 1.0, 2.0])),
            *t.histogram(x, 3),
            *t.histogram(x[:1], 3),
            *t.histogram(x[:0], 3),
            *t.histogram(x, 3, range=(0.0, 1.0), weight=x, density=True),
            *t.histogram(x, t.tensor([3.0, 2.0, 1.0])),
            t.histogramdd(x.view(3, 2), [2, 3]).hist,
            *t.histogramdd(x.view(3, 2), 2).bin_edges,
            t.histogramdd(x.view(3, 2), [t.arange(3.0), t.arange(4.0)]).hist,
        ]

    same(run(flashlight), run(torch), 1e-6, "")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gamma_samples_are_torchs_to_the_last_bit(dtype):
    g = torch.Generator().manual_seed(1)
    alpha = torch.rand(500, 4, generator=g, dtype=dtype) * 5
    flashlight.manual_seed(5)
    torch.manual_seed(5)
    for name in ("_standard_gamma", "_sample_dirichlet"):
        ours = getattr(flashlight, name)(to_ours(alpha))
        assert torch.equal(to_theirs(ours), getattr(torch, name)(alpha)), name


def test_small_shapes_have_slopes_too():
    alpha = torch.tensor([1e-3, 0.02, 40.0, 1e4], dtype=torch.float64)
    x = torch.tensor([1e-200, 0.3, 55.0, 1.01e4], dtype=torch.float64)
    ours = flashlight._standard_gamma_grad(to_ours(alpha), to_ours(x))
    theirs = torch._standard_gamma_grad(alpha, x)
    assert ((to_theirs(ours) - theirs).abs() <= 1e-3 * theirs.abs()).all()
