"""The fused steps of optimizers: equal to the steps in Python, to PyTorch's, and to
the plain formula; in place; and taken where they should be.
"""

import itertools
import json
import os
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
import torch

import flashlight
from flashlight import _C

pytestmark = pytest.mark.parity
SHAPES = [(3, 4), (5,), (), (2, 3, 2)]
OPTIONS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "dampening": 0.3},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True},
    ],
    "Adam": [
        {"lr": 0.01},
        {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True, "betas": (0.3, 0.9)},
        {"lr": 0.01, "maximize": True, "eps": 1e-3},
    ],
    "AdamW": [{"lr": 0.01}, {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True}],
    "Adagrad": [{"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.1, "lr_decay": 0.1}],
}
CASES = [(name, i) for name, options in OPTIONS.items() for i in range(len(options))]


def params_of(lib, dtype="float32"):
    rng = np.random.RandomState(0)
    values = [np.asarray(rng.randn(*s)).astype("float32") for s in SHAPES]
    return [lib.nn.Parameter(lib.from_numpy(v).to(getattr(lib, dtype))) for v in values]


def run(lib, name, options, steps=5, dtype="float32", params=None):
    """Parameters and state after some steps."""
    params = params_of(lib, dtype) if params is None else params
    opt = getattr(lib.optim, name)(params, **options)
    rng = np.random.RandomState(1)
    for _ in range(steps):
        for p in params:
            grad = np.asarray(rng.randn(*p.shape)).astype("float32")
            p.grad = lib.from_numpy(grad).to(p.dtype)
        opt.step()
    state = [
        v for p in params for v in opt.state[p].values() if isinstance(v, lib.Tensor)
    ]
    return [x.detach().to(lib.float64).numpy() for x in (*params, *state)]


def rows_of(call):
    """The fused rows that the call passes through."""
    _C._observe_ops(True)
    try:
        call()
    finally:
        seen = _C._observed_ops()
        _C._observe_ops(False)
    return {row for row in seen if row.startswith("_fused")}


def close(ours, theirs, rtol=1e-6, atol=1e-6):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name, i", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fused_is_the_step_in_python_and_pytorchs(name, i, dtype):
    options = OPTIONS[name][i]
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    ways = [{}, {"fused": True}, {"foreach": True}, {"fused": False}]
    results = []
    for way in ways:
        out = []
        seen = rows_of(
            lambda: out.append(run(flashlight, name, {**options, **way}, dtype=dtype))
        )
        assert bool(seen) == (way != {"fused": False})
        results.append(out[0])
    theirs = [run(torch, name, {**options, **way}, dtype=dtype) for way in ways]
    for ours in results:
        close(ours, results[-1], tolerance, tolerance)
    for ours, expected in zip(results, theirs):
        close(ours, expected, tolerance, tolerance)


@pytest.mark.parametrize("name, i", CASES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_halves_are_fused_only_if_asked(name, i, dtype):
    options = OPTIONS[name][i]
    assert not rows_of(lambda: run(flashlight, name, options, 1, dtype))
    ours = run(flashlight, name, {**options, "fused": True}, 3, dtype)
    theirs = run(torch, name, {**options, "fused": True}, 3, dtype)
    last_bits = 2e-2 if dtype == "bfloat16" else 4e-3
    close(ours, theirs, last_bits, last_bits)


def test_what_is_not_fused():
    p = flashlight.nn.Parameter(flashlight.ones(2, dtype=flashlight.complex64))
    p.grad = flashlight.ones(2, dtype=flashlight.complex64)
    assert not rows_of(flashlight.optim.Adam([p]).step)
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params"):
        flashlight.optim.Adam([p], fused=True).step()
    lr = flashlight.tensor(0.1, requires_grad=True)
    q = flashlight.nn.Parameter(flashlight.ones(2))
    q.grad = flashlight.ones(2)
    p = q.clone()
    p.retain_grad()
    p.sum().backward()
    differentiable = flashlight.optim.SGD([p], lr=lr, differentiable=True)
    assert not rows_of(differentiable.step)
    for opt in (flashlight.optim.Adam([q], fused=True), flashlight.optim.SGD([q])):
        q.grad = None
        opt.step()  # nothing to do
        assert q.tolist() == [1, 1]


@pytest.mark.parametrize("name, i", CASES)
@pytest.mark.parametrize("found", [0.0, 1.0])
def test_a_scaler_is_obeyed(name, i, found):
    def steps(lib):
        params = params_of(lib)
        opt = getattr(lib.optim, name)(params, **OPTIONS[name][i], fused=True)
        for scale, inf in ((4.0, 0.0), (4.0, found), (2.0, 0.0)):
            for p in params:
                p.grad = p.detach() * scale
            opt.grad_scale, opt.found_inf = lib.tensor(scale), lib.tensor(inf)
            opt.step()
        grads = [p.grad for p in params]
        state = [
            v
            for p in params
            for v in opt.state[p].values()
            if isinstance(v, lib.Tensor)
        ]
        return [x.detach().numpy() for x in (*params, *grads, *state)]

    close(steps(flashlight), steps(torch))


def test_layouts_and_views():
    """Whatever the strides; PyTorch's fused step wants the same of all tensors."""

    def steps(lib, **way):
        def arange(n):
            return lib.from_numpy(np.arange(n, dtype="float32")) / 10

        base, flat = arange(24).reshape(2, 3, 4), arange(12)
        params = [
            base.clone().transpose(0, 2),
            lib.ones(2, 3, 2, 2).to(memory_format=lib.channels_last),
            flat[2:8].view(2, 3),
            flat[8:],
            arange(10)[::2],
        ]
        for p in params:
            p.requires_grad_()
        opt = lib.optim.AdamW(params, lr=0.1, weight_decay=0.5, **way)
        for _ in range(2):
            for p in params:
                p.grad = (p.detach() * 2).contiguous()
            params[1].grad = params[1].grad.to(memory_format=lib.channels_last)
            opt.step()
        assert [p.stride() for p in params[:2]] == [(1, 4, 12), (12, 1, 6, 3)]
        return [x.detach().numpy().copy() for x in (*params, flat)]

    close(steps(flashlight, fused=True), steps(torch))


@pytest.mark.parametrize("way", [{}, {"fused": True}])
def test_repeated_parameters(way):
    """The second update starts from the first."""

    def steps(lib):
        p = lib.nn.Parameter(lib.ones(3))
        with pytest.warns(UserWarning, match="duplicate parameters"):
            opt = lib.optim.AdamW([p, p], lr=0.1, weight_decay=0.5, **way)
        for _ in range(2):
            p.grad = p.detach() * 2
            opt.step()
        return [p.detach().numpy()]

    close(steps(flashlight), steps(torch))


def test_versions():
    p = flashlight.nn.Parameter(flashlight.ones(3))
    opt = flashlight.optim.Adam([p], lr=0.1)
    loss = (p * p).sum()
    p.grad = flashlight.ones(3)
    before = p._version
    opt.step()
    assert p._version > before and opt.state[p]["exp_avg"]._version > 0
    assert p.grad._version == 0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def outcome(call):
    try:
        return call()
    except (RuntimeError, TypeError, ValueError) as e:
        return type(e), str(e)


def test_errors():
    def texts(lib):
        function = getattr(lib, "_fused_sgd_", None)
        function = function or _C._VariableFunctions._fused_sgd_
        options = dict(
            weight_decay=0.0,
            momentum=0.9,
            lr=0.1,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
        a, long = [lib.ones(3)], [lib.ones(3, dtype=lib.int64)]
        wide, two = [lib.ones(3, dtype=lib.float64)], lib.ones(2)
        still = {**options, "momentum": 0.0}
        return [
            outcome(lambda: function(a, [], a, **options)),
            outcome(lambda: function(a, a, [], **options)),
            outcome(lambda: function(a, a, a, **still)),
            outcome(lambda: function(a, wide, [], **still)),
            outcome(lambda: function(long, long, [], **still)),
            outcome(lambda: function(a, a, [], **{**still, "lr": two})),
            outcome(lambda: function(a, a, [], **still, grad_scale=wide[0][0])),
        ]

    assert texts(flashlight) == texts(torch)


def test_no_second_copy():
    """Buffers are written to where they are."""
    n = 1 << 20
    p = flashlight.nn.Parameter(flashlight.ones(n))
    opt = flashlight.optim.Adam([p], lr=0.1)
    p.grad = flashlight.ones(n)
    for _ in range(2):
        opt.step()
        p[0].item()
    held = mx.get_active_memory()
    mx.reset_peak_memory()
    opt.step()
    p[0].item()
    assert mx.get_peak_memory() - held < n  # of 4 n bytes for each of the three


def test_a_step_evaluates_nothing():
    """Several steps recorded, and run when one of their values is asked for."""
    p, q = (flashlight.nn.Parameter(flashlight.ones(2000)) for _ in range(2))
    opt = flashlight.optim.SGD([p, q], lr=1.0, momentum=1.0)
    for _ in range(3):
        p.grad = q.grad = flashlight.ones(2000)
        opt.step()
    assert p[0].item() == q[1999].item() == 1 - (1 + 2 + 3)


PLAIN = """
import json, sys
sys.path[:0] = sys.argv[1:]
import flashlight
from test_fused_steps import CASES, OPTIONS, run, scaled
runs = [run(flashlight, name, OPTIONS[name][i], 3) for name, i in CASES]
runs += [scaled(name) for name in OPTIONS]
print(json.dumps([[x.tolist() for x in values] for values in runs]))
"""


def scaled(name):
    """A step with everything that a scaler can ask for."""
    values = []
    for inf, dtype in itertools.product((0.0, 1.0), ("float32", "bfloat16")):
        params = params_of(flashlight, dtype)
        opt = getattr(flashlight.optim, name)(params, lr=0.1, fused=True)
        opt.grad_scale = flashlight.tensor(4.0)
        opt.found_inf = flashlight.tensor(inf)
        for p in params:
            p.grad = p.detach() * 3
        opt.step()
        for x in (*params, *(p.grad for p in params)):
            values.append(x.detach().to(flashlight.float32).numpy())
    return values


def test_loops_are_the_plain_formula():
    """What FLASHLIGHT_KERNELS=0 computes, which is what a GPU does."""
    here = os.path.dirname(__file__)
    paths = [here, os.path.join(os.path.dirname(here), "phase4_nn_modules")]
    out = subprocess.run(
        [sys.executable, "-c", PLAIN, *paths],
        env={**os.environ, "FLASHLIGHT_KERNELS": "0"},
        capture_output=True,
        text=True,
    )
    assert out.returncode == 0, out.stderr
    plain = json.loads(out.stdout)
    for (name, i), theirs in zip(CASES, plain):
        close(run(flashlight, name, OPTIONS[name][i], 3), theirs)
    for name, theirs in zip(OPTIONS, plain[len(CASES) :]):
        # Half of them bfloat16, in which the last bit may differ.
        close(scaled(name), theirs, rtol=1e-2)
