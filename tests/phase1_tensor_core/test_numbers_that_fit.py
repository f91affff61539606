"""A number written to a tensor either keeps its value or raises as in torch."""

import pytest
import torch

import flashlight

pytestmark = pytest.mark.parity

DTYPES = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64"
# Around the ends of every type's range; the last of a range with a fraction.
NUMBERS = [0.5, 127.9, -128.9, 128, 255, 256, -255, -256, 32768, 2**31, 2**63 - 1]
NUMBERS += [2.0**63, 65504.0, 65504.5, 65519.0, 65520.0, -1e5, 3.4e38, 3.5e38, 1e39]
NUMBERS += [float("inf"), -float("inf"), float("nan"), 1e39j, 1 + 2j, 2j, 2 + 0j, True]
NUMBERS += [300, -1, -300, 2.5, 1e10, 1e40]


def assigned(t, x, index, number):
    x[index] = number
    return x


WAYS = {
    "full": lambda t, x, n: t.full((3,), n, dtype=x.dtype),
    "full of one": lambda t, x, n: t.full((1,), n, dtype=x.dtype),
    "fill_ of one": lambda t, x, n: x[:1].fill_(n),
    "fill_": lambda t, x, n: x.fill_(n),
    "x[0]": lambda t, x, n: assigned(t, x, 0, n),
    "x[:2]": lambda t, x, n: assigned(t, x, slice(2), n),
    "x[mask]": lambda t, x, n: assigned(t, x, x == 0, n),
    "x[[1]]": lambda t, x, n: assigned(t, x, t.tensor([1]), n),
    "masked_fill": lambda t, x, n: x.masked_fill(x == 0, n),
    "scatter": lambda t, x, n: x.scatter(0, t.tensor([1]), n),
    "index_fill": lambda t, x, n: x.index_fill(0, t.tensor([1]), n),
}


def told(t, way, dtype, number):
    """The result's values, or the error."""
    try:
        y = WAYS[way](t, t.zeros(3, dtype=getattr(t, dtype)), number)
    except (RuntimeError, TypeError, OverflowError) as error:
        return type(error).__name__, str(error).split("\n")[0]
    return str(y)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES.split())
def test_the_same_numbers_fit(way, dtype):
    for number in NUMBERS:
        mine = told(flashlight, way, dtype, number)
        assert mine == told(torch, way, dtype, number), number
