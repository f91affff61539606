"""Gradients and Jacobians, under the names that ``functorch`` imports them by."""

from flashlight.func._autograd import *  # noqa: F401,F403
from flashlight.func._autograd import __all__  # noqa: F401
from flashlight.func._autograd import _selected as _slice_arguments


def _as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def _slice_argnums(args, argnums, as_tuple=True):
    """The arguments that are differentiated, in a tuple."""
    found = _slice_arguments(args, argnums)
    return (found,) if as_tuple and isinstance(argnums, int) else found
