"""Overloads are listed, and so tried, in PyTorch's order."""

import pytest
import torch

import flashlight

NAMES = [
    n
    for n in sorted(dir(flashlight))
    if type(getattr(flashlight, n)).__name__ == "OpFunction" and hasattr(torch, n)
]


class Nothing:
    """An argument that nothing takes."""


def overloads(function):
    with pytest.raises(TypeError) as e:
        function(*(Nothing() for _ in range(20)))
    return [line for line in str(e.value).splitlines() if line.startswith(" * (")]


def test_order_of_overloads():
    compared = 0
    for name in NAMES:
        ours = overloads(getattr(flashlight, name))
        theirs = overloads(getattr(torch, name))
        if sorted(ours) == sorted(theirs) and len(ours) > 1:
            assert ours == theirs, name
            compared += 1
    assert compared > 30


def test_tensors_without_dimensions_are_tensors_before_they_are_numbers():
    x = flashlight.ones((), dtype=flashlight.bfloat16)
    assert flashlight.where(x > 0, x, x).dtype == flashlight.bfloat16


CALLS = {
    "permute": lambda t, x: t.permute(x, 0),
    "reshape": lambda t, x: t.reshape(x, 6),
    "broadcast_to": lambda t, x: t.broadcast_to(x, 6),
    "tile": lambda t, x: t.tile(x, 2),
    "flip": lambda t, x: t.flip(x, 0),
    "as_strided": lambda t, x: t.as_strided(x, 2, 1),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_int_is_several_only_where_the_schema_says_how_many(name):
    errors = []
    for t in (flashlight, torch):
        with pytest.raises(TypeError) as e:
            CALLS[name](t, t.arange(6.0))
        errors.append(str(e.value))
    assert errors[0] == errors[1]
    rolled = [t.roll(t.arange(6.0), 1).tolist() for t in (flashlight, torch)]
    assert rolled[0] == rolled[1]
