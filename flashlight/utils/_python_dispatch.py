"""Modes that see every op below autograd; see Note [Dispatch modes] in the engine.

What a mode is given are overloads of ``torch.ops``. An op that is made of others is
seen as these; the tape's own ops, in backward, are seen too.
"""

import contextlib
import threading

from flashlight import _C

__all__ = [
    "TorchDispatchMode",
    "is_in_torch_dispatch_mode",
    "is_traceable_wrapper_subclass",
    "is_traceable_wrapper_subclass_type",
]


class _Stack(threading.local):
    def __init__(self):
        self.modes = []


_stack = _Stack()


def modes():
    """The modes of this thread, the innermost last."""
    return _stack.modes


def _set(modes):
    _stack.modes = modes
    _C._set_dispatching(bool(modes))


@contextlib.contextmanager
def _with(modes):
    before = _stack.modes
    _set(modes)
    try:
        yield
    finally:
        _set(before)


def dispatch(func, args, kwargs):
    """What the innermost mode makes of a call; the modes below it are on meanwhile."""
    mode = _stack.modes[-1]
    with _with(_stack.modes[:-1]):
        result = mode.__torch_dispatch__(func, (), args, kwargs)
    if result is NotImplemented:
        raise TypeError(
            f"Multiple dispatch failed for '{func}'; all __torch_dispatch__ handlers "
            "returned NotImplemented:\n\n"
            f"  - mode object {mode!r}\n\n"
            "For more information, try re-running with TORCH_LOGS=not_implemented"
        )
    return result


_C._set_dispatch_handler(dispatch)


class TorchDispatchMode:
    """A context in which ``__torch_dispatch__`` runs in the place of each kernel.

    Subclasses define ``__torch_dispatch__(self, func, types, args=(), kwargs=None)``,
    with ``func`` an overload such as ``torch.ops.aten.mm.default``; it returns what
    the op gives, most often ``func(*args, **(kwargs or {}))``. Inside it, autograd is
    off and so is the mode itself.

    Source: :mod:`torch.utils._python_dispatch`.

    Example:
        >>> class Names(TorchDispatchMode):
        ...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        ...         print(func)
        ...         return func(*args, **(kwargs or {}))
        >>> with Names():
        ...     _ = torch.ones(2).relu()
        aten.ones.default
        aten.relu.default
    """

    def __init__(self, _dispatch_key=None):
        if _dispatch_key is not None:
            raise NotImplementedError(
                "modes at a dispatch key of their own are not supported: "
                f"{_dispatch_key!r}"
            )

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        raise NotImplementedError

    def __enter__(self):
        _set([*_stack.modes, self])
        return self

    def __exit__(self, *exception):
        _set(_stack.modes[:-1])

    @classmethod
    def push(cls, *args, **kwargs):
        """The mode itself (older programs enter what this gives)."""
        return cls(*args, **kwargs)

    @classmethod
    def is_infra_mode(cls):
        """False: no mode here is a compiler's."""
        return False


def is_in_torch_dispatch_mode(include_infra_modes=True):
    """Is any mode on in this thread?"""
    return bool(_stack.modes)


def _get_current_dispatch_mode():
    return _stack.modes[-1] if _stack.modes else None


def _get_current_dispatch_mode_stack():
    return list(_stack.modes)


def _len_torch_dispatch_stack():
    return len(_stack.modes)


@contextlib.contextmanager
def _pop_mode_temporarily(k=None):
    if not _stack.modes:
        raise AssertionError("no dispatch mode is on")
    mode = _stack.modes[-1]
    with _with(_stack.modes[:-1]):
        yield mode


@contextlib.contextmanager
def _disable_current_modes():
    before = _stack.modes
    with _with([]):
        yield before


def is_traceable_wrapper_subclass(t):
    """False: no tensor here is a wrapper that dispatches."""
    return False


def is_traceable_wrapper_subclass_type(t):
    """False: no class of tensors here is a wrapper that dispatches."""
    return False
