"""Fourier transforms: the native functions under their public names."""

from flashlight import _C

_PREFIX = "fft_"
__all__ = [
    name.removeprefix(_PREFIX)
    for name in vars(_C._fft)
    if name.startswith(_PREFIX) and not name.endswith("_")
]
globals().update({name: getattr(_C._fft, _PREFIX + name) for name in __all__})
