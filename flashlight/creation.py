"""Tensors from Python and numpy values."""

import warnings

from flashlight import _C


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
    return _C._tensor(data, dtype, device, requires_grad)


def from_numpy(ndarray):
    """A tensor with the values of a numpy array.

    The values are copied: writing to the array later does not change the tensor.
    """
    return _C._from_numpy(ndarray)


def as_tensor(data, dtype=None, device=None):
    """``data`` itself if it is a tensor that fits, else a tensor of its values."""
    if isinstance(data, _C.TensorBase):
        return data.to(device=device or data.device, dtype=dtype or data.dtype)
    return _C._tensor(data, dtype, device)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """A tensor of ``obj``, sharing where it is a tensor and ``copy`` allows it."""
    if isinstance(obj, _C.TensorBase):
        out = obj.to(device=device or obj.device, dtype=dtype or obj.dtype)
        if copy and out is obj:
            out = obj.clone()
        if copy is False and out is not obj:
            raise ValueError("can't alias tensor with another dtype or device")
        if not requires_grad:
            return out.detach() if out.requires_grad else out
        return out if out.requires_grad else out.detach().requires_grad_()
    if copy is False:
        raise ValueError("can't alias arbitrary sequence or numpy array into a tensor.")
    return _C._tensor(obj, dtype, device, requires_grad)


def set_default_device(device):
    """Only the CPU can be the default device yet."""
    if device is not None and _C.device(device).type != "cpu":
        raise NotImplementedError(
            f"set_default_device({device!r}): only 'cpu' is supported"
        )
