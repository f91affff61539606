"""``FloatTensor`` and the like: PyTorch's tensor types of old, one a dtype."""

from flashlight import _C, info
from flashlight.tensor import _of_data

__all__ = []


class _TypeOfOld(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, _C.TensorBase) and instance.dtype is cls.dtype


def _new(cls, *args):
    from flashlight import empty

    if len(args) == 1 and not isinstance(args[0], int):
        if type(args[0]).__name__ == "Size":
            return empty(args[0], dtype=cls.dtype)
        if isinstance(args[0], _C.TensorBase) and args[0].dtype is not cls.dtype:
            raise TypeError(
                f"expected Tensor of dtype {cls.dtype}, but got {args[0].dtype}"
            )
        return _of_data(args[0], cls.dtype)
    return empty(args or (0,), dtype=cls.dtype)


for _dtype in _C._dtypes:
    _name = info._TYPE_NAMES.get(repr(_dtype).removeprefix("torch."))
    if _name is not None and not _name.startswith("UInt"):
        globals()[_name] = _TypeOfOld(
            _name, (), {"dtype": _dtype, "__module__": "torch", "__new__": _new}
        )
        __all__.append(_name)
