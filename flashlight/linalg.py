"""Linear algebra: the native functions under their public names."""

from flashlight import _C

LinAlgError = _C._LinAlgError

_PREFIX = "linalg_"
__all__ = [
    name.removeprefix(_PREFIX)
    for name in vars(_C._linalg)
    if name.startswith(_PREFIX) and not name.endswith("_")
]
globals().update({name: getattr(_C._linalg, _PREFIX + name) for name in __all__})
__all__.append("LinAlgError")
