"""The older ``vmap``, which sees only ops: also those inside custom Functions."""

import functools
import warnings

from flashlight import _C
from flashlight.autograd.function import _of_parts
from flashlight.func._levels import batch_level, is_tensor
from flashlight.func._vmap import _batch_size, _flat_in_dims, _name
from flashlight.utils._pytree import tree_unflatten

__all__ = ["vmap"]

# Whether it tells of ops that run one entry of the batch after another.
_tells = False


def _set_tells(on):
    global _tells
    _tells = bool(on)


_C._debug_only_are_vmap_fallback_warnings_enabled = lambda: _tells
_C._debug_only_display_vmap_fallback_warnings = _set_tells


def vmap(func, in_dims=0, out_dims=0):
    """Deprecated: :func:`flashlight.vmap`, of tensors to a tensor or a tuple of them.

    Args:
        func: of tensors (in trees of tuples, lists and dicts).
        in_dims: for each input, the dimension of the batch, or ``None``.
        out_dims: for each output, where its batch dimension is to be.

    Raises:
        ValueError: the dimensions do not fit the inputs or outputs.
    """
    warnings.warn(
        "Please use `torch.vmap` instead of `torch._vmap_internals.vmap`.",
        FutureWarning,
        stacklevel=2,
    )
    return _vmap(func, in_dims, out_dims)


def _vmap(func, in_dims=0, out_dims=0, allow_none_pass_through=False):
    """As :func:`flashlight.vmap`, of ``func`` whose outputs may be ``None``.

    Custom Functions need no ``setup_context`` or ``vmap`` in it.
    """

    @functools.wraps(func)
    def run(*args):
        _check_out_dims(func, out_dims)
        leaves, dims, spec = _flat_in_dims(func, in_dims, args)
        size = _batch_size(leaves, dims)
        token = _of_parts.set(True)
        told = _C._is_vmap_fallback_warning_enabled()
        _C._set_vmap_fallback_warning_enabled(_tells)
        try:
            with batch_level(size, "error") as level:
                inner = [
                    x if d is None else _C._add_batch_dim(level, x, d)
                    for x, d in zip(leaves, dims)
                ]
                outputs = func(*tree_unflatten(inner, spec))
                to = _dims_of(func, out_dims, outputs, allow_none_pass_through)
                found = tuple(
                    y if y is None else _C._remove_batch_dim(level, y, d)
                    for y, d in zip(_tuple(outputs), to)
                )
        finally:
            _C._set_vmap_fallback_warning_enabled(told)
            _of_parts.reset(token)
        return found if isinstance(outputs, tuple) else found[0]

    return run


def _check_out_dims(func, out_dims):
    dims = out_dims if isinstance(out_dims, tuple) else (out_dims,)
    if not all(isinstance(d, int) for d in dims):
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={out_dims}): `out_dims` must be an int "
            "or a tuple of int representing where in the outputs the vmapped dimension "
            "should appear."
        )


def _dims_of(func, out_dims, outputs, none_too):
    """The dimensions of the outputs: tensors, or ``None`` where that may be."""
    head = f"vmap({_name(func)}, ...): `{_name(func)}` must only return Tensors, got "
    if not (isinstance(outputs, tuple) or is_tensor(outputs)):
        raise ValueError(f"{head}type {type(outputs)} as the return.")
    flat = _tuple(outputs)
    for i, y in enumerate(flat):
        if not (is_tensor(y) or (none_too and y is None)):
            raise ValueError(f"{head}type {type(y)} for return {i}.")
    dims = out_dims if isinstance(out_dims, tuple) else (out_dims,) * len(flat)
    if len(dims) != len(flat):
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={out_dims}): `out_dims` must have one "
            f"dim per output (got {len(flat)} outputs) of {_name(func)}."
        )
    return dims


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)
