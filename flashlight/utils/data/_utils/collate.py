"""Collating: from a list of samples to a batch."""

import collections
import contextlib
import copy
import re

import flashlight

np_str_obj_array_pattern = re.compile(r"[SaUO]")

default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or "
    "lists; found {}"
)


def _is_numpy(data, *names: str) -> bool:
    cls = type(data)
    return cls.__module__ == "numpy" and cls.__name__ not in ("str_", "string_")


def _rebuild(like, values):
    """Return a container of the type of ``like`` with ``values`` in it."""
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return type(like)(*values)
    return type(like)(values)


def default_convert(data):
    """Turn numpy arrays into tensors, in containers too; leave the rest.

    Args:
        data: A sample.
    """
    if isinstance(data, flashlight.Tensor):
        return data
    if _is_numpy(data):
        is_array = type(data).__name__ == "ndarray"
        if is_array and np_str_obj_array_pattern.search(data.dtype.str) is not None:
            return data
        return flashlight.as_tensor(data)
    if isinstance(data, collections.abc.Mapping):
        return _collate_mapping(data, lambda key: default_convert(data[key]))
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(d) for d in data))
    if isinstance(data, tuple):
        return [default_convert(d) for d in data]
    if isinstance(data, collections.abc.Sequence) and not isinstance(
        data, (str, bytes)
    ):
        return _collate_sequence(data, [default_convert(d) for d in data])
    return data


def _collate_mapping(elem, value_of):
    """Return a mapping like ``elem`` with values from ``value_of``."""
    values = {key: value_of(key) for key in elem}
    with contextlib.suppress(TypeError):
        # The type may not take a dict.
        if isinstance(elem, collections.abc.MutableMapping):
            clone = copy.copy(elem)
            clone.update(values)
            return clone
        return type(elem)(values)
    return values


def _collate_sequence(elem, values):
    """Return a sequence like ``elem`` with the given values."""
    with contextlib.suppress(TypeError):
        # The type may not take an iterable, or not set items.
        if isinstance(elem, collections.abc.MutableSequence):
            clone = copy.copy(elem)
            for i, value in enumerate(values):
                clone[i] = value
            return clone
        if not isinstance(elem, range):
            return type(elem)(values)
    return values


def collate(batch, *, collate_fn_map=None):
    """Collate a batch with a function for each type of its elements.

    Args:
        batch: Samples.
        collate_fn_map: Functions by type or tuple of types; containers are entered.
    """
    elem = batch[0]
    elem_type = type(elem)
    if collate_fn_map is not None:
        if elem_type in collate_fn_map:
            return collate_fn_map[elem_type](batch, collate_fn_map=collate_fn_map)
        for collate_type, fn in collate_fn_map.items():
            if isinstance(elem, collate_type):
                return fn(batch, collate_fn_map=collate_fn_map)

    def of(samples):
        return collate(samples, collate_fn_map=collate_fn_map)

    if isinstance(elem, collections.abc.Mapping):
        return _collate_mapping(elem, lambda key: of([d[key] for d in batch]))
    if isinstance(elem, tuple) and hasattr(elem, "_fields"):
        return elem_type(*(of(samples) for samples in zip(*batch)))
    if isinstance(elem, collections.abc.Sequence):
        if not all(len(other) == len(elem) for other in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        values = [of(samples) for samples in zip(*batch)]
        if isinstance(elem, tuple):
            return values
        return _collate_sequence(elem, values)
    raise TypeError(default_collate_err_msg_format.format(elem_type))


def collate_tensor_fn(batch, *, collate_fn_map=None):
    """Stack tensors."""
    elem = batch[0]
    if elem.layout != flashlight.strided:
        raise RuntimeError(
            "Batches of sparse tensors are not currently supported by the default "
            "collate_fn; please provide a custom collate_fn to handle them "
            "appropriately."
        )
    return flashlight.stack(batch, 0)


def collate_numpy_array_fn(batch, *, collate_fn_map=None):
    """Stack arrays as tensors."""
    elem = batch[0]
    if np_str_obj_array_pattern.search(elem.dtype.str) is not None:
        raise TypeError(default_collate_err_msg_format.format(elem.dtype))
    return collate(
        [flashlight.as_tensor(b) for b in batch], collate_fn_map=collate_fn_map
    )


def collate_numpy_scalar_fn(batch, *, collate_fn_map=None):
    """Make a tensor of numpy scalars."""
    return flashlight.as_tensor(batch)


def collate_float_fn(batch, *, collate_fn_map=None):
    """Make a float64 tensor of floats."""
    return flashlight.tensor(batch, dtype=flashlight.float64)


def collate_int_fn(batch, *, collate_fn_map=None):
    """Make a tensor of integers."""
    return flashlight.tensor(batch)


def collate_str_fn(batch, *, collate_fn_map=None):
    """Leave strings in their list."""
    return batch


default_collate_fn_map: dict = {
    flashlight.Tensor: collate_tensor_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}
with contextlib.suppress(ImportError):
    import numpy as np

    default_collate_fn_map[np.ndarray] = collate_numpy_array_fn
    default_collate_fn_map[(np.bool_, np.number, np.object_)] = collate_numpy_scalar_fn


def default_collate(batch):
    """Make a batch of samples: stack tensors and arrays, enter containers.

    Args:
        batch: Samples.

    Examples:
        >>> default_collate([(0, 1.5), (2, 3.5)])
        [tensor([0, 2]), tensor([1.5000, 3.5000], dtype=torch.float64)]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
