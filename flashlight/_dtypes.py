"""``float32``, ``int64`` and the other dtypes, with PyTorch's aliases."""

from flashlight import _C

_ALIASES = ("float", "double", "half", "int", "long", "short", "cfloat", "chalf")
_ALIASES += ("cdouble",)

__all__ = [repr(d).removeprefix("torch.") for d in _C._dtypes]
__all__ += [name for name in _ALIASES if hasattr(_C, name)]

for _name in __all__:
    globals()[_name] = getattr(_C, _name)
