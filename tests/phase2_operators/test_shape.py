"""Ops that join, split and reorder, against torch with gradients."""

import pytest
import torch

import flashlight


def joined(t, x):
    return t.cat([x, x[1:] * 2, t.zeros(0)], 0)


def stacked(t, x):
    return t.stack([x, x * x], -1)


def unbound(t, x):
    a, b = x.unbind(0)
    return a * b


def flattened(t, x):
    return x.transpose(0, 1).flatten() * 2


def squeezed(t, x):
    return x.unsqueeze(1).squeeze() * 3


def contiguous(t, x):
    return x.t().contiguous().view(-1) * 2


def expanded(t, x):
    return x[0].expand_as(x) * x


@pytest.mark.parity
@pytest.mark.parametrize(
    "program",
    [joined, stacked, unbound, flattened, squeezed, contiguous, expanded],
)
def test_values_strides_and_gradients(program):
    def run(t):
        x = t.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
        out = program(t, x)
        (out * out).sum().backward()
        return out.tolist(), out.stride(), x.grad.tolist()

    assert run(flashlight) == run(torch)


@pytest.mark.parity
@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.cat([t.zeros(2, 3), t.zeros(3, 2)]),
        lambda t: t.cat([t.zeros(()), t.zeros(2)]),
        lambda t: t.stack([t.zeros(2), t.zeros(3)]),
        lambda t: t.zeros(2, 3).unbind(2),
        lambda t: t.zeros(2, 3).view(5),
        lambda t: t.zeros(2, 3).t().view(-1),
        lambda t: t.zeros(2, 3).permute(0, 0),
    ],
)
def test_errors(call):
    with pytest.raises((RuntimeError, IndexError)) as theirs:
        call(torch)
    with pytest.raises(type(theirs.value)) as ours:
        call(flashlight)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parity
def test_a_view_of_many_refuses_writes_as_torch():
    def run(t):
        x = t.ones(2, 3, requires_grad=True) * 1
        a, _ = x.unbind(0)
        with pytest.raises(RuntimeError) as error:
            a.add_(1)
        return str(error.value)

    assert run(flashlight) == run(torch)
