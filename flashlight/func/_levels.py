"""Scopes of the engine's transform levels, and trees of tensors at them."""

import contextlib

from flashlight import _C
from flashlight.utils._pytree import tree_map


def is_tensor(x):
    return isinstance(x, _C.TensorBase)


@contextlib.contextmanager
def autograd_level():
    """A level with a tape of its own: what ``grad``, ``vjp`` and ``jvp`` run in."""
    level = _C._push_autograd_level()
    try:
        yield level
    finally:
        _C._pop_level(level)


@contextlib.contextmanager
def batch_level(size, randomness):
    """A level whose tensors stand for the entries of a batch of ``size``."""
    level = _C._push_batch_level(size, randomness)
    try:
        yield level
    finally:
        _C._pop_level(level)


@contextlib.contextmanager
def dual_level():
    """A scope in which tensors may have tangents."""
    _C._enter_dual_level()
    try:
        yield
    finally:
        _C._exit_dual_level()


def wrap(level, tree):
    """Tensors of the level in place of those of a tree."""
    return tree_map(lambda x: _C._wrap_at(level, x) if is_tensor(x) else x, tree)


def unwrap(level, tree):
    """What the tensors of a tree stand for one level down."""
    return tree_map(lambda x: _C._unwrap_at(level, x) if is_tensor(x) else x, tree)


def debug_unwrap(tensor, *, recurse=True):
    """Return what a tensor inside a transform stands for, for looking at it.

    Args:
        tensor: of any level; others are returned as they are.
        recurse: go on down to a tensor of no level.
    """
    wrapped = _C._wrapped(tensor)
    while wrapped is not None:
        tensor = wrapped[1]
        wrapped = _C._wrapped(tensor) if recurse else None
    return tensor
