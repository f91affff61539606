"""The places where PyTorch keeps its native functions, filled from the op table."""

import enum
import os
import sys
import types

from flashlight import _C


def _fill():
    for module, functions in _C._functions.items():
        name = f"_{module}" if module else "_VariableFunctions"
        space = types.SimpleNamespace() if not module else types.ModuleType(name)
        for key, value in functions.items():
            setattr(space, key, value)
        setattr(_C, name, space)
        sys.modules.setdefault(f"flashlight._C.{name}", space)  # pickles import it
    _C._VariableFunctionsClass = _C._VariableFunctions
    for module in ("_nn", "_linalg", "_fft", "_special"):
        if not hasattr(_C, module):
            setattr(_C, module, types.ModuleType(module))


_fill()


class _TorchFunctionState(enum.Enum):
    """Which calls go through ``__torch_function__``."""

    ENABLED = 0
    SUBCLASSES_DISABLED = 1
    ALL_DISABLED = 2


Tag = enum.Enum(  # what a compiler may know of an operator: kept, of no effect
    "Tag",
    """core cudagraph_unsafe data_dependent_output dynamic_output_shape flexible_layout
    generated inplace inplace_view maybe_aliasing_or_mutating needs_contiguous_strides
    needs_exact_strides needs_fixed_stride_order nondeterministic_bitwise
    nondeterministic_seeded out out_variant pointwise pt2_compliant_tag reduction
    view_copy""".split(),
    module="torch",
    start=0,
)


def _get_torch_function_state():
    subclasses, everything = _C._torch_function_enabled()
    if not everything:
        return _TorchFunctionState.ALL_DISABLED
    if not subclasses:
        return _TorchFunctionState.SUBCLASSES_DISABLED
    return _TorchFunctionState.ENABLED


def _facts():
    _C._TorchFunctionState = _TorchFunctionState
    _C.Tag = Tag
    _C._get_torch_function_state = _get_torch_function_state
    _C._is_torch_function_enabled = lambda: _C._torch_function_enabled()[0]
    _C._is_torch_function_all_disabled = lambda: not _C._torch_function_enabled()[1]
    _C._get_privateuse1_backend_name = lambda: "privateuseone"
    _C.has_spectral = True  # FFTs
    _C._get_cpu_capability = lambda: "DEFAULT"  # no loops of ours are chosen by it


_facts()


# A process may fork with tensors: DataLoader's workers are made so.
os.register_at_fork(
    before=_C._before_fork,
    after_in_parent=lambda: _C._after_fork(False),
    after_in_child=lambda: _C._after_fork(True),
)
