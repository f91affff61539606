"""``vmap``, and it with the dimensions of batches given back."""

from flashlight import _C
from flashlight.func._levels import batch_level, is_tensor
from flashlight.func._vmap import vmap
from flashlight.utils._pytree import (
    _broadcast_to_and_flatten,
    tree_flatten,
    tree_unflatten,
)

__all__ = ["restore_vmap", "vmap"]


def restore_vmap(func, in_dims, batch_size, randomness):
    """Return a function of batches to the outputs and their batch dimensions.

    Args:
        func: of tensors, to tensors.
        in_dims: for each input, the dimension of the batch, or ``None``.
        batch_size: of the batch, which no input need have.
        randomness: as of ``vmap``.

    Returns:
        a function that gives ``(outputs, out_dims)``; the dimension is ``None`` where
        an output does not depend on a batched input.
    """

    def run(*args, **kwargs):
        with batch_level(batch_size, randomness) as level:
            leaves, spec = tree_flatten(args)
            dims = _broadcast_to_and_flatten(in_dims, spec)
            if dims is None:
                raise ValueError(f"in_dims={in_dims} do not fit the inputs: {spec}")
            inner = [
                x if d is None else _C._add_batch_dim(level, x, d)
                for x, d in zip(leaves, dims)
            ]
            outputs = func(*tree_unflatten(inner, spec), **kwargs)
            flat, out_spec = tree_flatten(outputs)
            pairs = [_taken_out(level, x) for x in flat]
        return tuple(tree_unflatten(list(part), out_spec) for part in _apart(pairs))

    return run


def _apart(pairs):
    return ([value for value, _ in pairs], [dim for _, dim in pairs])


def _taken_out(level, x):
    wrapped = _C._wrapped(x) if is_tensor(x) else None
    if wrapped is None or wrapped[0].depth != level.depth:
        return x, None
    return wrapped[1], wrapped[2]
