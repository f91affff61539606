"""``torch.backends.quantized``: no engine, as there are no quantized tensors."""

import sys
import types

supported_engines = []
_ENGINES = ("none", "fbgemm", "qnnpack", "onednn", "x86")


class _Module(types.ModuleType):
    @property
    def engine(self):
        return "none"

    @engine.setter
    def engine(self, name):
        if name not in _ENGINES:
            raise RuntimeError(f"{name} is not a valid value for quantized engine")
        if name != "none":
            raise RuntimeError(f"quantized engine {name.upper()} is not supported")


sys.modules[__name__].__class__ = _Module
