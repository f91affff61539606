"""Large windows that are changed in place, piece by piece: PyTorch's values."""

import pytest
import torch

import flashlight

LIBRARIES = (flashlight, torch)


def both(program):
    """What the program logs under each, and whether the values are equal."""
    logs = []
    for t in LIBRARIES:
        log = []
        program(t, log.append)
        logs.append(log)
    ours, theirs = logs
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs):
        if isinstance(b, torch.Tensor):
            assert str(a.dtype) == str(b.dtype)
            if b.dtype == torch.bfloat16:
                a, b = a.float(), b.float()
            a = torch.from_numpy(a.detach().numpy())
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-4, equal_nan=True)
        else:
            assert a == b


def numbers(t, *shape, dtype="float32"):
    n = 1
    for size in shape:
        n *= size
    x = (t.arange(n) % 1009 - 500).reshape(shape)
    return (x / 37 if "int" not in dtype else x).to(getattr(t, dtype))


WINDOWS = {
    "rows": lambda x: x[1:],
    "columns": lambda x: x[:, 3:],
    "transposed": lambda x: x[2:].t(),
    "steps": lambda x: x[::2],
    "expanded sizes": lambda x: x[1:].unsqueeze(1),
    "two long rows": lambda x: x.view(2, -1)[:, 5:],
    "flat": lambda x: x.view(-1)[7:],
}
SHAPE = (700, 800)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "bfloat16", "complex64", "int64", "int32"]
)
def test_a_number(window, dtype):
    def program(t, log):
        x = numbers(t, *SHAPE, dtype=dtype)
        y = WINDOWS[window](x)
        y += 2
        y.mul_(3)
        log(x)
        log((x._version, y._version))

    both(program)


@pytest.mark.parametrize("op", ["exp_", "neg_", "tanh_", "abs_", "floor_", "sigmoid_"])
def test_functions(op):
    def program(t, log):
        x = numbers(t, *SHAPE)
        getattr(x[1:], op)()
        log(x)

    both(program)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@pytest.mark.parametrize("shape", [(699, 800), (800,), (699, 1), (1, 800), (1, 1), ()])
def test_other_operands_are_broadcast_and_cast(shape, dtype):
    def program(t, log):
        x = numbers(t, *SHAPE)
        other = numbers(t, *shape, dtype="int64").to(getattr(t, dtype))
        x[1:] += other
        x[1:].addcmul_(other, numbers(t, 800), value=2)
        x[1:].masked_fill_(other > 0, 5.0)
        log(x)

    both(program)


def test_operands_of_the_same_storage():
    def program(t, log):
        x = numbers(t, 1400, 800)
        x[1:].mul_(x[1:])  # the same elements
        x[:700].add_(x[700:])  # others
        y = x[1:]
        y *= y
        x[::2] -= x[1::2]
        log(x)

    both(program)


def test_errors_come_before_anything_is_written():
    def program(t, log):
        x = numbers(t, *SHAPE, dtype="int64")
        zeros = t.ones(699, 800, dtype=t.int64)
        zeros[600, 3] = 0
        for call in (
            lambda: x[1:].floor_divide_(zeros),
            lambda: x[1:].add_(1.5),
            lambda: x[1:].add_(numbers(t, 2, 699, 800, dtype="int64")),
            lambda: x[1:].add_(numbers(t, 3, dtype="int64")),
        ):
            try:
                call()
            except RuntimeError as e:
                log(str(e))
        log(x[:600])

    both(program)


def test_what_is_recorded_is_not_done_in_parts():
    def program(t, log):
        x = numbers(t, *SHAPE).requires_grad_()
        y = x * 1
        y[1:] *= x[1:]
        y[1:].tanh_()
        y.sum().backward()
        log(x.grad)

    both(program)


def test_others_that_hold_the_value_keep_theirs():
    def program(t, log):
        x = numbers(t, *SHAPE)
        before, plus = x.clone(), x + 1
        same = x.detach()
        x[1:] += 1
        log(before)
        log(plus)
        log(same)

    both(program)


def test_conjugated_views():
    def program(t, log):
        x = numbers(t, *SHAPE, dtype="complex64") * (1 + 2j)
        x.conj()[1:].mul_(1j)
        x.conj().imag[1:].add_(1)
        log(x)

    both(program)
