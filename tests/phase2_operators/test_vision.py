"""Padding, folding, sampling beyond PyTorch's samples: options, errors, MLX alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_pooling import compare, outcome, x

import flashlight

SIZES = (2, 3, 8, 7, 5)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes(mode, dims):
    for pad in ([2, 1, 1, 3, 0, 1], [-1, 3, 2, 0, -2, -1]):
        for lead in (1, 2):

            def run(t, a):
                return t.nn.functional.pad(a, pad[: 2 * dims], mode)

            compare(run, x(*SIZES[2 - lead : dims + 2]))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_errors(mode):
    wrong = ([1], [1, 1, 1, 1, 1, 1], [9, 9], [-5, -5], [-9, 0], [1, 1] * 4)
    for pad in wrong:
        for dtype in (torch.float32, torch.bool):

            def run(t, a):
                return t.nn.functional.pad(a, pad, mode)

            compare(run, x(2, 3, 8).to(dtype))
    compare(lambda t, a: t.nn.functional.pad(a, [1, 1], mode, 2.0), x(2, 3, 8))
    compare(lambda t, a: t.nn.functional.pad(a, [1, 1], mode), x(2, 0, 8))


def test_constant_padding_errors():
    for pad in ([1], [1, 1] * 4, [-5, -5], [-9, 0]):
        compare(lambda t, a: t.nn.functional.pad(a, pad), x(2, 3, 8))
    compare(lambda t, a: t.nn.functional.pad(a, [1, 1], "other"), x(2, 3, 8))


FOLDS = {
    "plain": ([2, 3], [1, 1], [0, 0], [1, 1]),
    "all options": ([2, 3], [2, 1], [1, 2], [2, 1]),
    "one size": ([2], [1, 1], [0, 0], [1, 1]),
    "no kernel": ([0, 2], [1, 1], [0, 0], [1, 1]),
    "no dilation": ([2, 2], [0, 1], [0, 0], [1, 1]),
    "negative padding": ([2, 2], [1, 1], [-1, 0], [1, 1]),
    "no stride": ([2, 2], [1, 1], [0, 0], [0, 1]),
    "too large": ([20, 2], [1, 1], [0, 0], [1, 1]),
}


@pytest.mark.parametrize("what", FOLDS)
def test_blocks(what):
    options = FOLDS[what]
    for sizes in ((2, 3, 8, 9), (3, 8, 9), (2, 0, 8, 9)):
        compare(lambda t, a: t._C._nn.im2col(a, *options), x(*sizes))
    for sizes in ((2, 12, 49), (12, 49), (2, 12, 56)):
        compare(lambda t, a: t._C._nn.col2im(a, [8, 9], *options), x(*sizes))


@pytest.mark.parametrize(
    "name", ["pixel_shuffle", "pixel_unshuffle", "channel_shuffle"]
)
def test_rearranging(name):
    for sizes in ((2, 12, 4, 6), (12, 4, 6), (2, 2, 12, 4, 6), (4, 6)):
        for factor in (1, 2, 3, 5, 0):
            if name == "channel_shuffle" and len(sizes) == 2:
                continue
            compare(lambda t, a: getattr(t, name)(a, factor), x(*sizes))


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("outside", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grids(mode, outside, corners):
    def run(t, a, g):
        return t.nn.functional.grid_sample(a, g, mode, outside, corners)

    g = x(2, 4, 7, 2).double()
    compare(run, x(2, 3, 5, 6).double(), g)
    if mode != "bicubic":
        compare(run, x(2, 3, 5, 6, 4).double(), x(2, 4, 7, 2, 3).double())


def test_a_grid_can_be_differentiated_twice():
    a = flashlight.randn(1, 2, 4, 5, dtype=flashlight.float64).requires_grad_()
    g = (flashlight.rand(1, 2, 3, 2, dtype=flashlight.float64) - 0.5).requires_grad_()
    for mode in ("bilinear", "bicubic"):

        def run(a, g):
            return flashlight.nn.functional.grid_sample(a, g, mode, align_corners=True)

        assert flashlight.autograd.gradgradcheck(run, (a, g))


def test_grid_errors():
    def run(t, a, g):
        return t.grid_sampler(a, g, 0, 0, False)

    a, g, g3 = x(2, 3, 8, 9), x(2, 4, 5, 2), x(2, 3, 4, 5, 3)
    wrong = [(a, g[:1]), (a, g3), (a, g.double()), (a[:, :, :0], g), (a[0], g[0])]
    for args in (*wrong, (a.long(), g.long())):
        assert isinstance(outcome(torch, run, *args), Exception)
        compare(run, *args)
    compare(lambda t, a, g: t.grid_sampler(a, g, 2, 0, False), x(2, 3, 4, 5, 6), g3)


def test_affine_grids():
    for corners in (False, True):
        for theta, size in (
            (x(2, 2, 3), [2, 3, 4, 5]),
            (x(2, 3, 4), [2, 3, 4, 5, 1]),
            (x(2, 2, 3), [3, 3, 4, 5]),
            (x(2, 2, 3), [2, 3, 4]),
        ):
            compare(lambda t, a: t.affine_grid_generator(a, size, corners), theta)


def test_without_loops_of_its_own():
    """The same on MLX's ops alone, which other devices take."""
    here = Path(__file__)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", here]
        + ["-k", "test_padding_modes or test_grids"],
        env={**os.environ, "FLASHLIGHT_KERNELS": "0"},
        cwd=here.parents[2],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:]
