"""Operators against torch: value, gradient, double gradient, in-place and out=."""

import math

import pytest
import torch

import flashlight

POSITIVE = [[0.3, 1.2, 2.5], [0.7, 0.1, 4.0]]
SIGNED = [[-0.6, 0.4, 1.5], [2.5, -1.1, 0.2]]
UNARY = {
    "cos": SIGNED,
    "exp": SIGNED,
    "log": POSITIVE,
    "neg": SIGNED,
    "reciprocal": POSITIVE,
    "relu": SIGNED,
    "rsqrt": POSITIVE,
    "sigmoid": SIGNED,
    "sin": SIGNED,
    "sqrt": POSITIVE,
    "tanh": SIGNED,
}
BINARY = ["add", "sub", "mul", "div"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


def close(ours, theirs, tolerance):
    ours, theirs = ours.detach().reshape(-1).tolist(), theirs.detach().reshape(-1)
    for a, b in zip(ours, theirs.tolist(), strict=True):
        assert math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance), (a, b)


def derivatives(t, run, *values):
    """Value, gradients and gradients of their squares, with respect to all inputs."""
    inputs = [t.tensor(v, requires_grad=True) for v in values]
    out = run(*inputs)
    grads = t.autograd.grad(out.sum(), inputs, create_graph=True)
    total = sum((g * g * x).sum() for g, x in zip(grads, inputs))
    second = t.autograd.grad(total, inputs, allow_unused=True)
    return out, list(grads), [x for x in second if x is not None]


def same_derivatives(name, *values):
    ours = derivatives(flashlight, getattr(flashlight, name), *values)
    theirs = derivatives(torch, getattr(torch, name), *values)
    close(ours[0], theirs[0], 1e-5)
    for k in (1, 2):
        for a, b in zip(ours[k], theirs[k], strict=True):
            close(a, b, 1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("name", UNARY)
def test_unary_with_derivatives(name):
    same_derivatives(name, UNARY[name])


@pytest.mark.parity
@pytest.mark.parametrize("name", BINARY)
def test_binary_with_derivatives_and_broadcasting(name):
    same_derivatives(name, SIGNED, POSITIVE)
    same_derivatives(name, SIGNED, POSITIVE[0])


@pytest.mark.parity
def test_mm_with_derivatives():
    same_derivatives("mm", SIGNED, [[1.0, 2.0], [0.5, -1.0], [3.0, 0.1]])


@pytest.mark.parity
@pytest.mark.parametrize("name", UNARY)
def test_in_place(name):
    x, y = flashlight.tensor(UNARY[name]), torch.tensor(UNARY[name])
    row = x[1]
    assert getattr(x, name + "_")() is x
    getattr(y, name + "_")()
    close(x, y, 1e-5)
    close(row, y[1], 1e-5)
    assert x._version == y._version


@pytest.mark.parity
@pytest.mark.parametrize("name", [n for n in UNARY if n != "relu"])
def test_out(name):
    out = flashlight.zeros(2, 3)
    given = flashlight.tensor(UNARY[name])
    assert getattr(flashlight, name)(given, out=out) is out
    close(out, getattr(torch, name)(torch.tensor(UNARY[name])), 1e-5)
    with pytest.warns(UserWarning, match="was resized"):
        getattr(flashlight, name)(given, out=flashlight.zeros(1))


DTYPES = ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"]


@pytest.mark.parity
@pytest.mark.parametrize("name", ["add", "mul", "div", *COMPARISONS])
@pytest.mark.parametrize("left", DTYPES)
@pytest.mark.parametrize("right", [*DTYPES, 2, 2.5, True])
def test_promotion(name, left, right):
    def run(t):
        a = t.ones(2, dtype=getattr(t, left))
        b = t.ones(2, dtype=getattr(t, right)) if isinstance(right, str) else right
        out = getattr(a, name)(b)
        return repr(out.dtype), out.tolist()

    assert run(flashlight) == run(torch)


@pytest.mark.parity
def test_shapes_that_do_not_fit_raise_as_torch():
    def run(t):
        with pytest.raises(RuntimeError) as error:
            t.zeros(2, 3) + t.zeros(4)
        with pytest.raises(RuntimeError) as product:
            t.zeros(2, 3).mm(t.zeros(2, 3))
        return str(error.value), str(product.value)

    assert run(flashlight) == run(torch)


TIES = {
    **{
        name: lambda t, x, y, name=name: getattr(t, name)(x, y)
        for name in ("maximum", "minimum", "fmax", "fmin", "max", "min")
    },
    "clamp": lambda t, x, y: t.clamp(x, -1.0, 2.0),
    "clamp by tensors": lambda t, x, y: t.clamp(x, y, y + 1),
    "clamp with the edges swapped": lambda t, x, y: t.clamp(x, y + 1, y),
    "clamp_min": lambda t, x, y: t.clamp_min(x, -1.0),
    "clamp_max": lambda t, x, y: t.clamp_max(x, 2.0),
    "clamp_min by a tensor": lambda t, x, y: t.clamp_min(x, y),
    "clamp_max by a tensor": lambda t, x, y: t.clamp_max(x, y),
    "hardtanh": lambda t, x, y: t.nn.functional.hardtanh(x, -1.0, 2.0),
    "relu": lambda t, x, y: t.relu(x),
    "relu6": lambda t, x, y: t.nn.functional.relu6(x * 3),
    "leaky_relu": lambda t, x, y: t.nn.functional.leaky_relu(x),
    "threshold": lambda t, x, y: t.nn.functional.threshold(x, -1.0, 5.0),
    "hardshrink": lambda t, x, y: t.nn.functional.hardshrink(x, 1.0),
    "softshrink": lambda t, x, y: t.nn.functional.softshrink(x, 1.0),
    "hardsigmoid": lambda t, x, y: t.nn.functional.hardsigmoid(x * 3),
    "hardswish": lambda t, x, y: t.nn.functional.hardswish(x * 3),
    "elu": lambda t, x, y: t.nn.functional.elu(x),
    "abs": lambda t, x, y: t.abs(x),
    "amax": lambda t, x, y: t.amax(x * x),
    "whole max": lambda t, x, y: t.max(x * x),
    "norm at 0": lambda t, x, y: t.linalg.vector_norm(x - x),
}


# PyTorch's vector loops and its others differ at NaN, or it gives NaN to all.
NAN_AS_IT_FALLS = ["hardtanh", "relu6", "hardswish", "amax"]


@pytest.mark.parametrize("name", TIES)
def test_gradients_at_ties_and_edges(name):
    seen = []
    for t in (flashlight, torch):
        x = t.tensor([-1.0, 0.0, 2.0, -2.0, 1.0, 2.0, float("nan"), -0.0])
        y = t.tensor([-1.0, 1.0, 2.0, -3.0, float("nan"), 1.0, 0.0, -1.0])
        if name in NAN_AS_IT_FALLS:
            x[6] = 3.0
        x, y = x.requires_grad_(), y.requires_grad_()
        out = TIES[name](t, x, y)
        out.backward(t.ones_like(out) * 4)
        seen.append([v.grad.tolist() if v.grad is not None else None for v in (x, y)])
    assert repr(seen[0]).replace("-0.0", "0.0") == repr(seen[1]).replace("-0.0", "0.0")
