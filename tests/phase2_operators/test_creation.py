"""Making, filling, resizing and converting tensors, and their errors, against torch."""

import pytest
from test_views import agree

import flashlight

pytestmark = pytest.mark.parity


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.arange(5),
        lambda t: t.arange(1, 5, 2),
        lambda t: t.arange(2.5),
        lambda t: t.arange(5, 0, -2),
        lambda t: t.arange(0, 1, 0.1),
        lambda t: t.arange(2**53, 2**53 + 3),
        lambda t: t.arange(0, 5, dtype=t.float16),
        lambda t: t.arange(t.tensor(3)),
        lambda t: t.arange(0, 1, 0),
        lambda t: t.arange(1, 0),
        lambda t: t.arange(0, float("inf")),
        lambda t: t.arange(0, float("nan")),
        lambda t: t.arange(3, dtype=t.bool),
        lambda t: t.arange(1, 2.5, 0.5, dtype=t.int64),
        lambda t: t.arange(3, out=t.zeros(0, dtype=t.int32)),
        lambda t: t.arange(3, dtype=t.int32, out=t.zeros(0)),
        lambda t: t.range(1, 0),
        lambda t: t.range(0, 1, 0),
        lambda t: t.range(0, 2, 0.5),
        lambda t: t.linspace(0, 1, 5),
        lambda t: t.linspace(0, 5, 4, dtype=t.int32),
        lambda t: t.linspace(-2, 3, 4, dtype=t.int64),
        lambda t: t.linspace(3, 3, 1),
        lambda t: t.linspace(0, 1, 0),
        lambda t: t.linspace(0, 1, -1),
        lambda t: t.linspace(0, 1j, 3, dtype=t.float32),
        lambda t: t.linspace(t.ones(1), 1, 3),
        lambda t: t.linspace(t.ones(1), t.ones(1, 2), 3),
        lambda t: t.linspace(0, 1, 3, out=t.zeros(0, dtype=t.float64)),
        lambda t: t.logspace(0, 4, 5, dtype=t.int32),
        lambda t: t.logspace(0, 1, -1),
        lambda t: t.logspace(1, t.ones(1), 2),
        lambda t: t.eye(2, 3),
        lambda t: t.eye(-1),
        lambda t: t.eye(1, -2),
        lambda t: t.eye(2, out=t.zeros(0, dtype=t.int64)),
        lambda t: t.tril_indices(3, 3, -1),
        lambda t: t.triu_indices(3, 4, 1),
        lambda t: t.triu_indices(2, 2, 5),
        lambda t: t.tril_indices(-1, 2),
        lambda t: t.triu_indices(1, -2),
        lambda t: t.tril(t.ones(3)),
        lambda t: t.ones(3, 4).tril(9),
        lambda t: t.ones(3, 4).triu(-(2**40)),
        lambda t: t.vander(t.ones(3, 2)),
        lambda t: t.vander(t.ones(3), -1),
        lambda t: t.scalar_tensor(3),
        lambda t: t.scalar_tensor(3j),
        lambda t: t.empty(2, -1),
        lambda t: t.empty_permuted((2, 3, 4), (2, 0, 1)).zero_(),
        lambda t: t.empty_permuted((2, 3), (0, 0)),
        lambda t: t.empty_permuted((2, 3), (0,)),
        lambda t: t.empty_strided((2, 3), (1, 2)).zero_(),
        lambda t: t.empty_strided((2, 3), (0, 0)).zero_(),
        lambda t: t.empty_strided((2, 3), (1,)),
        lambda t: t.empty_strided((2, 3), (1, -1)),
        lambda t: t.empty_strided((2, -3), (1, 1)),
        lambda t: t.empty(2, pin_memory=True),
        lambda t: t.empty_like(t.ones(2, 3).t()).zero_(),
        lambda t: t.ones(2, 3).new_zeros(2, 2),
        lambda t: t.ones(2, dtype=t.int16).new_full((2,), 3),
        lambda t: t.ones(2, 3).fill_(t.ones(2)),
        lambda t: t.ones(1).expand(3).fill_(3),
        lambda t: t.ones(1).expand(3).fill_(t.tensor(3.0)),
        lambda t: t.zero_(t.ones(2)),
        lambda t: t.ones(3).fill_diagonal_(1),
        lambda t: t.ones(3, 2, 2).fill_diagonal_(1),
        lambda t: t.zeros(7, 2).fill_diagonal_(1, wrap=True),
    ],
)
def test_values_and_errors(call):
    agree(call)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.ones(2, 3).resize_(3, 2),
        lambda t: t.ones(2, 3).resize_(2),
        lambda t: t.ones(4).resize_((2, 2)),
        lambda t: t.ones(2).resize_(2, memory_format=t.channels_last),
        lambda t: t.ones(4).resize_(1, 2, 1, 2, memory_format=t.channels_last),
        lambda t: t.ones(2).resize_(3, memory_format=t.preserve_format),
        lambda t: t.ones(2, requires_grad=True).resize_(3),
        lambda t: t.ones(2, requires_grad=True).resize_as_(t.ones(3)),
        lambda t: t.ones(6).resize_as_(t.ones(2, 3)),
        lambda t: t.ones(()).resize_([2, 4, 2**29, 2**29]),
        lambda t: t.ones(()).resize_([0, 4, 2**61]),
        lambda t: t.ones(2).set_(),
        lambda t: t.ones(2).set_(t.zeros(3)),
        lambda t: t.ones(2).set_(t.arange(6.0), 1, (2, 2), (1, 2)),
        lambda t: t.ones(2).set_(t.arange(6.0).untyped_storage()),
        lambda t: t.ones(2).set_(t.arange(6.0).untyped_storage(), 2, (2,)),
        lambda t: t.ones(2).set_(t.zeros(3, dtype=t.float64)),
        lambda t: t.ones(2, requires_grad=True).set_(t.zeros(3)),
    ],
)
def test_resizing_and_setting(call):
    agree(call)


def test_set_makes_an_alias():
    def program(t):
        base, window = t.zeros(6), t.zeros(0)
        window.set_(base, 1, (2, 2), (1, 2))
        window += 1
        return base, window._version, base._version

    agree(program)


NAMES = (
    "bool byte char short int long half bfloat16 float double cfloat cdouble".split()
)


@pytest.mark.parametrize("name", NAMES)
def test_conversions_by_name(name):
    def program(t):
        x = t.tensor([0.0, 1.5, -2.75])
        y = getattr(x, name)()
        return y, getattr(y, name)() is y

    agree(program)


def test_conversions_to_what_there_is_none_of():
    with pytest.raises(NotImplementedError, match="MLX has no such type"):
        flashlight.ones(2).chalf()


def test_gradients_pass_conversions():
    def program(t):
        x = t.ones(3).requires_grad_()
        (x.double() * 2).float().sum().backward()
        return x.grad

    agree(program)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.ones(2).cpu(),
        lambda t: t.ones(1).is_nonzero(),
        lambda t: t.ones(2).is_nonzero(),
        lambda t: t.zeros(0).is_nonzero(),
        lambda t: (t.ones(2).is_signed(), t.is_signed(t.ones(2, dtype=t.uint8))),
        lambda t: (
            t.ones(2).is_same_size(t.ones(2)),
            t.is_same_size(t.ones(2), t.ones(())),
        ),
        lambda t: t.ones(2, 3, 4, 5).to(memory_format=t.channels_last).dim_order(),
        lambda t: t.ones(2, 3, 4).permute(2, 0, 1).dim_order(),
        lambda t: t.ones(1, 3, 1, 5).dim_order(),
        lambda t: t.ones(2).pin_memory(),
        lambda t: t.arange(4).reshape(2, 2).t().apply_(lambda x: x + 1),
        lambda t: t.ones(2, dtype=t.int32).apply_(lambda x: x + 1.5),
        lambda t: t.arange(3.0).map_(t.ones(1), lambda x, y: x - y),
        lambda t: t.arange(3.0).map2_(t.ones(3), t.ones(3), lambda x, y, z: x + y + z),
        lambda t: t.ones(3).map_(t.ones(2), lambda x, y: x),
        lambda t: t.ones(2).requires_grad_().apply_(abs),
        lambda t: t.ones(2).requires_grad_().map_(t.ones(2), max),
    ],
)
def test_facts_and_host_loops(call):
    agree(call)
