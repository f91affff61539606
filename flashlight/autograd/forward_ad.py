"""Forward mode: tensors with tangents."""

import functools
import typing

from flashlight import _C

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]

_current_level = -1


class UnpackedDualTensor(typing.NamedTuple):
    """A tensor without its tangent, and the tangent or ``None``."""

    primal: typing.Any
    tangent: typing.Any


def enter_dual_level():
    """Begin a forward mode level and return its number; there is one at a time.

    Raises:
        RuntimeError: another is open.
    """
    global _current_level
    if _current_level >= 0:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _C._enter_dual_level()
    _current_level += 1
    return _current_level


def exit_dual_level(*, level=None):
    """End the level: tensors lose their tangents.

    Raises:
        RuntimeError: it is not the one that is open.
    """
    global _current_level
    if level is None:
        level = _current_level
    if level < 0:
        raise RuntimeError("Dual level must be a positive number.")
    if level != _current_level:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was "
            "created. This is not supported."
        )
    _C._exit_dual_level()
    _current_level = level - 1


class dual_level:
    """The scope of a forward mode level.

    Example:
        >>> import flashlight as torch
        >>> import flashlight.autograd.forward_ad as fwAD
        >>> with fwAD.dual_level():
        ...     x = fwAD.make_dual(torch.zeros(2), torch.ones(2))
        ...     fwAD.unpack_dual(x.sin()).tangent
        tensor([1., 1.])
    """

    def __enter__(self):
        return enter_dual_level()

    def __exit__(self, *error):
        exit_dual_level()

    def __call__(self, func):
        @functools.wraps(func)
        def run(*args, **kwargs):
            with dual_level():
                return func(*args, **kwargs)

        return run


def make_dual(tensor, tangent, *, level=None):
    """Return a view of ``tensor`` with a tangent, of its shape and dtype.

    Raises:
        RuntimeError: outside of a level, or the tangent does not fit.
        ValueError: no floating point tensor.
    """
    if (_current_level if level is None else level) < 0:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make "
            "sure to enter_dual_level() first."
        )
    for name, x in (("primal", tensor), ("tangent", tangent)):
        if not (x.is_floating_point() or x.is_complex()):
            raise ValueError(
                f"Expected {name} to be floating point or complex, but got: {x.dtype}"
            )
    return _C._make_dual(tensor, tangent)


def unpack_dual(tensor, *, level=None):
    """Return ``(primal, tangent)`` of a tensor; the tangent may be ``None``."""
    if (_current_level if level is None else level) < 0:
        return UnpackedDualTensor(tensor, None)
    if not isinstance(tensor, _C.TensorBase):
        raise TypeError(
            "_unpack_dual(): argument 'dual' (position 1) must be Tensor, not "
            f"{type(tensor).__name__}"
        )
    primal, tangent = _C._unpack_dual(tensor)
    shown = tangent if _C._is_fwd_grad_enabled() else None
    return UnpackedDualTensor(primal, shown)


_is_fwd_grad_enabled = _C._is_fwd_grad_enabled


class _set_fwd_grad_enabled:
    """Whether tangents are computed; as a call, or for a scope."""

    def __init__(self, mode):
        self.before = _C._is_fwd_grad_enabled()
        _C._set_fwd_grad_enabled(mode)

    def __enter__(self):
        pass

    def __exit__(self, *error):
        _C._set_fwd_grad_enabled(self.before)
