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
