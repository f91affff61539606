"""Every kind of view, written to in every way and in every mode, beside PyTorch.

PyTorch's own matrix of views and in-place ops is not a text but what it does: each
cell is run under both libraries, and values, versions, histories, gradients and the
texts of errors are compared.
"""

import contextlib
import itertools

import pytest
from comparing import LIBRARIES, same

MODES = {
    "grad": lambda t: contextlib.nullcontext(),
    "no_grad": lambda t: t.no_grad(),
    "inference": lambda t: t.inference_mode(),
}

BASES = {
    "leaf": lambda t: t.tensor(
        [[0.5, 1.5], [2.5, -3.5]], dtype=t.float64, requires_grad=True
    ),
    "computed": lambda t: t.tensor(
        [[0.5, 1.5], [2.5, -3.5]], dtype=t.float64, requires_grad=True
    )
    * 2,
    "plain": lambda t: t.tensor([[0.5, 1.5], [2.5, -3.5]], dtype=t.float64),
    "complex": lambda t: t.tensor(
        [[0.5, 1.5j], [2.5, -3.5]], dtype=t.complex64, requires_grad=True
    )
    * 2,
}


def function_views(t):
    class Same(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    class Viewed(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view(-1)

        @staticmethod
        def backward(ctx, g):
            return (g * 3).view(2, 2)

    class Two(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[0], x[1]

        @staticmethod
        def backward(ctx, g, h):
            return t.stack([g, h])

    return Same, Viewed, Two


VIEWS = {
    "none": lambda t, x: x,
    "select": lambda t, x: x[1],
    "slice": lambda t, x: x[:, :1],
    "view": lambda t, x: x.view(4),
    "t": lambda t, x: x.t(),
    "expand": lambda t, x: x[:1].expand(3, 2),
    "diagonal": lambda t, x: x.diagonal(),
    "as_strided": lambda t, x: x.as_strided((2,), (2,), 1),
    "unbind": lambda t, x: x.unbind()[0],
    "split": lambda t, x: x.split(1, 1)[1],
    "chunk of one": lambda t, x: x.chunk(1)[0],
    "unfold": lambda t, x: x.unfold(1, 2, 1),
    "detach": lambda t, x: x.detach(),
    "data": lambda t, x: x.data,
    "view of view": lambda t, x: x.t()[1].unsqueeze(0),
    "view of unbind": lambda t, x: x.unbind()[1].view(2, 1),
    "real": lambda t, x: t.real(x),
    "view_as_real": lambda t, x: t.view_as_real(x) if x.is_complex() else x[..., None],
    "conj": lambda t, x: x.conj(),
    "function, itself": lambda t, x: function_views(t)[0].apply(x),
    "function, a view": lambda t, x: function_views(t)[1].apply(x),
    "function, two": lambda t, x: function_views(t)[2].apply(x)[0],
    "alias": lambda t, x: t.ops.aten.alias(x),
}

WRITES = {
    "none": lambda t, v, other: v,
    "mul_ number": lambda t, v, other: v.mul_(2),
    "mul_ tensor": lambda t, v, other: v.mul_(other),
    "add_": lambda t, v, other: v.add_(other),
    "exp_": lambda t, v, other: v.exp_(),
    "zero_": lambda t, v, other: v.zero_(),
    "copy_": lambda t, v, other: v.copy_(other),
    "index": lambda t, v, other: v.__setitem__(0, 7),
    "fill_": lambda t, v, other: v.fill_(other),
    "detach_": lambda t, v, other: v.detach_(),
    "requires_grad_": lambda t, v, other: v.requires_grad_(),
    "t_": lambda t, v, other: v.t_(),
    "unsqueeze_": lambda t, v, other: v.unsqueeze_(0),
}


def noted(log, call):
    """The result of a call; its error goes to the log."""
    try:
        return call()
    except (RuntimeError, ValueError, TypeError, IndexError) as e:
        log.append([type(e).__name__, str(e)])
    return None


def facts(t, log, x):
    log.append(
        noted(
            log,
            lambda: [
                x.detach().tolist(),
                x.requires_grad,
                x.is_leaf,
                x._is_view(),
                x.is_inference(),
                x.stride(),
                noted(log, lambda: x._version),
                noted(log, lambda: type(x.grad_fn).__name__),
            ],
        )
    )


def cell(t, base, view, write, modes):
    """What happens, in order."""
    log = []
    with MODES[modes[0]](t):
        x = BASES[base](t)
    other = t.tensor(1.5, dtype=t.float64, requires_grad=True)
    if base == "complex":
        other = other.to(t.complex64)
    with MODES[modes[1]](t):
        v = noted(log, lambda: VIEWS[view](t, x))
    if v is None:
        return log
    facts(t, log, v)
    with MODES[modes[2]](t):
        noted(log, lambda: WRITES[write](t, v, other))
    if "Inplace update to inference tensor" in str(log[-1]):
        return log  # PyTorch raises when it has written; here nothing is written
    for seen in (v, x):
        facts(t, log, seen)
    with t.enable_grad():
        loss = noted(log, lambda: (x * x).sum().abs() + (v * v).sum().abs() * 3)
        if loss is None or not loss.requires_grad:
            return log
        inputs = [i for i in (x, other) if i.requires_grad]
        grads = noted(log, lambda: t.autograd.grad(loss, inputs, allow_unused=True))
        for g in grads or ():
            log.append(None if g is None else t.view_as_real(g.to(t.complex64)))
    return [i.tolist() if isinstance(i, t.Tensor) else i for i in log]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("base", BASES)
def test_matrix(base, view):
    wrong = []
    for write, modes in itertools.product(WRITES, itertools.product(MODES, repeat=3)):
        theirs, ours = (cell(t, base, view, write, modes) for t in LIBRARIES)
        if not same(ours, theirs, 1e-6, 1e-6):
            wrong.append((write, modes, theirs, ours))
    assert not wrong, f"{len(wrong)} cells differ; the first: {wrong[0]}"
