"""``torch.types``: names for what arguments can be, for annotations."""

import builtins
import os
from collections.abc import Sequence
from typing import IO, Union

from flashlight import _C
from flashlight._C import device as _device  # noqa: F401
from flashlight._C import dtype as _dtype  # noqa: F401
from flashlight._C import layout as _layout  # noqa: F401
from flashlight._size import Size
from flashlight.autograd.graph import GradientEdge
from flashlight.storage import TypedStorage, UntypedStorage
from flashlight.tensor import Tensor

__all__ = ["Number", "Device", "FileLike", "Storage"]

_bool, _bytes, _complex = builtins.bool, builtins.bytes, builtins.complex
_float, _int, _str = builtins.float, builtins.int, builtins.str

_TensorOrTensors = Union[Tensor, Sequence[Tensor]]
_TensorOrOptionalTensors = Union[Tensor, Sequence[Union[Tensor, None]]]
_TensorOrTensorsOrGradEdge = Union[
    Tensor, Sequence[Tensor], GradientEdge, Sequence[GradientEdge]
]
_size = Union[Size, list[int], tuple[int, ...]]

Number = Union[int, float, bool]
_Number = (int, float, bool)
FileLike = Union[str, os.PathLike, IO[bytes]]
Device = Union[_C.device, str, int, None]
Storage = Union[TypedStorage, UntypedStorage]
