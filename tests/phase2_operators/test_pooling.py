"""Pooling and resampling beyond PyTorch's samples: options, NaN, errors, MLX alone."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from registry import same, to_ours

import flashlight


def x(*sizes, dtype=torch.float32):
    g = torch.Generator().manual_seed(sum(sizes))
    return torch.randn(sizes, generator=g, dtype=torch.float64).to(dtype)


def outcome(t, run, *args):
    """The result and gradients of run(t, *args), or the error."""
    args = [
        a.detach().requires_grad_() if a.dtype.is_floating_point else a for a in args
    ]
    try:
        out = run(t, *args)
    except (RuntimeError, IndexError, ValueError, TypeError) as e:
        return e
    outs = out if isinstance(out, (list, tuple)) else [out]
    needs = [o for o in outs if o.requires_grad]
    grads = t.autograd.grad(
        needs, [a for a in args if a.requires_grad], [o.detach() + 1 for o in needs]
    )
    return [o.detach() for o in outs], grads


def compare(run, *args):
    theirs = outcome(torch, run, *args)
    ours = outcome(flashlight, run, *to_ours(args))
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert type(ours) is type(theirs), f"{ours!r} for {theirs!r}"
        assert str(ours) == str(theirs)
        return
    same(ours, theirs, 1e-5, "")


OPTIONS = [
    {},
    {"stride": 1},
    {"stride": 3, "ceil_mode": True},
    {"padding": 1},
    {"padding": 1, "stride": 2, "ceil_mode": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_windows(dims, kind, options):
    for kernel in (2, 3):
        for sizes in ((2, 3, 7, 6, 5)[: dims + 2], (3, 7, 6, 5)[: dims + 1]):

            def run(t, a):
                function = getattr(t.nn.functional, f"{kind}{dims}d")
                more = {"return_indices": True} if kind == "max_pool" else {}
                return function(a, kernel, **options, **more)

            compare(run, x(*sizes))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_adaptive_windows(dims):
    for size in (1, 2, 5, 9):
        for kind in ("avg", "max"):

            def run(t, a):
                function = getattr(t.nn.functional, f"adaptive_{kind}_pool{dims}d")
                return function(a, size, *([True] if kind == "max" else []))

            compare(run, x(2, 3, 7, 6, 5)[(..., *[0] * (3 - dims))])


def test_the_maximum_is_the_last_nan_or_the_first_of_equals():
    a = torch.zeros(1, 1, 4, 6)
    a[0, 0, 0, 1] = a[0, 0, 1, 0] = float("nan")
    a[0, 0, :2, 2:4] = -float("inf")

    def run(t, a):
        return t.nn.functional.max_pool2d(a, 2, return_indices=True)

    with torch.no_grad(), flashlight.no_grad():
        same(run(flashlight, to_ours(a)), run(torch, a), 0, "")


def test_unpooling_undoes_pooling():
    for dims in (1, 2, 3):

        def run(t, a):
            pool = getattr(t.nn.functional, f"max_pool{dims}d")
            unpool = getattr(t.nn.functional, f"max_unpool{dims}d")
            values, where = pool(a, 2, return_indices=True)
            return unpool(values, where, 2, output_size=a.shape)

        compare(run, x(2, 3, 7, 6, 4)[(..., *[0] * (3 - dims))])


def test_fractional_windows():
    for dims in (2, 3):
        samples = torch.rand(2, 3, dims, generator=torch.Generator().manual_seed(1))

        def run(t, a, samples):
            function = getattr(t._C._nn, f"fractional_max_pool{dims}d")
            return function(a, [2] * dims, [4, 3, 5][:dims], samples.detach())

        sizes = (2, 3, 9, 8, 7)[: dims + 2]
        theirs = run(torch, x(*sizes), samples)
        ours = run(flashlight, to_ours(x(*sizes)), to_ours(samples))
        same(ours, theirs, 0, "")


P, V = x(2, 3, 8, 9), x(2, 3, 8, 9, 7)
INDICES = torch.zeros(2, 3, 4, 4, dtype=torch.int64)
ERRORS = {
    "pad": lambda t, a, v: t.max_pool2d(a, 2, 2, 2),
    "negative pad": lambda t, a, v: t.max_pool2d(a, 2, 2, -1),
    "no stride": lambda t, a, v: t.max_pool2d(a, 2, 0),
    "no dilation": lambda t, a, v: t.max_pool3d(v, 2, 1, 0, 0),
    "too large": lambda t, a, v: t.max_pool2d(a, 20),
    "three sizes": lambda t, a, v: t.max_pool2d(a, [2, 2, 2]),
    "dimensions": lambda t, a, v: t.max_pool2d(a[0, 0], 2),
    "empty": lambda t, a, v: t.max_pool3d(v[:, :0], 2),
    "1d": lambda t, a, v: t.max_pool1d(a[0], 2, 0),
    "bool": lambda t, a, v: t.max_pool2d(a > 0, 2),
    "average pad": lambda t, a, v: t._C._nn.avg_pool2d(a, 2, 2, 2),
    "average too large": lambda t, a, v: t._C._nn.avg_pool3d(v, 20),
    "divisor": lambda t, a, v: t._C._nn.avg_pool2d(a, 2, 2, 0, False, True, 0),
    "int32": lambda t, a, v: t._C._nn.avg_pool2d(a.to(t.int32), 2),
    "adaptive": lambda t, a, v: t._C._nn.adaptive_avg_pool2d(a, [-1, -1]),
    "adaptive max": lambda t, a, v: t._C._nn.adaptive_max_pool3d(v, [2, -1, 3]),
    "adaptive dimensions": lambda t, a, v: t._C._nn.adaptive_max_pool2d(v, [2, 2]),
    "adaptive int": lambda t, a, v: t._C._nn.adaptive_avg_pool2d(a.to(t.int64), [2, 2]),
    "samples": lambda t, a, v: t._C._nn.fractional_max_pool2d(
        a, [2, 2], [3, 3], a[:, :, :2, 0].detach()[:, :2]
    ),
    "fractional": lambda t, a, v: t._C._nn.fractional_max_pool3d(
        v, [7, 2, 2], [4, 4, 4], v[..., 0, 0, :3].detach()
    ),
    "sizes": lambda t, a, v: t._C._nn.upsample_bilinear2d(a, [4], False),
    "both": lambda t, a, v: t._C._nn.upsample_nearest2d(a, [4, 4], [2.0, 2.0]),
    "no size": lambda t, a, v: t._C._nn.upsample_trilinear3d(v, [0, 1, 1], True),
    "integers": lambda t, a, v: t._C._nn.upsample_bicubic2d(
        a.to(t.int64), [4, 4], False
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors(what):
    args = (P, V)
    theirs = outcome(torch, ERRORS[what], *args)
    assert isinstance(theirs, Exception)
    compare(ERRORS[what], *args)


def test_unpool_errors():
    for index in (72, -1):
        where = torch.full((2, 3, 4, 4), index)

        def run(t, a, where):
            return t._C._nn.max_unpool2d(a, where, [8, 9])

        compare(run, x(2, 3, 4, 4), where)
    compare(lambda t, a, i: t._C._nn.max_unpool2d(a, i, [8]), x(2, 3, 4, 4), INDICES)


MODES = [
    *((m, d) for m in ("nearest", "nearest-exact", "area") for d in (1, 2, 3)),
    *(("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3)),
]
TARGETS = [
    {"size": 4},
    {"size": 1},
    {"scale_factor": 2},
    {"scale_factor": 1.7},
    {"scale_factor": 0.6, "recompute_scale_factor": True},
]


@pytest.mark.parametrize("mode,dims", MODES)
def test_interpolation(mode, dims):
    corners = (
        (False, True)
        if mode in ("linear", "bilinear", "bicubic", "trilinear")
        else (None,)
    )
    for target in TARGETS:
        for align_corners in corners:

            def run(t, a):
                return t.nn.functional.interpolate(
                    a, mode=mode, align_corners=align_corners, **target
                )

            compare(run, x(2, 3, 7, 10, 5)[(..., *[0] * (3 - dims))])


@pytest.mark.parametrize("mode,dims", MODES)
def test_a_scale_that_keeps_the_size(mode, dims):
    """Values alone: PyTorch's gradients there are not those of its own forward."""

    def run(t, a):
        return t.nn.functional.interpolate(a, scale_factor=1.05, mode=mode)

    a = x(2, 3, 7, 10, 5)[(..., *[0] * (3 - dims))]
    same(run(flashlight, to_ours(a)), run(torch, a), 1e-5, "")


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_antialiased_interpolation(mode):
    corners = (False,) if mode == "lanczos" else (False, True)
    for size, align in itertools.product(((3, 20), (17, 9), (5, 5)), corners):

        def run(t, a):
            return t.nn.functional.interpolate(
                a, size, mode=mode, align_corners=align, antialias=True
            )

        compare(run, x(2, 3, 17, 12))
        image = (x(2, 3, 17, 12).sigmoid() * 255).to(torch.uint8)
        same(
            run(flashlight, to_ours(image)), run(torch, image), 0, f"bytes to {size}: "
        )


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
def test_images_of_bytes(mode):
    image = (x(2, 3, 7, 10).sigmoid() * 255).to(torch.uint8)
    for target in ({"size": (13, 10)}, {"size": (3, 25)}, {"scale_factor": (1.7, 0.6)}):

        def run(t, a):
            return t.nn.functional.interpolate(a, mode=mode, **target)

        same(run(flashlight, to_ours(image)), run(torch, image), 0, f"{target}: ")


def test_without_loops_of_its_own():
    """The same on MLX's ops alone, which other devices take."""
    here = Path(__file__)
    names = ("test_windows", "test_unpooling", "test_interpolation", "test_antialiased")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", here]
        + ["-k", " or ".join(names)],
        env={**os.environ, "FLASHLIGHT_KERNELS": "0"},
        cwd=here.parents[2],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:]
