"""Who sees every op below autograd; see Note [Dispatch modes] in the engine.

Modes, and classes of tensors with ``__torch_dispatch__``. What they are given are
overloads of ``torch.ops``. An op that is made of others is seen as these; the tape's
own ops, in backward, are seen too.
"""

import contextlib
import re
import threading

from flashlight import _C

__all__ = [
    "TorchDispatchMode",
    "is_in_torch_dispatch_mode",
    "is_traceable_wrapper_subclass",
    "is_traceable_wrapper_subclass_type",
    "return_and_correct_aliasing",
    "transform_subclass",
]


class _Stack(threading.local):
    def __init__(self):
        self.modes = []
        self.below_autograd = 0  # how many handlers and guards say so


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


def is_below_autograd():
    """Do operators that are called now run without what autograd does with them?"""
    return _stack.below_autograd > 0


class _BelowAutograd:
    """A block, or the life of the object: operators run without autograd's kernels."""

    def __init__(self):
        self._before = _stack.below_autograd, _C.is_grad_enabled()
        _stack.below_autograd += 1
        _C._set_grad_enabled(False)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.__del__()

    def __del__(self):
        if self._before is not None:
            _stack.below_autograd, enabled = self._before
            _C._set_grad_enabled(enabled)
            self._before = None


_C._AutoDispatchBelowAutograd = _BelowAutograd


@contextlib.contextmanager
def above_autograd():
    """In a handler: operators are called as outside of it."""
    before, _stack.below_autograd = _stack.below_autograd, 0
    try:
        yield
    finally:
        _stack.below_autograd = before


def dispatch(func, args, kwargs, overloaded=(), name=None):
    """What the first makes of a call that takes it; see :func:`_dispatch`."""
    _stack.below_autograd += 1
    try:
        return _dispatch(func, args, kwargs, overloaded, name)
    finally:
        _stack.below_autograd -= 1


def _dispatch(func, args, kwargs, overloaded=(), name=None):
    """What the first makes of a call that takes it: the innermost mode, or a class.

    Args:
        func: The overload.
        args, kwargs: What it was called with.
        overloaded: Operands whose classes dispatch, one of each, subclasses first.
        name: What an error calls the overload.

    While a mode is asked, the modes below it are on; while a class is, all are.
    """
    types = tuple(map(type, overloaded))
    asked = []
    if _stack.modes:
        mode = _stack.modes[-1]
        with _with(_stack.modes[:-1]):
            rule = func._rules.get(type(mode))
            if rule is None:
                ask = mode.__torch_dispatch__
                if getattr(ask, "__self__", mode) is type(mode):
                    raise RuntimeError(
                        "Defining your mode's `__torch_dispatch__` as a classmethod is "
                        "not supported, please make it a plain method"
                    )
                result = ask(func, types, args, kwargs)
            else:
                result = rule(mode, func, types, args, kwargs)
        if result is not NotImplemented:
            return result
        asked.append(f"mode object {mode!r}")
    for operand in overloaded:
        rule = func._rules.get(type(operand))
        if rule is None:
            result = operand.__torch_dispatch__(func, types, args, kwargs)
        else:
            result = rule(type(operand), func, types, args, kwargs)
        if result is not NotImplemented:
            return result
        asked.append(f"tensor subclass {type(operand)!r}")
    raise TypeError(
        f"Multiple dispatch failed for '{name or f'{func.__module__}.{func.__name__}'}'"
        "; all __torch_dispatch__ handlers returned NotImplemented:\n\n"
        + "".join(f"  - {who}\n" for who in asked)
        + "\nFor more information, try re-running with TORCH_LOGS=not_implemented"
    )


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
        """Whether it is a compiler's; False unless a class says otherwise."""
        return False


def is_in_torch_dispatch_mode(include_infra_modes=True):
    """Is any mode on in this thread?

    Args:
        include_infra_modes: Whether those count that say so, by ``is_infra_mode()``.
    """
    return any(include_infra_modes or not m.is_infra_mode() for m in _stack.modes)


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


class _DisableTorchDispatch:
    """A block in which no class and no mode is asked."""

    def __init__(self):
        self._before = _C._set_dispatching_disabled(True), _stack.modes
        _set([])

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        disabled, modes = self._before
        _C._set_dispatching_disabled(disabled)
        _set(modes)


_C._DisableTorchDispatch = _DisableTorchDispatch


# --- wrappers ----------------------------------------------------------------


def is_traceable_wrapper_subclass(t):
    """Whether a tensor is of a class that says what it is made of.

    Such a class has ``__tensor_flatten__`` and ``__tensor_unflatten__``.
    """
    return isinstance(t, _C.TensorBase) and is_traceable_wrapper_subclass_type(type(t))


def is_traceable_wrapper_subclass_type(t):
    """The same, of the class."""
    from flashlight import Tensor

    return (
        issubclass(t, Tensor)
        and t is not Tensor
        and hasattr(t, "__tensor_flatten__")
        and hasattr(t, "__tensor_unflatten__")
    )


def transform_subclass(t, callback, outer_size=None, outer_stride=None):
    """A wrapper of the same class around what ``callback`` makes of each part.

    Args:
        t: A wrapper: see :func:`is_traceable_wrapper_subclass`.
        callback: ``callback(name, part)`` gives the part of the new one.
        outer_size, outer_stride: Of the new one; those of ``t`` by default.
    """
    size = t.size() if outer_size is None else outer_size
    stride = t.stride() if outer_stride is None else outer_stride
    names, context = t.__tensor_flatten__()
    parts = {name: callback(name, getattr(t, name)) for name in names}
    new = type(t).__tensor_unflatten__(parts, context, size, stride)
    for what, has, wanted in (
        ("shape", new.shape, size),
        ("stride", new.stride(), stride),
    ):
        if has != wanted:
            raise AssertionError(
                f"Expected return value from {type(t)}__tensor_unflatten__() to have "
                f"{what} equal to {wanted}, but got: {has}"
            )
    return new


def return_and_correct_aliasing(func, args, kwargs, out):
    """What a ``__torch_dispatch__`` is to return for ``out``, as the schema has it.

    Results of a view show the storage of the operand, and what an op has written to
    is the very operand. An op that changes the sizes of its operand in place does so.

    Args:
        func: The overload.
        args, kwargs: What it was called with.
        out: What the parts of the wrappers gave.
    """
    from flashlight import Tensor
    from flashlight._custom_ops import OpOverload

    if not isinstance(func, OpOverload):
        raise AssertionError(f"func must be an OpOverload, got {type(func)}")
    if not isinstance(args, tuple):
        raise AssertionError(f"args must be a tuple, got {type(args)}")
    schema = func._schema
    written = [a for a in schema.arguments if a.is_write]
    if not written and getattr(func, "is_view", False):
        for result in out if isinstance(out, (list, tuple)) else (out,):
            if not isinstance(result, Tensor):
                raise AssertionError(f"expected torch.Tensor, got {type(result)}")
            wrappers = map(is_traceable_wrapper_subclass, (args[0], result))
            if type(result) is not type(args[0]) and any(wrappers):
                raise AssertionError(
                    f"Called {func!s} with input of type {type(args[0])}\n"
                    f"and output of type {type(out)}. But expected types to match."
                )
            _C._share_storage(result, args[0])
        return out
    if not written:
        return out
    if getattr(func, "is_inplace_view", False):
        with _DisableTorchDispatch():
            func(*args, **kwargs)
    given = dict(zip((a.name for a in schema.arguments), args), **kwargs)
    # "Tensor(a!)": which argument a result is.
    by_alias = {a.alias: given[a.name] for a in written}
    marks = [re.search(r"\((\w+)!\)", text) for text in schema.returns]
    results = out if isinstance(out, (list, tuple)) else [out]
    results = [by_alias[m[1]] if m else r for m, r in zip(marks, results)]
    if not schema.returns:
        return out
    return results[0] if len(schema.returns) == 1 else type(out)(results)
