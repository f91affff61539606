"""Special functions: the native functions under their public names."""

from flashlight import _C

_PREFIX = "special_"
__all__ = [
    name.removeprefix(_PREFIX)
    for name in vars(_C._special)
    if name.startswith(_PREFIX) and not name.endswith("_")
]
globals().update({name: getattr(_C._special, _PREFIX + name) for name in __all__})
