"""Regions in which ops choose their precision."""

import collections.abc
import functools
import warnings

import flashlight
from flashlight import _C

__all__ = [
    "autocast",
    "autocast_decorator",
    "custom_bwd",
    "custom_fwd",
    "is_autocast_available",
]


def is_autocast_available(device_type):
    """Whether ``autocast(device_type)`` means anything.

    Args:
        device_type: ``"cpu"``, ``"cuda"``, ``"mps"``, ...
    """
    return _C._is_autocast_available(device_type)


# The state itself, of the calling thread: names of torch, not of torch.amp.


def is_autocast_enabled(device_type="cuda"):
    """Whether a region is active for a device type."""
    return _C._is_autocast_enabled(device_type)


def _check_bool(name, value, position):
    if not isinstance(value, bool):
        raise TypeError(
            f"{name}(): argument 'enabled' (position {position}) must be bool, "
            f"not {type(value).__name__}"
        )


def set_autocast_enabled(device_type, enabled=None):
    """Turn casts on or off for a device type (CUDA's if there is none)."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
        _check_bool("set_autocast_enabled", enabled, 1)
    _check_bool("set_autocast_enabled", enabled, 2)
    _C._set_autocast_enabled(device_type, enabled)


def get_autocast_dtype(device_type):
    """The dtype of ops in lower precision."""
    return _C._get_autocast_dtype(device_type)


def set_autocast_dtype(device_type, dtype):
    """Choose the dtype of ops in lower precision."""
    _C._set_autocast_dtype(device_type, dtype)


def is_autocast_cpu_enabled():
    """Whether a region is active for the CPU."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled):
    """Turn casts on or off for the CPU."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype():
    """The dtype of the CPU's ops in lower precision."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype):
    """Choose the dtype of the CPU's ops in lower precision."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype():
    """The dtype of CUDA's ops in lower precision."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype):
    """Choose the dtype of CUDA's ops in lower precision."""
    set_autocast_dtype("cuda", dtype)


def autocast_decorator(autocast_instance, func):
    """``func``, run inside the region."""

    @functools.wraps(func)
    def decorate_autocast(*args, **kwargs):
        with autocast_instance:
            return func(*args, **kwargs)

    return decorate_autocast


def _supported(device, dtype):
    """Whether regions of that device and dtype do anything; warns if not."""
    if device == "cuda" and not flashlight.cuda.is_available():
        warnings.warn(
            "CUDA is not available or torch_xla is imported. Disabling autocast.",
            stacklevel=3,
        )
        return False
    dtypes = [flashlight.bfloat16, flashlight.float16]
    if dtype in dtypes:
        return True
    name = device.upper()
    listed = ", ".join(map(str, dtypes))
    warnings.warn(
        f"In {name} autocast, but the target dtype is not supported. Disabling "
        f"autocast.\n{name} Autocast only supports dtypes of {listed} currently.",
        stacklevel=3,
    )
    return False


class autocast:
    """A region, or a decorator, in which ops choose their precision.

    Products and convolutions run in ``dtype``; losses and others that need the range
    run in float32; ops that join tensors take the widest of them. Everything else
    takes what it is given.

    Args:
        device_type: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        dtype: bfloat16 or float16; the device type's own by default.
        enabled: False makes an inner region without casts.
        cache_enabled: Keep casts of weights until the outermost region ends.

    Example::

        with flashlight.autocast("cpu"):
            loss = criterion(model(x), y)
        loss.backward()
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(
                f"Expected `device_type` of type `str`, got: `{type(device_type)}`"
            )
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = (
            _C.is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        )
        self._enabled = enabled and _supported(device_type, self.fast_dtype)

    def __enter__(self):
        self.prev_cache_enabled = _C.is_autocast_cache_enabled()
        self.prev = is_autocast_enabled(self.device)
        self.prev_fastdtype = get_autocast_dtype(self.device)
        set_autocast_enabled(self.device, self._enabled)
        set_autocast_dtype(self.device, self.fast_dtype)
        _C.autocast_increment_nesting()
        _C.set_autocast_cache_enabled(self._cache_enabled)
        return self

    def __exit__(self, *exc):
        if _C.autocast_decrement_nesting() == 0:
            _C.clear_autocast_cache()
        set_autocast_enabled(self.device, self.prev)
        set_autocast_dtype(self.device, self.prev_fastdtype)
        _C.set_autocast_cache_enabled(self.prev_cache_enabled)
        return False

    def __call__(self, func):
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. "
                "Did you mean to use autocast as a context manager? For example:\n"
                "    with torch.autocast(device_type=...):\n"
                "        output = model(input)"
            )
        return autocast_decorator(self, func)


def _cast(value, device_type, dtype):
    """A nest with its floating tensors of that device cast."""
    if isinstance(value, flashlight.Tensor):
        eligible = (
            value.is_floating_point()
            and value.device.type == device_type
            and value.dtype != flashlight.float64
        )
        return value.to(dtype) if eligible else value
    if isinstance(value, (str, bytes)) or hasattr(value, "__array_interface__"):
        return value
    if isinstance(value, collections.abc.Mapping):
        return {
            _cast(k, device_type, dtype): _cast(v, device_type, dtype)
            for k, v in value.items()
        }
    if isinstance(value, collections.abc.Iterable):
        items = (_cast(v, device_type, dtype) for v in value)
        return type(value)(items) if isinstance(value, (list, tuple)) else items
    return value


def _check_device_type(device_type):
    if not isinstance(device_type, str):
        raise ValueError(
            f"Expected `device_type` of type `str`, got: `{type(device_type)}`"
        )


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorate ``forward`` of an ``autograd.Function`` for use in regions.

    Args:
        fwd: The method.
        device_type: Whose regions count.
        cast_inputs: Cast floating inputs to this, and run without casts; None runs
            in the region as it is.
    """
    _check_device_type(device_type)
    if fwd is None:
        return functools.partial(
            custom_fwd, device_type=device_type, cast_inputs=cast_inputs
        )

    @functools.wraps(fwd)
    def decorate_fwd(*args, **kwargs):
        inside = is_autocast_enabled(device_type)
        args[0]._dtype = get_autocast_dtype(device_type)
        args[0]._fwd_used_autocast = inside and cast_inputs is None
        if cast_inputs is None or not inside:
            return fwd(*args, **kwargs)
        with autocast(device_type=device_type, enabled=False):
            return fwd(
                *_cast(args, device_type, cast_inputs),
                **_cast(kwargs, device_type, cast_inputs),
            )

    return decorate_fwd


def custom_bwd(bwd=None, *, device_type):
    """Decorate ``backward``: it runs in the region that ``forward`` ran in.

    Args:
        bwd: The method.
        device_type: Whose regions count.
    """
    _check_device_type(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorate_bwd(*args, **kwargs):
        with autocast(
            device_type=device_type,
            enabled=args[0]._fwd_used_autocast,
            dtype=args[0]._dtype,
        ):
            return bwd(*args, **kwargs)

    return decorate_bwd
