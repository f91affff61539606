"""Settings of the process, and numbers that a compiler could leave open.

What they choose between is the same here: ops on the CPU are deterministic, products
of float32 have float32's digits, and no number is open.
"""

import builtins as _builtins
import math as _math
import warnings as _warnings

from flashlight import _C

__all__ = [
    "are_deterministic_algorithms_enabled",
    "get_default_device",
    "get_deterministic_debug_mode",
    "get_device_module",
    "get_float32_matmul_precision",
    "is_deterministic_algorithms_warn_only_enabled",
    "is_warn_always_enabled",
    "set_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "set_flush_denormal",
    "set_warn_always",
    "sym_float",
    "sym_int",
    "sym_ite",
    "sym_max",
    "sym_min",
    "sym_not",
    "sym_sqrt",
    "sym_sum",
    "use_deterministic_algorithms",
]

_chosen = {"deterministic": 0, "precision": "highest", "fill": True}
_MODES = {"default": 0, "warn": 1, "error": 2}
_PRECISIONS = ("highest", "high", "medium")


def _choose(**what):
    _chosen.update(what)
    _C._set_fills_unwritten(_chosen["deterministic"] > 0 and _chosen["fill"])


def _set_fill(mode):
    if not isinstance(mode, bool):
        raise RuntimeError(f"expected a bool, but got {type(mode).__name__}")
    _choose(fill=mode)


_C._set_deterministic_fill_uninitialized_memory = _set_fill
_C._get_deterministic_fill_uninitialized_memory = lambda: _chosen["fill"]


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Whether ops must give the same bits each time; they do so anyway.

    Args:
        mode: True or False.
        warn_only: Whether an op that cannot would warn, or raise.
    """
    if not isinstance(mode, bool):
        raise TypeError(
            "_set_deterministic_algorithms(): argument 'mode' (position 1) must be "
            f"bool, not {type(mode).__name__}"
        )
    if not isinstance(warn_only, bool):
        raise TypeError(
            "_set_deterministic_algorithms(): argument 'warn_only' must be bool, not "
            + type(warn_only).__name__
        )
    _choose(deterministic=(1 if warn_only else 2) if mode else 0)


def are_deterministic_algorithms_enabled():
    """Whether :func:`use_deterministic_algorithms` was asked for."""
    return _chosen["deterministic"] > 0


def is_deterministic_algorithms_warn_only_enabled():
    """Whether it was asked for with `warn_only`."""
    return _chosen["deterministic"] == 1


def set_deterministic_debug_mode(debug_mode):
    """:func:`use_deterministic_algorithms` by a number or a name.

    Args:
        debug_mode: 0 or ``"default"``, 1 or ``"warn"``, 2 or ``"error"``.
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _MODES:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, "
                f"`error`, but got {debug_mode}"
            )
        debug_mode = _MODES[debug_mode]
    if debug_mode not in _MODES.values():
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}"
        )
    _choose(deterministic=int(debug_mode))


def get_deterministic_debug_mode():
    """0, 1 or 2: see :func:`set_deterministic_debug_mode`."""
    return _chosen["deterministic"]


def set_float32_matmul_precision(precision):
    """How many digits products of float32 may lose; on the CPU they lose none.

    Args:
        precision: ``"highest"``, ``"high"`` or ``"medium"``; others leave it as it is.
    """
    if not isinstance(precision, str):
        raise RuntimeError(
            "set_float32_matmul_precision expects a str, but got "
            f"{type(precision).__name__}"
        )
    if precision not in _PRECISIONS:
        _warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current "
            "setFloat32MatmulPrecision call has no effect.",
            stacklevel=2,
        )
        return
    _chosen["precision"] = precision


def get_float32_matmul_precision():
    """What :func:`set_float32_matmul_precision` was given last."""
    return _chosen["precision"]


def set_flush_denormal(mode):
    """Denormal numbers are kept; False says that this is not to be had."""
    return False


def get_default_device():
    """Where tensors are made unless a call says otherwise."""
    return _C.device("cpu")


def get_device_module(device=None):
    """The module of a kind of device: ``torch.cpu``, ``torch.cuda``...

    Args:
        device: A device or its name; the default device if None.

    Raises:
        RuntimeError: there is no such module.
    """
    import flashlight

    if isinstance(device, _C.device):
        kind = device.type
    elif isinstance(device, str):
        kind = _C.device(device).type
    elif device is None:
        kind = get_default_device().type
    else:
        raise RuntimeError(
            f"Invalid value of device '{device}', expect torch.device, str, or None"
        )
    module = getattr(flashlight, kind, None)
    if module is None:
        raise RuntimeError(
            f"Device '{kind}' does not have a corresponding module registered as "
            f"'torch.{kind}'."
        )
    return module


def sym_int(a):
    """`a` without its fraction."""
    return int(a)


def sym_float(a):
    """`a` as a float."""
    return float(a)


def sym_not(a):
    """Not `a`."""
    return not a


def sym_sqrt(a):
    """The square root."""
    return _math.sqrt(a)


def sym_ite(b, t, f):
    """`t` if `b`, else `f`, which are of one type."""
    if not isinstance(b, bool) or type(t) is not type(f):
        raise AssertionError(
            f"expected a bool and two of one type, got {type(b)}, {type(t)}, {type(f)}"
        )
    return t if b else f


def sym_sum(args):
    """The sum of numbers."""
    return _builtins.sum(args)


def _both(a, b, pick):
    for x in (a, b):
        if not isinstance(x, (int, float)) and type(x).__module__ != "numpy":
            raise AssertionError(f"expected a number, got {type(x)}")
    # A float beside makes one of an int.
    return (
        float(pick(a, b))
        if isinstance(a, float) or isinstance(b, float)
        else pick(a, b)
    )


def sym_max(a, b):
    """The greater of two numbers; a float, if one of them is."""
    return _both(a, b, max)


def sym_min(a, b):
    """The lesser of two numbers; a float, if one of them is."""
    return _both(a, b, min)


def set_warn_always(b, /):
    """Whether warnings that are given once are given every time.

    Example:
        >>> import flashlight
        >>> flashlight.set_warn_always(True)
        >>> flashlight.is_warn_always_enabled()
        True
        >>> flashlight.set_warn_always(False)
    """
    if not isinstance(b, bool):
        kind = type(b).__name__
        raise RuntimeError(f"setWarnOnlyOnce expects a bool, but got {kind}")
    _C._set_warn_always(b)


def is_warn_always_enabled():
    """What :func:`set_warn_always` was given last; False before that."""
    return _C._is_warn_always()
