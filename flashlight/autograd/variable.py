"""``Variable``: a tensor, since long ago."""

from flashlight import _C
from flashlight.tensor import Tensor


class _VariableMeta(type):
    def __instancecheck__(cls, other):
        return isinstance(other, Tensor)


class _Engine:
    """What programs ask of the engine: a call at the end of the running backward."""

    queue_callback = staticmethod(_C._queue_callback)


class Variable(metaclass=_VariableMeta):
    """``Variable(tensor)`` is the tensor."""

    _execution_engine = _Engine()

    def __new__(cls, data, requires_grad=False):
        out = data.detach() if isinstance(data, _C.TensorBase) else _C._tensor(data)
        return out.requires_grad_(requires_grad) if requires_grad else out
