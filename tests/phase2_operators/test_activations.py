"""Activations beside torch: names of nodes, errors, random slopes."""

import pytest
import torch
from registry import to_ours, to_theirs

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

X = torch.linspace(-3, 3, 40).reshape(4, 10)


@pytest.mark.parametrize(
    "name, args",
    [
        *((n, ()) for n in ("relu", "relu6", "elu", "selu", "celu", "leaky_relu")),
        *((n, ()) for n in ("gelu", "silu", "mish", "glu", "logsigmoid", "softplus")),
        *((n, ()) for n in ("hardtanh", "hardsigmoid", "hardswish", "hardshrink")),
        *((n, (1,)) for n in ("softmax", "log_softmax", "softmin")),
        ("rrelu", ()),
        ("threshold", (0.1, 20.0)),
    ],
)
def test_names_of_nodes(name, args):
    def node(t, x):
        x = x.detach().clone().requires_grad_()
        return getattr(t.nn.functional, name)(x, *args).grad_fn.name()

    assert node(flashlight, to_ours(X)) == node(torch, X)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("inplace", [False, True])
def test_random_slopes(dtype, training, inplace):
    """The same slopes, and as many numbers drawn."""

    def run(t, x):
        t.manual_seed(5)
        x = x.clone().requires_grad_()
        y = t.nn.functional.rrelu(x * 1, 0.1, 0.4, training, inplace)
        y.sum().backward()
        return y.detach(), x.grad, t.rand(3)

    theirs, ours = run(torch, X.to(dtype)), run(flashlight, to_ours(X.to(dtype)))
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(to_theirs(a), b)


def raised(t, function):
    try:
        function(t)
    except Exception as e:
        return type(e), str(e)
    return None


@pytest.mark.parametrize(
    "function",
    [
        lambda t: t.nn.functional.softshrink(t.ones(2), -0.5),
        lambda t: t.nn.functional.softshrink(t.ones(2, dtype=t.float16), 1e5),
        lambda t: t.nn.functional.softshrink(t.ones(2, dtype=t.bfloat16), -1.0),
        lambda t: t.nn.functional.softshrink(t.ones(2, dtype=t.float64), -1.0),
        lambda t: t.nn.functional.softshrink(t.ones(2, dtype=t.int64)),
        lambda t: t.nn.functional.celu(t.ones(2), 0.0),
        lambda t: t.nn.functional.glu(t.ones(3)),
        lambda t: t.nn.functional.glu(t.ones(2, dtype=t.int64)),
        lambda t: t.nn.functional.rrelu(t.ones(2), 0.5, 0.1, True),
        lambda t: t.nn.functional.rrelu(t.ones(2, dtype=t.float16), training=True),
        lambda t: t.bilinear(t.ones(2, 3), t.ones(3, 3), t.ones(5, 3, 3)),
        lambda t: t.bilinear(t.ones(2, 3), t.ones(2, 3), t.ones(5, 3, 4)),
        lambda t: t.bilinear(t.ones(2, 3), t.ones(2, 3), t.ones(5, 2, 4)),
        lambda t: t.bilinear(t.ones(2, 3), t.ones(3), t.ones(5, 3, 3)),
        lambda t: t.bilinear(t.ones(2, 3), t.ones(2, 3), t.ones(5, 3, 3), t.ones(4)),
    ],
)
def test_errors_are_torchs(function):
    theirs = raised(torch, function)
    assert theirs is not None and raised(flashlight, function) == theirs


def test_addmm_with_gelu():
    args = (X[0], X[:, :4], X[:, :10])
    theirs = torch._addmm_activation(*args, use_gelu=True)
    ours = flashlight._addmm_activation(*to_ours(args), use_gelu=True)
    torch.testing.assert_close(to_theirs(ours), theirs)
