"""The older ``vmap``, which sees only ops: also those inside custom Functions."""

import functools

from flashlight.autograd.function import _of_parts
from flashlight.func._vmap import vmap

__all__ = ["vmap"]


def _vmap(func, in_dims=0, out_dims=0, allow_none_pass_through=False):
    """As :func:`flashlight.vmap`, of ``func`` whose outputs may be ``None``.

    Custom Functions need no ``setup_context`` or ``vmap`` in it.
    """

    @functools.wraps(func)
    def run(*args):
        token = _of_parts.set(True)
        try:
            if not allow_none_pass_through:
                return vmap(func, in_dims, out_dims)(*args)
            return _with_nones(func, in_dims, out_dims, args)
        finally:
            _of_parts.reset(token)

    return run


def _with_nones(func, in_dims, out_dims, args):
    """``vmap`` of what is there; ``None`` where ``func`` gives that."""
    there = []

    def some(*entries):
        outputs = func(*entries)
        there[:] = [o is not None for o in _tuple(outputs)]
        there.append(isinstance(outputs, tuple))
        return tuple(o for o in _tuple(outputs) if o is not None)

    found = iter(vmap(some, in_dims, out_dims)(*args))
    *there, many = there
    outputs = tuple(next(found) if is_there else None for is_there in there)
    return outputs if many else outputs[0]


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)
