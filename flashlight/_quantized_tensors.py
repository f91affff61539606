"""Quantized tensors: integers, a scale and a zero point for all of them.

A real number is ``(integer - zero_point) * scale``. Views are views of the integers, so
they share memory; there is arithmetic only where integers alone decide.
"""

from flashlight import _C
from flashlight._parted import Parted, common_answers
from flashlight.tensor import Tensor

__all__ = [
    "dequantize",
    "int_repr",
    "per_channel_affine",
    "per_channel_symmetric",
    "per_tensor_affine",
    "per_tensor_symmetric",
    "q_scale",
    "q_zero_point",
    "qscheme",
    "quantize_per_tensor",
]


class qscheme:
    """How numbers are made of integers, as ``torch.per_tensor_affine``."""

    __module__ = "torch"

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"torch.{self._name}"

    def __reduce__(self):
        return self._name


per_tensor_affine = qscheme("per_tensor_affine")
per_channel_affine = qscheme("per_channel_affine")
per_tensor_symmetric = qscheme("per_tensor_symmetric")
per_channel_symmetric = qscheme("per_channel_symmetric")

# Quantized dtype: (of the integers, lowest, highest, how types are called).
_OF_DTYPE = {
    _C.quint8: (_C.uint8, 0, 255, "QUInt8"),
    _C.qint8: (_C.int8, -128, 127, "QInt8"),
    _C.qint32: (_C.int32, -(2**31), 2**31 - 1, "QInt32"),
}


class QuantizedTensor(Parted):
    """A tensor of integers that stand for real numbers."""

    _kind = "quantized"

    def _sizes(self):
        return self._integers().shape

    def _dtype_of_parts(self):
        return self.__dict__["_dtype"]

    def _engine_dtype(self):
        return self._integers().dtype

    def _integers(self):
        """The integers themselves, which the tensor shares."""
        return self.__dict__["_q"]

    def int_repr(self):
        """A copy of the integers."""
        return self._integers().clone()

    def q_scale(self):
        """What one step is worth."""
        return self.__dict__["_scale"]

    def q_zero_point(self):
        """The integer that stands for zero."""
        return self.__dict__["_zero"]

    def qscheme(self):
        """torch.per_tensor_affine."""
        return per_tensor_affine

    def dequantize(self):
        """The real numbers, as a plain float32 tensor."""
        steps = self._integers().to(_C.int64) - self.q_zero_point()
        return steps.to(_C.float32) * self.q_scale()

    def _text(self):
        shown = repr(self.dequantize()).removesuffix(")")
        return (
            f"{shown}, size={tuple(self._sizes())}, dtype={self._dtype_of_parts()},\n"
            f"       quantization_scheme={per_tensor_affine}, scale={self.q_scale()}, "
            f"zero_point={self.q_zero_point()})"
        )


def _make(integers, scale, zero, dtype, root=None):
    return QuantizedTensor._new(
        integers.dtype, _q=integers, _scale=scale, _zero=zero, _dtype=dtype, _root=root
    )


def _like(x, integers):
    """A quantized tensor of these integers; a view of ``x`` if they are."""
    root = x.__dict__["_root"]
    if root is None:
        root = x
    if integers._base is not root._integers():
        root = None
    zero = x.q_zero_point()
    return _make(integers, x.q_scale(), zero, x._dtype_of_parts(), root)


def _check_dtype(dtype):
    if dtype not in _OF_DTYPE:
        if str(dtype).startswith("torch.q"):
            raise NotImplementedError(f"{dtype} is not supported")
        raise RuntimeError(f"{dtype} is not supported in new_qtensor.")
    return _OF_DTYPE[dtype]


def _quantized(values, scale, zero, dtype):
    integer, low, high, _ = _check_dtype(dtype)
    # In float32, as PyTorch multiplies; then exactly, as int32 needs.
    steps = (values.to(_C.float32) * (1.0 / scale)).to(_C.float64).round() + zero
    return steps.clamp(low, high).to(integer)


def quantize_per_tensor(input, scale, zero_point, dtype):
    """The tensor in integers of that dtype.

    Args:
        input: A float32 tensor.
        scale: What one step is worth.
        zero_point: The integer that stands for zero.
        dtype: ``torch.quint8``, ``torch.qint8`` or ``torch.qint32``.

    Example:
        >>> import flashlight as torch
        >>> x = torch.tensor([0.1, 1.0])
        >>> x = torch.quantize_per_tensor(x, 0.1, 5, torch.quint8)
        >>> x.int_repr()
        tensor([ 6, 15], dtype=torch.uint8)
    """
    _, low, high, _ = _check_dtype(dtype)
    if input.dtype is not _C.float32:
        raise RuntimeError(f"Quantize only works on Float Tensor, got {input.dtype}")
    scale, zero = float(scale), int(zero_point)
    for wrong, side in ((zero > high, "above upper"), (zero < low, "below lower")):
        if wrong:
            raise RuntimeError(
                f"quantize_tensor_per_tensor_affine zero_point {zero} is {side} bound."
            )
    return _make(_quantized(input.detach(), scale, zero, dtype), scale, zero, dtype)


def _empty_affine_quantized(
    size, *, scale=1, zero_point=0, dtype=None, device=None, memory_format=None
):
    from flashlight import empty

    integers = empty(size, dtype=_check_dtype(dtype)[0], device=device)
    return _make(integers, float(scale), int(zero_point), dtype)


def dequantize(tensor):
    """The real numbers of a quantized tensor; other tensors as float32."""
    if isinstance(tensor, (list, tuple)):
        return type(tensor)(map(dequantize, tensor))
    if isinstance(tensor, QuantizedTensor):
        return tensor.dequantize()
    return tensor.to(_C.float32)


def _need(tensor, name):
    if not isinstance(tensor, QuantizedTensor):
        raise NotImplementedError(f"{name}: only of quantized tensors")
    return tensor


def int_repr(input):
    """The integers of a quantized tensor."""
    return _need(input, "int_repr").int_repr()


def q_scale(input):
    """What one step of a quantized tensor is worth."""
    return _need(input, "q_scale").q_scale()


def q_zero_point(input):
    """The integer that stands for zero in a quantized tensor."""
    return _need(input, "q_zero_point").q_zero_point()


# --- what they answer ---

_answer = common_answers(QuantizedTensor, "_q")


@_answer("grad.__get__")
def _gradient(x):
    return None


@_answer("is_quantized.__get__")
def _is_quantized(x):
    return True


@_answer("layout.__get__")
def _layout(x):
    return _C.strided


@_answer("_base.__get__")
def _base(x):
    return x.__dict__["_root"]


@_answer("_is_view")
def _is_view(x):
    return x.__dict__["_root"] is not None


@_answer()
def _type(x, dtype=None, non_blocking=False):
    if dtype is not None:
        raise NotImplementedError("type: of another dtype, of quantized tensors")
    return f"torch.quantized.{_OF_DTYPE[x._dtype_of_parts()][3]}Tensor"


def _of_integers(*names):
    """What is told by the integers."""
    for name in names:

        def run(x, *args, _name=name, **kwargs):
            return getattr(x._integers(), _name)(*args, **kwargs)

        _answer(name)(run)


_of_integers("stride", "storage_offset", "data_ptr", "element_size", "is_contiguous")


def _moving(*names):
    """What only moves elements."""
    for name in names:

        def run(x, *args, _name=name, **kwargs):
            integers = getattr(x._integers(), _name)(*args, **kwargs)
            return x if integers is x._integers() else _like(x, integers)

        _answer(name)(run)


_moving("view", "reshape", "flatten", "ravel", "flip", "t", "transpose", "permute")
_moving("contiguous", "clone", "detach", "unsqueeze", "squeeze", "expand", "select")
_moving("__getitem__", "index_select", "narrow", "as_strided", "view_as", "reshape_as")
_moving("expand_as", "swapaxes", "swapdims", "movedim", "moveaxis", "take", "fliplr")


def _ordering(*names):
    """What picks elements by their order, which is that of the integers."""
    for name in names:

        def run(x, *args, _name=name, **kwargs):
            found = getattr(x._integers(), _name)(*args, **kwargs)
            if isinstance(found, Tensor):
                return _like(x, found)
            return type(found)((_like(x, found[0]), *found[1:]))

        _answer(name)(run)


_ordering("max", "min", "sort", "topk", "amax", "amin")


def _comparing(*names):
    for name in names:

        def run(x, other, _name=name):
            return getattr(dequantize(x), _name)(
                dequantize(other) if isinstance(other, Tensor) else other
            )

        _answer(name)(run)


_comparing("eq", "ne", "lt", "le", "gt", "ge")


@_answer()
def _equal(x, other):
    if not isinstance(x, QuantizedTensor) or not isinstance(other, QuantizedTensor):
        return False
    told = [
        (y._dtype_of_parts(), y.q_scale(), y.q_zero_point(), y._sizes())
        for y in (x, other)
    ]
    return told[0] == told[1] and x._integers().equal(other._integers())


@_answer("relu")
def _relu(x):
    return _like(x, x._integers().clamp_min(x.q_zero_point()))


@_answer()
def _item(x):
    return x.dequantize().item()


@_answer()
def _copy_(x, source, non_blocking=False):
    real = dequantize(source).expand(x._sizes())
    parts = x.q_scale(), x.q_zero_point(), x._dtype_of_parts()
    x._integers().copy_(_quantized(real, *parts))
    return x


@_answer()
def _fill_(x, value):
    from flashlight import full

    return _copy_(x, full((), float(value)))


@_answer("cat", "concat", "concatenate")
def _cat(tensors, dim=0):
    from flashlight import cat

    first = tensors[0]
    same = all(
        isinstance(x, QuantizedTensor)
        and (x.q_scale(), x.q_zero_point()) == (first.q_scale(), first.q_zero_point())
        for x in tensors
    )
    if same:
        return _like(first, cat([x._integers() for x in tensors], dim))
    real = cat([dequantize(x) for x in tensors], dim)
    parts = first.q_scale(), first.q_zero_point(), first._dtype_of_parts()
    return _make(_quantized(real, *parts), *parts)


@_answer("mean")
def _mean(x, *args, **kwargs):
    real = x.dequantize().mean(*args, **kwargs)
    parts = x.q_scale(), x.q_zero_point(), x._dtype_of_parts()
    return _make(_quantized(real, *parts), *parts)
