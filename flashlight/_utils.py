"""What pickled tensors call to be built again, under PyTorch's names."""

import sys

from flashlight import _C

# What a file of weights may call, by name.
REBUILD_FUNCTIONS = (
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
    "_rebuild_device_tensor_from_cpu_tensor",
    "_rebuild_device_tensor_from_numpy",
    "_rebuild_sparse_tensor",
    "_rebuild_qtensor",
    "_rebuild_nested_tensor",
    "_rebuild_meta_tensor_no_storage",
    "_rebuild_wrapper_subclass",
)


def _element_size(dtype):
    """Bytes an element."""
    return dtype.itemsize


def _is_privateuse1_backend_available():
    """Whether there is a device of the user's own: no."""
    return False


def _is_served():
    """Whether ``torch`` is flashlight in this process: pickles then say torch."""
    return sys.modules.get("torch") is sys.modules["flashlight"]


def _named(name):
    """What flashlight has as ``name``: pickles call it where torch is not served."""
    import flashlight

    return getattr(flashlight, name)


def _op_function(module, name):
    from flashlight import _pickling

    return _pickling.find(module, name)


def _device(*args):
    return _C.device(*args)


def _size(sizes):
    import flashlight

    return flashlight.Size(sizes)


def _set_storage(tensor, storage, offset, size, stride):
    """``tensor.set_(...)`` that never reaches beyond the storage."""
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError(
            f"unequal size length ({len(size)}) and stride length ({len(stride)})"
        )
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    if any(n < 0 for n in size) or any(n < 0 for n in stride):
        raise RuntimeError("as_strided: Negative sizes and strides are not supported")
    untyped = storage.untyped()
    if 0 not in size:
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        needed = (last + 1) * tensor.dtype.itemsize
        if needed > untyped.nbytes():
            raise RuntimeError(
                f"setStorage: sizes {list(size)}, strides {list(stride)}, storage "
                f"offset {offset}, and itemsize {tensor.dtype.itemsize} requiring a "
                f"storage size of {needed} are out of bounds for storage of size "
                f"{untyped.nbytes()}"
            )
    _C._set_storage(tensor, untyped._storage, offset, size, stride)


def _tensor_of(storage, dtype, storage_offset, size, stride):
    import flashlight

    out = flashlight.empty(0, dtype=dtype, device=storage.device)
    _set_storage(out, storage, storage_offset, size, stride)
    return out


def _with_bits(tensor, requires_grad, metadata):
    for name, value in (metadata or {}).items():
        if name == "conj" and value:
            tensor = _C._VariableFunctions.conj(tensor)
        elif name == "neg" and value:
            tensor = _C._VariableFunctions._neg_view(tensor)
    tensor = tensor.detach()
    tensor.requires_grad = requires_grad
    return tensor


def _rebuild_tensor(storage, storage_offset, size, stride):
    return _tensor_of(storage, storage.dtype, storage_offset, size, stride)


def _rebuild_tensor_v2(
    storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None
):
    tensor = _rebuild_tensor(storage, storage_offset, size, stride)
    return _with_bits(tensor, requires_grad, metadata)


def _rebuild_tensor_v3(
    storage,
    storage_offset,
    size,
    stride,
    requires_grad,
    backward_hooks,
    dtype,
    metadata=None,
):
    tensor = _tensor_of(storage, dtype, storage_offset, size, stride)
    return _with_bits(tensor, requires_grad, metadata)


def _rebuild_parameter(data, requires_grad, backward_hooks):
    from flashlight.nn import Parameter

    return Parameter(data, requires_grad)


def _rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    parameter = _rebuild_parameter(data, requires_grad, backward_hooks)
    return _set_obj_state(parameter, state)


def _set_obj_state(obj, state):
    if isinstance(state, tuple):
        if len(state) != 2:
            raise RuntimeError(f"Invalid serialized state: {state}")
        attributes, slots = state
    else:
        attributes, slots = state, None
    obj.__dict__.update(attributes or {})
    for name, value in (slots or {}).items():
        setattr(obj, name, value)
    return obj


def _rebuild_device_tensor_from_cpu_tensor(data, dtype, device, requires_grad):
    tensor = data.to(dtype=dtype, device=device)
    tensor.requires_grad = requires_grad
    return tensor


def _rebuild_device_tensor_from_numpy(data, dtype, device, requires_grad):
    tensor = _C._from_numpy(data).to(dtype=dtype, device=device)
    tensor.requires_grad = requires_grad
    return tensor


def _unsupported(name, what):
    def rebuild(*args):
        raise NotImplementedError(f"the file holds a {what}: not supported")

    rebuild.__name__ = rebuild.__qualname__ = name
    return rebuild


_rebuild_sparse_tensor = _unsupported("_rebuild_sparse_tensor", "sparse tensor")
_rebuild_qtensor = _unsupported("_rebuild_qtensor", "quantized tensor")
_rebuild_nested_tensor = _unsupported("_rebuild_nested_tensor", "nested tensor")
_rebuild_meta_tensor_no_storage = _unsupported(
    "_rebuild_meta_tensor_no_storage", "tensor on the meta device"
)


def _rebuild_wrapper_subclass(
    cls, dtype, size, stride, storage_offset, layout, device, requires_grad
):
    from flashlight import Tensor

    return Tensor._make_wrapper_subclass(
        cls,
        size,
        strides=stride,
        storage_offset=storage_offset,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )
