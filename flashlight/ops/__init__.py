"""Every native function, as ``flashlight.<name>``.

The names are those of the op table (``flashlight._C._functions``); nothing is listed
twice.
"""

from flashlight import _C

__all__ = [
    name
    for name in vars(_C._VariableFunctions)
    if not name.startswith("__")
    and name not in ("alias", "index", "slice", "unique_dim")
]
globals().update({name: getattr(_C._VariableFunctions, name) for name in __all__})
_segment_reduce = _C._VariableFunctions.segment_reduce


def __getattr__(name):
    """``aten``, and the namespaces of operators that a program defines."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "aten":
        from flashlight._aten import aten

        return aten
    from flashlight._custom_ops import Namespace

    space = globals()[name] = Namespace(name)
    return space
