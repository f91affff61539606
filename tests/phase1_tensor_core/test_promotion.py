"""What two dtypes come to, for all pairs, as dtypes and as operands."""

import itertools

import pytest
import torch

import flashlight

NAMES = (
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32"
)
NAMES = (NAMES + " float64 complex64 complex128").split()


def outcome(call):
    try:
        return str(call())
    except RuntimeError as e:
        return str(e)


@pytest.mark.parametrize("a", NAMES)
def test_pairs_of_dtypes(a):
    for b in NAMES:
        seen = []
        for t in (flashlight, torch):
            x, y = getattr(t, a), getattr(t, b)
            seen.append([outcome(lambda: t.promote_types(x, y)), t.can_cast(x, y)])
        assert seen[0] == seen[1], (a, b)


@pytest.mark.parametrize("a", NAMES)
def test_pairs_of_operands(a):
    values = {(): 1, (1,): [1]}
    for b, shape, other in itertools.product(NAMES, values, values):
        seen = []
        for t in (flashlight, torch):
            x = t.tensor(values[shape], dtype=getattr(t, a))
            y = t.tensor(values[other], dtype=getattr(t, b))
            seen.append(outcome(lambda: t.result_type(x, y)))
        assert seen[0] == seen[1], (a, b, shape, other)


@pytest.mark.parametrize("number", [True, 2, 2.5, 1j])
def test_numbers_beside_tensors(number):
    for a, shape in itertools.product(NAMES, [(), (1,)]):
        seen = []
        for t in (flashlight, torch):
            x = t.ones(shape, dtype=getattr(t, a))
            seen.append(outcome(lambda: t.result_type(x, number)))
            seen[-1] += outcome(lambda: t.result_type(number, x))
        assert seen[0] == seen[1], (a, shape)
