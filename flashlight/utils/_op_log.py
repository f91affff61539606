"""A log of the ops that run, as text, with the Python lines that they come from."""

import traceback

from flashlight import _C
from flashlight.utils._dtype_abbrs import dtype_abbrs
from flashlight.utils._python_dispatch import TorchDispatchMode
from flashlight.utils._pytree import tree_map
from flashlight.utils.weak import WeakTensorKeyDictionary


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
        self.numbers = WeakTensorKeyDictionary()

    def name(self, x, typed=False):
        if not isinstance(x, _C.TensorBase):
            return x
        if x not in self.numbers:
            self.numbers[x], self.count = self.count, self.count + 1
        number = self.numbers[x]
        if not typed:
            return _Name(f"${number}")
        sizes = ", ".join(map(str, x.shape))
        return _Name(f"${number}: {dtype_abbrs[x.dtype]}[{sizes}]")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [str(tree_map(self.name, a)) for a in args]
        given += [f"{k}={tree_map(self.name, v)}" for k, v in kwargs.items()]
        result = func(*args, **kwargs)
        named = tree_map(lambda x: self.name(x, typed=True), result)
        self.lines.append(f"{named} = torch._ops.{func}({', '.join(given)})")
        self.stacks.append(traceback.extract_stack()[:-2])  # without the door
        return result
