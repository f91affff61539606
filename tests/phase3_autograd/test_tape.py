"""The tape, against torch's."""

import gc
import weakref

import pytest
import torch

import flashlight


def both(program):
    """The result of a program under flashlight and under torch."""
    return program(flashlight), program(torch)


def leaf(t, values=((1.0, 2.0), (3.0, 4.0))):
    return t.tensor(values, requires_grad=True)


def product_and_quotient(t):
    x, y = leaf(t), leaf(t, ((2.0, 5.0),))
    ((x * y - x / y + 3) * -x).sum().backward()
    return x.grad.tolist() + y.grad.tolist()


def write_through_a_view(t):
    x = leaf(t)
    y = x * 2
    y[0] *= x[1]
    y.view(-1)[2:] += 1
    (y * y).sum().backward()
    return x.grad.tolist()


def view_after_a_write_to_its_base(t):
    x = leaf(t)
    y = x * 1
    row = y[1]
    y.mul_(x)
    row.sum().backward()
    return x.grad.tolist(), type(row.grad_fn).__name__


def advanced_indexing(t):
    x = leaf(t)
    picked = x[[0, 1, 1], [1, 0, 0]]
    (picked * picked).sum().backward()
    return x.grad.tolist()


def double_backward(t):
    x = leaf(t)
    (g,) = t.autograd.grad((x * x * x).sum(), x, create_graph=True)
    (g * x).sum().backward()
    return x.grad.tolist()


def accumulation(t):
    x = leaf(t)
    for _ in range(3):
        (x * 2).sum().backward()
    return x.grad.tolist(), x.grad._version


def hooks(t):
    seen = []
    x = leaf(t)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.tolist()))
    y.sum().backward()
    return x.grad.tolist(), y.grad.tolist(), seen


def custom_function(t):
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return x * x * x * scale

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 3 * ctx.scale * x * x, None

    x = leaf(t)
    y = Cube.apply(x, 2)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    g.sum().backward()
    return g.tolist(), x.grad.tolist(), type(y.grad_fn).__name__


def no_grad_update(t):
    x = leaf(t)
    (x * x).sum().backward()
    with t.no_grad():
        x.sub_(x.grad, alpha=0.5)
    return x.tolist(), x.requires_grad, x._version


@pytest.mark.parity
@pytest.mark.parametrize(
    "program",
    [
        product_and_quotient,
        write_through_a_view,
        view_after_a_write_to_its_base,
        advanced_indexing,
        double_backward,
        accumulation,
        hooks,
        custom_function,
        no_grad_update,
    ],
)
def test_programs_agree(program):
    ours, theirs = both(program)
    assert ours == theirs


def changed_after_saving(t):
    x = leaf(t)
    y = x * 1
    z = y * y
    y.add_(1)
    z.sum().backward()


def twice_without_retaining(t):
    x = leaf(t)
    y = (x * x).sum()
    y.backward()
    y.backward()


def write_to_a_leaf(t):
    leaf(t).add_(1)


def write_to_a_view_of_a_leaf(t):
    leaf(t)[0].add_(1)


def needs_a_gradient(t):
    leaf(t).backward()


def no_graph(t):
    t.zeros(()).backward()


@pytest.mark.parity
@pytest.mark.parametrize(
    "program",
    [
        changed_after_saving,
        twice_without_retaining,
        write_to_a_leaf,
        write_to_a_view_of_a_leaf,
        needs_a_gradient,
        no_graph,
    ],
)
def test_errors_agree(program):
    with pytest.raises(RuntimeError) as theirs:
        program(torch)
    with pytest.raises(RuntimeError) as ours:
        program(flashlight)
    assert str(ours.value) == str(theirs.value)


def test_a_chain_of_100_000_nodes():
    x = flashlight.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 0
    y.backward()
    assert x.grad.item() == 1


def test_a_graph_is_freed_with_its_last_tensor():
    x = leaf(flashlight)
    y = x * 2
    z = y * y
    ref = weakref.ref(y)
    del y, z
    gc.collect()
    assert ref() is None


RESHAPED = {
    "unsqueeze last": ((3,), lambda x: x.unsqueeze_(-1)),
    "unsqueeze first": ((3,), lambda x: x.unsqueeze_(0)),
    "transpose": ((3, 2), lambda x: x.t_()),
    "transpose square": ((3, 3), lambda x: x.t_()),
}


@pytest.mark.parity
@pytest.mark.parametrize("case", RESHAPED)
def test_gradient_of_a_leaf_that_was_reshaped_since(case):
    shape, reshape = RESHAPED[case]

    def program(t):
        x = t.ones(*shape, requires_grad=True)
        loss = (x * 2).sum()
        with t.no_grad():
            reshape(x)
        try:
            loss.backward()
        except RuntimeError as error:
            return str(error)
        return x.grad.tolist(), x.grad.shape, x.grad.stride()

    ours, theirs = both(program)
    assert ours == theirs
