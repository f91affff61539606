"""``torch.return_types``: the classes of results that are tuples with names."""

import copyreg

from flashlight import _C, _utils

__all__ = list(_C._return_types)
all_return_types = list(_C._return_types.values())


def _repr(self):
    names = type(self).__match_args__
    fields = ",\n".join(f"{name}={value!r}" for name, value in zip(names, self))
    return f"torch.return_types.{type(self).__name__}(\n{fields})"


def _rebuild(name, values):
    return _C._return_types[name](values)


def _reduce(result):
    cls = type(result)
    make = (cls, ()) if _utils._is_served() else (_rebuild, (cls.__name__,))
    return make[0], (*make[1], tuple(result))


for _name, _cls in _C._return_types.items():
    _cls.__repr__ = _repr
    copyreg.pickle(_cls, _reduce)
    globals()[_name] = _cls
