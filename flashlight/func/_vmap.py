"""``vmap``: a function of one example made one of a whole batch."""

import functools

import flashlight
from flashlight import _C
from flashlight.func._levels import batch_level, is_tensor
from flashlight.utils._pytree import (
    _broadcast_to_and_flatten,
    tree_flatten,
    tree_unflatten,
)

__all__ = ["vmap"]


def _name(func):
    return getattr(func, "__name__", repr(func))


def _flat_in_dims(func, in_dims, args):
    """The leaves of ``args``, the dimension of each, and their structure."""
    head = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{head}expected `in_dims` to be int or a (potentially nested) tuple "
            f"matching the structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({_name(func)})(<inputs>): got no inputs. Maybe you forgot to add "
            "inputs, or you are trying to vmap over a function with no inputs. The "
            "latter is unsupported."
        )
    leaves, spec = tree_flatten(args)
    dims = _broadcast_to_and_flatten(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{head}in_dims is not compatible with the structure of `inputs`. in_dims "
            f"has structure {tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    for i, (leaf, dim) in enumerate(zip(leaves, dims)):
        if dim is None:
            continue
        if not isinstance(dim, int):
            raise ValueError(
                f"{head}Got in_dim={dim} for an input but in_dim must be either an "
                "integer dimension or None."
            )
        if not is_tensor(leaf):
            raise ValueError(
                f"{head}Got in_dim={dim} for an input but the input is of type "
                f"{type(leaf)}. We cannot vmap over non-Tensor arguments, please use "
                "None as the respective in_dim"
            )
        if not -leaf.dim() <= dim < leaf.dim():
            raise ValueError(
                f"{head}Got in_dim={dim} for some input, but that input is a Tensor of "
                f"dimensionality {leaf.dim()} so expected in_dim to satisfy "
                f"-{leaf.dim()} <= in_dim < {leaf.dim()}."
            )
        dims[i] = dim % leaf.dim()
    return leaves, dims, spec


def _batch_size(leaves, dims):
    sizes = [x.size(d) for x, d in zip(leaves, dims) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(size != sizes[0] for size in sizes):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped "
            f"dimension, got sizes {sizes} for the mapped dimension"
        )
    return sizes[0]


def _flat_out_dims(func, out_dims, outputs, spec):
    name = _name(func)
    if is_tensor(outputs):
        if isinstance(out_dims, int):
            return [out_dims]
        if isinstance(out_dims, tuple) and len(out_dims) == 1:
            return list(out_dims)
    dims = _broadcast_to_and_flatten(out_dims, spec)
    if dims is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not "
            "compatible with the structure of `outputs`. out_dims has structure "
            f"{tree_flatten(out_dims)[1]} but outputs has structure {spec}."
        )
    return dims


def _check_out_dims(func, out_dims):
    for dim in tree_flatten(out_dims)[0]:
        if dim is not None and not isinstance(dim, int):
            raise ValueError(
                f"vmap({_name(func)}, ..., out_dims={out_dims}): `out_dims` must be an "
                "int, None or a python collection of ints representing where in the "
                "outputs the vmapped dimension should appear."
            )


def _take_out(func, level, output, dim):
    name = _name(func)
    if dim is None:
        if is_tensor(output):
            wrapped = _C._wrapped(output)
            if wrapped is not None and wrapped[0] is level:
                raise ValueError(
                    f"vmap({name}, ...): `{name}` can not return a BatchedTensor when "
                    "out_dim is None"
                )
        return output
    if not is_tensor(output):
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type "
            f"{type(output)}. Did you mean to set out_dims= to None for output?"
        )
    return _C._remove_batch_dim(level, output, dim)


def _run(func, leaves, dims, spec, size, out_dims, randomness, kwargs):
    """The flat outputs of the whole batch, and their dimensions and structure."""
    with batch_level(size, randomness) as level:
        inner = [
            x if d is None else _C._add_batch_dim(level, x, d)
            for x, d in zip(leaves, dims)
        ]
        outputs = func(*tree_unflatten(inner, spec), **kwargs)
        flat, out_spec = tree_flatten(outputs)
        to = _flat_out_dims(func, out_dims, outputs, out_spec)
        flat = [_take_out(func, level, x, d) for x, d in zip(flat, to)]
    return flat, to, out_spec


def _vmap_in_steps(func, in_dims, out_dims, randomness, step_of):
    """``vmap``, of ``step_of(size)`` entries of a batch at a time."""

    @functools.wraps(func, updated=())
    def batched(*args, **kwargs):
        _check_out_dims(func, out_dims)
        leaves, dims, spec = _flat_in_dims(func, in_dims, args)
        size = _batch_size(leaves, dims)
        step = max(step_of(size), 1)
        if step >= size:
            flat, _, out_spec = _run(
                func, leaves, dims, spec, size, out_dims, randomness, kwargs
            )
            return tree_unflatten(flat, out_spec)
        state = flashlight.get_rng_state() if randomness == "same" else None
        chunks = []
        for start in range(0, size, step):
            if state is not None:  # the same in all chunks
                flashlight.set_rng_state(state)
            n = min(step, size - start)
            part = [
                x if d is None else x.narrow(d, start, n) for x, d in zip(leaves, dims)
            ]
            flat, to, out_spec = _run(
                func, part, dims, spec, n, out_dims, randomness, kwargs
            )
            chunks.append(flat)
        joined = [
            xs[0] if d is None else flashlight.cat(xs, d)
            for xs, d in zip(zip(*chunks), to)
        ]
        return tree_unflatten(joined, out_spec)

    return batched


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """Return a function of batches: ``func`` of each of their entries.

    Args:
        func: of tensors (in trees of tuples, lists and dicts), to tensors.
        in_dims: for each input, the dimension of the batch, or ``None`` where all
            entries share it; an int stands for all.
        out_dims: for each output, where its batch dimension is to be.
        randomness: what random ops do: ``"error"``, ``"different"`` numbers for each
            entry, or the ``"same"``.
        chunk_size: so many entries at a time; ``None`` for all at once.

    Raises:
        ValueError: the dimensions do not fit the inputs or outputs.
        RuntimeError: a random op under ``"error"``, or a write into a tensor that all
            entries share.

    Example:
        >>> import flashlight as torch
        >>> x, y = torch.arange(6.0).view(2, 3), torch.ones(2, 3)
        >>> torch.vmap(torch.dot)(x, y)
        tensor([ 3., 12.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. "
            f"Got {randomness}"
        )
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(
            "vmap: chunk_size should be None or greater than 0. " f"(got {chunk_size})"
        )

    return _vmap_in_steps(
        func, in_dims, out_dims, randomness, lambda size: chunk_size or size
    )
