"""Padding layers."""

from .. import functional as F
from ..module import Module
from ._utils import _ntuple, _pair, _quadruple

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

_sextuple = _ntuple(6, "_sextuple")


class _CircularPadNd(Module):
    __constants__ = ["padding"]

    def _check_input_dim(self, input):
        raise NotImplementedError

    def forward(self, input):
        self._check_input_dim(input)
        return F.pad(input, self.padding, "circular")

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(Module):
    __constants__ = ["padding", "value"]

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ReflectionPadNd(Module):
    __constants__ = ["padding"]

    def forward(self, input):
        return F.pad(input, self.padding, "reflect")

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReplicationPadNd(Module):
    __constants__ = ["padding"]

    def forward(self, input):
        return F.pad(input, self.padding, "replicate")

    def extra_repr(self) -> str:
        return f"{self.padding}"


class CircularPad1d(_CircularPadNd):
    """Pads with the values of the other side.

    Args:
        padding: Amount on both sides, or (left, right).

    Shape:
        - Input: (C, W_in) or (N, C, W_in).
        - Output: (C, W_out) or (N, C, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__()
        self.padding = _pair(padding)

    def _check_input_dim(self, input) -> None:
        if input.dim() not in (2, 3):
            raise ValueError(f"expected 2D or 3D input (got {input.dim()}D input)")


class CircularPad2d(_CircularPadNd):
    """Pads with the values of the other side.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom).

    Shape:
        - Input: (C, H_in, W_in) or (N, C, H_in, W_in).
        - Output: (C, H_out, W_out) or (N, C, H_out, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__()
        self.padding = _quadruple(padding)

    def _check_input_dim(self, input) -> None:
        if input.dim() not in (3, 4):
            raise ValueError(f"expected 3D or 4D input (got {input.dim()}D input)")


class CircularPad3d(_CircularPadNd):
    """Pads with the values of the other side.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom, front, back).

    Shape:
        - Input: (C, D_in, H_in, W_in) or (N, C, D_in, H_in, W_in).
        - Output: (C, D_out, H_out, W_out) or (N, C, D_out, H_out, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__()
        self.padding = _sextuple(padding)

    def _check_input_dim(self, input) -> None:
        if input.dim() not in (4, 5):
            raise ValueError(f"expected 4D or 5D input (got {input.dim()}D input)")


class ReflectionPad1d(_ReflectionPadNd):
    """Pads with the reflection of the input, the edge not repeated.

    Args:
        padding: Amount on both sides, or (left, right).

    Shape:
        - Input: (C, W_in) or (N, C, W_in).
        - Output: (C, W_out) or (N, C, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__()
        self.padding = _pair(padding)


class ReflectionPad2d(_ReflectionPadNd):
    """Pads with the reflection of the input, the edge not repeated.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom).

    Shape:
        - Input: (C, H_in, W_in) or (N, C, H_in, W_in).
        - Output: (C, H_out, W_out) or (N, C, H_out, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__()
        self.padding = _quadruple(padding)


class ReflectionPad3d(_ReflectionPadNd):
    """Pads with the reflection of the input, the edge not repeated.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom, front, back).

    Shape:
        - Input: (C, D_in, H_in, W_in) or (N, C, D_in, H_in, W_in).
        - Output: (C, D_out, H_out, W_out) or (N, C, D_out, H_out, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__()
        self.padding = _sextuple(padding)


class ReplicationPad1d(_ReplicationPadNd):
    """Pads with copies of the edge.

    Args:
        padding: Amount on both sides, or (left, right).

    Shape:
        - Input: (C, W_in) or (N, C, W_in).
        - Output: (C, W_out) or (N, C, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__()
        self.padding = _pair(padding)


class ReplicationPad2d(_ReplicationPadNd):
    """Pads with copies of the edge.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom).

    Shape:
        - Input: (C, H_in, W_in) or (N, C, H_in, W_in).
        - Output: (C, H_out, W_out) or (N, C, H_out, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__()
        self.padding = _quadruple(padding)


class ReplicationPad3d(_ReplicationPadNd):
    """Pads with copies of the edge.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom, front, back).

    Shape:
        - Input: (C, D_in, H_in, W_in) or (N, C, D_in, H_in, W_in).
        - Output: (C, D_out, H_out, W_out) or (N, C, D_out, H_out, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__()
        self.padding = _sextuple(padding)


class ConstantPad1d(_ConstantPadNd):
    """Pads with a constant.

    Args:
        padding: Amount on both sides, or (left, right).
        value: The constant.

    Shape:
        - Input: (C, W_in) or (N, C, W_in).
        - Output: (C, W_out) or (N, C, W_out).
    """

    def __init__(self, padding, value: float) -> None:
        super().__init__(value)
        self.padding = _pair(padding)


class ConstantPad2d(_ConstantPadNd):
    """Pads with a constant.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom).
        value: The constant.

    Shape:
        - Input: (C, H_in, W_in) or (N, C, H_in, W_in).
        - Output: (C, H_out, W_out) or (N, C, H_out, W_out).
    """

    def __init__(self, padding, value: float) -> None:
        super().__init__(value)
        self.padding = _quadruple(padding)


class ConstantPad3d(_ConstantPadNd):
    """Pads with a constant.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom, front, back).
        value: The constant.

    Shape:
        - Input: (C, D_in, H_in, W_in) or (N, C, D_in, H_in, W_in).
        - Output: (C, D_out, H_out, W_out) or (N, C, D_out, H_out, W_out).
    """

    def __init__(self, padding, value: float) -> None:
        super().__init__(value)
        self.padding = _sextuple(padding)


class ZeroPad1d(ConstantPad1d):
    """Pads with zeros.

    Args:
        padding: Amount on both sides, or (left, right).

    Shape:
        - Input: (C, W_in) or (N, C, W_in).
        - Output: (C, W_out) or (N, C, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Pads with zeros.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom).

    Shape:
        - Input: (C, H_in, W_in) or (N, C, H_in, W_in).
        - Output: (C, H_out, W_out) or (N, C, H_out, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Pads with zeros.

    Args:
        padding: Amount on all sides, or (left, right, top, bottom, front, back).

    Shape:
        - Input: (C, D_in, H_in, W_in) or (N, C, D_in, H_in, W_in).
        - Output: (C, D_out, H_out, W_out) or (N, C, D_out, H_out, W_out).
    """

    def __init__(self, padding) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"
