"""How objects with tensors cross a process boundary.

Tensors travel as numpy arrays inside a pickle. This file is the only one that knows,
so shared memory can take the place of the copies.
"""

import io
import pickle
from multiprocessing.reduction import ForkingPickler

import flashlight
from flashlight.multiprocessing.reductions import check_no_history

# numpy has no such dtype: the bits travel as integers.
_BITS = {"torch.bfloat16": "int16"}


def _rebuild_tensor(array, dtype: str, device: str, requires_grad: bool):
    tensor = flashlight.from_numpy(array)
    if dtype in _BITS:
        tensor = tensor.view(getattr(flashlight, dtype.removeprefix("torch.")))
    if device != "cpu":
        tensor = tensor.to(device)
    return tensor.requires_grad_(requires_grad)


def _reduce_tensor(tensor):
    check_no_history(tensor)
    dtype = str(tensor.dtype)
    values = tensor.detach().cpu()
    if dtype in _BITS:
        values = values.contiguous().view(getattr(flashlight, _BITS[dtype]))
    args = (values.numpy(), dtype, str(tensor.device), tensor.requires_grad)
    return _rebuild_tensor, args


class _Pickler(ForkingPickler):
    def reducer_override(self, obj):
        if type(obj) is flashlight.Tensor:
            return _reduce_tensor(obj)
        return NotImplemented


def encode(obj) -> bytes:
    """Return ``obj`` as bytes."""
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(obj)
    return buffer.getvalue()


def decode(data: bytes):
    """Return the object that :func:`encode` was given."""
    return pickle.loads(data)
