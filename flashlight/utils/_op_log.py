"""A log of the ops that run, as text, with the Python lines that they come from."""

import traceback
import weakref

from flashlight import _C
from flashlight.utils._python_dispatch import TorchDispatchMode
from flashlight.utils._pytree import tree_map

_SHORT = {
    "bfloat16": "bf16",
    "bool": "b8",
    "complex128": "c128",
    "complex64": "c64",
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "int8": "i8",
    "uint8": "u8",
}


class _Name:
    """Prints without quotes inside lists."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


class OpLog(TorchDispatchMode):
    """Lines such as ``$1: f32[2] = torch._ops.aten.sin.default($0)``, and stacks."""

    def __init__(self):
        super().__init__()
        self.lines, self.stacks, self.count = [], [], 0
        self.numbers = {}  # id -> (the tensor, weakly; its number)

    def name(self, x, typed=False):
        if not isinstance(x, _C.TensorBase):
            return x
        seen, number = self.numbers.get(id(x), (lambda: None, None))
        if seen() is not x:
            number, self.count = self.count, self.count + 1
            self.numbers[id(x)] = weakref.ref(x), number
        if not typed:
            return _Name(f"${number}")
        dtype = str(x.dtype).split(".")[-1]
        sizes = ", ".join(map(str, x.shape))
        return _Name(f"${number}: {_SHORT.get(dtype, dtype)}[{sizes}]")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [str(tree_map(self.name, a)) for a in args]
        given += [f"{k}={tree_map(self.name, v)}" for k, v in kwargs.items()]
        result = func(*args, **kwargs)
        named = tree_map(lambda x: self.name(x, typed=True), result)
        self.lines.append(f"{named} = torch._ops.{func}({', '.join(given)})")
        self.stacks.append(traceback.extract_stack()[:-2])  # without the door
        return result
