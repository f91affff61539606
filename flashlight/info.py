"""Facts about tensors and dtypes, and process-wide settings."""

import numbers

import mlx.core as mx
import numpy as np

from flashlight import _C


def is_tensor(obj):
    """Whether ``obj`` is a tensor."""
    return isinstance(obj, _C.TensorBase)


def is_storage(obj):
    """Whether ``obj`` is a storage."""
    from flashlight.storage import TypedStorage, UntypedStorage

    return isinstance(obj, (TypedStorage, UntypedStorage))


def is_floating_point(input):
    """Whether the dtype of ``input`` is a float."""
    return input.is_floating_point()


def is_complex(input):
    """Whether the dtype of ``input`` is complex."""
    return input.is_complex()


def is_nonzero(input):
    """Whether the single element of ``input`` is not zero."""
    return bool(input)


def is_signed(input):
    """Whether the dtype of ``input`` has negative values."""
    return input.is_signed()


def is_same_size(input, other):
    """Whether both tensors have the same sizes."""
    return input.is_same_size(other)


def is_conj(input):
    """Whether the conjugate bit of ``input`` is set."""
    return input.is_conj()


def is_neg(input):
    """Whether the negative bit of ``input`` is set."""
    return input.is_neg()


def is_inference(input):
    """Whether ``input`` was made in inference mode."""
    return input.is_inference()


def numel(input):
    """The number of elements."""
    return input.numel()


_TYPE_NAMES = {
    "float32": "FloatTensor",
    "float64": "DoubleTensor",
    "float16": "HalfTensor",
    "bfloat16": "BFloat16Tensor",
    "uint8": "ByteTensor",
    "int8": "CharTensor",
    "int16": "ShortTensor",
    "int32": "IntTensor",
    "int64": "LongTensor",
    "bool": "BoolTensor",
    "complex64": "ComplexFloatTensor",
    "complex128": "ComplexDoubleTensor",
    "uint16": "UInt16Tensor",
    "uint32": "UInt32Tensor",
    "uint64": "UInt64Tensor",
}


def typename(obj):
    """``"torch.FloatTensor"`` of a tensor, the qualified type name of the rest."""
    if isinstance(obj, _C.TensorBase):
        name = _TYPE_NAMES[repr(obj.dtype).removeprefix("torch.")]
        device = "" if obj.device.type == "cpu" else f"{obj.device.type}."
        return f"torch.{device}{name}"
    kind = obj if isinstance(obj, type) else type(obj)
    module = getattr(kind, "__module__", "")
    prefix = "" if module in ("builtins", "", None) else f"{module}."
    return prefix + kind.__qualname__


def dtype_of_typename(name):
    """The dtype of a name like ``"torch.FloatTensor"``."""
    for dtype, type_name in _TYPE_NAMES.items():
        if name == f"torch.{type_name}":
            return getattr(_C, dtype)
    raise ValueError(f"invalid type: '{name}'")


def set_default_dtype(d):
    """Set the float type of new tensors."""
    _C._set_default_dtype(d)


def dtype_of_type(kind):
    """The dtype of ``torch.FloatTensor`` and the like, or None if it is none."""
    dtype = getattr(kind, "dtype", None) if isinstance(kind, type) else None
    return dtype if isinstance(dtype, _C.dtype) else None


def set_default_tensor_type(t):
    """Set the default dtype by a tensor type, as ``DoubleTensor``, or its name."""
    why = "only floating-point types are supported as the default type"
    dtype = dtype_of_typename(t) if isinstance(t, str) else dtype_of_type(t)
    if dtype is None:
        raise TypeError(f"invalid type object: {why}")
    if not dtype.is_floating_point:
        raise TypeError(why)
    set_default_dtype(dtype)


class _Info:
    def __repr__(self):
        fields = ", ".join(f"{f}={getattr(self, f)}" for f in self._fields)
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other):
        return type(self) is type(other) and self.dtype == other.dtype

    def __hash__(self):
        return hash((type(self).__name__, self.dtype))


# eps, max and the smallest normal number of types that MLX has not.
_FLOAT8 = {
    "float8_e4m3fn": (2.0**-3, 448.0, 2.0**-6),
    "float8_e5m2": (2.0**-2, 57344.0, 2.0**-14),
    "float8_e4m3fnuz": (2.0**-3, 240.0, 2.0**-7),
    "float8_e5m2fnuz": (2.0**-3, 57344.0, 2.0**-15),
}


class finfo(_Info):
    """Limits of a floating point dtype.

    Example:
        >>> import flashlight
        >>> flashlight.finfo(flashlight.float32).eps
        1.1920928955078125e-07
    """

    _fields = ("resolution", "min", "max", "eps", "smallest_normal", "tiny", "dtype")

    def __init__(self, dtype=None):
        dtype = dtype or _C.get_default_dtype()
        if not isinstance(dtype, _C.dtype):
            raise TypeError(f"finfo(): argument must be torch.dtype, not {dtype!r}")
        if not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"torch.finfo() requires a floating point input type. Use torch.iinfo "
                f"to handle '{dtype}'"
            )
        name = repr(dtype.to_real()).removeprefix("torch.")
        if name in _FLOAT8:
            self.dtype, self.bits, self.resolution = name, 8, 1.0
            self.eps, self.max, self.tiny = _FLOAT8[name]
            self.min, self.smallest_normal = -self.max, self.tiny
            return
        info = mx.finfo(getattr(mx, name)) if name == "bfloat16" else np.finfo(name)
        self.dtype = name
        self.bits = dtype.to_real().itemsize * 8
        self.eps = 2.0**-7 if name == "bfloat16" else float(info.eps)
        self.max = float(info.max)
        self.min = float(info.min)
        tiny = 2.0**-126 if name == "bfloat16" else float(info.smallest_normal)
        self.tiny = self.smallest_normal = tiny
        self.resolution = 0.01 if name == "bfloat16" else float(info.resolution)


class iinfo(_Info):
    """Limits of an integer dtype."""

    _fields = ("min", "max", "dtype")

    def __init__(self, dtype):
        if not isinstance(dtype, _C.dtype):
            raise TypeError(f"iinfo(): argument must be torch.dtype, not {dtype!r}")
        if dtype.is_floating_point or dtype.is_complex or dtype is _C.bool:
            raise TypeError(
                f"torch.iinfo() requires an integer input type. Use torch.finfo to "
                f"handle '{dtype}'"
            )
        self.dtype = repr(dtype).removeprefix("torch.")
        info = np.iinfo(self.dtype)
        self.bits, self.min, self.max = info.bits, int(info.min), int(info.max)


_threads = 0


def get_num_threads():
    """The number of threads that kernels may use."""
    import os

    return _threads or len(os.sched_getaffinity(0))


def set_num_threads(n):
    """Set the number of threads that kernels may use."""
    global _threads
    if not isinstance(n, numbers.Integral):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    _threads = int(n)
    _C._set_blas_threads(_threads)
