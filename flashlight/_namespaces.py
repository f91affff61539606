"""The places where PyTorch keeps its native functions, filled from the op table."""

import types

from flashlight import _C


def _fill():
    for module, functions in _C._functions.items():
        name = f"_{module}" if module else "_VariableFunctions"
        space = types.SimpleNamespace() if not module else types.ModuleType(name)
        for key, value in functions.items():
            setattr(space, key, value)
        setattr(_C, name, space)
    for module in ("_nn", "_linalg", "_fft", "_special"):
        if not hasattr(_C, module):
            setattr(_C, module, types.ModuleType(module))


_fill()
