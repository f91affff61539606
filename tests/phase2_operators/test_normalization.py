"""Normalizations beyond PyTorch's samples: running statistics, dtypes, errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from registry import same, to_ours, to_theirs

import flashlight

HALVES = [torch.float16, torch.bfloat16]


def x(*sizes, dtype=torch.float32):
    g = torch.Generator().manual_seed(sum(sizes))
    return torch.randn(sizes, generator=g, dtype=torch.float64).to(dtype) * 3 + 1


def both(call, *args):
    """The results of call(module, *args) with flashlight and with torch."""
    return call(flashlight, *to_ours(args)), call(torch, *args)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", [(7, 3), (4, 3, 5), (2, 3, 4, 5), (2, 3, 2, 2, 3)])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics(name, sizes, dtype):
    if name == "instance_norm" and len(sizes) == 2:
        pytest.skip("instances need more than one value")

    def run(t, a, mean, var):
        function = getattr(t.nn.functional, name)
        for k in range(3):
            function(a * (k + 1), mean, var, None, None, True, 0.3 / (k + 1))
        return mean, var, function(a, mean, var, None, None, False)

    ours, theirs = both(
        run, x(*sizes, dtype=dtype), x(3, dtype=dtype), x(3, dtype=dtype).abs()
    )
    same(ours, theirs, 1e-6, f"{name}{sizes}: ")


def test_running_statistics_are_updated_in_place_without_a_version():
    mean, var = flashlight.zeros(3), flashlight.ones(3)
    alias = mean[1:]
    weight = flashlight.ones(3, requires_grad=True)
    for _ in range(2):
        out = flashlight.nn.functional.batch_norm(
            to_ours(x(5, 3)), mean, var, weight, training=True
        )
    assert alias.tolist() == mean.tolist()[1:] != [0, 0]
    assert mean._version == var._version == 0
    out.sum().backward()  # nothing that it needs has changed


def test_one_instance_with_running_statistics_can_be_differentiated():
    def run(t, a, mean, var):
        a = a.detach().requires_grad_()
        out = t.nn.functional.instance_norm(a, mean, var)
        return t.autograd.grad((out * out).sum(), a), mean, var

    same(*both(run, x(1, 3, 5), x(3), x(3).abs()), 1e-5, "")


@pytest.mark.parametrize("dtype", HALVES)
def test_statistics_of_16_bits_with_float32_parameters(dtype):
    def layer(t, a, w):
        return t.native_layer_norm(a, (4,), w, w, 1e-5)

    def batch(t, a, w):
        return t.native_batch_norm(a, w, w, None, None, True, 0.1, 1e-5)

    def group(t, a, w):
        return t.native_group_norm(a, w, w, 3, 4, 4, 2, 1e-5)

    for run in (layer, batch, group):
        for parameter in (torch.float32, dtype):
            ours, theirs = both(run, x(3, 4, 4, dtype=dtype), x(4, dtype=parameter))
            same(ours, theirs, 1e-5, f"{run.__name__}, {parameter}: ")


@pytest.mark.parametrize("dtype", HALVES)
def test_16_bits_are_added_up_in_32(dtype):
    a = torch.full((2, 3, 4096), 0.1, dtype=dtype)
    a[..., ::2] = 0.2
    for run in (
        lambda t, a: t.nn.functional.layer_norm(a, (4096,)),
        lambda t, a: t.nn.functional.batch_norm(a, None, None, training=True),
        lambda t, a: t.nn.functional.group_norm(a, 1),
        lambda t, a: t.nn.functional.rms_norm(a, (4096,), eps=1e-5),
    ):
        ours = run(flashlight, to_ours(a))
        exact = run(torch, a.double()).to(dtype)
        torch.testing.assert_close(to_theirs(ours), exact)


def test_the_graph_has_pytorchs_nodes():
    a, w = x(3, 4, 5).requires_grad_(), x(4).requires_grad_()
    for run in (
        lambda f, a, w: f.batch_norm(a, None, None, w, w, True),
        lambda f, a, w: f.layer_norm(a, (5,)),
        lambda f, a, w: f.group_norm(a, 2, w),
        lambda f, a, w: f.instance_norm(a, None, None, w),
    ):
        ours, theirs = both(lambda t, *args: run(t.nn.functional, *args).grad_fn, a, w)
        assert ours.name() == theirs.name()
        edges = [[n for n, _ in f.next_functions if n] for f in (ours, theirs)]
        assert len(edges[0]) == len(edges[1])


INPUT, FOUR, FIVE = x(3, 4, 5), x(4), x(5)
ERRORS = {
    "weight": lambda t, a, w, v: t.batch_norm(
        a, v, w, None, None, True, 0.1, 1e-5, False
    ),
    "bias": lambda t, a, w, v: t.batch_norm(
        a, w, v, None, None, True, 0.1, 1e-5, False
    ),
    "running_mean": lambda t, a, w, v: t.batch_norm(
        a, w, w, v, w, True, 0.1, 1e-5, False
    ),
    "running_var": lambda t, a, w, v: t.batch_norm(
        a, w, w, w, v, True, 0.1, 1e-5, False
    ),
    "evaluation": lambda t, a, w, v: t.batch_norm(
        a, w, w, None, None, False, 0.1, 1e-5, False
    ),
    "channels": lambda t, a, w, v: t.batch_norm(
        w, None, None, None, None, True, 0.1, 1e-5, False
    ),
    "integers": lambda t, a, w, v: t.batch_norm(
        a.to(t.int64), None, None, None, None, True, 0.1, 1e-5, False
    ),
    "mixed": lambda t, a, w, v: t.batch_norm(
        a.to(t.float64), w, w, None, None, True, 0.1, 1e-5, False
    ),
    "one value": lambda t, a, w, v: t.nn.functional.batch_norm(
        a[:1, :, 0], None, None, training=True
    ),
    "eps": lambda t, a, w, v: t.nn.functional.batch_norm(
        a, None, None, training=True, eps=0.0
    ),
    "instance: one alone": lambda t, a, w, v: t.instance_norm(
        a, w, None, w, None, True, 0.1, 1e-5, False
    ),
    "instance: none": lambda t, a, w, v: t.instance_norm(
        a, None, None, None, None, False, 0.1, 1e-5, False
    ),
    "layer: no sizes": lambda t, a, w, v: t.layer_norm(a, ()),
    "layer: sizes": lambda t, a, w, v: t.layer_norm(a, (3, 5)),
    "layer: weight": lambda t, a, w, v: t.layer_norm(a, (5,), w),
    "layer: bias": lambda t, a, w, v: t.layer_norm(a, (5,), v, w),
    "layer: integers": lambda t, a, w, v: t.layer_norm(a.to(t.int64), (5,)),
    "layer: mixed": lambda t, a, w, v: t.layer_norm(a.to(t.float64), (5,), v),
    "layer: mixed halves": lambda t, a, w, v: t.layer_norm(
        a.to(t.float16), (5,), v.to(t.float64)
    ),
    "rms: no sizes": lambda t, a, w, v: t.rms_norm(a, ()),
    "rms: sizes": lambda t, a, w, v: t.rms_norm(a, (3, 5)),
    "rms: dimensions": lambda t, a, w, v: t.rms_norm(a, (1, 3, 4, 5)),
    "rms: weight": lambda t, a, w, v: t.rms_norm(a, (5,), w),
    "group: divisible": lambda t, a, w, v: t.group_norm(a, 3),
    "group: positive": lambda t, a, w, v: t.group_norm(a, 0),
    "group: weight": lambda t, a, w, v: t.group_norm(a, 2, v),
    "group: integers": lambda t, a, w, v: t.group_norm(a.to(t.int64), 2),
    "group: dimensions": lambda t, a, w, v: t.nn.functional.group_norm(w, 2),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors(what):
    args = (INPUT, FOUR, FIVE)
    with pytest.raises(Exception) as theirs:
        ERRORS[what](torch, *args)
    with pytest.raises(Exception) as ours:
        ERRORS[what](flashlight, *to_ours(args))
    assert type(ours.value) is type(theirs.value)
    assert str(ours.value) == str(theirs.value)


def test_a_batch_without_samples():
    for training in (True, False):

        def run(t, a, w):
            return t.nn.functional.batch_norm(a, w, w, w, w, training)

        same(*both(run, torch.empty(0, 4, 5), FOUR), 0, "")


def test_without_loops_of_its_own():
    """The same tests pass on MLX's ops alone, which other devices take."""
    here = Path(__file__)
    tests = [
        f"{here}::test_running_statistics",
        f"{here}::test_16_bits_are_added_up_in_32",
    ]
    walk = here.parent / "test_registry.py"
    names = "native_batch_norm_backward native_layer_norm native_group_norm rms_norm"
    for name in names.split():
        tests += [f"{walk}::test_value[{name}]", f"{walk}::test_gradient[{name}]"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        env={**os.environ, "FLASHLIGHT_KERNELS": "0"},
        cwd=here.parents[2],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:]
