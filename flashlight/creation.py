"""Tensors from Python and numpy values."""

import operator
import warnings

import numpy as np

from flashlight import _C, overrides
from flashlight.storage import UntypedStorage

# Those that have __dlpack__, and a way of their own.
_ARRAYS = (_C.TensorBase, np.ndarray, np.generic)


def _importable(data, dtype):
    """What the engine makes a tensor of."""
    if hasattr(data, "__dlpack__") and not isinstance(data, _ARRAYS):
        return from_dlpack(data)
    if isinstance(data, UntypedStorage):  # its bytes are elements of that dtype
        return data._storage._as_tensor(dtype or _C.int64)
    return data


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new leaf tensor with a copy of ``data``.

    Args:
        data: A number, nested sequences of numbers, a numpy array or a tensor.
        dtype: The element type; inferred from ``data`` if absent.
        device: Where it lives; the CPU if absent.
        requires_grad: Whether autograd records what is done with it.
        pin_memory: Has no meaning with unified memory; ``True`` raises.

    Example:
        >>> import flashlight
        >>> flashlight.tensor([1.0, 2.0])
        tensor([1., 2.])
    """
    if _C._len_torch_function_stack():  # modes alone see it, not subclasses
        given = {"dtype": dtype, "device": device}
        given = {name: value for name, value in given.items() if value is not None}
        if requires_grad:
            given["requires_grad"] = True
        return overrides.handle_torch_function(tensor, (), data, **given)
    if pin_memory:
        raise NotImplementedError("tensor(): pin_memory is not supported")
    if isinstance(data, _C.TensorBase):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than "
            "torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    data = _importable(data, dtype)
    return _C._tensor(data, dtype, device, requires_grad)


def from_numpy(ndarray):
    """A tensor that shares the memory of a numpy array.

    What is written to one shows in the other. A tensor of an array that lives on is
    slower than others: see the page on views.

    Raises:
        TypeError: ``ndarray`` is no numpy array, or one of another kind of element.
        ValueError: a stride is negative, or the byte order is not the machine's.

    Example:
        >>> import flashlight, numpy
        >>> array = numpy.zeros(2)
        >>> flashlight.from_numpy(array).add_(1)
        tensor([1., 1.], dtype=torch.float64)
        >>> array
        array([1., 1.])
    """
    return _C._from_numpy(ndarray)


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A tensor of one dimension with the bytes of a Python buffer.

    They share memory: what is written to one shows in the other.

    Args:
        buffer: An object with the buffer protocol: bytes, bytearray, array.array.
        dtype: The type of the elements.
        count: How many elements to take; all that are there if negative.
        offset: How many bytes to pass over at the beginning.
        requires_grad: Whether autograd records what is done with it.
    """
    if not isinstance(dtype, _C.dtype):
        raise TypeError(
            "frombuffer(): argument 'dtype' must be torch.dtype, not "
            f"{type(dtype).__name__}"
        )
    try:
        data = memoryview(buffer).cast("B")
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    count, offset = operator.index(count), operator.index(offset)
    size, width = len(data), dtype.itemsize
    if size == 0 or count == 0:
        raise ValueError(
            f"both buffer length ({size}) and count ({count}) must not be 0"
        )
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer "
            f"length ({size} bytes) minus 1"
        )
    if count < 0 and (size - offset) % width:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must "
            f"be a multiple of element size ({width})"
        )
    if count > 0 and count * width > size - offset:
        raise ValueError(
            f"requested buffer length ({count} * {width} bytes) after offset ({offset} "
            f"bytes) must not be greater than actual buffer length ({size} bytes)"
        )
    end = offset + count * width if count > 0 else size
    out = _C._from_buffer(np.frombuffer(data[offset:end], "uint8"), dtype)
    return out.requires_grad_() if requires_grad else out


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor that shares the memory of what has ``__dlpack__``, or of a capsule.

    Args:
        ext_tensor: An array of any library, or what its ``__dlpack__`` returned.
        device: Where the tensor is to live; copied if that is elsewhere.
        copy: ``True`` copies; ``False`` refuses where that would be needed.
    """
    if type(ext_tensor).__name__ == "PyCapsule":
        capsule = ext_tensor
    elif not hasattr(ext_tensor, "__dlpack__"):
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can "
            "be consumed only once, so you might have already constructed a tensor "
            "from it once."
        )
    else:
        try:
            capsule = ext_tensor.__dlpack__(max_version=(1, 0))
        except TypeError:  # of the protocol before it had versions
            capsule = ext_tensor.__dlpack__()
    out = _C._from_dlpack(capsule)
    if copy:
        out = out.clone()
    return out if device is None else out.to(device)


def _from_array(array, dtype, device, copy):
    """A tensor of a numpy array, sharing its memory unless that must be another."""
    if copy:
        return _C._tensor(array, dtype, device)
    out = _C._from_numpy(array)
    if copy is False and dtype not in (None, out.dtype):
        names = [_C._scalar_name(d) for d in (out.dtype, dtype)]
        raise ValueError(
            f"can't alias tensor with dtype '{names[0]}' into dtype '{names[1]}'."
        )
    return out.to(device=device or out.device, dtype=dtype or out.dtype)


def as_tensor(data, dtype=None, device=None):
    """``data`` itself if it is a tensor that fits, else a tensor of its values.

    A numpy array's memory is shared where dtype and device are its own.
    """
    if isinstance(data, _C.TensorBase):
        return data.to(device=device or data.device, dtype=dtype or data.dtype)
    if isinstance(data, np.ndarray):
        return _from_array(data, dtype, device, None)
    if hasattr(data, "__dlpack__") and not isinstance(data, _ARRAYS):
        out = from_dlpack(data)
        return out.to(device=device or out.device, dtype=dtype or out.dtype)
    return _C._tensor(data, dtype, device)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """A tensor of ``obj``, sharing its memory where ``copy`` and dtype allow it.

    Args:
        obj: A tensor, numpy array, scalar, DLPack object, buffer, or nested sequences.
        dtype: The element type; ``obj``'s own if absent.
        device: Where it lives; where ``obj`` does if absent.
        copy: ``True`` always copies; ``False`` refuses where it must.
        requires_grad: Whether autograd records what is done with the result.
    """
    if isinstance(obj, _C.TensorBase):
        out = obj.to(device=device or obj.device, dtype=dtype or obj.dtype)
        if copy and out is obj:
            out = obj.clone()
        if copy is False and out is not obj:
            raise ValueError("can't alias tensor with another dtype or device")
        if not requires_grad:
            return out.detach() if out.requires_grad else out
        return out if out.requires_grad else out.detach().requires_grad_()
    if isinstance(obj, np.ndarray):
        out = _from_array(obj, dtype, device, copy)
        return out.requires_grad_() if requires_grad else out
    if isinstance(obj, np.generic):
        pass
    elif hasattr(obj, "__dlpack__") or type(obj).__name__ == "PyCapsule":
        out = from_dlpack(obj, device=device, copy=copy).to(dtype=dtype)
        return out.requires_grad_() if requires_grad else out
    elif _has_buffer(obj):
        out = frombuffer(obj, dtype=dtype or _C.get_default_dtype()).to(device or "cpu")
        out = out.clone() if copy else out
        return out.requires_grad_() if requires_grad else out
    elif copy is False:
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    return _C._tensor(obj, dtype, device, requires_grad)


def _has_buffer(obj):
    try:
        memoryview(obj)
    except TypeError:
        return False
    return True


def _enter_device(device):
    set_default_device(device)
    return device


def _leave_device(device, exc_type, exc, tb):
    set_default_device(None)


# `with torch.device("cpu"):` makes it the default device.
_C.device.__enter__ = _enter_device
_C.device.__exit__ = _leave_device


def set_default_device(device):
    """Only the CPU can be the default device yet."""
    if device is not None and _C.device(device).type != "cpu":
        raise NotImplementedError(
            f"set_default_device({device!r}): only 'cpu' is supported"
        )
