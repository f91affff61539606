"""Views in place, parts, dtypes of storages and their errors, against torch."""

import warnings

import pytest
import torch

import flashlight

pytestmark = pytest.mark.parity


def outcome(program, t):
    """What a program gives, as plain values; or its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(program(t))
        except (RuntimeError, IndexError, TypeError, ValueError) as e:
            return type(e).__name__, str(e).split("\n")[0]


def plain(x):
    if isinstance(x, (torch.Tensor, flashlight.Tensor)):
        return x.tolist(), tuple(x.shape), x.stride(), str(x.dtype)
    if isinstance(x, (list, tuple)):
        return [plain(i) for i in x]
    return x


def agree(program):
    theirs, ours = outcome(program, torch), outcome(program, flashlight)
    assert ours == theirs
    return theirs


def leaf(t):
    x = t.arange(6.0).reshape(3, 2)
    return x.requires_grad_()


def in_place(name, *args):
    """An in-place view of a computed tensor: its node, and gradients through it."""

    def program(t):
        x = leaf(t)
        y = x * 2
        sibling = y.view(6)
        same = getattr(y, name)(*args)
        weights = t.arange(1.0, 1 + y.numel()).reshape(y.shape)
        (y * weights).sum().backward()
        return (
            *(same is y, y.grad_fn.name(), y._version, sibling._version),
            *(y.detach(), sibling.detach(), x.grad),
        )

    return program


@pytest.mark.parametrize(
    "program",
    [
        in_place("t_"),
        in_place("transpose_", 0, 1),
        in_place("swapaxes_", 0, 1),
        in_place("swapdims_", 0, -1),
        in_place("unsqueeze_", 1),
        in_place("squeeze_"),
        in_place("squeeze_", 1),
        in_place("squeeze_", (0, 1)),
        in_place("as_strided_", (2, 2), (1, 2), 1),
    ],
)
def test_in_place_views(program):
    agree(program)


def of_a_view(t):
    x = leaf(t)
    y = x * 1
    v = y[1:]
    v.unsqueeze_(0)
    v.mul_(3)
    y.sum().backward()
    return v.detach(), y.detach(), x.grad, v._base is y


def of_a_leaf(t):
    return leaf(t).t_()


def of_a_view_of_a_leaf(t):
    return leaf(t).t().unsqueeze_(0)


def of_a_leaf_unrecorded(t):
    x = leaf(t)
    with t.no_grad():
        x.t_()
    return x.detach(), x.is_leaf, x.requires_grad


def of_one_of_many(t):
    a, _ = (leaf(t) * 1).unbind(1)
    return a.unsqueeze_(0)


def of_a_saved_tensor(t):
    y = leaf(t) * 1
    z = (y * y).sum()
    y.t_()
    z.backward()


def of_a_detached_alias(t):
    y = leaf(t) * 1
    d = y.detach()
    d.t_()
    return d, y.detach(), y._version


@pytest.mark.parametrize(
    "program",
    [
        of_a_view,
        of_a_leaf,
        of_a_view_of_a_leaf,
        of_a_leaf_unrecorded,
        of_one_of_many,
        of_a_saved_tensor,
        of_a_detached_alias,
    ],
)
def test_in_place_views_and_histories(program):
    agree(program)


@pytest.mark.parametrize(
    "parts",
    [
        lambda t, x: x.split(2),
        lambda t, x: x.split((1, 2)),
        lambda t, x: t.split(x, 1, dim=1),
        lambda t, x: x.chunk(2),
        lambda t, x: x.tensor_split(2),
        lambda t, x: x.tensor_split((1,)),
        lambda t, x: x.tensor_split(t.tensor([0, 2])),
        lambda t, x: x.hsplit(2),
        lambda t, x: x.vsplit((1, 2)),
        lambda t, x: x.unsafe_split(2),
        lambda t, x: x.unsafe_chunk(2),
        lambda t, x: x.unbind(1),
    ],
)
def test_parts_and_what_may_be_written_to_them(parts):
    def shapes(t):
        x = leaf(t)
        out = parts(t, x)
        (out[0] * 2).sum().backward()
        return list(out), out[0].grad_fn.name(), out[0]._is_view(), x.grad

    def written(t):
        y = leaf(t) * 1
        parts(t, y)[0].mul_(2)
        return y.detach()

    def base_written(t):
        y = leaf(t) * 1
        part = parts(t, y)[0]
        y.mul_(2)
        return part.grad_fn.name()

    for program in (written, base_written):
        agree(program)
    theirs, ours = outcome(shapes, torch), outcome(shapes, flashlight)
    assert ours == theirs


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.zeros(3).split(-1),
        lambda t: t.zeros(3).split(0),
        lambda t: t.zeros(()).split(1),
        lambda t: t.zeros(3).split_with_sizes((1, 1)),
        lambda t: t.zeros(3).split_with_sizes((4, -1)),
        lambda t: t.zeros(3).chunk(0),
        lambda t: t.zeros(()).chunk(1),
        lambda t: t.zeros(0).chunk(3),
        lambda t: t.zeros(2, 0).split(0, 1),
        lambda t: t.zeros(()).tensor_split(1),
        lambda t: t.zeros(3).tensor_split(0),
        lambda t: t.zeros(3).tensor_split(t.tensor([1.0])),
        lambda t: t.zeros(3).tensor_split(t.tensor([[1]])),
        lambda t: t.zeros(()).hsplit(1),
        lambda t: t.zeros(3).vsplit(1),
        lambda t: t.zeros(3, 3).dsplit(1),
        lambda t: t.zeros(3, 3).hsplit(2),
        lambda t: t.zeros(3).narrow(0, 4, 1),
        lambda t: t.zeros(3).narrow(0, 2, 2),
        lambda t: t.zeros(3).narrow(0, 0, -1),
        lambda t: t.zeros(()).narrow(0, 0, 0),
        lambda t: t.zeros(3).narrow(0, t.tensor([1]), 1),
        lambda t: t.zeros(3, 3).diagonal(0, 1, -1),
        lambda t: t.zeros(3, 3).diagonal(9),
        lambda t: t.zeros(3).unfold(0, 4, 1),
        lambda t: t.zeros(3).unfold(0, 1, 0),
        lambda t: t.zeros(3).unfold(0, -1, 1),
        lambda t: t.zeros(()).unfold(0, 1, 1),
        lambda t: t.zeros(6).unflatten(0, ()),
        lambda t: t.zeros(6).unflatten(0, (4, 2)),
        lambda t: t.zeros(6).unflatten(0, (-1, 4)),
        lambda t: t.zeros(6, 2).unflatten(0, (-1, 3)),
        lambda t: t.zeros(2, 3).movedim((0, 1), (1,)),
        lambda t: t.zeros(2, 3).movedim((0, 0), (0, 1)),
        lambda t: t.zeros(2, 3).movedim((0, 1), (1, 1)),
        lambda t: t.zeros(3).adjoint(),
        lambda t: t.zeros(()).mT,
        lambda t: t.zeros(3).mH,
        lambda t: t.zeros(2, 2, 2).H,
        lambda t: t.zeros(3).diag_embed(0, 1, 1),
        lambda t: t.zeros(2, 2, 2).diag(),
        lambda t: t.zeros(2, 3).select_scatter(t.zeros(2), 0, 1),
        lambda t: t.zeros(3).select(0, 5),
        lambda t: t.zeros(3).as_strided((2,), (1, 1)),
        lambda t: t.zeros(3).as_strided((2, 2), (3, 3)),
        lambda t: t.zeros(3).expand(2, 2),
        lambda t: t.zeros(3).expand(-1, 3),
        lambda t: t.zeros(3).view(t.int64),
        lambda t: t.zeros(()).view(t.int16),
        lambda t: t.zeros(3, 2).t().view(t.int16),
        lambda t: t.zeros(3, 3)[:, 1:].view(t.float64),
        lambda t: t.zeros(3, 2).view(t.float64).shape,
        lambda t: t.zeros(3, dtype=t.complex64).conj().view(t.float32),
        lambda t: t.atleast_3d(t.zeros(2), t.zeros(())),
        lambda t: t.zeros(2).is_set_to(t.zeros(2)),
    ],
)
def test_edges_and_errors(call):
    agree(call)


def test_gradients_of_overlapping_windows():
    def program(t):
        x = t.arange(1.0, 5.0).requires_grad_()
        y = x.as_strided((3, 2), (1, 1))
        (y * t.arange(6.0).reshape(3, 2)).sum().backward()
        z = t.ones(2, 1).requires_grad_()
        z.expand(2, 3).as_strided((2, 3), (1, 0)).sum().backward()
        return x.grad, z.grad

    agree(program)


def test_writing_elsewhere_is_no_change_of_what_a_view_needs():
    def program(t):
        x = leaf(t)
        y = x * 1
        out = y.select(0, 0) * 3 + y.view(6)[2:4] + y.diagonal() + y.t()[:, 1]
        y.add_(1)
        out.sum().backward()
        return x.grad

    agree(program)


@pytest.mark.parametrize(
    "made",
    [
        lambda t, a, b: t.complex(a, b),
        lambda t, a, b: t.polar(a, b),
        lambda t, a, b: t.complex(a[0], b),
        lambda t, a, b: t.view_as_complex(t.stack((a, b), -1)),
    ],
)
def test_complex_numbers_from_parts(made):
    def program(t):
        a = t.tensor([[0.5, -1.0, 2.0], [0.0, 3.0, -0.5]]).requires_grad_()
        b = t.tensor([[1.5, 0.25, -2.0], [1.0, 0.0, 4.0]]).requires_grad_()
        z = made(t, a, b)
        (z * z.conj() * z).abs().sum().backward()
        return z.detach(), a.grad, b.grad

    theirs, ours = program(torch), program(flashlight)
    for a, b in zip(ours, theirs):
        assert torch.allclose(torch.tensor(a.tolist()), b.resolve_conj(), 1e-5, 1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.complex(t.zeros(2), t.zeros(2, dtype=t.int32)),
        lambda t: t.complex(t.zeros(2), t.zeros(2, dtype=t.float64)),
        lambda t: t.polar(t.zeros(2, dtype=t.bfloat16), t.zeros(2)),
    ],
)
def test_parts_that_do_not_fit(call):
    agree(call)


@pytest.mark.parametrize(
    "program",
    [
        lambda t: t.nonzero(t.tensor([[1, 0], [2, 3]]), as_tuple=True),
        lambda t: t.nonzero(t.tensor([[1, 0], [2, 3]]), as_tuple=False),
        lambda t: t.tensor([[1, 0], [2, 3]]).nonzero(as_tuple=True),
        lambda t: t.tensor(3).nonzero(as_tuple=True),
        lambda t: t.tensor(0.0).nonzero(as_tuple=True),
        lambda t: t.zeros(2, 0).nonzero(as_tuple=True),
        lambda t: t.nonzero(t.eye(2), out=t.empty(0, dtype=t.int64)).contiguous(),
        lambda t: t.nonzero(t.eye(2), out=t.empty(0, dtype=t.int64), as_tuple=True),
        lambda t: t.nonzero(t.eye(2), True),
        lambda t: t.nonzero(t.eye(2), as_tuple=3),
        lambda t: t.nonzero(3),
    ],
)
def test_nonzero(program):
    agree(program)


def set_to(target, *args, detached=False):
    """set_ of a computed tensor or of a fresh one: where its history ends."""

    def program(t):
        x = t.arange(3.0).requires_grad_()
        source = t.ones(4) if detached else x
        y = x.clone() if target == "computed" else t.empty(0)
        y.set_(source, *args)
        node = y.grad_fn and y.grad_fn.name()
        with pytest.raises(RuntimeError) as e:
            y.sum().backward()
        return y.detach(), y.requires_grad, node, str(e.value)

    return program


@pytest.mark.parametrize(
    "program",
    [
        set_to("computed"),
        set_to("computed", detached=True),
        set_to("computed", 1, (2,)),
        set_to("fresh"),
        set_to("fresh", 1, (2,)),
        set_to("fresh", detached=True),
    ],
)
def test_set_has_no_derivative(program):
    agree(program)


def test_negative_view_of_bools():
    agree(lambda t: t.tensor([True])._neg_view().resolve_neg())
    agree(lambda t: t.tensor([True])._neg_view().tolist())
