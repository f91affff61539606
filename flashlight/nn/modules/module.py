"""PyTorch's import path of Module and the hooks of all modules."""

# flake8: noqa: F401

import sys
import types

from .. import _global_hooks
from .._global_hooks import _WrappedHook as _WrappedHook
from .._global_hooks import (
    register_module_backward_hook as register_module_backward_hook,
)
from .._global_hooks import (
    register_module_buffer_registration_hook as register_module_buffer_registration_hook,
)
from .._global_hooks import register_module_forward_hook as register_module_forward_hook
from .._global_hooks import (
    register_module_forward_pre_hook as register_module_forward_pre_hook,
)
from .._global_hooks import (
    register_module_full_backward_hook as register_module_full_backward_hook,
)
from .._global_hooks import (
    register_module_full_backward_pre_hook as register_module_full_backward_pre_hook,
)
from .._global_hooks import (
    register_module_module_registration_hook as register_module_module_registration_hook,
)
from .._global_hooks import (
    register_module_parameter_registration_hook as register_module_parameter_registration_hook,
)
from ..module import Module as Module
from ..module import _IncompatibleKeys as _IncompatibleKeys


class _HooksOfAll(types.ModuleType):
    """The hooks of all modules are where they are registered, to read and to replace."""

    def __getattr__(self, name):
        if name.startswith("_global_"):
            return getattr(_global_hooks, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name, value):
        where = _global_hooks if name.startswith("_global_") else super()
        where.__setattr__(name, value)


sys.modules[__name__].__class__ = _HooksOfAll
