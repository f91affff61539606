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
