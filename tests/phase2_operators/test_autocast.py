"""Inside autocast every row gives the dtypes that torch's op gives."""

from pathlib import Path

import pytest
import torch
from registry import Case, arguments, callables, entries, flat, rows, to_ours

import flashlight

NAMES = sorted({r["name"] for r in rows().values() if entries().get(r["name"])})
NOT_YET = (Path(__file__).parent / "not_yet.txt").read_text().split()

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def dtypes(t, function, args, kwargs):
    """The dtypes of the results, or the type of the error."""
    t.manual_seed(1)
    with t.autocast("cpu"):
        try:
            out = function(*args, **kwargs)
        except (RuntimeError, IndexError, ValueError) as e:
            return type(e).__name__
    return [str(x.dtype).split(".")[-1] for x in flat(out)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            n,
            marks=(
                [pytest.mark.xfail(strict=True, reason="not yet")]
                if f"autocast:{n}" in NOT_YET
                else []
            ),
        )
        for n in NAMES
    ],
)
def test_dtypes_inside_autocast(name):
    for info in entries()[name]:
        ours, theirs = callables(info, name)
        if ours is None:
            continue
        for dtype in (torch.float32, torch.bfloat16):
            if dtype not in info.dtypes:
                continue
            for _, sample in zip(range(3), info.sample_inputs("cpu", dtype)):
                args = arguments(info, sample)
                expected = dtypes(torch, theirs, args, sample.kwargs)
                mine = to_ours(args), to_ours(sample.kwargs)
                got = dtypes(flashlight, ours, *mine)
                case = Case(ours, theirs, args, sample.kwargs)
                assert got == expected, f"{info.name}{case}"


def test_regions():
    def log(t):
        x = t.ones(2, 2)
        lines = [t.is_autocast_enabled("cpu")]
        with t.autocast("cpu"):
            lines += [t.is_autocast_enabled("cpu"), (x @ x).dtype]
            with t.autocast("cpu", enabled=False):
                lines += [t.is_autocast_enabled("cpu"), (x @ x).dtype]
            with t.autocast("cpu", dtype=t.float16):
                lines.append((x @ x).dtype)
            lines += [(x.double() @ x.double()).dtype, t.mm(x, x).dtype]
            lines.append(x.clone().addmm_(x, x).dtype)
        lines += [(x @ x).dtype, t.autocast("cpu")(lambda: (x @ x).dtype)()]
        for wrong in (
            lambda: t.autocast(3),
            lambda: t.autocast("cpu")(3),
            lambda: t.set_autocast_enabled("cpu", 1),
        ):
            with pytest.raises((RuntimeError, ValueError, TypeError)) as e:
                wrong()
            lines.append(f"{type(e.value).__name__} {e.value}")
        return [str(x).replace("flashlight.", "torch.") for x in lines]

    assert log(flashlight) == log(torch)


def test_weights_are_cast_once_and_get_their_gradient():
    def log(t):
        w = t.full((2, 2), 0.5, requires_grad=True)
        x = t.ones(2, 2)
        with t.autocast("cpu"):
            y = x @ w
            with t.no_grad():
                w.mul_(3)  # the cast is of the value before
            y = y + x @ w
        y.sum().backward()
        return y.tolist(), str(y.dtype)[-8:], w.grad.tolist(), str(w.grad.dtype)[-7:]

    assert log(flashlight) == log(torch)


def test_custom_function():
    def log(t):
        seen = []

        class Double(t.autograd.Function):
            @staticmethod
            @t.amp.custom_fwd(device_type="cpu", cast_inputs=t.float32)
            def forward(ctx, x):
                seen.append((str(x.dtype)[-8:], t.is_autocast_enabled("cpu")))
                return x * 2

            @staticmethod
            @t.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g):
                seen.append((str(g.dtype)[-8:], t.is_autocast_enabled("cpu")))
                return g * 2

        x = t.ones(2, dtype=t.bfloat16, requires_grad=True)
        with t.autocast("cpu"):
            y = Double.apply(x)
        y.sum().backward()
        return seen, str(x.grad.dtype)[-8:]

    assert log(flashlight) == log(torch)


def test_a_weight_that_is_kept_under_another_dtype_is_cast_again():
    """PyTorch takes the one that it kept, and raises an error for it."""
    w, x = flashlight.ones(3, 3, requires_grad=True), flashlight.ones(2, 3)
    with flashlight.autocast("cpu", dtype=flashlight.bfloat16):
        assert flashlight.mm(x, w).dtype == flashlight.bfloat16
        with flashlight.autocast("cpu", dtype=flashlight.float16):
            inner = flashlight.mm(x, w)
        outer = flashlight.mm(x, w)
    assert inner.dtype == flashlight.float16
    assert outer.dtype == flashlight.bfloat16
    (inner.float() + outer.float()).sum().backward()
    assert w.grad.tolist() == [[4.0] * 3] * 3
