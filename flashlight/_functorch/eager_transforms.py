"""Gradients and Jacobians, under the names that ``functorch`` imports them by."""

from flashlight.func import (
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    vjp,
)
from flashlight.func._autograd import _selected as _slice_arguments

__all__ = [
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "vjp",
]


def _as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def _slice_argnums(args, argnums, as_tuple=True):
    """The arguments that are differentiated, in a tuple."""
    found = _slice_arguments(args, argnums)
    return (found,) if as_tuple and isinstance(argnums, int) else found
